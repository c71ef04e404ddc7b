"""The `eoq` command and the small public API: `eoq.cost("resnet18")`."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from eoq.api import Costs, cost

__all__ = ["Costs", "cost"]


def __getattr__(name: str) -> object:
    """Import the API when it is used: the command line does not pay for it."""
    if name in __all__:
        from eoq import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Return the public names."""
    return __all__
