"""Speed of the cost model: the command, one call, how it grows with the network, and a sweep.

Prints seconds, and the ratio to ZigZag 3.9.1's for the forward pass of ResNet-18 on 32x32. ZigZag
is not run: its 80 s are quoted from one run on two shared cores, so read the magnitude only.

    python benchmarks/cost.py
"""

import resource
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np

from golden.network import (
    Activation,
    Add,
    Convolution,
    Flatten,
    GlobalAveragePool,
    Linear,
    Network,
    Normalization,
)
from golden.networks import load
from golden.schemes import SCHEMES
from hwmodel.cost import cost
from hwmodel.designs import Designs
from hwmodel.technology import load_technology

ZIGZAG_S = 80.0
"""ZigZag 3.9.1, ResNet-18 forward on 32x32, two shared cores. Quoted, not measured here."""


def best(run: Callable[[], object], times: int = 5) -> float:
    """Least wall seconds of several runs: the one that was disturbed least."""
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def residual(layers: int) -> Network:
    """A residual network of about so many layers."""
    network = Network(f"residual{layers}", (8, 16, 16))
    end = network.add("stem", Convolution((3, 3), (1, 1), (1, 1, 1, 1), out_channels=8))
    for index in range(layers // 5):
        network.add(f"a{index}", Convolution((3, 3), (1, 1), (1, 1, 1, 1), out_channels=8), end)
        network.add(f"n{index}", Normalization())
        network.add(f"r{index}", Activation())
        network.add(f"b{index}", Convolution((1, 1), out_channels=8))
        end = network.add(f"s{index}", Add(), f"b{index}", end)
    network.add("pool", GlobalAveragePool())
    network.add("flatten", Flatten())
    network.add("fc", Linear(10))
    return network


def four(network: Network) -> None:
    """Price a step under every scheme, everything computed."""
    for scheme in SCHEMES:
        cost(network, scheme).as_dict()


def main() -> None:
    """Print the table."""
    command = [sys.executable, "-m", "eoq", "cost", "resnet50"]
    shell = best(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL))
    print(f"eoq cost resnet50, from the shell, four schemes      {shell:8.3f} s")
    network = load("resnet18")
    four(network)
    warm = best(lambda: four(network), 20)
    print(f"resnet18, warm, one training step, four schemes      {warm:8.3f} s")
    print(
        f"  ZigZag's forward pass ({ZIGZAG_S:.0f} s, quoted) against it     "
        f"{ZIGZAG_S / warm:8,.0f} x"
    )
    rows, columns, buffers = (
        axis.ravel()
        for axis in np.meshgrid(np.arange(1, 33), np.arange(1, 33), (1 + np.arange(64)) << 14)
    )
    designs = Designs(network, SCHEMES["eoq"], 1, load_technology("horowitz-45nm"))
    swept = best(lambda: designs.evaluate(rows, columns, buffers))
    print(f"designs of arrays and buffers a second, one core     {len(rows) / swept:8,.0f}")
    for layers in (100, 1_000, 10_000):
        deep = residual(layers)
        seconds = best(lambda deep=deep: four(deep), 1)
        print(f"{layers:6,} layers, four schemes{'':26}{seconds:8.3f} s")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"most memory of this process                          {peak:8.0f} MB")


if __name__ == "__main__":
    main()
