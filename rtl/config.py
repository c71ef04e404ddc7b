"""`CoreConfig`: the numbers that fix one training core, checked once and shared by every room.

Pure Python: `hwmodel` and the command line import it without loading Amaranth.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType

__all__ = ["LARGEST_PRODUCT", "LIMITS", "SIZE_MAX", "CoreConfig"]

SIZE_MAX = 32
"""Most rows or columns of an array (our choice)."""

LIMITS: Mapping[str, tuple[int, int]] = MappingProxyType(
    {
        "rows": (1, SIZE_MAX),
        "columns": (1, SIZE_MAX),
        "accumulator_bits": (16, 32),
        "loss_classes": (2, 1024),
        "activation_bits": (8, 9),
        "scratchpad_pages": (2, 16),
        "scratchpad_page_bytes": (64, 1 << 20),
        "results_pages": (2, 4),
        "results_page_depth": (2, 1 << 14),
    }
)
"""Least and most of each parameter of `CoreConfig` (our choice)."""

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
    loss_classes:
        Most classes of a loss, 2 to 1,024.
    activation_bits:
        Signed bits of the array's moving operand: 8, or 9 for unsigned bytes beside signed ones.
    scratchpad_pages, scratchpad_page_bytes:
        Pages that are read and written independently of each other (powers of two, 2 to 16), and
        the bytes of each (64 to 2**20).
    results_pages, results_page_depth:
        Pages of the results memory (2 to 4), and the words of C partial sums of each (2 to 2**14).

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
    loss_classes: int = 64
    activation_bits: int = 8
    scratchpad_pages: int = 4
    scratchpad_page_bytes: int = 1 << 16
    results_pages: int = 2
    results_page_depth: int = 2048

    def __post_init__(self) -> None:
        """Refuse what no core can have."""
        for field in fields(self):
            value = getattr(self, field.name)
            low, high = LIMITS[field.name]
            if not isinstance(value, int) or isinstance(value, bool):
                raise TypeError(f"{field.name} must be an integer, not {value!r}")
            if not low <= value <= high:
                raise ValueError(f"{field.name} must be {low} to {high}, not {value!r}")
            if field.name.startswith(("scratchpad", "results")) and value & (value - 1):
                raise ValueError(f"{field.name} must be a power of two, not {value!r}")
        if self.largest_reduction < self.rows:
            raise ValueError(
                f"accumulator_bits must be at least {_least(self._holds)} for {self.rows} rows, "
                f"not {self.accumulator_bits!r}"
            )

    def _holds(self, bits: int) -> bool:
        return self.rows * self._largest_product <= (1 << (bits - 1)) - 1

    @property
    def line_bytes(self) -> int:
        """Bytes that the scratchpad reads at once: the power of two >= max(R, C, 4)."""
        return 1 << (max(self.rows, self.columns, 4) - 1).bit_length()

    @property
    def scratchpad_address_bits(self) -> int:
        """Bits of a byte address in the scratchpad."""
        return (self.scratchpad_pages * self.scratchpad_page_bytes).bit_length() - 1

    @property
    def results_address_bits(self) -> int:
        """Bits of a word address in the results memory."""
        return (self.results_pages * self.results_page_depth).bit_length() - 1

    @property
    def largest_reduction(self) -> int:
        """Largest K for which no sum of K products can overflow: K*127*127 <= 2**(bits-1) - 1
        (K*255*127 with unsigned activations).

        The hardware does not check it, because zero rows of a last tile count in its tiles but not
        in K. Beyond it the sum wraps.
        """
        return ((1 << (self.accumulator_bits - 1)) - 1) // self._largest_product

    @property
    def _largest_product(self) -> int:
        return LARGEST_PRODUCT if self.activation_bits == 8 else 255 * 127


def _least(holds: Callable[[int], bool]) -> int:
    return next(bits for bits in range(16, 33) if holds(bits))
