"""Speed of EOQ's integer training step against PyTorch's float32 one, and of its matrix products.

    python benchmarks/training_speed.py [--threads 2] [--rounds 20] [--clock cpu]

Both sides have the same number of threads and take turns, so that other work on the machine
disturbs them alike; each line gives the least time and the median of several rounds. PyTorch runs
the same network with batch normalisation: forward, cross entropy, backward, SGD with momentum, in
whichever memory order is faster. On a busy machine read the processor's clock, with one thread:
PyTorch's threads wait for each other actively. Requires PyTorch.
"""

import argparse
import math
import os
import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

# Before NumPy reads it: the products are compared on one thread each.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from torch import nn

from golden.acceleration import LOOPS_VARIABLE, threads
from golden.initialization import build
from golden.matmul import MATMUL_VARIABLE, float32_product, int8_product
from golden.networks import load
from golden.schemes import EOQ

STEPS = [
    ("resnet20", (3, 32, 32), 32),
    ("resnet8", (1, 28, 28), 64),
    ("resnet8", (1, 28, 28), 16),
    ("resnet8", (1, 28, 28), 4),
    ("resnet8", (1, 28, 28), 1),
]
"""Network, one image and batch."""

PRODUCTS = [
    ("forward, 16 channels", 32768, 144, 16),
    ("forward, 32 channels", 8192, 288, 32),
    ("forward, 64 channels", 2048, 576, 64),
    ("weight gradient, 16 channels", 16, 32768, 144),
    ("weight gradient, 32 channels", 32, 8192, 288),
    ("weight gradient, 64 channels", 64, 2048, 576),
]
"""Rows, reduction and columns in ResNet-20 on 32x32, batch 32; backward-data's are forward's."""

Run = Callable[[], object]


CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


PAUSE = 0.05
"""Seconds before each turn: OpenMP's threads still spin a while after PyTorch's, and would take the
processor from whoever is next."""


class Time(NamedTuple):
    """Milliseconds."""

    least: float
    median: float


def take_turns(
    runs: list[Run], rounds: int, clock: Callable[[], float], pause: float = 0.0
) -> list[Time]:
    """Return the times of each."""
    for run in runs:
        run()
    found: list[list[float]] = [[] for _ in runs]
    for _ in range(rounds):
        for times, run in zip(found, runs, strict=True):
            time.sleep(pause)
            start = clock()
            run()
            times.append(1000 * (clock() - start))
    return [Time(min(times), statistics.median(times)) for times in found]


class Block(nn.Module):
    """A residual block with batch normalisation and a shortcut without parameters."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.first_norm = nn.BatchNorm2d(outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.second_norm = nn.BatchNorm2d(outputs)
        self.stride, self.more = stride, outputs - inputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Two convolutions and the shortcut."""
        y = torch.relu(self.first_norm(self.first(x)))
        y = self.second_norm(self.second(y))
        if self.stride > 1 or self.more:
            x = x[:, :, :: self.stride, :: self.stride]
            x = nn.functional.pad(x, (0, 0, 0, 0, 0, self.more))
        return torch.relu(y + x)


def residual(name: str, shape: tuple[int, int, int]) -> nn.Sequential:
    """Return golden's network of that name for one such image, as a PyTorch module."""
    network = load(name, input_shape=shape, classes=10)
    blocks = (int(name.removeprefix("resnet")) - 2) // 6
    stem = network.layers["stem.conv"].operator
    layers: list[nn.Module] = [
        nn.Conv2d(shape[0], 16, 3, stem.stride, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()
    ]  # fmt: skip
    channels = 16
    for outputs, stride in ((16, 1), (32, 2), (64, 2)):
        for block in range(blocks):
            layers.append(Block(channels, outputs, stride if block == 0 else 1))
            channels = outputs
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)]
    module = nn.Sequential(*layers)
    learned = sum(p.numel() for p in module.parameters())
    assert learned == network.parameter_count, (learned, network.parameter_count)  # noqa: S101
    return module


