"""Element-wise work that waits until it is known how its result is stored.

What stands between a product and the next quantiser (a bias, ReLU or its mask, a multiplier, a
join) is one pass over each sample in compiled loops, as it is in the hardware's vector unit: no
32-bit tensor between them is ever stored. Whoever asks for the integers gets them; the quantiser
takes the pass and stores codes. Only `golden.compiled` imports this file.
"""

from collections.abc import Callable
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from golden import loops
from golden.acceleration import parts
from golden.formats import Integers
from golden.values import Value

__all__ = [
    "add_scalar",
    "in_parts",
    "join",
    "mask",
    "quantize",
    "rectify",
    "rows",
    "scale",
    "shaped",
]

_NONE = np.empty((0, 0), dtype=np.bool_)

_WIDE = (1 << 31) - 1


class _Pass(NamedTuple):
    """What is done to a tensor, in this order."""

    source: Value
    factor: int | None = None
    factor_exponent: int = 0
    other: Value | None = None
    room: int = 0
    bias: int | None = None
    bias_exponent: int = 0
    rectifies: bool = False
    mask: NDArray[np.bool_] | None = None

    @property
    def is_codes(self) -> bool:
        return self.source.is_codes and self.factor is None and self.other is None

    @property
    def may_join(self) -> bool:
        return self.other is None and self.may_add

    @property
    def may_add(self) -> bool:
        return self.bias is None and self.mask is None


class _Deferred(Value):
    """A tensor that a pass will make."""

    def __init__(self, work: _Pass) -> None:
        self.__dict__.update(work=work, is_codes=work.is_codes)

    work: _Pass

    @cached_property
    def _done(self) -> Value:
        return _run(self.work)

    @property
    def integers(self) -> Integers:
        return self._done.integers

    @property
    def exponent(self) -> NDArray[np.int64]:
        return self._done.exponent

    @property
    def magnitude(self) -> NDArray[np.int64] | None:
        return self._done.magnitude

    @property
    def shape(self) -> tuple[int, ...]:
        return self.work.source.shape


def in_parts(
    loop: Callable[..., object], by_team: Callable[..., object], pieces: int, elements: int,
    *arguments: object,
) -> None:  # fmt: skip
    """Run `loop(first, last, *arguments)` over all pieces, by the team of threads if that pays."""
    count = parts(pieces, elements)
    if count == 1:
        loop(0, pieces, *arguments)
    else:
        by_team(count, pieces, *arguments)


def rows(values: NDArray) -> NDArray:
    """(samples, elements), channels last, contiguous, of at most 32 bits."""
    if values.dtype.itemsize > 4:
        values = values.astype(np.int32)
    if values.ndim == 4:
        values = values.transpose(0, 2, 3, 1)
    return np.ascontiguousarray(values).reshape(len(values), -1)


def shaped(flat: NDArray, shape: tuple[int, ...]) -> NDArray:
    """Undo `rows`."""
    if len(shape) == 4:
        samples, channels, height, width = shape
        return flat.reshape(samples, height, width, channels).transpose(0, 3, 1, 2)
    return flat.reshape(shape)


def _run(work: _Pass, zero_exponent: int | None = None) -> Value:
    """Do it; to 8 bits with exponents of their own, if that of a sample of zeros is given."""
    source, other = work.source, work.other
    a = rows(source.integers)
    b, also = (a, source) if other is None else (rows(other.integers), other)
    quantizes = zero_exponent is not None
    codes = quantizes or work.is_codes
    out = np.empty(a.shape, dtype=np.int8 if codes else np.int32)
    exponent, largest = np.empty((2, len(a)), dtype=np.int64)
    known = source.magnitude is not None, also.magnitude is not None
    in_parts(
        loops.apply, loops.apply_by_team, len(a), a.size,
        a, b, _NONE if work.mask is None else rows(work.mask), source.exponent, also.exponent,
        source.magnitude if known[0] else exponent, also.magnitude if known[1] else exponent,
        *known, 1 if work.factor is None else work.factor, work.factor_exponent,
        other is not None, work.room,
        work.bias is not None, work.bias or 0, work.bias_exponent, 127 if work.is_codes else _WIDE,
        work.mask is not None, work.rectifies, quantizes, zero_exponent or 0, out, exponent,
        largest,
    )  # fmt: skip
    return Value(shaped(out, source.shape), exponent, codes, largest)


def _work(value: Value) -> _Pass:
    """What makes a tensor, if nobody has asked for it yet."""
    if isinstance(value, _Deferred) and "_done" not in value.__dict__:
        return value.work
    return _Pass(value)


def scale(value: Value, factor: int, exponent: int) -> Value:
    """Codes times one 8-bit number of that exponent."""
    return _Deferred(_Pass(value, factor, exponent))


def join(a: Value, b: Value, room: int) -> Value:
    """`golden.values.join` of two tensors; `room`: bits that an aligned operand may have."""
    first, second = _work(a), _work(b)
    if first.may_join and first.factor is not None:
        return _Deferred(first._replace(other=b, room=room))
    if second.may_join and second.factor is not None:
        return _Deferred(second._replace(other=a, room=room))
    return _Deferred(_Pass(a, other=b, room=room))


def add_scalar(value: Value, bias: int, exponent: int) -> Value:
    """`golden.layers.add_bias` with one bias for all."""
    work = _work(value)
    if not work.may_add:
        work = _Pass(value)
    return _Deferred(work._replace(bias=bias, bias_exponent=exponent))


def rectify(value: Value) -> tuple[Value, NDArray[np.bool_]]:
    """ReLU, and where it was positive, which is known once the result has been asked for."""
    work = _work(value)
    if work.mask is not None:
        work = _Pass(value)
    shape = value.shape
    positive = shaped(np.empty((shape[0], int(np.prod(shape[1:]))), dtype=np.bool_), shape)
    return _Deferred(work._replace(rectifies=True, mask=positive)), positive


def mask(value: Value, positive: NDArray[np.bool_]) -> Value:
    """Values where `positive`, zero elsewhere."""
    work = _work(value)
    if work.mask is not None:
        work = _Pass(value)
    return _Deferred(work._replace(mask=positive))


def quantize(value: Value, zero_exponent: int) -> Value:
    """`golden.values.quantize_samples`."""
    return _run(_work(value), zero_exponent)
