"""The ways to train that `eoq train` knows, by name."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from golden.data import Dataset
from golden.errors import InputError
from golden.learner import IntegerLearner, Learner
from golden.network import Network
from golden.schemes import SCHEMES

__all__ = ["LEARNERS", "format_names", "learner"]

LEARNERS: Mapping[str, Callable[[Network, Dataset, int], Learner]] = MappingProxyType(
    {"eoq": IntegerLearner}
)
"""Name -> (network, data set, seed) -> learner."""


def learner(scheme: str, network: Network, dataset: Dataset, seed: int) -> Learner:
    """Return a network with initial parameters under the scheme of that name."""
    if scheme not in LEARNERS:
        raise InputError(f"scheme must be one of {', '.join(LEARNERS)}, not {scheme[:200]!r}")
    return LEARNERS[scheme](network, dataset, seed)


def format_names(scheme: str) -> dict[str, str]:
    """W, A, E, G, U and V of a scheme as text."""
    return SCHEMES[scheme].format_names
