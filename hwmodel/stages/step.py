"""`stages`: a whole step as stages, in the order in which the core's program has them."""

from golden.network import Softmax
from hwmodel.ledger import MAC_PHASES
from hwmodel.stages.backward import Backward
from hwmodel.stages.forward import Forward, has_words
from hwmodel.stages.stage import Stage
from hwmodel.step import Row, Step

__all__ = ["stages"]


def stages(step: Step, ledger: list[Row]) -> list[Stage]:
    """Return the stages of a step of the scheme eoq.

    Parameters
    ----------
    step, ledger:
        And its operations, for the layers that the core has no words for.
    """
    elements: dict[tuple[str, str], list[int]] = {}
    without = {
        layer.name
        for layer in step.network
        if not has_words(layer) and not isinstance(layer.operator, Softmax)
    }
    for row in ledger:
        if row.layer in without and row.op != "mac" and row.phase in (*MAC_PHASES, "normalization"):
            direction = "forward" if row.phase == "forward" else "backward"
            elements.setdefault((row.layer, direction), []).append(row.count)
    forward = Forward(step, elements)
    return [*forward.stages, *Backward(forward, elements).stages]
