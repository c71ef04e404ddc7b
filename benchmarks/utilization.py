"""How busy the array is in a simulated training step of ResNet-8.

    python benchmarks/utilization.py                     8x8 and 16x16, batch 16
    python benchmarks/utilization.py --array 4x4 --batch 4

Images are 28 x 28 in grey, as Fashion-MNIST's; cycles do not depend on what is in them. The RTL
runs one step; its parameters must be golden's and its cycles the model's, or the run ends. Two
figures:

- products: multiplications of the three products of every layer over the cycles in which the matrix
  unit is at work on them, times rows and columns;
- step: the same multiplications over all cycles of the step, vector and DMA work included.
"""

import argparse
import sys

import numpy as np

from cosim.core_fit import fit_core
from cosim.core_run import run_program
from golden.initialization import build
from golden.schemes import EOQ
from golden.training import learning_rate_shift
from golden.zoo import resnet8
from hwmodel.lowering.program import compile_step
from rtl.matrix_instructions import Multiply

SHAPE = (1, 28, 28)
CLASSES = 10


def measure(array: tuple[int, int], batch: int, simulator: str) -> dict[str, float]:
    """One step on one core."""
    model = build(EOQ.rewrite(resnet8(SHAPE, CLASSES)), seed=0)
    config = fit_core(model, array, batch)
    program = compile_step(model, config, batch)
    rng = np.random.default_rng(0)
    codes = rng.integers(-127, 128, (batch, *SHAPE)).astype(np.int8)
    labels = rng.integers(0, CLASSES, batch)
    lowered = program.lowered
    outside = lowered.parameter_memory(model)
    part = lowered.batch(codes, labels)
    outside[: len(part)] = part
    after, run = run_program(
        config, program.words, outside.tobytes(), simulator=simulator, observed=False,
        patience=100_000_000,
    )  # fmt: skip
    model.step(codes, labels, learning_rate_shift(batch), traced=False)
    got = lowered.learned(np.frombuffer(after, dtype=np.uint8))
    for (layer, what), (values, _) in got.items():
        if (values != model.layers[layer].learned[what].values).any():
            sys.exit(f"{layer}.{what} is not golden's")
    predicted = program.times().cycles
    if run.cycles != predicted:
        sys.exit(f"the RTL took {run.cycles} cycles, the model says {predicted}")
    busy = sum(
        time.next_taken
        for (number, entry), time in (
            (item, program.durations[item[0]]) for item in program.entries()
        )
        if isinstance(entry.word, Multiply)
    )
    size = array[0] * array[1]
    return {
        "cycles": run.cycles,
        "macs": program.macs,
        "products": program.macs / (busy * size),
        "step": program.macs / (run.cycles * size),
        "scratchpad": config.scratchpad_pages * config.scratchpad_page_bytes,
    }


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--array", action="append", help="RxC")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--sim", default="verilator")
    arguments = parser.parse_args()
    print(f"ResNet-8, {SHAPE[1]} x {SHAPE[2]} images, batch {arguments.batch}, one step in "
          f"{arguments.sim}")  # fmt: skip
    print(f"{'array':8}{'cycles':>12}{'MACs':>14}{'products':>10}{'step':>8}{'scratchpad':>13}")
    for text in arguments.array or ("8x8", "16x16"):
        rows, columns = map(int, text.split("x"))
        found = measure((rows, columns), arguments.batch, arguments.sim)
        print(f"{text:8}{found['cycles']:12,}{found['macs']:14,}{found['products']:10.3f}"
              f"{found['step']:8.3f}{found['scratchpad']:10,} B")  # fmt: skip


if __name__ == "__main__":
    main()
