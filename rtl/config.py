"""`CoreConfig`: the numbers that fix one training core, checked once and shared by every room.

Pure Python: `hwmodel` and the command line import it without loading Amaranth.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields

__all__ = ["LARGEST_PRODUCT", "SIZE_MAX", "CoreConfig"]

SIZE_MAX = 32
"""Most rows or columns of an array (our choice)."""

LARGEST_PRODUCT = 127 * 127
"""Largest magnitude of a product: int8 tensors are symmetric, -128 never appears."""


@dataclass(frozen=True, kw_only=True)
class CoreConfig:
    """Size of a core.

    Parameters
    ----------
    rows, columns:
        Processing elements along the reduction and along the output channels, 1 to 32 each.
    accumulator_bits:
        Signed bits of a partial sum, 16 to 32. `largest_reduction` is what they hold safely.
    accumulator_depth:
        Partial sums a column keeps: the most rows of one MATMUL, 1 to 4,096.
    tensor_depth:
        Beats (of `columns` 32-bit values) of the tensor buffer: the longest QUANTIZE, 1 to 65,535.
    loss_classes:
        Most classes of one LOSS, 2 to 1,024.

    Raises
    ------
    TypeError
        If a parameter is not an integer.
    ValueError
        If a parameter is out of its range, or the accumulator cannot hold one pass over `rows`.
    """

    rows: int
    columns: int
    accumulator_bits: int = 32
    accumulator_depth: int = 64
    tensor_depth: int = 512
    loss_classes: int = 64

    def __post_init__(self) -> None:
        """Refuse what no core can have."""
        limits = {
            "rows": (1, SIZE_MAX),
            "columns": (1, SIZE_MAX),
            "accumulator_bits": (16, 32),
            "accumulator_depth": (1, 4096),
            "tensor_depth": (1, 0xFFFF),
            "loss_classes": (2, 1024),
        }
        for field in fields(self):
            value = getattr(self, field.name)
            low, high = limits[field.name]
            if not isinstance(value, int) or isinstance(value, bool):
                raise TypeError(f"{field.name} must be an integer, not {value!r}")
            if not low <= value <= high:
                raise ValueError(f"{field.name} must be {low} to {high}, not {value!r}")
        if self.largest_reduction < self.rows:
            raise ValueError(
                f"accumulator_bits must be at least {_least(self._holds)} for {self.rows} rows, "
                f"not {self.accumulator_bits!r}"
            )

    def _holds(self, bits: int) -> bool:
        return self.rows * LARGEST_PRODUCT <= (1 << (bits - 1)) - 1

    @property
    def largest_reduction(self) -> int:
        """Largest K for which no sum of K products can overflow: K*127*127 <= 2**(bits-1) - 1.

        The hardware does not check it, because a driver's zero padding counts in `rows * tiles`
        but not in K. Beyond it the sum wraps.
        """
        return ((1 << (self.accumulator_bits - 1)) - 1) // LARGEST_PRODUCT


def _least(holds: Callable[[int], bool]) -> int:
    return next(bits for bits in range(16, 33) if holds(bits))
