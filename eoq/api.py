"""The Python API: one line for the common case.

>>> import eoq
>>> costs = eoq.cost("resnet18")
>>> costs["eoq"].normalization["div"], costs["fp32-bn"].normalization["div"]
(0, 4800)
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from golden.errors import InputError
from golden.network import Network
from golden.networks import load
from golden.schemes import SCHEMES, Scheme
from hwmodel.conventions import DEFAULT, Conventions
from hwmodel.cost import Cost
from hwmodel.cost import cost as price
from hwmodel.hardware import Hardware, load_hardware
from hwmodel.hierarchy import Hierarchy
from hwmodel.technology import Technology, load_technology

if TYPE_CHECKING:
    import pandas as pd
    import torch

__all__ = ["TABLES", "Costs", "cost"]

TABLES = (
    "summary",
    "ops",
    "passes",
    "memory",
    "traffic",
    "tiling",
    "energy",
    "layer_energy",
    "roofline",
    "sensitivity",
    "area",
    "instructions",
)
"""Tables of `Costs`, each a DataFrame over all schemes."""


def _flat(prefix: str, value: object) -> Iterator[tuple[str, object]]:
    """Nested keys joined by dots; lists (the ledger, the assumptions) left out."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(f"{prefix}.{key}" if prefix else str(key), inner)
    elif not isinstance(value, list):
        yield prefix, value


class Costs(Sequence[Cost]):
    """Costs of one network under several schemes, by position or by the scheme's name."""

    def __init__(self, costs: Iterable[Cost]) -> None:
        self._costs = {cost.step.scheme.name: cost for cost in costs}

    def __len__(self) -> int:
        return len(self._costs)

    @overload
    def __getitem__(self, key: int | str) -> Cost: ...
    @overload
    def __getitem__(self, key: slice) -> "Costs": ...
    def __getitem__(self, key: int | str | slice) -> "Cost | Costs":
        """Return one cost by scheme or position, or several by a slice."""
        if isinstance(key, str):
            return self._costs[key]
        chosen = list(self._costs.values())[key]
        return chosen if isinstance(chosen, Cost) else Costs(chosen)

    def __repr__(self) -> str:
        return f"Costs({list(self._costs.values())})"

    def as_dicts(self) -> list[dict[str, Any]]:
        """What `eoq cost --json` prints."""
        return [cost.as_dict() for cost in self]

    @property
    def summary(self) -> "pd.DataFrame":
        """One row a scheme; nested keys of `as_dicts` joined by dots."""
        import pandas as pd

        frame = pd.DataFrame([dict(_flat("", values)) for values in (cost.totals for cost in self)])
        # Whole numbers stay whole beside a missing one.
        return frame.convert_dtypes()

    def table(self, name: str) -> "pd.DataFrame":
        """One of `TABLES` over all schemes."""
        if name not in TABLES:
            raise InputError(f"table must be one of {', '.join(TABLES)}, not {name!r}")
        if name == "summary":
            return self.summary
        import pandas as pd

        return pd.concat([getattr(cost, name) for cost in self], ignore_index=True)

    @property
    def ops(self) -> "pd.DataFrame":
        """The ledger of every scheme."""
        return self.table("ops")


def _network(
    network: "Network | str | Path | torch.nn.Module", input_shape: Sequence[int] | None
) -> Network:
    if isinstance(network, str | Path):
        return load(network, input_shape=input_shape)
    if isinstance(network, Network):
        if input_shape is not None and network.input_shape != tuple(input_shape):
            raise InputError(
                f"network {network.name!r} must take samples of shape {tuple(input_shape)}, "
                f"not {network.input_shape}"
            )
        return network
    if input_shape is None:
        raise InputError(
            "a PyTorch module requires input_shape, the shape of one sample such as (3, 224, 224)"
        )
    # Only modules need torch, which takes seconds to import.
    from golden.torch_import import import_torch

    return import_torch(network, input_shape)


def cost(
    network: "Network | str | Path | torch.nn.Module",
    schemes: Sequence[Scheme | str] | Scheme | str = tuple(SCHEMES),
    *,
    input_shape: Sequence[int] | None = None,
    batch: int = 1,
    array: tuple[int, int] = (16, 16),
    technology: Technology | str = "horowitz-45nm",
    conventions: Conventions = DEFAULT,
    hierarchy: Hierarchy | None = None,
    hardware: Hardware | str | Path | None = None,
) -> Costs:
    """Price one training step of a network.

    Parameters
    ----------
    network:
        A built-in name, the path of an .onnx file, a network, or a torch.nn.Module (extra `torch`).
    input_shape:
        Of one sample: required for a PyTorch module, the network's own by default for all others.
    schemes:
        One or several; all by default.
    batch, array, technology, conventions, hierarchy, hardware:
        As for `hwmodel.cost.cost`.
    """
    network = _network(network, input_shape)
    if isinstance(schemes, str | Scheme):
        schemes = (schemes,)
    if not isinstance(technology, Technology):
        technology = load_technology(technology)
    if hardware is not None and not isinstance(hardware, Hardware):
        hardware = load_hardware(hardware)
    return Costs(
        price(network, scheme, batch, array, technology, conventions, hierarchy, hardware)
        for scheme in schemes
    )
