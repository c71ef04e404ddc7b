"""Memory and manager on AXI for Amaranth's own simulator, with stalls, errors and protocol checks.

For tests at block level; `cosim` has independent ones.
"""

import random
from collections import deque
from typing import Any

from rtl.axi import BOUNDARY, Response

__all__ = ["LiteManager", "MemoryModel"]


def _require(fact: bool, what: str) -> None:
    if not fact:
        raise AssertionError(what)


class MemoryModel:
    """Bytes behind an AXI4 bus.

    Parameters
    ----------
    size:
        Bytes.
    seed, stall:
        Chance, a cycle, that a channel is not ready or not valid.
    latency:
        Cycles from an address to the first beat, or from the last beat to the response, at least 1.
    errors:
        Addresses that are answered with SLVERR.

    Members
    -------
    data:
        Its bytes.
    outstanding:
        Beats and responses that are due.
    reset:
        While it is set, nothing is served and what was due is forgotten.

    Raises
    ------
    AssertionError
        While it serves, when the manager breaks the protocol.
    """

    def __init__(
        self, size: int, *, seed: int = 0, stall: float = 0.0, latency: int = 1,
        errors: range = range(0),
    ) -> None:  # fmt: skip
        self.data = bytearray(size)
        self.outstanding = 0
        self.reset = False
        self._rng = random.Random(seed)  # noqa: S311 - stalls, not secrets
        self._stall, self._latency, self._errors = stall, latency, errors

    def _go(self) -> bool:
        return self._rng.random() >= self._stall

    def _burst(self, address: int, beats: int, width: int) -> list[int]:
        end = address + beats * width
        _require(address % width == 0, f"address {address:#x} must be a multiple of {width}")
        _require(address // BOUNDARY == (end - 1) // BOUNDARY, f"burst {address:#x} to {end:#x}")
        _require(end <= len(self.data), f"burst up to {end:#x} past {len(self.data):#x}")
        return [address + k * width for k in range(beats)]

    def _response(self, address: int) -> int:
        return Response.SLVERR if address in self._errors else Response.OKAY

    async def reads(self, ctx: Any, bus: Any) -> None:
        """Serve the read channels; add it as a background testbench."""
        width = len(bus.rdata) // 8
        beats: deque[tuple[int, int, int, int]] = deque()
        standing, cycle = False, 0
        waiting: tuple[int, ...] | None = None
        while True:
            if self.reset:
                beats.clear()
                standing, waiting, self.outstanding = False, None, 0
                ctx.set(bus.rvalid, 0)
                await ctx.tick()
                continue
            ctx.set(bus.arready, self._go())
            valid = bool(beats) and beats[0][0] <= cycle and (standing or self._go())
            ctx.set(bus.rvalid, valid)
            if valid:
                _, address, identity, last = beats[0]
                word = int.from_bytes(self.data[address : address + width], "little")
                ctx.set(bus.rdata, word)
                ctx.set(bus.rid, identity)
                ctx.set(bus.rlast, last)
                ctx.set(bus.rresp, self._response(address))
            _, _, arvalid, arready, araddr, arlen, arid, rready = await ctx.tick().sample(
                bus.arvalid, bus.arready, bus.araddr, bus.arlen, bus.arid, bus.rready
            )
            offer = (araddr, arlen, arid) if arvalid else None
            _require(waiting in (None, offer), "an address changed before it was taken")
            waiting = None if arready else offer
            if arvalid and arready:
                addresses = self._burst(araddr, arlen + 1, width)
                self.outstanding += len(addresses)
                for k, address in enumerate(addresses):
                    beats.append((cycle + self._latency, address, arid, k == arlen))
            standing = valid and not rready
            if valid and rready:
                beats.popleft()
                self.outstanding -= 1
            cycle += 1

    async def writes(self, ctx: Any, bus: Any) -> None:
        """Serve the write channels; add it as a background testbench."""
        width = len(bus.wdata) // 8
        addresses: deque[tuple[int, int]] = deque()
        answers: deque[tuple[int, int]] = deque()
        cycle, standing, response = 0, False, Response.OKAY
        waiting: dict[str, tuple[int, ...] | None] = {"aw": None, "w": None}
        while True:
            if self.reset:
                addresses.clear()
                answers.clear()
                standing, waiting, response = False, {"aw": None, "w": None}, Response.OKAY
                ctx.set(bus.bvalid, 0)
                await ctx.tick()
                continue
            ctx.set(bus.awready, self._go())
            ctx.set(bus.wready, bool(addresses) and self._go())
            valid = bool(answers) and answers[0][0] <= cycle and (standing or self._go())
            ctx.set(bus.bvalid, valid)
            if valid:
                ctx.set(bus.bresp, answers[0][1])
            _, _, *seen = await ctx.tick().sample(
                bus.awvalid, bus.awready, bus.awaddr, bus.awlen,
                bus.wvalid, bus.wready, bus.wdata, bus.wstrb, bus.wlast, bus.bready,
            )  # fmt: skip
            awvalid, awready, awaddr, awlen, wvalid, wready, wdata, wstrb, wlast, bready = seen
            for name, offer, ready in (
                ("aw", (awaddr, awlen) if awvalid else None, awready),
                ("w", (wdata, wstrb, wlast) if wvalid else None, wready),
            ):
                before = waiting[name]
                _require(before in (None, offer), f"{name} changed before it was taken")
                waiting[name] = None if ready else offer
            if wvalid and wready:
                address, last = addresses.popleft()
                _require(wlast == last, "wlast must be at the burst's last beat")
                for k in range(width):
                    if wstrb >> k & 1:
                        self.data[address + k] = wdata >> 8 * k & 0xFF
                response |= self._response(address)
                if last:
                    answers.append((cycle + self._latency, response))
                    response = Response.OKAY
            if awvalid and awready:
                burst = self._burst(awaddr, awlen + 1, width)
                self.outstanding += 1
                addresses.extend((address, k == awlen) for k, address in enumerate(burst))
            standing = valid and not bready
            if valid and bready:
                answers.popleft()
                self.outstanding -= 1
            cycle += 1


class LiteManager:
    """Reads and writes registers over AXI4-Lite, one transfer at a time."""

    def __init__(self, ctx: Any, bus: Any) -> None:
        self._ctx, self._bus = ctx, bus

    async def read(self, address: int) -> tuple[int, int]:
        """Return data and response."""
        ctx, bus = self._ctx, self._bus
        ctx.set(bus.araddr, address)
        ctx.set(bus.arvalid, 1)
        await ctx.tick().until(bus.arready)
        ctx.set(bus.arvalid, 0)
        ctx.set(bus.rready, 1)
        data, response = await ctx.tick().sample(bus.rdata, bus.rresp).until(bus.rvalid)
        ctx.set(bus.rready, 0)
        return data, response

    async def write(self, address: int, value: int, *, strobes: int = 0xF) -> int:
        """Return the response."""
        ctx, bus = self._ctx, self._bus
        for port, what in ((bus.awaddr, address), (bus.wdata, value), (bus.wstrb, strobes)):
            ctx.set(port, what)
        ctx.set(bus.awvalid, 1)
        ctx.set(bus.wvalid, 1)
        await ctx.tick().until(bus.awready)
        ctx.set(bus.awvalid, 0)
        ctx.set(bus.wvalid, 0)
        ctx.set(bus.bready, 1)
        (response,) = await ctx.tick().sample(bus.bresp).until(bus.bvalid)
        ctx.set(bus.bready, 0)
        return response
