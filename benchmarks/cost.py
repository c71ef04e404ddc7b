"""Speed of the cost model: the command, one call, and how it grows with the network.

Prints seconds and, beside them, what ZigZag 3.9.1 took for the forward pass of ResNet-18 on the
machine where it was measured (80 s): python benchmarks/cost.py
"""

import resource
import subprocess
import sys
import time
from collections.abc import Callable

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

ZIGZAG_S = 80.0
"""ZigZag 3.9.1, ResNet-18 forward on 32x32, two shared cores. Measured once; read it as a ratio."""


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
    print(f"  ZigZag's forward pass against it                   {ZIGZAG_S / warm:8.0f} x")
    for layers in (100, 1_000, 10_000):
        deep = residual(layers)
        seconds = best(lambda deep=deep: four(deep), 1)
        print(f"{layers:6,} layers, four schemes{'':26}{seconds:8.3f} s")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"most memory of this process                          {peak:8.0f} MB")


if __name__ == "__main__":
    main()
