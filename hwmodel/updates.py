"""Operations of the update: momentum and new parameters, p of them a tensor.

EOQ (`golden.optimizer.update`): the gradient added to the momentum, saturated; the update's shift,
draw and saturation; what the momentum loses by it (shift, addition, saturation); the parameter's
addition and saturation; in 8 bits for weights, in 16 for scalars. Weights also decay: a shift with
the same draw, an addition to the gradient and a saturation. WAGEUBN: momentum by a multiplication
and an addition, rounded to its grid; learning rate by a multiplication, rounded; an addition, a
clip. Range BN, FP32 and layers left in fp32: 2 multiplications and 2 additions (SGD with momentum).
"""

import math
from collections import Counter
from collections.abc import Iterator

from golden.network import Layer
from golden.schemes import Optimizer
from hwmodel.step import Row, Step

__all__ = ["parameter_formats", "update_operations"]

PHASE = "update"

_EOQ = {"shift": 2, "add": 3, "compare": 4}
_EOQ_DECAY = {"shift": 1, "add": 1, "compare": 1}
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
    if step.scheme.optimizer is Optimizer.SHIFTS:
        yield from _eoq(step, layer)
        return
    integers = step.scheme.optimizer is Optimizer.INTEGERS
    rule = _WAGEUBN if integers and layer.name not in step.full_precision else _SGD
    for (op, fmt), count in rule.items():
        yield Row(layer.name, PHASE, op, fmt, count * parameters)


def _eoq(step: Step, layer: Layer) -> Iterator[Row]:
    count: Counter[tuple[str, str]] = Counter()
    for name, shape in step.parameters[layer.name].items():
        fmt = step.scheme.formats["W"] if name == "weight" else step.scheme.scalars
        for op, each in (*_EOQ.items(), *(_EOQ_DECAY.items() if name == "weight" else ())):
            count[op, fmt.operand] += each * math.prod(shape)
        count["random", "int16"] += math.prod(shape)
    for (op, operand), total in count.items():
        yield Row(layer.name, PHASE, op, operand, total)


def parameter_formats(step: Step, layer: Layer) -> Iterator[tuple[str, int, int, int, int]]:
    """(name, count, bits kept, bits computed with, momentum bits) of each parameter tensor."""
    for name, shape in step.parameters[layer.name].items():
        if layer.name in step.full_precision:
            yield name, math.prod(shape), 32, 32, 32
            continue
        scheme, weight = step.scheme, name == "weight"
        kind = scheme.formats["W"] if weight else scheme.scalars
        momentum = scheme.formats["V"] if weight else scheme.scalar_momentum or scheme.formats["V"]
        yield name, math.prod(shape), kind.kept, kind.bits, momentum.bits
