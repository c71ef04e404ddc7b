"""Area and energy of bare integer operators: one operation a cycle into a register.

The elements of normalisation, conversion and update are priced by them where there is no unit of
our own (`hwmodel.estimate`). Operands are a training step's results, brought to the operator's
width.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cosim.block_energy import replayed
from cosim.operands import Quantization, Step
from golden.errors import CheckError
from golden.formats import rounding_shift, saturate
from hwmodel.toml_reader import Band
from rtl.cell_library import CellLibrary
from rtl.synthesis import synthesize_verilog

__all__ = ["OPERATORS", "Operator", "operator"]

OPERATORS = (
    ("add", 8), ("add", 16), ("add", 32), ("multiply", 8), ("multiply", 16), ("multiply", 32),
)  # fmt: skip
"""(operation, bits) that `operator` can price."""

_CYCLES = 1500
_SETTLE = 4
_SIGNS = {"add": "+", "multiply": "*"}


@dataclass(frozen=True)
class Operator:
    """An operator as gates.

    Attributes
    ----------
    energy_pj:
        An operation's, its register's clock included: lowest, mean and highest of the phases.
    area_um2:
        With the register of its result.
    """

    op: str
    bits: int
    energy_pj: Band
    area_um2: float


def operator(op: str, bits: int, library: CellLibrary, step: Step) -> Operator:
    """Synthesise one of `OPERATORS` and simulate its gates on a step's results.

    Raises CheckError if the gates give another result than NumPy.
    """
    result = bits if op == "add" else 2 * bits
    name = f"{op}_int{bits}"
    # OpenSTA reads no ports that are signed.
    verilog = (
        f"module {name}(input clk, input [{bits - 1}:0] a, input [{bits - 1}:0] b, "
        f"output reg [{result - 1}:0] o);\n"
        f"always @(posedge clk) o <= $signed(a) {_SIGNS[op]} $signed(b);\nendmodule\n"
    )
    synthesis = synthesize_verilog(name, verilog, name, library)
    energies = []
    for phase in ("forward", "backward_data"):
        tensors = [q for q in step.quantizations if q.phase == phase]
        a, b = _operands(tensors, bits, 0), _operands(tensors, bits, 1)
        wrapped = [int(x) + int(y) if op == "add" else int(x) * int(y)
                   for x, y in zip(a, b, strict=True)]  # fmt: skip
        mask, wide = (1 << bits) - 1, (1 << result) - 1
        inputs = {"a": [int(x) & mask for x in a], "b": [int(y) & mask for y in b]}
        # What the register shows in a cycle belongs to the cycle before.
        outputs = {"o": [0, *(value & wide for value in wrapped[:-1])]}
        _, energy = replayed(synthesis, library, inputs, outputs, what=phase, settle=_SETTLE)
        energies.append(energy.dynamic_pj / (len(a) - _SETTLE))
    band = Band(min(energies), sum(energies) / len(energies), max(energies))
    if synthesis.area_um2 is None:
        raise CheckError(f"{library.where}: {name} requires an area, got none")
    return Operator(op, bits, band, synthesis.area_um2)


def _operands(tensors: list[Quantization], bits: int, seed: int) -> NDArray[np.int64]:
    """Runs of results of tensors drawn as often as they have elements, in so many bits."""
    rng = np.random.default_rng(seed)
    sizes = np.array([float(t.values.size) for t in tensors])
    runs: list[NDArray[np.int64]] = []
    while sum(map(len, runs)) < _CYCLES:
        tensor = tensors[rng.choice(len(tensors), p=sizes / sizes.sum())]
        start = int(rng.integers(max(tensor.values.size - 256, 0) + 1))
        values = tensor.values[start : start + 256]
        shift = max(tensor.shift - (bits - 8), 0)
        narrow = saturate(rounding_shift(values, shift), bits) if shift else values
        runs.append(narrow.astype(np.int64))
    return np.concatenate(runs)[:_CYCLES]
