"""The four ways to train that are compared: EOQ, WAGEUBN, Range BN and FP32 with BN.

A scheme says how a network is rewritten, which format each kind of tensor has, and which arithmetic
a step does. `hwmodel` prices what is written here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

from golden.errors import InputError
from golden.fixup import fixup
from golden.network import Network

__all__ = [
    "EOQ",
    "FP32_BN",
    "RANGE_BN",
    "SCHEMES",
    "WAGEUBN",
    "Format",
    "Normalizer",
    "Optimizer",
    "Scaling",
    "Scheme",
    "scheme",
]


class Normalizer(Enum):
    """What a `Normalization` layer becomes."""

    NONE = "none"
    BATCH = "batch"
    """Mean and standard deviation of the batch, per channel (Ioffe and Szegedy 2015)."""
    RANGE = "range"
    """Mean and range of the batch, per channel (Banner et al. 2018)."""


class Scaling(Enum):
    """How tensors are brought to few bits."""

    NONE = "none"
    EXPONENTS = "exponents"
    """Shifted to an exponent of a sample's own, that was measured."""
    SHIFTS = "shifts"
    """WAGEUBN: to fixed grids, and errors by a power of two of the batch, that was measured."""
    AFFINE = "affine"
    """Range BN: a scale and a zero of the batch, that were measured."""


class Optimizer(Enum):
    """What makes an update of a gradient."""

    SHIFTS = "shifts"
    """EOQ: momentum and rate are shifts, the update is rounded stochastically."""
    INTEGERS = "integers"
    """WAGEUBN: momentum in integers, weights kept in 24 bits."""
    SGD = "sgd"
    """Stochastic gradient descent with momentum in floating point."""


@dataclass(frozen=True)
class Format:
    """Format of one kind of tensor.

    Parameters
    ----------
    operand:
        Type that the arithmetic sees: int8, int16, int24, int32 or fp32.
    bits:
        Bits an element takes when moved and saved.
    stored:
        Bits of the copy that is kept from step to step, where it is wider than what is computed
        with (a master copy of the weights). 0: the same.
    """

    operand: str
    bits: int
    stored: int = 0

    @property
    def kept(self) -> int:
        """Bits of the copy that is kept."""
        return self.stored or self.bits


@dataclass(frozen=True)
class Scheme:
    """One way to train.

    Parameters
    ----------
    name, title, source:
        The command line's name, what tables call it, and where it is published.
    formats:
        Of W (weights), A (activations), E (errors), G (gradients of weights), U (updates) and
        V (momentum).
    accumulator:
        Sums of products.
    normalizer, scaling, optimizer:
        What normalises, how tensors are brought to few bits, and what makes updates.
    statistics:
        Arithmetic and storage of normalisation: its sums, mean, deviation.
    normalized:
        Storage of x-hat and of what enters a normalisation.
    scalars:
        Parameters that are not weights: biases, gamma and beta, Fixup's scalars.
    scalar_momentum:
        Their momentum, where it is not V.
    weight_gradient_error:
        E as the weight gradient's product sees it.
    exponent_bits:
        Bits of the exponent kept with one sample of A or E; 0 where a tensor has none.
    full_precision_ends:
        The first convolution and the last layer stay in fp32.
    rewriter:
        Network -> network.
    """

    name: str
    title: str
    source: str
    formats: Mapping[str, Format]
    accumulator: Format
    normalizer: Normalizer
    scaling: Scaling
    optimizer: Optimizer
    statistics: Format
    normalized: Format
    scalars: Format
    weight_gradient_error: Format
    scalar_momentum: Format | None = None
    exponent_bits: int = 0
    full_precision_ends: bool = False
    rewriter: Callable[[Network], Network] = lambda network: network

    def rewrite(self, network: Network) -> Network:
        """Return the network as this scheme trains it; the argument is not changed."""
        return self.rewriter(network)

    @property
    def format_names(self) -> dict[str, str]:
        """W, A, E, G, U and V as text: the type, and what is kept where that is wider."""
        return {
            kind: f.operand if f.kept == f.bits else f"{f.operand} ({f.kept} bits kept)"
            for kind, f in self.formats.items()
        }


_INT8, _INT16, _INT32, _FP32 = (
    Format("int8", 8),
    Format("int16", 16),
    Format("int32", 32),
    Format("fp32", 32),
)


def _formats(**formats: Format) -> Mapping[str, Format]:
    return MappingProxyType(formats)


