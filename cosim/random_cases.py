"""Random small networks on random cores: what the co-simulation of whole steps is tried on.

A case is a function of its number alone, so that a number is all that a report needs to name.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from golden.initialization import build as build_model
from golden.network import (
    Activation,
    Add,
    AveragePool,
    Convolution,
    Flatten,
    GlobalAveragePool,
    Linear,
    Network,
    Normalization,
    Pad,
)
from golden.schemes import EOQ
from hwmodel.lowering.context import ResultsFullError
from hwmodel.lowering.memory_map import ScratchpadFullError
from hwmodel.lowering.step import lower
from rtl.config import CoreConfig

__all__ = ["CORES", "RandomCase", "random_case", "random_network"]


def _core(
    rows: int, columns: int, pages: int, page_bytes: int, results_pages: int, depth: int
) -> CoreConfig:
    return CoreConfig(
        rows=rows, columns=columns, scratchpad_pages=pages, scratchpad_page_bytes=page_bytes,
        results_pages=results_pages, results_page_depth=depth,
    )  # fmt: skip


CORES = (
    _core(1, 1, 16, 1 << 11, 4, 1 << 12),
    _core(1, 6, 8, 1 << 13, 2, 1 << 11),
    _core(3, 2, 16, 1 << 12, 4, 1 << 11),
    _core(5, 1, 16, 1 << 11, 4, 1 << 11),
    _core(4, 4, 4, 1 << 14, 2, 1 << 11),
    _core(5, 3, 8, 1 << 13, 4, 1 << 11),
    _core(4, 9, 16, 1 << 12, 2, 1 << 10),
    _core(8, 8, 16, 1 << 12, 4, 1 << 10),
    _core(12, 7, 4, 1 << 14, 4, 1 << 10),
    _core(16, 16, 16, 1 << 12, 4, 1 << 9),
)
"""Arrays from 1x1 to 16x16, square and not, with memories of every number of pages. Each needs a
build of its own."""

_INPUT_SHAPES = ((1, 8, 8), (1, 8, 8), (1, 4, 16), (2, 4, 8), (4, 4, 4), (16, 2, 2))
"""Of the 64 pixels of a digit."""

_LATENCIES = (0, 1, 3, 20, 20, 57)


@dataclass(frozen=True)
class RandomCase:
    """One configuration.

    Members
    -------
    number:
        What it was drawn from, and the seed of everything random in its run.
    network, config, batch:
        What is trained, on which core, samples a step.
    latency:
        Of the memory behind the bus, in cycles.
    steps:
        Training steps.
    halvings, parameters:
        Learning rate and what is trained from (`cosim.runner.cosimulate`).
    """

    number: int
    network: Network
    config: CoreConfig
    batch: int
    latency: int
    steps: int
    halvings: int
    parameters: str

    def arguments(self) -> dict[str, Any]:
        """Return what `cosim.runner.cosimulate` takes."""
        return {
            "network": self.network,
            "array": (self.config.rows, self.config.columns),
            "config": self.config,
            "batch": self.batch,
            "latency": self.latency,
            "steps": self.steps,
            "halvings": self.halvings,
            "parameters": self.parameters,
            "seed": self.number,
            "again": f"eoq cosim --random {self.number}",
        }


def random_case(number: int) -> RandomCase:
    """Return the case with that number: the cores take turns, everything else is drawn."""
    rng = np.random.default_rng(number)
    config = CORES[number % len(CORES)]
    batch = int(rng.choice([1, 2, 4]))
    latency = int(rng.choice(_LATENCIES))
    steps = int(rng.choice([1, 1, 1, 2]))
    halvings = int(rng.choice([0, 0, 0, 1, 3]))
    parameters = str(rng.choice([*["initial"] * 3, "large", "large", "small"]))
    while True:
        network = random_network(rng, f"random-{number}", config.columns)
        try:
            lower(build_model(EOQ.rewrite(network), number), config, batch, 0)
        except (ScratchpadFullError, ResultsFullError):
            continue
        return RandomCase(number, network, config, batch, latency, steps, halvings, parameters)


def random_network(rng: np.random.Generator, name: str, columns: int) -> Network:
    """Return a network of what the core has operations for.

    Convolutions with kernels of 1 or 3, strides, padding and odd numbers of channels, residual
    blocks whose shortcut may be subsampled and widened, a mean, linear layers; or linear layers
    alone. It has as many inputs as a digit has pixels, and 10 classes.

    Parameters
    ----------
    rng:
        What it is drawn from.
    name:
        Of the network.
    columns:
        Of the array: planes that are flattened must have a multiple of so many channels.
    """
    network = Network(name, _INPUT_SHAPES[rng.integers(len(_INPUT_SHAPES))])
    if rng.random() < 0.12:
        network.add("flatten", Flatten())
    else:
        _convolution(network, rng, "stem", _channels(rng))
        blocks = False
        for number in range(rng.integers(0, 3)):
            if rng.random() < 0.6:
                _block(network, rng, f"block{number}")
                blocks = True
            else:
                _convolution(network, rng, f"conv{number}", _channels(rng))
        channels, height, width = network.shape_of(network.output)
        # Behind a join's ReLU the classifier's bias would be one too many for the core.
        flat = not blocks and (channels % columns == 0 or height * width == 1)
        if not flat or rng.random() < 0.3:
            network.add("pool", GlobalAveragePool())
        network.add("flatten", Flatten())
    for number in range(rng.integers(0, 2)):
        network.add(f"hidden{number}", Linear(int(rng.integers(1, 24)), bias=rng.random() < 0.7))
        network.add(f"hidden{number}.norm", Normalization())
        network.add(f"hidden{number}.relu", Activation())
    network.add("classifier", Linear(10, bias=rng.random() < 0.8))
    return network


def _channels(rng: np.random.Generator) -> int:
    return int(rng.integers(1, 12))


def _window(rng: np.random.Generator, shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Kernel, stride and padding of a convolution that leaves at least one position."""
    kernel = int(rng.choice([1, 3, 3]))
    padding = int(rng.integers(0, kernel // 2 + 1))
    if min(shape[1:]) + 2 * padding < kernel:
        padding = kernel // 2
    return kernel, int(rng.choice([1, 1, 2])), padding


def _convolution(network: Network, rng: np.random.Generator, name: str, channels: int) -> None:
    kernel, stride, padding = _window(rng, network.shape_of(network.output))
    bias = rng.random() < 0.3
    network.add(
        name,
        Convolution((kernel,) * 2, (stride,) * 2, (padding,) * 4, out_channels=channels, bias=bias),
    )
    network.add(f"{name}.norm", Normalization())
    network.add(f"{name}.relu", Activation())


def _block(network: Network, rng: np.random.Generator, name: str) -> None:
    """Two convolutions beside a shortcut that takes every value, or every second one in each
    direction with more channels."""
    source = network.output
    channels, height, width = network.shape_of(source)
    reduces = min(height, width) >= 2 and rng.random() < 0.5
    stride = 2 if reduces else 1
    wide = channels + (int(rng.integers(0, 5)) if reduces else 0)
    kernels = [int(k) for k in rng.choice([1, 3], 2)]
    for number, kernel in enumerate(kernels, start=1):
        network.add(
            f"{name}.conv{number}",
            Convolution(
                (kernel,) * 2, ((stride,) * 2 if number == 1 else (1, 1)), (kernel // 2,) * 4,
                out_channels=wide if number == 2 else _channels(rng), bias=False,
            ),
        )  # fmt: skip
        network.add(f"{name}.norm{number}", Normalization())
        if number == 1:
            network.add(f"{name}.relu1", Activation())
    branch, shortcut = network.output, source
    if reduces:
        shortcut = network.add(f"{name}.subsample", AveragePool((1, 1), (2, 2)), source)
    if wide > channels:
        shortcut = network.add(f"{name}.widen", Pad((wide - channels, 0, 0, 0, 0)), shortcut)
    network.add(f"{name}.add", Add(), branch, shortcut)
    network.add(f"{name}.relu", Activation())