def pytorch_step(
    name: str, shape: tuple[int, int, int], batch: int, count: int, order: torch.memory_format
) -> Run:
    """Return one training step in float32 on so many threads."""
    module = residual(name, shape).to(memory_format=order)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9)
    images = torch.randn(batch, *shape).to(memory_format=order)
    labels = torch.randint(0, 10, (batch,))

    def step() -> None:
        torch.set_num_threads(count)
        optimizer.zero_grad()
        nn.functional.cross_entropy(module(images), labels).backward()
        optimizer.step()

    return step


def eoq_step(name: str, shape: tuple[int, int, int], batch: int) -> Run:
    """Return one training step in integers."""
    model = build(EOQ.rewrite(load(name, input_shape=shape, classes=10)), 0)
    rng = np.random.default_rng(0)
    codes = rng.integers(-127, 128, (batch, *shape)).astype(np.int8)
    labels = rng.integers(0, 10, batch)
    return lambda: model.step(codes, labels, 0, traced=False)


def steps(count: int, rounds: int, clock: Callable[[], float]) -> None:
    """Print a line for each of `STEPS`."""
    print(f"One training step, ms, {count} thread(s) each")
    print(f"{'':27} {'least':^24} {'median':^24}")
    print(
        f"{'network':10} {'image':>10} {'batch':>5}"
        + 2 * f" {'EOQ':>8} {'PyTorch':>8} {'ratio':>6}"
    )
    with threads(count):
        for name, shape, batch in STEPS:
            ours, *theirs = take_turns(
                [
                    eoq_step(name, shape, batch),
                    pytorch_step(name, shape, batch, count, torch.contiguous_format),
                    pytorch_step(name, shape, batch, count, torch.channels_last),
                ],
                rounds,
                clock,
                PAUSE,
            )
            best = Time(min(t.least for t in theirs), min(t.median for t in theirs))
            print(f"{name:10} {'x'.join(map(str, shape)):>10} {batch:5}" + "".join(
                f" {own:8.1f} {other:8.1f} {own / other:6.2f}"
                for own, other in zip(ours, best, strict=True)
            ))  # fmt: skip


def matrix_products(rounds: int, clock: Callable[[], float]) -> None:
    """Print a line for each of `PRODUCTS`."""
    fast = int8_product()
    if fast is None:
        print("\nNo exact int8 product on this processor: float32 BLAS does the work.")
        return
    print("\nOne product, ms, 1 thread; speed-up over NumPy's float32 BLAS on operands in float32")
    print(f"{'':30} {'int8':>7} {'float32':>8} {'fallback':>8} {'speed-up':>8}")
    rng = np.random.default_rng(0)
    ratios = []
    for name, m, k, n in PRODUCTS:
        a, b = (rng.integers(-127, 128, s).astype(np.int8) for s in ((m, k), (k, n)))
        wide = a.astype(np.float32), b.astype(np.float32)
        result, other = np.empty((2, m, n), dtype=np.int32)
        turns = take_turns(
            [
                lambda a=a, b=b, out=result: fast(a, b, out),
                lambda wide=wide: wide[0] @ wide[1],
                lambda a=a, b=b, out=other: float32_product(a, b, out),
            ],
            3 * rounds,
            clock,
        )
        ours, blas, fallback = (times.least for times in turns)
        assert (result == other).all()  # noqa: S101
        ratios.append(blas / ours)
        print(f"{name:30} {ours:7.3f} {blas:8.3f} {fallback:8.3f} {ratios[-1]:8.1f}")
    mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
    print(f"{'geometric mean':30} {'':7} {'':8} {'':8} {mean:8.1f}")


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    options = parser.parse_args()
    clock = CLOCKS[options.clock]
    os.environ[LOOPS_VARIABLE] = "compiled"
    os.environ[MATMUL_VARIABLE] = "int8"
    with threadpool_limits(1, "blas"):
        steps(options.threads, options.rounds, clock)
        torch.set_num_threads(1)
        matrix_products(options.rounds, clock)


if __name__ == "__main__":
    main()