EOQ = Scheme(
    name="eoq",
    title="EOQ",
    source="arXiv 2105.13890",
    formats=_formats(W=_INT8, A=_INT8, E=_INT8, G=_INT8, U=_INT8, V=_INT8),
    accumulator=_INT32,
    normalizer=Normalizer.NONE,
    scaling=Scaling.EXPONENTS,
    optimizer=Optimizer.SHIFTS,
    statistics=_INT16,
    normalized=_INT8,
    scalars=_INT16,
    weight_gradient_error=_INT8,
    scalar_momentum=_INT16,
    exponent_bits=8,
    rewriter=fixup,
)
"""Integers throughout and no normalisation.

From the abstract: Fixup in place of normalisation; W, A, E, G and U in 8 bits. Our choices, because
the paper's equations were not to be had: momentum of weights in 8 bits, Fixup's scalars and their
momentum in 16, one exponent byte a sample and tensor for A and E, gradients at the momentum's
scale, shifts for scales, stochastic rounding where errors are aligned for the weight gradient, of
the gradient and of the update, nearest elsewhere. `golden.training` is the specification.
"""

WAGEUBN = Scheme(
    name="wageubn",
    title="WAGEUBN",
    source="Yang et al. 2020, arXiv 1909.02384, and its public code",
    formats=_formats(
        W=Format("int8", 8, stored=24),
        A=_INT8,
        # 8 bits and the flag that says whether they count above or below the step.
        E=Format("int8", 9),
        G=_INT8,
        U=Format("int24", 24),
        V=Format("int16", 13),
    ),
    accumulator=_INT32,
    normalizer=Normalizer.BATCH,
    scaling=Scaling.SHIFTS,
    optimizer=Optimizer.INTEGERS,
    statistics=_INT16,
    normalized=_INT8,
    scalars=Format("int8", 8, stored=24),
    weight_gradient_error=Format("int8", 9),
    full_precision_ends=True,
)
"""Integers with batch normalisation in integers.

Follows its code: W kept in 24 bits and used in 8, momentum in 13, errors in 8 bits with a flag,
gamma, beta and x-hat in 8, mean and standard deviation in 16, the first convolution and the last
layer not quantised. Our choices: normalisation's arithmetic priced at 16 bits, what enters it
stored in 8, and the first layer's normalisation quantised as the others are.
"""

RANGE_BN = Scheme(
    name="range-bn",
    title="Range BN",
    source="Banner, Hubara, Hoffer and Soudry 2018, arXiv 1805.11046",
    formats=_formats(W=Format("int8", 8, stored=32), A=_INT8, E=_INT8, G=_FP32, U=_FP32, V=_FP32),
    accumulator=_INT32,
    normalizer=Normalizer.RANGE,
    scaling=Scaling.AFFINE,
    optimizer=Optimizer.SGD,
    statistics=_INT16,
    normalized=_INT8,
    scalars=_FP32,
    weight_gradient_error=_INT16,
)
"""8-bit products with normalisation by the range of the batch.

Follows the paper: W, A and the error's path in 8 bits, range normalisation in place of the
deviation, the weight gradient from an error that is not quantised to 8 bits (bifurcation), float
weights updated by float gradients. Our choices: 16 bits for that error (the paper says 16-bit or
float), normalisation's arithmetic at 16 bits, one affine scale a tensor and batch.
"""

FP32_BN = Scheme(
    name="fp32-bn",
    title="FP32 + BN",
    source="Ioffe and Szegedy 2015, arXiv 1502.03167",
    formats=_formats(W=_FP32, A=_FP32, E=_FP32, G=_FP32, U=_FP32, V=_FP32),
    accumulator=_FP32,
    normalizer=Normalizer.BATCH,
    scaling=Scaling.NONE,
    optimizer=Optimizer.SGD,
    statistics=_FP32,
    normalized=_FP32,
    scalars=_FP32,
    weight_gradient_error=_FP32,
)
"""The baseline: 32-bit floating point, batch normalisation, SGD with momentum. Nothing is ours."""

SCHEMES: Mapping[str, Scheme] = MappingProxyType(
    {s.name: s for s in (EOQ, WAGEUBN, RANGE_BN, FP32_BN)}
)
"""By name, the one that this project is about first."""


def scheme(name: str) -> Scheme:
    """Return a scheme by its name."""
    try:
        return SCHEMES[name]
    except KeyError:
        raise InputError(f"scheme must be one of {', '.join(SCHEMES)}, not {name!r}") from None
