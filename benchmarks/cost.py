"""Speed of the cost model: the command, one call, how it grows with the network, and a sweep.

Prints seconds and megabytes, and the ratio to ZigZag 3.9.1's forward pass of ResNet-18 on the 32x32
array that it ships. ZigZag is run beside where it is installed, in this Python or in the one that
--zigzag names; otherwise its 80 s (two shared cores) are quoted, and the output says which.

    python benchmarks/cost.py
    python -m venv zz && zz/bin/pip install zigzag-dse==3.9.1 six
    python benchmarks/cost.py --zigzag zz/bin/python
"""

import argparse
import importlib.util
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx

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
"""ZigZag 3.9.1, ResNet-18 forward on 32x32, two shared cores. Quoted where it is not run."""

ZIGZAG = """
import os, tempfile, time, zigzag
from zigzag.api import get_hardware_performance_zigzag
inputs = os.path.dirname(zigzag.__file__) + "/inputs/"
start, used = time.perf_counter(), time.process_time()
_, cycles, _ = get_hardware_performance_zigzag(
    inputs + "workload/resnet18.onnx", inputs + "hardware/tpu_like.yaml",
    inputs + "mapping/tpu_like.yaml", dump_folder=tempfile.mkdtemp(),
    loma_show_progress_bar=False)
print("SECONDS", time.perf_counter() - start, time.process_time() - used, int(cycles))
"""
"""Its own network, accelerator (32x32) and mapping; imports are not timed."""


class Seconds(NamedTuple):
    """Of the wall clock, and of the processor: the second says it on a machine that others use."""

    wall: float
    cpu: float

    def __str__(self) -> str:
        return f"{self.wall:8.3f} s {self.cpu:8.3f} s"


def _cpu() -> float:
    """Processor seconds of this process and its finished children."""
    usage = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in usage)


def best(run: Callable[[], object], times: int = 5) -> Seconds:
    """Least seconds of several runs: the one that was disturbed least."""
    found = []
    for _ in range(times):
        start, used = time.perf_counter(), _cpu()
        run()
        found.append(Seconds(time.perf_counter() - start, _cpu() - used))
    return Seconds(min(one.wall for one in found), min(one.cpu for one in found))


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


def zigzag_seconds(python: str | None) -> tuple[Seconds, str]:
    """Seconds of ZigZag's run, and whether they were measured here."""
    if python is None and importlib.util.find_spec("zigzag") is None:
        return Seconds(ZIGZAG_S, ZIGZAG_S), "quoted"
    done = subprocess.run(
        [python or sys.executable, "-c", ZIGZAG], capture_output=True, text=True, check=True
    )
    words = done.stdout.split("SECONDS")[1].split()
    return Seconds(float(words[0]), float(words[1])), f"run beside, {int(words[2]):,} cycles"


def deep_onnx(path: Path, nodes: int) -> None:
    """Write a residual network of so many nodes, without weights."""
    from onnx import TensorProto, helper

    def value(name: str) -> object:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 8, 16, 16])

    made, weights, end = [], [], "x"
    for index in range(nodes // 3):
        shape = helper.make_tensor_value_info(f"w{index}", TensorProto.FLOAT, [8, 8, 3, 3])
        weights.append(shape)
        made += [
            helper.make_node("Conv", [end, f"w{index}"], [f"c{index}"], pads=[1, 1, 1, 1]),
            helper.make_node("Relu", [f"c{index}"], [f"r{index}"]),
            helper.make_node("Add", [f"r{index}", end], [f"s{index}"]),
        ]
        end = f"s{index}"
    graph = helper.make_graph(made, "deep", [value("x"), *weights], [value(end)])
    path.write_bytes(helper.make_model(graph).SerializeToString())


def shell(network: str, times: int) -> None:
    """Print seconds and memory of `eoq cost` in a process of its own."""
    command = [sys.executable, "-m", "eoq", "cost", network]
    seconds = best(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL), times)
    # The most of all children so far: networks come from small to large.
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    name = f"eoq cost {Path(network).name}, from the shell"
    print(f"{name:52} {seconds} {memory:6.0f} MB")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--zigzag", metavar="PYTHON", help="a Python with zigzag-dse 3.9.1")
    arguments = parser.parse_args()
    print(f"{'':52} {'wall':>10} {'processor':>10} {'most MB':>9}")
    shell("resnet50", 5)
    light = Path(onnx.__file__).parent / "backend/test/data/light"
    shell(str(light / "light_densenet121.onnx"), 3)
    with tempfile.TemporaryDirectory() as folder:
        deep_path = Path(folder) / "10000-nodes.onnx"
        deep_onnx(deep_path, 10_000)
        shell(str(deep_path), 1)
    network = load("resnet18")
    four(network)
    warm = best(lambda: four(network), 20)
    print(f"{'resnet18, warm, one training step, four schemes':52} {warm}")
    zigzag, how = zigzag_seconds(arguments.zigzag)
    print(f"{f'  ZigZag, forward pass only ({how})':52} {zigzag}")
    print(
        f"{'  times slower':52} {zigzag.wall / warm.wall:8,.0f} x {zigzag.cpu / warm.cpu:8,.0f} x"
    )
    rows, columns, buffers = (
        axis.ravel()
        for axis in np.meshgrid(np.arange(1, 33), np.arange(1, 33), (1 + np.arange(64)) << 14)
    )
    designs = Designs(network, SCHEMES["eoq"], 1, load_technology("horowitz-45nm"))
    swept = best(lambda: designs.evaluate(rows, columns, buffers))
    print(
        f"{'designs of arrays and buffers a second, one core':52} "
        f"{len(rows) / swept.wall:10,.0f} {len(rows) / swept.cpu:10,.0f}"
    )
    for layers in (100, 1_000, 10_000):
        deep = residual(layers)
        seconds = best(lambda deep=deep: four(deep), 1)
        print(f"{f'{layers:,} layers, warm, four schemes':52} {seconds}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{'most memory of this process':52} {peak:29.0f} MB")


if __name__ == "__main__":
    main()
