"""Programs on the compiled core: the same bits, cycles and checksums from both simulators."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cosim.core_build import build_core
from cosim.core_run import Copy, Execute, program_bytes, run_program, simulate, splitmix
from golden.errors import CheckError, InputError
from golden.formats import Integers, QuantSpec, excess_bits
from hwmodel import vector_cycles
from hwmodel.product_cycles import product_times
from rtl.config import CoreConfig
from rtl.control_instructions import End
from rtl.dma_instructions import Load, Store
from rtl.instructions import Fault, Unit, Word
from rtl.product_words import Geometry, forward
from rtl.vector_instructions import Function, Loops, Operand, Output, Pass, Scalar, Stream, Stride

CONFIG = CoreConfig(
    rows=2, columns=3, scratchpad_page_bytes=1024, results_page_depth=64, loss_classes=4
)
SIMULATORS = ("verilator", "icarus")
TARGET = 3072
ROWS_USED = 7


@dataclasses.dataclass
class Layer:
    """A convolution from memory to memory, quantised, and all that it should leave behind."""

    program: list[Word]
    memory: bytes
    codes: Integers
    sums: Integers
    rows: Integers


def layer(seed: int = 3) -> Layer:
    config, rng = CONFIG, np.random.default_rng(seed)
    g = Geometry(channels=3, height=4, width=3, out_channels=5, kernel=(3, 3), padding=(1, 1, 1, 1))
    x = rng.integers(-127, 128, (g.height, g.width, g.channels))
    w = rng.integers(-127, 128, (3, 3, g.channels, g.out_channels))
    page, line = config.scratchpad_page_bytes, config.line_bytes

    def lines(data: bytes) -> bytes:
        return data.ljust(-(-len(data) // line) * line, b"\0")

    rows = np.zeros((g.weight_rows, g.row_pitch(config)), np.int8)
    rows[:, : g.out_channels] = w.reshape(g.weight_rows, g.out_channels)
    inputs = lines(bytes(line) + x.astype(np.int8).tobytes())
    weights = lines(rows.tobytes())
    memory = (inputs + weights).ljust(4096, b"\xa5")
    sums = np.zeros((g.height, g.width, g.out_channels), np.int64)
    padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
    for ky in range(3):
        for kx in range(3):
            sums += padded[ky : ky + g.height, kx : kx + g.width] @ w[ky, kx]
    codes = QuantSpec().apply(sums, int(excess_bits(sums)))

    product = forward(g, config, a=line, b=page, z=0)
    product[-1] = dataclasses.replace(product[-1], wait=1, signal=2)
    positions = g.height * g.width
    loops = Loops(positions=positions, channels=g.out_channels)
    size = len(lines(bytes(codes.size)))
    program: list[Word] = [
        Load(outside=0, scratchpad=0, bytes=len(inputs)),
        Load(outside=len(inputs), scratchpad=page, bytes=len(weights), signal=1),
        *product,
        loops,
        Stride.regular(Stream.RESULTS_IN, 0, loops, position=1, block=positions),
        Stride.regular(Stream.OUTPUT, 0, loops, position=g.out_channels, block=config.columns),
        Pass(operand=Operand.RESULTS, measure=1, top=8, wait=2),
        Pass(operand=Operand.RESULTS, output=Output.BYTES, shift=9),
        Scalar(function=Function.SUBTRACT, d=40, a=0, immediate=1, value=5, signal=4),
        Store(outside=TARGET, scratchpad=0, bytes=size, wait=4),
        End(),
    ]  # fmt: skip
    return Layer(program, memory, codes, sums, rows)


@pytest.mark.parametrize("simulator", SIMULATORS)
def test_bits_cycles_and_checksums_of_every_instruction(simulator: str) -> None:
    work = layer()
    after, run = run_program(CONFIG, work.program, work.memory, simulator=simulator)
    assert (run.fault, run.fault_unit, run.fault_index) == (Fault.NONE, 0, 0)
    size = work.codes.size
    codes = np.frombuffer(after, np.int8)[TARGET : TARGET + size].astype(np.int64)
    assert (codes.reshape(work.codes.shape) == work.codes).all()
    # Nothing else was touched.
    end = TARGET + -(-size // CONFIG.line_bytes) * CONFIG.line_bytes
    assert after[:TARGET] == work.memory[:TARGET]
    assert after[end:] == work.memory[end:]

    units = [word.unit for word in work.program if word.unit != Unit.CONTROL]
    assert sorted(map(int, units)) == run.trace["unit"].tolist()
    matrix, vector, dma = (run.trace[run.trace["unit"] == unit] for unit in (2, 3, 4))
    times = [word for word in work.program if word.unit == Unit.MATRIX]
    (product,) = product_times(times, CONFIG)
    assert matrix["complete"][-1] - matrix["taken"][-1] == product.signalled
    assert (matrix["complete"] == matrix["taken"])[:-1].all()
    lasting = vector["complete"] - vector["taken"] + 1
    positions = work.codes.shape[0] * work.codes.shape[1]
    passing = vector_cycles.pass_(positions, work.codes.shape[2], CONFIG.columns)
    assert lasting.tolist() == [1, 1, 1, passing, passing, vector_cycles.scalar()]
    # The semaphore was given in one cycle and may be taken in the next.
    assert vector["taken"][3] == matrix["complete"][-1] + 1
    assert run.counters["mac_busy"] == product.vectors
    assert run.counters["instructions"] == len(work.program)
    assert run.cycles > int(run.trace["complete"].max())

    # Words: blocks of three channels, lanes past the fifth are computed too, with weights of zero.
    blocks = -(-work.sums.shape[2] // CONFIG.columns)
    words = np.zeros((positions, blocks * CONFIG.columns), np.int64)
    words[:, : work.sums.shape[2]] = work.sums.reshape(positions, -1)
    # (Lane 5 is the row pitch's next byte: the first channel of the row behind.)
    words = words.reshape(positions, blocks, CONFIG.columns).transpose(1, 0, 2)
    assert checksum_of_words(words, work) == int(matrix["results"][-1])
    flat = work.codes.reshape(-1)
    assert total(np.arange(flat.size), flat & 0xFF) == int(vector["scratchpad"][4])
    top = int(np.abs(work.sums).max()).bit_length()
    assert scalars({8: top, 9: max(top - 7, 0)}) == int(vector["scalars"][3])
    assert scalars({40: -5}) == int(vector["scalars"][5])
    loaded = np.frombuffer(work.memory, np.uint8)[: work.program[0].bytes]  # type: ignore[attr-defined]
    assert total(np.arange(loaded.size), loaded) == int(dma["scratchpad"][0])
    stored = np.frombuffer(after, np.uint8)[TARGET:end]
    assert total(TARGET + np.arange(stored.size), stored) == int(dma["outside"][2])
    assert not vector["results"].any()
    assert not dma["results"].any()


def total(address: Any, value: Any) -> int:
    return int(splitmix(address, value).sum(dtype=np.uint64))


def scalars(values: dict[int, int]) -> int:
    number, value = np.array(list(values)), np.array(list(values.values()))
    return (total(2 * number, value) + total(2 * number + 1, (value >> 32) & 0xFFFF)) % 2**64


def checksum_of_words(words: Integers, work: Layer) -> int:
    """Of the product's results, with what its lane past the last channel reads."""
    rows = np.zeros(work.rows.size + 8, np.int64)
    rows[: work.rows.size] = work.rows.reshape(-1)
    pitch = work.rows.shape[1]
    lane = rows[np.arange(work.rows.shape[0]) * pitch + 5]
    config = CONFIG
    inputs = np.frombuffer(work.memory, np.int8).astype(np.int64)
    x = inputs[config.line_bytes :][:36].reshape(4, 3, 3)
    padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
    taps = [padded[ky : ky + 4, kx : kx + 3].reshape(12, 3) for ky in range(3) for kx in range(3)]
    words = words.copy()
    words[1, :, 2] = np.concatenate(taps, axis=1) @ lane
    place = 32 * np.arange(words.shape[0] * words.shape[1])[:, None] + np.arange(config.columns)
    return total(place, words.reshape(-1, config.columns))


