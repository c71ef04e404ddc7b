"""`FloatFormat`: the widths of an IEEE 754 binary interchange format, and its special encodings.

Pure Python. The hardware takes the format as a parameter, so that a small one can be tested for
every pair of operands; `BINARY32` is the one the comparison data paths are built in.
"""

from dataclasses import dataclass

__all__ = ["BINARY32", "FloatFormat"]


@dataclass(frozen=True)
class FloatFormat:
    """Sign, exponent, fraction; subnormals, signed zeros, infinities and one quiet NaN.

    Parameters
    ----------
    exponent_bits:
        4 to 11.
    fraction_bits:
        Stored bits of the significand, 2 to 52, and at most `bias` - 2: then a product of two
        subnormal numbers is less than half the smallest one, which the multiplier relies on. All
        of IEEE 754's formats are so.

    Raises
    ------
    TypeError
        If a width is not an integer.
    ValueError
        If a width is out of its range.
    """

    exponent_bits: int
    fraction_bits: int

    def __post_init__(self) -> None:
        """Refuse what the data paths cannot do."""
        for name in ("exponent_bits", "fraction_bits"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool):
                raise TypeError(f"{name} must be an integer, not {value!r}")
        if not 4 <= self.exponent_bits <= 11:
            raise ValueError(f"exponent_bits must be 4 to 11, not {self.exponent_bits!r}")
        most = min(self.bias - 2, 52)
        if not 2 <= self.fraction_bits <= most:
            raise ValueError(
                f"fraction_bits must be 2 to {most} for {self.exponent_bits} exponent bits, "
                f"not {self.fraction_bits!r}"
            )

    @property
    def width(self) -> int:
        """Bits of a number."""
        return 1 + self.exponent_bits + self.fraction_bits

    @property
    def precision(self) -> int:
        """Bits of a significand, the hidden one included."""
        return self.fraction_bits + 1

    @property
    def bias(self) -> int:
        """Exponent field of 1.0."""
        return (1 << (self.exponent_bits - 1)) - 1

    @property
    def top_exponent(self) -> int:
        """Exponent field of infinities and NaNs."""
        return (1 << self.exponent_bits) - 1

    @property
    def infinity(self) -> int:
        """Encoding of plus infinity."""
        return self.top_exponent << self.fraction_bits

    @property
    def quiet_nan(self) -> int:
        """Encoding of every NaN that is a result: positive, quiet, no payload."""
        return self.infinity | 1 << (self.fraction_bits - 1)


BINARY32 = FloatFormat(exponent_bits=8, fraction_bits=23)
"""IEEE 754 binary32, single precision."""
