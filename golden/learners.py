"""The ways to train that `eoq train` knows, by name."""

import functools
from collections.abc import Callable, Mapping
from types import MappingProxyType

from golden.data import Dataset
from golden.errors import InputError
from golden.float_learner import (
    DECAYING_FP32_BN,
    DECAYING_FP32_FIXUP,
    FP32_BN,
    FP32_FIXUP,
    FloatLearner,
)
from golden.he import FP32_HE
from golden.learner import IntegerLearner, Learner
from golden.network import Network
from golden.range_bn import RANGE_BN
from golden.schemes import SCHEMES
from golden.wageubn import WAGEUBN

__all__ = ["LEARNERS", "format_names", "learner"]

_SETUPS = {
    "wageubn": WAGEUBN,
    "range-bn": RANGE_BN,
    "fp32-bn": FP32_BN,
    "fp32-bn-decay": DECAYING_FP32_BN,
    "fp32-fixup": FP32_FIXUP,
    "fp32-fixup-decay": DECAYING_FP32_FIXUP,
    "fp32-he": FP32_HE,
}

LEARNERS: Mapping[str, Callable[[Network, Dataset, int], Learner]] = MappingProxyType(
    {"eoq": IntegerLearner}
    | {name: functools.partial(FloatLearner, setup=setup) for name, setup in _SETUPS.items()}
)
"""Name -> (network, data set, seed) -> learner: the four schemes, and more in float32.

"fp32-fixup" is what EOQ computes without its integers, "fp32-he" the network without normalisation
and without Fixup; two have EOQ's weight decay. Only training and `golden.isometry` compare with
them.
"""


def learner(scheme: str, network: Network, dataset: Dataset, seed: int) -> Learner:
    """Return a network with initial parameters under the scheme of that name."""
    if scheme not in LEARNERS:
        raise InputError(f"scheme must be one of {', '.join(LEARNERS)}, not {scheme[:200]!r}")
    return LEARNERS[scheme](network, dataset, seed)


def format_names(scheme: str) -> dict[str, str]:
    """W, A, E, G, U and V of a scheme as text."""
    return SCHEMES["fp32-bn" if scheme.startswith("fp32") else scheme].format_names
