"""Exact cycles of a step: those of the program that the core runs, where a core can have it."""

from dataclasses import asdict, dataclass

from golden.errors import InputError
from golden.network import Network
from golden.schemes import EOQ
from rtl.config import LIMITS

__all__ = ["ExactCycles", "exact_cycles"]

_SCRATCHPAD_MAX = LIMITS["scratchpad_pages"][1] * LIMITS["scratchpad_page_bytes"][1]


@dataclass(frozen=True)
class ExactCycles:
    """A step's program on the core with the smallest memories that hold it.

    Members
    -------
    cycles:
        From the start of the program to its end, equal to RTL simulation's.
    words:
        Of the program.
    scratchpad_bytes, results_bytes:
        Memories of that core.
    """

    cycles: int
    words: int
    scratchpad_bytes: int
    results_bytes: int

    def as_dict(self) -> dict[str, int]:
        """Plain numbers."""
        return asdict(self)


def exact_cycles(network: Network, array: tuple[int, int], batch: int) -> ExactCycles:
    """Compile one training step and time its program.

    Parameters
    ----------
    network:
        As it is named; EOQ rewrites it.
    array, batch:
        Rows and columns of the core; samples.

    Raises
    ------
    InputError
        One line: what the core has no operation for, or no memory.
    """
    rewritten = EOQ.rewrite(network)
    least = 2 * rewritten.parameter_count
    if least > _SCRATCHPAD_MAX:
        raise InputError(
            f"--exact-cycles requires a network whose weights and momentum fit {_SCRATCHPAD_MAX} "
            f"bytes of scratchpad; those of {network.name!r} have {least}"
        )
    # Slow to load, and only now known to be needed.
    from cosim.core_fit import fit_core
    from golden.initialization import build
    from hwmodel.lowering.program import compile_step

    model = build(rewritten, seed=0)
    config = fit_core(model, array, batch)
    program = compile_step(model, config, batch)
    words = config.results_pages * config.results_page_depth * config.columns
    return ExactCycles(
        cycles=program.times().cycles,
        words=len(program.words),
        scratchpad_bytes=config.scratchpad_pages * config.scratchpad_page_bytes,
        results_bytes=words * config.accumulator_bits // 8,
    )
