"""Control of the units that work on one operand for a fixed number of cycles."""

from amaranth.hdl import Module, Signal

__all__ = ["SerialControl"]


class SerialControl:
    """Take an operand, count the steps, offer the result until it is taken.

    Parameters
    ----------
    m:
        Module that gets the logic.
    i, o:
        Streams of the operand and of the result; payloads are the unit's business.
    steps:
        Steps between the two: the result is valid in cycle `steps` + 1 after the one in which the
        operand is taken.

    Members
    -------
    accept:
        The operand is taken in this cycle.
    left:
        Steps that are left, this one included; 0 without any.
    """

    def __init__(self, m: Module, i: object, o: object, steps: int) -> None:
        self.accept = Signal(name="accept")
        self.left = Signal(range(steps + 1), name="left")
        busy = Signal()
        m.d.comb += [
            i.ready.eq(~busy),  # type: ignore[attr-defined]
            o.valid.eq(busy & (self.left == 0)),  # type: ignore[attr-defined]
            self.accept.eq(i.valid & ~busy),  # type: ignore[attr-defined]
        ]
        with m.If(self.accept):
            m.d.sync += [busy.eq(1), self.left.eq(steps)]
        with m.Elif(self.left != 0):
            m.d.sync += self.left.eq(self.left - 1)
        with m.Elif(o.ready):  # type: ignore[attr-defined]
            m.d.sync += busy.eq(0)
