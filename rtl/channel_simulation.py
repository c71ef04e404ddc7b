"""Runs channels through a normalisation unit, or Fixup's, in Amaranth's own simulator."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from amaranth.hdl import Const, Value
from amaranth.lib import wiring
from amaranth.sim import Simulator

from golden.formats import Integers

__all__ = ["Channel", "ChannelRun", "ports_of", "run"]


def ports_of(unit: wiring.Component) -> dict[str, tuple[Value, bool]]:
    """Ports of a component as in its Verilog, and whether they are inputs; constants left out."""
    return {
        "__".join(map(str, path)): (Value.cast(value), member.flow == wiring.In)
        for path, member, value in unit.signature.flatten(unit)
        if not isinstance(Value.cast(value), Const)
    }


@dataclass(frozen=True)
class Channel:
    """What a unit is given for one channel.

    Parameters
    ----------
    begin:
        Fields of `i_channel`.
    columns:
        Fields of `i`, a value an element.
    passes:
        How often all elements come.
    extremes:
        (high, low) of each chunk, for a unit that takes them.
    """

    begin: Mapping[str, int]
    columns: Mapping[str, Integers]
    passes: int
    extremes: Sequence[tuple[int, int]] = ()

    def elements(self) -> Iterator[tuple[int, ...]]:
        """All elements of all passes."""
        values = [np.asarray(column).tolist() for column in self.columns.values()]
        for _ in range(self.passes):
            yield from zip(*values, strict=True)


@dataclass
class ChannelRun:
    """What a unit gave for one channel.

    Attributes
    ----------
    outputs:
        Stream -> payloads, in order; (high, low) of `o_extremes`.
    report:
        Fields of `o_report`.
    cycles:
        From the cycle in which the channel was offered to the one in which it was taken, both
        counted.
    """

    outputs: dict[str, list[Any]]
    report: dict[str, int] = field(default_factory=dict)
    cycles: int = 0


class _Streams:
    """Offers elements and extremes, and takes what comes."""

    def __init__(self, unit: Any, idle: float, seed: int, rubbish: bool) -> None:
        self._unit, self._idle, self._rubbish = unit, idle, rubbish
        self._rng = np.random.default_rng(seed)
        self._outputs = [n for n in ("o", "o_normal", "o_extremes") if hasattr(unit, n)]
        self._has_extremes = hasattr(unit, "i_extremes")

    def begin(self, ctx: Any, channel: Channel) -> ChannelRun:
        for name, value in channel.begin.items():
            ctx.set(getattr(self._unit.i_channel.p, name), value)
        ctx.set(self._unit.i_channel.valid, 1)
        self._names = list(channel.columns)
        self._elements = list(channel.elements())[::-1]
        self._extremes = list(channel.extremes)[::-1]
        self._offered = False
        return ChannelRun({name: [] for name in self._outputs})

    def _lucky(self) -> bool:
        return not self._idle or bool(self._rng.random() >= self._idle)

    def before_edge(self, ctx: Any, run: ChannelRun) -> bool:
        """Drive and sample one cycle; whether it is the channel's last."""
        self._offer(ctx)
        unit = self._unit
        if hasattr(unit, "o_report"):
            taken = self._lucky()
            ctx.set(unit.o_report.ready, taken)
            if taken and ctx.get(unit.o_report.valid):
                fields = unit.o_report.p.shape().members
                run.report = {name: ctx.get(getattr(unit.o_report.p, name)) for name in fields}
        if self._has_extremes:
            self._give_extremes(ctx)
        for name in self._outputs:
            port = getattr(unit, name)
            if ctx.get(port.valid):
                payload = ctx.get(port.payload)
                whole = isinstance(payload, int)
                run.outputs[name].append(payload if whole else (payload.high, payload.low))
        if self._has_extremes and ctx.get(unit.i_extremes.ready):
            if not ctx.get(unit.i_extremes.valid):
                raise ValueError("extremes must be taken where they are valid")
            self._extremes.pop()
        if self._offered and ctx.get(unit.i.ready):
            self._elements.pop()
            self._offered = False
        run.cycles += 1
        return bool(ctx.get(unit.i_channel.ready))

    def _offer(self, ctx: Any) -> None:
        if self._elements and (self._offered or self._lucky()):
            self._offered = True
            for name, value in zip(self._names, self._elements[-1], strict=True):
                ctx.set(getattr(self._unit.i.p, name), value)
        elif not self._offered and self._rubbish:
            for name in self._names:
                ctx.set(getattr(self._unit.i.p, name), int(self._rng.integers(0, 128)))
        ctx.set(self._unit.i.valid, self._offered)

    def _give_extremes(self, ctx: Any) -> None:
        port = self._unit.i_extremes
        ctx.set(port.valid, bool(self._extremes) and self._lucky())
        if self._extremes:
            high, low = self._extremes[-1]
            ctx.set(port.p.high, high)
            ctx.set(port.p.low, low)

    @property
    def left(self) -> int:
        return len(self._elements) + len(self._extremes)


def run(
    unit: wiring.Component,
    channels: Sequence[Channel],
    *,
    idle: float = 0.0,
    seed: int = 0,
    rubbish: bool = True,
    trace: list[dict[str, int]] | None = None,
) -> list[ChannelRun]:
    """Give a unit its channels, one after another.

    Parameters
    ----------
    idle:
        Probability with which the sources, and the taker of the report, pause in a cycle.
    seed:
        Of the pauses.
    rubbish:
        Elements that are not valid change in every cycle. False: they stay as they were, as in a
        register.
    trace:
        Gets all ports in every cycle, as unsigned bits.

    Raises
    ------
    ValueError
        If a unit takes what is not valid, or ends a channel without having taken all of it.
    """
    simulator = Simulator(unit)
    simulator.add_clock(1e-8)
    streams = _Streams(unit, idle, seed, rubbish)
    ports = ports_of(unit)
    runs: list[ChannelRun] = []

    async def bench(ctx: Any) -> None:
        for channel in channels:
            found = streams.begin(ctx, channel)
            last = False
            while not last:
                last = streams.before_edge(ctx, found)
                if trace is not None:
                    trace.append(
                        {
                            n: ctx.get(port) & ((1 << len(port)) - 1)
                            for n, (port, _) in ports.items()
                        }
                    )
                await ctx.tick()
            if streams.left:
                raise ValueError(f"a channel must take all it is given, and left {streams.left}")
            runs.append(found)

    simulator.add_testbench(bench)
    simulator.run()
    return runs
