"""Which torch.nn module or function becomes which operator of `golden.network`.

Each handler takes the module with its attributes and the shape of one sample, and raises
ValueError; the importer says where. A function (`torch.nn.functional.relu`) is read as the module
that does the same.
"""

import operator
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from golden.network import (
    Activation,
    AveragePool,
    ChannelShuffle,
    Convolution,
    Dropout,
    Flatten,
    GlobalAveragePool,
    GlobalMaxPool,
    Linear,
    LocalResponseNormalization,
    MaxPool,
    Normalization,
    Operator,
    Pad,
    Shape,
    Softmax,
)

__all__ = [
    "ADDITIONS",
    "CONCATENATIONS",
    "FUNCTIONS",
    "MEANS",
    "MODULES",
    "PASSED",
    "PRODUCTS",
    "RESHAPES",
    "as_module",
]

Padding = tuple[int, int, int, int]


def _pair(value: Any) -> tuple[int, int]:
    first, second = value if isinstance(value, tuple | list) else (value, value)
    return int(first), int(second)


def _require(condition: bool, what: str) -> None:
    if not condition:
        raise ValueError(what)


def _padding(value: Any) -> Padding:
    height, width = _pair(value)
    return height, width, height, width


def _convolution(module: nn.Conv2d, shape: Shape) -> Operator:
    _require(module.padding_mode == "zeros", f"padding must be zeros, not {module.padding_mode!r}")
    padding = module.padding
    if padding == "valid":
        sides = _padding(0)
    elif padding == "same":
        total = [d * (k - 1) for d, k in zip(module.dilation, module.kernel_size, strict=True)]
        # What is odd goes behind, as torch has it.
        sides = (total[0] // 2, total[1] // 2, (total[0] + 1) // 2, (total[1] + 1) // 2)
    else:
        sides = _padding(padding)
    return Convolution(
        _pair(module.kernel_size),
        _pair(module.stride),
        sides,
        _pair(module.dilation),
        out_channels=module.out_channels,
        groups=module.groups,
        bias=module.bias is not None,
    )


def _linear(module: nn.Linear, shape: Shape) -> Operator:
    return Linear(module.out_features, bias=module.bias is not None)


def _normalization(module: nn.BatchNorm1d | nn.BatchNorm2d, shape: Shape) -> Operator:
    _require(module.affine, "a normalisation must have gamma and beta (affine)")
    return Normalization()


def _max_pool(module: nn.MaxPool2d, shape: Shape) -> Operator:
    _require(not module.return_indices, "return_indices must be False")
    return MaxPool(
        _pair(module.kernel_size),
        _pair(module.stride),
        _padding(module.padding),
        _pair(module.dilation),
        bool(module.ceil_mode),
    )


def _average_pool(module: nn.AvgPool2d, shape: Shape) -> Operator:
    _require(module.divisor_override is None, "divisor_override must be None")
    return AveragePool(
        _pair(module.kernel_size),
        _pair(module.stride),
        _padding(module.padding),
        ceil=bool(module.ceil_mode),
    )


def _adaptive(module: nn.AdaptiveAvgPool2d | nn.AdaptiveMaxPool2d, shape: Shape) -> Operator | None:
    """To 1 x 1 a pool of the whole plane; otherwise windows, where they are all of one size."""
    _require(not getattr(module, "return_indices", False), "return_indices must be False")
    _require(len(shape) == 3, f"input must be (batch, channels, height, width), not {shape}")
    wanted = module.output_size
    wanted = wanted if isinstance(wanted, tuple | list) else (wanted, wanted)
    sizes = [int(s if w is None else w) for w, s in zip(wanted, shape[1:], strict=True)]
    average = isinstance(module, nn.AdaptiveAvgPool2d)
    if sizes == [1, 1]:
        return GlobalAveragePool() if average else GlobalMaxPool()
    if sizes == list(shape[1:]):
        return None
    _require(
        all(w > 0 and s % w == 0 for w, s in zip(sizes, shape[1:], strict=True)),
        f"output size {tuple(sizes)} must divide the input's, which is {shape[1:]}",
    )
    kernel = shape[1] // sizes[0], shape[2] // sizes[1]
    return (AveragePool if average else MaxPool)(kernel, kernel)


def _hard_tanh(module: nn.Hardtanh, shape: Shape) -> Operator:
    _require(module.min_val == 0, f"the lower bound must be 0, not {module.min_val}")
    return Activation(maximum=float(module.max_val))


def _flatten(module: nn.Flatten, shape: Shape) -> Operator | None:
    last = module.end_dim % (len(shape) + 1)
    _require(
        module.start_dim == 1 and last == len(shape),
        f"dimensions must be flattened from 1 on, not {module.start_dim} to {module.end_dim}",
    )
    return Flatten() if len(shape) > 1 else None


def _softmax(module: nn.Softmax | nn.LogSoftmax, shape: Shape) -> Operator:
    _require(module.dim is not None, "dim must be given")
    axis = int(module.dim) % (len(shape) + 1)
    _require(axis > 0, "dim must not be the batch")
    return Softmax(axis - 1)


def _zero_pad(module: nn.ZeroPad2d, shape: Shape) -> Operator:
    left, right, top, bottom = module.padding
    return Pad((0, top, left, bottom, right))


Handler = Callable[[Any, Shape], Operator | None]

MODULES: Mapping[type, Handler] = {
    nn.Conv2d: _convolution,
    nn.Linear: _linear,
    nn.BatchNorm1d: _normalization,
    nn.BatchNorm2d: _normalization,
    nn.ReLU: lambda module, shape: Activation(),
    nn.ReLU6: lambda module, shape: Activation(maximum=6.0),
    nn.Hardtanh: _hard_tanh,
    nn.LeakyReLU: lambda module, shape: Activation(slope=float(module.negative_slope)),
    nn.MaxPool2d: _max_pool,
    nn.AvgPool2d: _average_pool,
    nn.AdaptiveAvgPool2d: _adaptive,
    nn.AdaptiveMaxPool2d: _adaptive,
    nn.Dropout: lambda module, shape: Dropout(float(module.p)),
    nn.Flatten: _flatten,
    nn.Softmax: _softmax,
    nn.LogSoftmax: _softmax,
    nn.LocalResponseNorm: lambda module, shape: LocalResponseNormalization(int(module.size)),
    nn.ZeroPad2d: _zero_pad,
    nn.ChannelShuffle: lambda module, shape: ChannelShuffle(int(module.groups)),
    nn.Identity: lambda module, shape: None,
}
"""Module -> operator, or None where nothing is computed. By exact type: a subclass may do more."""

_POOL = ("kernel_size", "stride", "padding")

FUNCTIONS: Mapping[Any, tuple[type, tuple[str, ...]]] = {
    functional.relu: (nn.ReLU, ("inplace",)),
    torch.relu: (nn.ReLU, ()),
    functional.relu6: (nn.ReLU6, ("inplace",)),
    functional.hardtanh: (nn.Hardtanh, ("min_val", "max_val", "inplace")),
    functional.leaky_relu: (nn.LeakyReLU, ("negative_slope", "inplace")),
    functional.max_pool2d: (
        nn.MaxPool2d,
        (*_POOL, "dilation", "ceil_mode", "return_indices"),
    ),
    functional.avg_pool2d: (
        nn.AvgPool2d,
        (*_POOL, "ceil_mode", "count_include_pad", "divisor_override"),
    ),
    functional.adaptive_avg_pool2d: (nn.AdaptiveAvgPool2d, ("output_size",)),
    functional.adaptive_max_pool2d: (nn.AdaptiveMaxPool2d, ("output_size", "return_indices")),
    functional.dropout: (nn.Dropout, ("p", "training", "inplace")),
    functional.softmax: (nn.Softmax, ("dim", "_stacklevel", "dtype")),
    functional.log_softmax: (nn.LogSoftmax, ("dim", "_stacklevel", "dtype")),
    functional.local_response_norm: (nn.LocalResponseNorm, ("size", "alpha", "beta", "k")),
    "relu": (nn.ReLU, ()),
    "relu_": (nn.ReLU, ()),
}
"""Function, or name of a tensor's method -> the module that does the same, and the names of what
comes behind the input."""

_IGNORED = ("training", "inplace", "_stacklevel", "dtype")
"""What a function has beyond the module's own arguments, and what changes no operator."""

ADDITIONS = (operator.add, operator.iadd, torch.add, "add", "add_")
PRODUCTS = (operator.mul, operator.imul, torch.mul, "mul", "mul_")
CONCATENATIONS = (torch.cat, torch.concat, torch.concatenate)
RESHAPES = (torch.flatten, torch.reshape, torch.squeeze, torch.unsqueeze,
            "flatten", "reshape", "squeeze", "unsqueeze", "view")  # fmt: skip
MEANS = (torch.mean, "mean")
PASSED = ("contiguous", "clone", "float")


def as_module(target: Any, arguments: tuple[Any, ...], options: Mapping[str, Any]) -> nn.Module:
    """Return the module that does what a function does with these arguments behind its input."""
    kind, names = FUNCTIONS[target]
    given = dict(zip(names, arguments, strict=False)) | dict(options)
    given = {name: value for name, value in given.items() if name not in _IGNORED}
    module: nn.Module = kind(**given)
    return module
