"""golden's own step, instrumented: it must do what the ledger says that it does.

Counted are golden's pieces, not its shifts: where a batch happens to need no shift, golden's arrays
skip it, and hardware does not.
"""

import importlib
import math

import numpy as np
import pytest

from golden import zoo
from golden.initialization import build
from golden.schemes import EOQ
from hwmodel.ledger import MAC_PHASES, ledger
from hwmodel.step import Step, total

MODULES = ("values", "layers", "gradients", "convolution", "training")


def size(value):
    return value.integers.size


PIECES = {
    "quantize_samples": lambda value, *_: size(value),
    "align_errors": lambda errors, *_: size(errors),
    "quantize_gradient": lambda gradient: gradient.size,
    "update": lambda parameter, *_, **__: parameter.size,
    "join": lambda operands: len(operands) * size(operands[0]) if len(operands) > 1 else 0,
    # The bias comes to the exponent of each sample, once a channel.
    "add_bias": lambda value, bias: len(value) * bias.size,
    "sum_samples": lambda sums, *_: sums.size,
}
"""Piece -> elements that it shifts (but for the update, which shifts each three times)."""


@pytest.fixture
def counts(monkeypatch):
    """Elements that pass each piece, and multiply-accumulates."""
    found = dict.fromkeys([*PIECES, "mac"], 0)

    def counted(name, function, of):
        def wrapper(*arguments, **options):
            found[name] += of(*arguments, **options)
            return function(*arguments, **options)

        return wrapper

    for module in map(importlib.import_module, (f"golden.{name}" for name in MODULES)):
        for name, of in PIECES.items():
            if hasattr(module, name):
                monkeypatch.setattr(module, name, counted(name, getattr(module, name), of))
        if hasattr(module, "matmul"):
            macs = counted("mac", module.matmul, lambda a, b: math.prod(a.shape) * b.shape[-1])
            monkeypatch.setattr(module, "matmul", macs)
    # Stacks of matrices: (groups or samples, m, k) @ (..., k, n), spread over leading dimensions.
    monkeypatch.setattr(
        np, "matmul",
        counted(
            "mac", np.matmul,
            lambda a, b: math.prod(np.broadcast_shapes(a.shape[:-2], b.shape[:-2]))
            * math.prod(a.shape[-2:]) * b.shape[-1],
        ),
    )  # fmt: skip
    return found


@pytest.mark.parametrize("name", ["mlp", "resnet8", "resnet20"])
@pytest.mark.parametrize("batch", [1, 4])
def test_instrumented_step(counts, name, batch):
    network = zoo.BUILT_IN[name]()
    step = Step(network, EOQ, batch)
    model = build(step.network, 0)
    codes = np.random.default_rng(1).integers(-127, 128, (batch, *network.input_shape))
    counts.update(dict.fromkeys(counts, 0))
    model.step(codes, np.arange(batch) % 10, 1)

    rows = [row for row in ledger(step) if row.layer != "loss"]
    assert counts["mac"] == sum(total(rows, op="mac", phase=phase) for phase in MAC_PHASES)

    draws = {phase: total(rows, op="random", phase=phase) for phase in ("quantization", "update")}
    assert draws == {"quantization": counts["align_errors"], "update": 2 * counts["update"]}

    assert total(rows, op="shift", phase="update") == 3 * counts["update"]
    multipliers = sum("multiplier" in layer.parameters for layer in step.network)
    shifted = sum(counts[piece] for piece in PIECES if piece != "update")
    assert total(rows, op="shift", phase="quantization") == shifted + 2 * multipliers