def test_both_simulators_leave_the_same_trace_and_the_shipped_core_the_same_memory() -> None:
    work = layer(4)
    runs = [run_program(CONFIG, work.program, work.memory, simulator=s) for s in SIMULATORS]
    shipped = run_program(CONFIG, work.program, work.memory, observed=False)
    assert runs[0][0] == runs[1][0] == shipped[0]
    assert (runs[0][1].trace == runs[1][1].trace).all()
    assert runs[0][1].counters == runs[1][1].counters == shipped[1].counters
    assert len(shipped[1].trace) == 0


def test_programs_follow_each_other_with_copies_between_them() -> None:
    first, second = layer(5), layer(6)
    line = CONFIG.line_bytes
    places = [0, 1 << 13]
    inputs = line + 36
    image = first.memory.ljust(places[1], b"\0") + second.memory
    start = len(image)
    image += program_bytes(first.program).ljust(1024, b"\0") + program_bytes([0])
    size = first.program[0].bytes + first.program[1].bytes  # type: ignore[attr-defined]
    run = simulate(
        CONFIG,
        image,
        [
            Execute(start, len(first.program)),
            Copy(TARGET, 7168, 64),
            Copy(places[1], 0, size),
            Execute(start, len(first.program)),
            Execute(start + 1024, 1),
            Execute(start, len(first.program)),
        ],
    )
    assert [p.fault for p in run.programs] == [Fault.NONE, Fault.NONE, Fault.UNIT, Fault.NONE]
    got = np.frombuffer(run.memory, np.int8).astype(np.int64)
    for codes, place in ((first.codes, 7168), (second.codes, TARGET)):
        assert (got[place : place + codes.size].reshape(codes.shape) == codes).all()
    one, two, bad, three = (p.trace for p in run.programs)
    assert (one["taken"] == two["taken"]).all()
    assert (one["complete"] == two["complete"]).all()
    assert one["results"][6] != two["results"][6]
    assert (two == three).all()
    assert len(bad) == 0
    assert inputs <= size


