"""Operations of the update: momentum and new parameters, p of them a tensor.

EOQ (`golden.optimizer.update`): the gradient's shift, draw and saturation; the momentum's decay
(shift), 2 additions and saturation; the update's shift, draw and saturation; an addition and a
saturation. WAGEUBN: momentum by a multiplication and an addition, rounded to its grid; learning
rate by a multiplication, rounded; an addition, a clip. Range BN, FP32 and layers left in fp32:
2 multiplications and 2 additions (SGD with momentum).
"""

import math
from collections.abc import Iterator

from golden.network import Layer
from hwmodel.step import Row, Step

__all__ = ["parameter_formats", "update_operations"]

PHASE = "update"

_EOQ = {("shift", "int16"): 3, ("random", "int16"): 2, ("add", "int16"): 3, ("compare", "int16"): 4}
_WAGEUBN = {
    ("multiply", "int16"): 2,
    ("add", "int16"): 1,
    ("shift", "int16"): 2,
    ("add", "int24"): 1,
    ("compare", "int24"): 1,
}
_SGD = {("multiply", "fp32"): 2, ("add", "fp32"): 2}


def update_operations(step: Step, layer: Layer) -> Iterator[Row]:
    """Rows of one layer in the phase update; none without parameters that the loss depends on."""
    parameters = sum(math.prod(shape) for shape in step.parameters[layer.name].values())
    if not parameters or layer.name not in step.learned:
        return
    rule = {"eoq": _EOQ, "wageubn": _WAGEUBN}.get(step.scheme.name, _SGD)
    if layer.name in step.full_precision:
        rule = _SGD
    for (op, fmt), count in rule.items():
        yield Row(layer.name, PHASE, op, fmt, count * parameters)


def parameter_formats(step: Step, layer: Layer) -> Iterator[tuple[str, int, int, int, int]]:
    """(name, count, bits kept, bits computed with, momentum bits) of each parameter tensor."""
    for name, shape in step.parameters[layer.name].items():
        if layer.name in step.full_precision:
            yield name, math.prod(shape), 32, 32, 32
            continue
        kind = step.scheme.formats["W"] if name == "weight" else step.scheme.scalars
        yield name, math.prod(shape), kind.kept, kind.bits, step.scheme.formats["V"].bits
