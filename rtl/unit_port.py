"""`UnitPort`: how the dispatcher and a unit that runs instructions are connected."""

from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.instructions import SEMAPHORES, WORD_BITS

__all__ = ["UnitPort"]


class UnitPort(wiring.Signature):
    """Directions are the unit's.

    Members
    -------
    i:
        Instructions in order, each offered when what it waits for has been signalled.
    signal:
        Semaphores to increment, for one cycle, when an instruction is complete and all its results
        are visible; `busy` is still high in that cycle.
    busy:
        From the cycle after an instruction was taken until it is complete.
    fault:
        0, or an `rtl.instructions.Fault`. It stands, and nothing more is taken, until `abort`.
    abort:
        Forget everything; `busy` falls when that is done.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "i": In(stream.Signature(WORD_BITS)),
                "signal": Out(SEMAPHORES),
                "busy": Out(1),
                "fault": Out(4),
                "abort": In(1),
            }
        )
