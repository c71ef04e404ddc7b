"""The core's testbench: clock, reset, streams in and out, idle and back-pressure generators.

Runs inside the simulator. All streams are served by one loop, because a coroutine a stream costs
several times as much simulation time.
"""

import random
from collections import deque
from collections.abc import Iterable
from typing import Any

import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge

from cosim.device import Operands, Result
from golden.formats import Integers
from rtl.config import CoreConfig
from rtl.isa import Instruction, Status

__all__ = ["CoreTestbench", "StreamSink", "StreamSource"]

_SLACK_CYCLES = 100_000
"""An instruction without a transfer for this long never ends."""


def pack_beats(lanes: Integers, width: int) -> list[int]:
    """One unsigned word a beat from (beats, lanes) of signed `width`-bit values, lane 0 lowest."""
    data = np.ascontiguousarray(lanes).astype({8: "<i1", 16: "<i2", 32: "<i4"}[width])
    return [int.from_bytes(beat.tobytes(), "little") for beat in data]


class StreamSource:
    """Drives one stream into the core. `idle` is the chance of withholding a beat for a cycle."""

    def __init__(self, dut: Any, name: str, rng: random.Random, idle: float) -> None:
        self._payload = getattr(dut, f"{name}__payload")
        self._valid = getattr(dut, f"{name}__valid")
        self._ready = getattr(dut, f"{name}__ready")
        self._rng, self._idle = rng, idle
        self._queue: deque[int] = deque()
        self._offered = False
        self._valid.value = 0
        self._payload.value = 0

    def put(self, beats: Iterable[int]) -> None:
        """Queue beats and offer the first."""
        self._queue.extend(beats)
        self._offer()

    @property
    def busy(self) -> bool:
        """Beats are left."""
        return bool(self._queue)

    def serve(self) -> bool:
        """After a rising edge: note a transfer and offer the next beat. True if one happened."""
        if self._offered and self._ready.value:
            self._queue.popleft()
            self._offered = False
            self._offer()
            return True
        if not self._offered:
            self._offer()
        return False

    def _offer(self) -> None:
        # Once offered, a beat stays until it is taken: the stream's contract.
        if self._offered:
            return
        self._offered = bool(self._queue) and (not self._idle or self._rng.random() >= self._idle)
        self._valid.value = self._offered
        if self._offered:
            self._payload.value = self._queue[0]


class StreamSink:
    """Takes one stream from the core. `stall` is the chance of not being ready for a cycle."""

    def __init__(self, dut: Any, name: str, rng: random.Random, stall: float) -> None:
        self._payload = getattr(dut, f"{name}__payload")
        self._valid = getattr(dut, f"{name}__valid")
        self._ready = getattr(dut, f"{name}__ready")
        self._rng, self._stall = rng, stall
        self.beats: list[int] = []
        self._is_ready = True
        self._held: int | None = None
        self._ready.value = 1

    def serve(self) -> bool:
        """After a rising edge: note a transfer. True if the payload was valid."""
        valid = bool(self._valid.value)
        if valid:
            payload = self._payload.value.to_unsigned()
            if self._held is not None and payload != self._held:
                raise AssertionError("a payload changed while it waited to be taken")
            self._held = None if self._is_ready else payload
            if self._is_ready:
                self.beats.append(payload)
        elif self._held is not None:
            raise AssertionError("a beat was withdrawn before it was taken")
        if self._stall:
            self._is_ready = self._rng.random() >= self._stall
            self._ready.value = self._is_ready
        return valid


class CoreTestbench:
    """Executes instructions on the core, one at a time.

    Parameters
    ----------
    dut:
        The simulator's handle of `eoq_core`.
    config:
        What was built.
    seed:
        Of the stalls.
    idle, stall:
        Chance, per cycle, that a source withholds a beat and that a sink is not ready.

    Members
    -------
    cycles:
        Clock cycles since reset.
    """

    def __init__(
        self, dut: Any, config: CoreConfig, *, seed: int, idle: float = 0.0, stall: float = 0.0
    ) -> None:
        rng = random.Random(seed)  # noqa: S311 - stalls, not secrets
        self.dut, self.config, self.cycles = dut, config, 0
        # The simulator makes the clock: a Python one would halve the speed.
        Clock(dut.clk, 10, unit="ns", impl="gpi").start()
        self._instruction = StreamSource(dut, "i_instruction", rng, idle)
        self._operands = {
            name: (StreamSource(dut, f"i_{name}", rng, idle), width)
            for name, width in (("a", 8), ("b", 8), ("x", 32), ("y", 16))
        }
        self._result = StreamSink(dut, "o", rng, stall)
        self._status = StreamSink(dut, "o_status", rng, stall)

    async def reset(self) -> None:
        """Hold reset for three cycles."""
        self.dut.rst.value = 1
        for _ in range(3):
            await RisingEdge(self.dut.clk)
        self.dut.rst.value = 0
        await RisingEdge(self.dut.clk)

    async def execute(self, instruction: Instruction, operands: Operands, beats: int) -> Result:
        """Run one instruction to its status record; checks beats, cycles and that nothing is left.

        Raises AssertionError when the core takes fewer operands or gives another number of beats
        than expected, counts its own cycles wrongly, or makes no progress.
        """
        active = [self._instruction]
        self._instruction.put([instruction.pack()])
        for name, (source, width) in self._operands.items():
            lanes = getattr(operands, name)
            if len(lanes):
                source.put(pack_beats(lanes, width))
                active.append(source)
        accepted = status_valid = -1
        quiet = 0
        edge = RisingEdge(self.dut.clk)
        while not self._status.beats:
            await edge
            self.cycles += 1
            moved = False
            for source in active:
                moved |= source.serve()
            if accepted < 0 and not self._instruction.busy:
                accepted = self.cycles
            moved |= self._result.serve()
            if self._status.serve() and status_valid < 0:
                status_valid = self.cycles
            quiet = 0 if moved else quiet + 1
            if quiet > _SLACK_CYCLES:
                raise AssertionError(f"{instruction}: no transfer for {quiet} cycles")
        status = Status.unpack(self._status.beats.pop())
        left = [s for s in active if s.busy]
        got = len(self._result.beats)
        if left or got != beats:
            raise AssertionError(
                f"{instruction}: {len(left)} operand streams not empty at the end; expected "
                f"{beats} beats of result, got {got}"
            )
        if status.cycles != status_valid - accepted + 1:
            raise AssertionError(
                f"{instruction}: the core counted {status.cycles} cycles, the testbench "
                f"{status_valid - accepted + 1}"
            )
        words = [beat.to_bytes(4 * self.config.columns, "little") for beat in self._result.beats]
        self._result.beats.clear()
        lanes = np.frombuffer(b"".join(words), dtype="<i4").astype(np.int64)
        return Result(status, lanes.reshape(beats, self.config.columns))
