"""Area and energy models of the core, fitted to its synthesis and held against what was not fitted.

Areas are linear in what a block is made of (`hwmodel.core_area`), energies of a processing element
and of a vector lane in what changes in them (`hwmodel.technology.CHANGES`). Sizes and layers of the
fit and of the check are fixed here and have nothing in common.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from cosim.element_energy import element_energies
from cosim.lane_energy import lane_energies
from cosim.layer_energy import LayerEnergy
from cosim.operands import Step, operands
from golden import data, networks
from golden.errors import CheckError, InputError
from hwmodel.core_area import BLOCK_PARTS, PARTS
from hwmodel.technology import CHANGES
from rtl.cell_library import CellLibrary
from rtl.config import CoreConfig
from rtl.synthesis import synthesize

__all__ = [
    "CHECK_NETWORKS",
    "CHECK_SIZES",
    "DATASET",
    "FIT_NETWORK",
    "FIT_SIZES",
    "PARTS_AT_WORK",
    "block_area",
    "fit_area",
    "fit_energy",
    "network_energies",
    "network_step",
    "predicted_area",
    "predicted_energy",
]

FIT_SIZES: Mapping[str, tuple[tuple[int, int], ...]] = {
    "mac_array": ((8, 8), (16, 16), (8, 32), (32, 8), (32, 32)),
    "product_unit": ((8, 8), (16, 16), (8, 16), (16, 8), (8, 32), (32, 8), (32, 32)),
    "vector_unit": ((8, 8), (8, 16), (8, 32)),
}
"""Block -> rows and columns of the arrays whose areas are fitted."""

CHECK_SIZES: Mapping[str, tuple[tuple[int, int], ...]] = {
    "mac_array": ((8, 16), (12, 20), (16, 8), (24, 24), (32, 16)),
    "product_unit": ((12, 20), (20, 12), (24, 24)),
    "vector_unit": ((16, 8), (8, 12), (8, 24)),
}
"""Those that the fit is held against."""

FIT_NETWORK, DATASET = "resnet8", "digits"
"""The network whose layers are fitted, and the images that all are trained on."""

CHECK_NETWORKS = ("lenet5", "resnet20")
"""Networks whose layers the fits are held against. No price is fitted to either; but which changes
of an element have a price (`hwmodel.technology.CHANGES`) was chosen with LeNet-5's errors in view,
so ResNet-20 alone knows nothing of that model. Those of a lane were chosen with ResNet-8's."""

PARTS_AT_WORK: Mapping[str, str] = {"element": "pe", "lane": "vector_lane"}
"""Part that has an energy model -> block of `rtl.blocks`."""

Say = Callable[[str], None]


def block_area(
    block: str, size: tuple[int, int], library: CellLibrary, tell: Say = lambda _: None
) -> float:
    """Return a block's area in um2 by synthesis, memories left out."""
    config = CoreConfig(rows=size[0], columns=size[1])
    area = synthesize(block, config, library, tell=tell).area_um2
    if area is None:
        raise CheckError(f"{library.where}: block {block} requires an area, got none")
    return area


def fit_area(block: str, library: CellLibrary, tell: Say = lambda _: None) -> dict[str, float]:
    """Synthesise a block in `FIT_SIZES`; return um2 by part."""
    parts = BLOCK_PARTS[block]
    configs = [CoreConfig(rows=r, columns=c) for r, c in FIT_SIZES[block]]
    counts = np.array([[PARTS[part](config) for part in parts] for config in configs], float)
    areas = np.array([block_area(block, size, library, tell) for size in FIT_SIZES[block]])
    return dict(zip(parts, _fit(counts, areas).tolist(), strict=True))


def predicted_area(parts: Mapping[str, float], size: tuple[int, int]) -> float:
    """Area in um2 that `fit_area`'s parts give for an array of rows and columns."""
    config = CoreConfig(rows=size[0], columns=size[1])
    return sum(area * PARTS[part](config) for part, area in parts.items())


def fit_energy(part: str, energies: Sequence[LayerEnergy]) -> dict[str, float]:
    """Fit pJ to an element's or a lane's changes, an operation of each layer weighing the same."""
    names = CHANGES[part]
    per_operation = np.array(
        [[each.changes[name] / each.operations for name in names] for each in energies]
    )
    measured = np.array([each.energy_pj / each.operations for each in energies])
    return dict(zip(names, _fit(per_operation, measured).tolist(), strict=True))


def predicted_energy(prices: Mapping[str, float], layer: LayerEnergy) -> float:
    """Energy in pJ that `fit_energy`'s prices give for a layer's changes."""
    return sum(price * layer.changes[name] for name, price in prices.items())


def network_step(network: str) -> Step:
    """Train one of the networks and return a step's operands."""
    images = data.load(DATASET)
    return operands(
        networks.load(network, input_shape=images.shape, classes=images.classes), images
    )


def network_energies(
    part: str, network: str, library: CellLibrary, tell: Say = lambda _: None
) -> list[LayerEnergy]:
    """Energy of an element or a lane on every layer of one of the networks.

    Raises InputError if the library has no power tables.
    """
    if "internal_power tables" in library.lacking:
        raise InputError(
            f"{library.where}: energy requires {', '.join(library.lacking)}, got none; eoq synth "
            "says area and delay"
        )
    config = CoreConfig(rows=16, columns=16)
    gates = synthesize(PARTS_AT_WORK[part], config, library, tell=tell)
    tell(f"training {network} on {DATASET} for operands")
    step = network_step(network)
    if part == "element":
        return element_energies(gates, config, library, step, network, tell=tell)
    return lane_energies(gates, config, library, step, network, tell=tell)


def _fit(counts: NDArray[np.float64], measured: NDArray[np.float64]) -> NDArray[np.float64]:
    """Least squares of relative errors; what would come out negative is left out, as 0."""
    weighted = counts / measured[:, None]
    kept = list(range(counts.shape[1]))
    while True:
        found, *_ = np.linalg.lstsq(weighted[:, kept], np.ones(len(measured)), rcond=None)
        if found.min() >= 0:
            result = np.zeros(counts.shape[1])
            result[kept] = found
            return result
        kept.pop(int(found.argmin()))
