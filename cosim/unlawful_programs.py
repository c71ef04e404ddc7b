"""What no program should do, in bulk: every field beyond its range, every stride out of
its memory, words that there are not, programs where there is no memory.

Each program has to end with the fault that is known before. `cosim.fault_programs` has one program
a fault; these fill the words.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from cosim.core_run import ProgramRun
from cosim.random_words import SET_UP, WORD_STREAMS, WORDS, base_bits, draw_word, illegal_values
from rtl.config import CoreConfig
from rtl.control_instructions import CONTROL_WORDS, End, Fence, Nop
from rtl.dma_instructions import DMA_WORDS, Load, Store
from rtl.instructions import HEADER, PROGRAM_ALIGNMENT, SEMAPHORE_MAX, SEMAPHORES, Fault, Unit, Word
from rtl.matrix_instructions import (
    MATRIX_WORDS,
    ALoops,
    AStrides,
    BLoops,
    BStrides,
    Multiply,
    Results,
    Window,
)
from rtl.register_map import REGISTERS
from rtl.training_core import BUS_ADDRESS_BITS
from rtl.vector_instructions import (
    VECTOR_WORDS,
    Addend,
    LoadScalars,
    Loops,
    Loss,
    Operand,
    Output,
    Pass,
    Rectify,
    StoreScalars,
    Stream,
    Stride,
)

__all__ = ["UnlawfulProgram", "unlawful_programs"]

_MEMORY = 1 << 20
"""Bytes behind the bus; nothing answers above."""
_ABOVE_B = 2
"""Bits of an address of a product's operand above those of the scratchpad: it is taken modulo."""


@dataclass(frozen=True)
class UnlawfulProgram:
    """A program, and how it must end.

    Members
    -------
    words:
        Of the program.
    fault, unit:
        Why it ends, and who finds that; `Fault.NONE` of unit 0 for one that is only odd.
    index:
        Place of the word that is to blame; None where the dispatcher has gone on by then.
    place:
        Byte address, where it must not be in the memory.
    length:
        Words that the host says there are, if not as many as there are.
    stop_after:
        Cycles after which the host stops it.
    """

    words: Sequence[Word | int]
    fault: Fault
    unit: int
    index: int | None = None
    place: int | None = None
    length: int | None = None
    stop_after: int | None = None

    def differs(self, run: ProgramRun) -> str | None:
        """What is not as it must be."""
        got = (run.fault, run.fault_unit, run.fault_index)
        index = run.fault_index if self.index is None else self.index
        if got == (self.fault, self.unit, index):
            return None
        return (
            f"fault {self.fault.name} of unit {int(self.unit)} at word {self.index} was required, "
            f"got {run.fault.name} of unit {run.fault_unit} at word {run.fault_index}: "
            f"{self.words!r}"
        )


def unlawful_programs(config: CoreConfig, seed: int) -> list[UnlawfulProgram]:
    """Return all of them, their free fields drawn from `seed`."""
    rng = np.random.default_rng(seed)
    parts = (_fields, _combinations, _codes, _transfers, _streams, _scalars, _products, _places,
             _semaphores, _stopped)  # fmt: skip
    return [program for part in parts for program in part(config, rng)]


def _faulty(words: Sequence[Word | int], fault: Fault, unit: int) -> UnlawfulProgram:
    """The last word is to blame."""
    return UnlawfulProgram([*words, End()], fault, unit, len(words) - 1)


def _fields(config: CoreConfig, rng: np.random.Generator) -> Iterator[UnlawfulProgram]:
    """Fields outside their ranges."""
    for kind in WORDS:
        for name, value in illegal_values(rng, kind, config):
            word = draw_word(rng, kind, config, **{name: value})
            yield _faulty([Loops(positions=1, channels=1), word], Fault.FIELD, kind.unit)
    for stream in Stream:
        for bit in range(base_bits(stream, config), Stride.layout["base"].width):
            word = draw_word(rng, Stride, config, stream=stream)
            yield _faulty([replace(word, base=word.base | 1 << bit)], Fault.FIELD, Unit.VECTOR)
            # What it has left does not hinder a pass that goes nowhere.
            passes = [Loops(positions=1, channels=1), Pass(operand=Operand.NONE), End()]
            yield UnlawfulProgram(passes, Fault.NONE, 0)


