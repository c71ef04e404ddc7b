"""golden's training step, instrumented: what passes its pieces, element by element.

Counted are golden's pieces, not its shifts: where a batch happens to need no shift, golden's arrays
skip it, and hardware does not.
"""

import importlib
import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import numpy as np

from golden import convolution, gradients, layers
from golden.activations import LeakyLayer
from hwmodel.windows import overlaps

__all__ = ["SHIFTED", "counted_pieces"]

_MODULES = (
    "values", "layers", "gradients", "convolution", "training",
    "activations", "channel_scalars", "concatenation", "dropout", "pooling",
)  # fmt: skip


def _size(value: Any) -> int:
    return value.integers.size


SHIFTED: dict[str, Callable[..., int]] = {
    "quantize_samples": lambda value, *_: _size(value),
    "align_errors": lambda errors, *_: _size(errors),
    "quantize_gradient": lambda gradient, *_: gradient.size,
    "update": lambda parameter, *_, **__: parameter.size,
    "join": lambda operands: len(operands) * _size(operands[0]) if len(operands) > 1 else 0,
    # The bias comes to the exponent of each sample, once a channel.
    "add_bias": lambda value, bias: len(value) * bias.size,
    "sum_samples": lambda sums, *_: sums.size,
    "clip_levels": lambda level, exponent, samples: samples.size,
    "align_codes": lambda operands: sum(_size(value) for value in operands),
}
"""Piece -> elements that it shifts (but for the update, which shifts each twice, and `decayed`)."""


def _scattered(windows: Any, error: Any, place: Any, *_: Any) -> int:
    """Additions of a pooling's backward pass: none where every element gets one error."""
    if not overlaps(windows.operator):
        return 0
    return _size(error) * (math.prod(windows.operator.kernel) if place is None else 1)


_OTHERS: dict[str, Callable[..., int]] = {
    "first_largest": lambda taps: (len(taps) - 1) * taps[0].size,
    "sum_taps": lambda taps: (len(taps) - 1) * taps[0].size,
    "scatter": _scattered,
    "kept": lambda key, shape, *_: math.prod(shape),
}
"""Piece -> its comparisons, additions or draws."""


def _decayed(parameter: Any, momentum: Any, gradient: Any, rate: Any, rule: Any, **_: Any) -> int:
    """Elements that an update shifts once more, for their decay."""
    return parameter.size if rule.decay_bits(rate.k) else 0


def _inside(planes: Any, windows: Any) -> int:
    """Elements of (samples, height, width, channels) that all windows read."""
    ones = np.ones((1, *planes.shape[1:3], 1), np.int8)
    taps = math.prod(windows.kernel)
    read = windows.gather(ones, np.empty((windows.rows(1), taps), np.int8))
    return int(read.sum(dtype=int)) * len(planes) * planes.shape[-1]


@contextmanager
def counted_pieces() -> Iterator[dict[str, int]]:
    """Count, while the context lasts, what golden does.

    The dictionary has elements by name of a piece of `SHIFTED`, comparisons, additions and draws of
    pooling and dropout, `decay` and `leaky`, and multiply-accumulates (`mac`): taps inside the
    planes alone.
    """
    found = dict.fromkeys([*SHIFTED, *_OTHERS, "decay", "leaky", "mac"], 0)

    def counted(
        name: str, function: Callable[..., Any], of: Callable[..., int]
    ) -> Callable[..., Any]:
        def wrapper(*arguments: Any, **options: Any) -> Any:
            found[name] += of(*arguments, **options)
            return function(*arguments, **options)

        return wrapper

    with ExitStack() as stack:

        def count(place: Any, name: str, of: Callable[..., int], piece: str = "") -> None:
            function = counted(piece or name, getattr(place, name), of)
            stack.enter_context(patch.object(place, name, function))

        for module in map(importlib.import_module, (f"golden.{name}" for name in _MODULES)):
            for name, of in (SHIFTED | _OTHERS).items():
                if hasattr(module, name):
                    count(module, name, of)
        count(gradients, "update", _decayed, "decay")
        count(LeakyLayer, "_pass", lambda layer, value: _size(value), "leaky")
        # A linear layer's matrices are what it multiplies. A convolution's have zeros for the taps
        # in the padding, and backwards for those behind the errors' edge.
        count(layers, "matmul", lambda a, b: math.prod(a.shape) * b.shape[-1], "mac")
        count(
            convolution, "_convolve",
            lambda planes, windows, weights: _inside(planes, windows) * weights.shape[1], "mac",
        )  # fmt: skip
        count(
            convolution, "_correlate",
            lambda errors, planes, windows: _inside(planes, windows) * errors.shape[-1], "mac",
        )  # fmt: skip
        yield found