def test_a_program_that_never_ends_is_stopped_and_says_where() -> None:
    # The vector unit's word is longer than the patience; what follows waits for it.
    program = [
        Loops(positions=1 << 15, channels=3), Pass(operand=Operand.NONE, signal=1),
        Load(outside=0, scratchpad=0, bytes=4, wait=1), End(),
    ]  # fmt: skip
    said = r"^program 0 did not end within 2000 cycles; program counter: word 3; at work: the VEC"
    with pytest.raises(CheckError, match=said):
        run_program(CONFIG, program, patience=2000)


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (Copy(2, 0, 4), "a copy must be of whole lines of 4 bytes"),
        (Copy(0, 60, 8), "a copy must be within 64 bytes"),
        (Execute(64, 1), "a program must lie at a multiple of 128, not 64"),
        (Execute(0, 5), "a program must be within 64 bytes"),
    ],
)
def test_actions_outside_the_memory_are_refused(action: Copy | Execute, message: str) -> None:
    with pytest.raises(InputError, match=f"^{message}"):
        simulate(CONFIG, bytes(64), [action])


def test_a_build_is_found_again(tmp_path: Path) -> None:
    build_core(CONFIG, "verilator", lines=1 << 18)
    assert build_core(CONFIG, "verilator", lines=1 << 18).cached
    with pytest.raises(InputError, match=r"^simulator must be one of verilator, icarus"):
        build_core(CONFIG, "modelsim", lines=4)