def _combinations(config: CoreConfig, rng: np.random.Generator) -> Iterator[UnlawfulProgram]:
    """Fields that do not go together."""
    loops = Loops(positions=2, channels=1)
    together: list[dict[str, int]] = [
        {"mask_in": 1, "mask_out": 1},
        *({"operand": int(o), "addend": int(Addend.Y_X)} for o in Operand if o > Operand.RESULTS),
    ]
    for fields in together:
        yield _faulty([loops, draw_word(rng, Pass, config, **fields)], Fault.FIELD, Unit.VECTOR)
    for kind in SET_UP:
        word = replace(draw_word(rng, kind, config), signal=int(rng.integers(1, 1 << SEMAPHORES)))
        yield _faulty([word], Fault.FIELD, kind.unit)


def _codes(config: CoreConfig, rng: np.random.Generator) -> Iterator[UnlawfulProgram]:
    """Units and operations that there are not."""
    known = {
        Unit.MATRIX: MATRIX_WORDS, Unit.VECTOR: VECTOR_WORDS, Unit.DMA: DMA_WORDS,
        Unit.CONTROL: CONTROL_WORDS,
    }  # fmt: skip
    noise = [int(rng.integers(0, 1 << 62)) << 66, int(rng.integers(0, 1 << 62)) << 24, 0]
    for number in range(1 << HEADER["unit"].width):
        ops = {kind.op for kind in known[Unit(number)]} if number in tuple(Unit) else set()
        for op in range(1 << HEADER["op"].width):
            if op in ops or (not ops and op not in (0, 21, 31)):
                continue
            word = HEADER["unit"].insert("unit", number) | HEADER["op"].insert("op", op)
            word |= noise[op % 3]
            fault, unit = (Fault.OP, number) if ops else (Fault.UNIT, Unit.CONTROL)
            # The header alone decides, wherever the word is in its program.
            ahead = [Nop()] * int(rng.integers(0, 6))
            yield _faulty([*ahead, word], fault, unit)


