"""What is counted how: every choice that changes a count is a named option.

Two tools that disagree about a network's multiplications usually disagree about one of these.
"""

from dataclasses import dataclass, fields

from golden.errors import InputError

__all__ = ["CHOICES", "DEFAULT", "Conventions"]

CHOICES: dict[str, tuple[str, ...]] = {
    "strided_backward": ("phase-decomposed", "zero-inserted"),
    "division": ("per-channel", "per-element"),
    "variance": ("two-pass", "one-pass"),
    "exponents": ("sample", "batch", "lagged"),
    "gradients": ("layer", "step"),
    "recompute": ("none", "segments"),
}
"""Values of the options that are names."""


@dataclass(frozen=True, kw_only=True)
class Conventions:
    """Counting conventions.

    Parameters
    ----------
    padding:
        Taps that fall on zero padding count as multiplications, as hardware that pads does.
    strided_backward:
        Error of a strided convolution: "phase-decomposed" into stride**2 dense ones, or one dense
        convolution over an error with zeros inserted.
    division:
        A normalisation divides once "per-channel" and multiplies by the reciprocal, or
        "per-element", as (x - mean) / deviation is written.
    variance:
        "two-pass": mean, then mean of squared differences. "one-pass": sum and sum of squares
        together, which needs wider sums and loses digits.
    fused_statistics:
        The producer adds up the mean (or the one-pass sums) while it writes the tensor, so that
        this is no pass of its own.
    fused_scalars:
        Fixup's scalars are applied while a tensor passes by, and their gradients summed so; only
        the multiplier's gradient then reads a tensor again.
    exponents:
        Of int8 tensors with an exponent: one a "sample" (its int32 results wait on chip for their
        maximum), one a "batch" (the batch's results wait), or "lagged" (last step's; no wait).
    gradients:
        Weight gradients live until their "layer" is updated, or until the end of the "step".
    recompute:
        "none": what the backward pass needs is kept. "segments": the network is cut into segments
        of which only the first tensor is kept; each runs forward again before it goes backward.
    range_chunks:
        Range BN averages the extremes of this many chunks (its paper's code has 16; 1: the range).
    """

    padding: bool = True
    strided_backward: str = "phase-decomposed"
    division: str = "per-channel"
    variance: str = "two-pass"
    fused_statistics: bool = True
    fused_scalars: bool = True
    exponents: str = "sample"
    gradients: str = "layer"
    recompute: str = "none"
    range_chunks: int = 1

    def __post_init__(self) -> None:
        """Refuse what is not a choice."""
        for name, allowed in CHOICES.items():
            if getattr(self, name) not in allowed:
                raise InputError(
                    f"convention {name} must be one of {', '.join(allowed)}, "
                    f"not {getattr(self, name)!r}"
                )
        if not isinstance(self.range_chunks, int) or self.range_chunks < 1:
            raise InputError(
                f"convention range_chunks must be a whole number of at least 1, "
                f"not {self.range_chunks!r}"
            )

    def as_dict(self) -> dict[str, bool | int | str]:
        """Every option by name."""
        return {f.name: getattr(self, f.name) for f in fields(self)}


DEFAULT = Conventions()
"""What is used unless told otherwise, and always printed with a result."""