def _transfers(config: CoreConfig, rng: np.random.Generator) -> Iterator[UnlawfulProgram]:
    """Of no bytes, of parts of lines, out of a memory, and where no memory is."""
    line, size = config.line_bytes, 1 << config.scratchpad_address_bits
    top = 1 << BUS_ADDRESS_BITS

    def lines(low: int, high: int) -> int:
        return int(rng.integers(low // line, high // line)) * line

    for kind in DMA_WORDS:
        sound = kind(outside=lines(0, _MEMORY - size), scratchpad=lines(0, size // 2),
                     bytes=line * int(rng.integers(1, 9)))  # fmt: skip
        yield _faulty([replace(sound, bytes=0)], Fault.FIELD, Unit.DMA)
        for name in ("outside", "scratchpad", "bytes"):
            for bit in range(line.bit_length() - 1):
                word = replace(sound, **{name: getattr(sound, name) | 1 << bit})
                yield _faulty([word], Fault.ALIGNMENT, Unit.DMA)
        for bit in range(config.scratchpad_address_bits, Load.layout["scratchpad"].width):
            for name in ("scratchpad", "bytes"):
                word = replace(sound, **{name: lines(1 << bit, 2 << bit)})
                yield _faulty([word], Fault.ADDRESS, Unit.DMA)
        yield _faulty([replace(sound, outside=top - line, bytes=2 * line)], Fault.ADDRESS, Unit.DMA)
        for bit in range(_MEMORY.bit_length(), BUS_ADDRESS_BITS):
            # Across a boundary, with all bits above it to be changed, or not.
            end = (1 << bit) + lines(0, 1 << bit)
            outside = end - line if bit % 2 else (1 << bit) - line if bit > 21 else end
            word = replace(sound, outside=outside, bytes=2 * line)
            yield _faulty([word], Fault.BUS, Unit.DMA)
        yield _faulty([replace(sound, outside=top - 4096, bytes=4 * line)], Fault.BUS, Unit.DMA)


def _streams(config: CoreConfig, rng: np.random.Generator) -> Iterator[UnlawfulProgram]:
    """Passes and losses whose strides leave a memory, upwards and downwards."""
    lanes = config.columns
    uses: dict[Stream, dict[str, int]] = {
        Stream.X: {"operand": Operand.X},
        Stream.Y: {"addend": Addend.Y},
        Stream.OUTPUT: {"output": Output.BYTES},
        Stream.RESULTS_IN: {"operand": Operand.RESULTS},
        Stream.RESULTS_OUT: {"output": Output.RESULTS},
    }
    counts = {
        "position": Loops(positions=2, channels=1),
        "row": Loops(positions=1, rows=2, channels=1),
        "block": Loops(positions=1, channels=2 * lanes),
    }
    for stream, use in uses.items():
        for bit in range(base_bits(stream, config), Stride.layout["row"].width - 1):
            for sign in (1, -1):
                name = list(counts)[int(rng.integers(3))]
                far = sign * ((1 << bit) + int(rng.integers(0, 1 << bit)))
                stride = draw_word(rng, Stride, config, stream=stream, **{name: far})
                words = [counts[name], stride]
                if stream in WORD_STREAMS and name == "block" and bit % 2:
                    other = next(s for s in WORD_STREAMS if s is not stream)
                    words.append(Stride(stream=other, base=0))
                    words.append(Loss(classes=2 * lanes, label=0, exponent=0))
                else:
                    words.append(Pass(**use))
                yield _faulty(words, Fault.ADDRESS, Unit.VECTOR)
    end = (1 << config.scratchpad_address_bits) - 1
    for use in ({"mask_in": 1}, {"mask_out": 1, "rectify": Rectify.LAST}):
        words = [Loops(positions=60, channels=1), Stride(stream=Stream.MASK, base=end - lanes),
                 Pass(**use)]  # fmt: skip
        yield _faulty(words, Fault.ADDRESS, Unit.VECTOR)


def _scalars(config: CoreConfig, rng: np.random.Generator) -> Iterator[UnlawfulProgram]:
    """Scalars that are not in the scratchpad."""
    size = 1 << config.scratchpad_address_bits
    width = LoadScalars.layout["address"].width
    for kind in (LoadScalars, StoreScalars):
        for bit in range(config.scratchpad_address_bits, width):
            far = (1 << bit) + int(rng.integers(0, 1 << bit))
            for fields in (
                {"address": far, "size": 1, "count": 1},
                {"address": int(rng.integers(0, size)), "size": 1, "count": 2, "step": far},
                {"address": int(rng.integers(0, size)), "size": 2, "count": 1, "plane": far},
            ):
                word = draw_word(rng, kind, config, **fields)
                yield _faulty([word], Fault.ADDRESS, Unit.VECTOR)


def _products(config: CoreConfig, rng: np.random.Generator) -> Iterator[UnlawfulProgram]:
    """Products with one stride that leaves a memory; two operands in a page; results in use."""
    rows, page = config.rows, config.scratchpad_page_bytes
    size, sums = 1 << config.scratchpad_address_bits, 1 << config.results_address_bits

    def product(**changes: dict[str, int]) -> list[Word | int]:
        """One vector by one tile, but for the changes."""
        fields: dict[type[Word], dict[str, int]] = {
            BLoops: {"n0": 1, "rows_last": rows},
            BStrides: {"row": 1},
            ALoops: {"n0": 1},
            AStrides: {},
            Window: {"m0": 1, "height": 1, "line": rows},
            Results: {},
            Multiply: {"a_base": page // 2, "b_base": page + page // 2, "z_base": sums // 2},
        }
        return [kind(**(own | changes.get(kind.__name__, {}))) for kind, own in fields.items()]

    def out(width: int, base: int, room: int, modulus: int) -> int:
        """A stride after which `base` is outside, though it is taken modulo `modulus`."""
        while True:
            stride = int(rng.integers(-(1 << (width - 1)), 1 << (width - 1)))
            if (base + stride) % modulus >= room:
                return stride

    whole = size << _ABOVE_B
    a, b, z = page // 2, page + page // 2, sums // 2
    tiles = {"t0": {"n0": 2}, "t1": {"n1": 2}, "t2": {"n2": 2}}
    for _ in range(8):
        for name, count in tiles.items():
            yield _faulty(
                product(BLoops={"n0": 1, "rows_last": rows, **count}, ALoops={"n0": 1, **count},
                        BStrides={name: out(20, b + rows - 1, size, whole) if name == "t0" else
                                  out(20, b, size, whole)}),
                Fault.ADDRESS, Unit.MATRIX,
            )  # fmt: skip
        for changes in (
            {"BLoops": {"nj": 2}, "BStrides": {"j": out(20, b, size, whole)}},
            {"BStrides": {"row": out(20, b, size, whole)}},
            {"Window": {"m1": 2, "height": 2, "y_step": 1},
             "AStrides": {"y": out(20, a, size, whole)}},
            {"Window": {"height": 2, "y_t2": 1}, "ALoops": {"n2": 2}, "BLoops": {"n2": 2},
             "AStrides": {"t2": out(20, a, size, whole)}},
            {"ALoops": {"transposed": 1, "lanes_last": rows},
             "AStrides": {"n": out(24, a, size, whole)}},
            {"Window": {"m0": 2, "line": 16383},
             "AStrides": {"x": int(rng.integers(size, 12000))}},
            {"Window": {"line": 16383}, "ALoops": {"n1": 2}, "BLoops": {"n1": 2},
             "AStrides": {"t1": int(rng.integers(size, 12000))}},
            {"Multiply": {"a_base": -int(rng.integers(rows, size))}},
            {"Window": {"m0": 2}, "AStrides": {"x": 0},
             "Results": {"z_x": int(rng.integers(sums // 2, 256))}},
            {"Window": {"m1": 2, "y_step": 0},
             "Results": {"z_y": out(16, z, sums, 2 * sums) % (1 << 16)}},
            {"BLoops": {"nj": 2}, "Results": {"z_j": out(16, z, sums, 2 * sums) % (1 << 16)}},
        ):  # fmt: skip
            yield _faulty(product(**changes), Fault.ADDRESS, Unit.MATRIX)
    yield _faulty(product(Multiply={"b_base": 0}), Fault.CONFLICT, Unit.MATRIX)
    words = [
        *product(Window={"m0": 200, "height": 0}),
        Loops(positions=50, channels=1), Stride(stream=Stream.RESULTS_OUT, base=sums // 2),
        Pass(output=Output.RESULTS),
    ]  # fmt: skip
    yield _faulty(words, Fault.CONFLICT, Unit.VECTOR)


def _places(config: CoreConfig, rng: np.random.Generator) -> Iterator[UnlawfulProgram]:
    """Programs where no memory is, and programs that say they are longer than they are."""
    words = REGISTERS["program_words"].fields["words"].width
    for bit in range(_MEMORY.bit_length(), BUS_ADDRESS_BITS):
        place = (1 << bit) + int(rng.integers(0, 1 << bit))
        place -= place % PROGRAM_ALIGNMENT
        length = int(rng.integers(1, 1 << int(rng.integers(1, words + 1))))
        yield UnlawfulProgram([], Fault.BUS, Unit.CONTROL, 0, place=place, length=length)
    far: list[Word | int] = [
        Loops(positions=1, channels=1), BStrides(row=0),
        Load(outside=0, scratchpad=0, bytes=config.line_bytes), Fence(),
        HEADER["op"].insert("op", 9),
    ]  # fmt: skip
    for ahead in (1100, 700, 300):
        yield _faulty([*[Nop()] * ahead, *far], Fault.UNIT, Unit.CONTROL)
    for bit in range(1, words):
        length = (1 << bit) + int(rng.integers(0, 1 << bit))
        yield UnlawfulProgram([Nop(), End()], Fault.NONE, 0, place=None, length=length)
        if bit < 7:
            yield UnlawfulProgram([Nop()] * length, Fault.NO_END, Unit.CONTROL)


def _semaphores(config: CoreConfig, rng: np.random.Generator) -> Iterator[UnlawfulProgram]:
    """Given too often, or never."""
    counted = [*[Nop(signal=255)] * SEMAPHORE_MAX, *[Nop(wait=255)] * SEMAPHORE_MAX]
    yield UnlawfulProgram([*counted, End()], Fault.NONE, 0)
    full = [Nop(signal=255)] * SEMAPHORE_MAX
    dma = Load(outside=0, scratchpad=0, bytes=config.line_bytes)
    for k in range(SEMAPHORES):
        words = [*full, *[Nop(signal=1 << k)] * 2, End()]
        yield UnlawfulProgram(words, Fault.SEMAPHORE, Unit.CONTROL)
        for waiting in (
            dma, Nop(), Loops(positions=1, channels=1), BStrides(row=1),
        ):  # fmt: skip
            stuck = [Nop(signal=255 & ~(1 << k)), replace(waiting, wait=255), End()]
            yield UnlawfulProgram(stuck, Fault.DEADLOCK, Unit.CONTROL)
    # Four signals at once, of which the last is one too many.
    pass_ = Pass(operand=Operand.NONE, signal=255)
    last = [Loops(positions=1, channels=1), pass_, replace(dma, signal=255), End()]
    yield UnlawfulProgram([*full, *last], Fault.SEMAPHORE, Unit.CONTROL)


def _stopped(config: CoreConfig, rng: np.random.Generator) -> Iterator[UnlawfulProgram]:
    """Loops that would run for days or count to their ends, and transfers that are cut short."""
    half = (1 << config.scratchpad_address_bits) // 2

    def stopped(words: list[Word | int]) -> UnlawfulProgram:
        # Before a weight gradient's words are past the results memory.
        return UnlawfulProgram([*words, End()], Fault.ABORTED, Unit.CONTROL,
                               stop_after=int(rng.integers(120, 200)))  # fmt: skip

    for _ in range(12):
        loops = draw_word(rng, Loops, config, rows=int(rng.integers(1 << 12, 1 << 16)))
        yield stopped([loops, Pass(operand=Operand.NONE)])
        loops = Loops(positions=1, channels=int(rng.integers(1 << 12, 1 << 16)),
                      addend_channels=int(rng.integers(0, 1 << 16)))  # fmt: skip
        yield stopped([loops, Pass(operand=Operand.NONE)])
    for _ in range(12):
        # Nothing of A exists, and B stays where it is.
        transposed = int(rng.integers(2))
        product = [
            draw_word(rng, BLoops, config, n0=int(rng.integers(1 << 10, 1 << 16)), pitch=0),
            BStrides(row=0),
            draw_word(rng, ALoops, config, transposed=transposed),
            draw_word(rng, AStrides, config),
            draw_word(rng, Window, config, height=0),
            Results(z_x=0, z_y=0, z_j=0),
            draw_word(rng, Multiply, config, z_base=0),
        ]
        yield stopped([*product])
    still: list[Word | int] = [
        BStrides(row=0), AStrides(), Results(z_x=0), Multiply(a_base=0, b_base=0, z_base=0), End(),
    ]  # fmt: skip
    for b_loops, a_loops, window in (
        ({"n0": 1}, {"n0": 1}, {"m0": 1023, "m1": 2}),
        ({"n0": 1}, {"n0": 1}, {"m0": 1, "m1": 1023}),
        ({"n0": 300}, {"n0": 255}, {"m0": 1}),
        ({"n0": 1, "nj": 255}, {"n0": 1}, {"m0": 1}),
        ({"n0": 1, "n1": 63, "n2": 2}, {"n0": 1, "n1": 63, "n2": 2}, {"m0": 1}),
        ({"n0": 1, "n1": 2, "n2": 63}, {"n0": 1, "n1": 2, "n2": 63}, {"m0": 1}),
    ):
        set_up: list[Word | int] = [
            BLoops(rows_last=0, **b_loops), ALoops(**a_loops), Window(height=0, line=0, **window),
        ]  # fmt: skip
        yield UnlawfulProgram([*set_up, *still], Fault.NONE, 0)
    for kind in (Load, Store):
        for place in (0, half):
            yield stopped([kind(outside=place, scratchpad=0, bytes=half), *[kind(
                outside=half, scratchpad=half, bytes=half)] * 3])  # fmt: skip
