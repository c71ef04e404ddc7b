"""Random programs: every word that a core has, on operands anywhere in its memories.

They are what compiled steps are not: fields full of bits that nothing depends on, addresses from
the first to the last byte, both signs of every stride, all semaphores. What they do is known from
`cosim.machine`, word by word.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cosim.core_run import ProgramRun, splitmix
from cosim.machine import Machine
from cosim.random_words import WORD_STREAMS, draw_word
from cosim.step_check import checksums
from rtl.config import CoreConfig
from rtl.control_instructions import End, Fence, Nop
from rtl.dma_instructions import DmaWord, Load, Store
from rtl.instructions import SEMAPHORES, Fault, Unit, Word
from rtl.matrix_instructions import (
    ALoops,
    AStrides,
    BLoops,
    BStrides,
    Multiply,
    Results,
    Window,
)
from rtl.product_words import Geometry, backward_data, backward_weight, forward
from rtl.vector_instructions import (
    MASK_BEATS,
    SCALAR_BITS,
    SCALARS,
    Addend,
    Bases,
    Function,
    LoadScalars,
    Loops,
    Loss,
    Operand,
    Pass,
    Scalar,
    StoreScalars,
    Stream,
    Stride,
)

__all__ = ["RandomProgram", "RandomPrograms", "random_programs"]

_SET_UP: tuple[type[Word], ...] = (
    BLoops, BStrides, ALoops, AStrides, Window, Results, Loops, Stride, Bases,
)  # fmt: skip
_SUMS = ("scratchpad", "results", "outside", "scalars")
"""Columns of the trace that are compared."""
_DATA = 1 << 18
"""Bytes outside that the programs load and store."""
_SCALARS_KEPT = 16
"""Scalars with the next number are free for the settings of a pass."""


@dataclass(frozen=True)
class RandomProgram:
    """A program and what it has to do.

    Members
    -------
    words:
        The program.
    expected:
        Of each word but the last: checksums of what it writes, in the order of `_SUMS`.
    """

    words: list[Word]
    expected: list[tuple[int, ...]]

    def differences(self, run: ProgramRun) -> list[str]:
        """Words that did something else, in words."""
        found = []
        if run.fault is not Fault.NONE:
            found.append(
                f"fault {run.fault.name} of unit {run.fault_unit} at word {run.fault_index}"
            )
        own = {unit: iter(run.trace[run.trace["unit"] == int(unit)]) for unit in Unit}
        for number, (word, sums) in enumerate(zip(self.words[:-1], self.expected, strict=True)):
            if word.unit is Unit.CONTROL:
                continue
            record = next(own[word.unit], None)
            if record is None:
                found.append(f"word {number} was never run: {word}")
            elif tuple(int(record[name]) for name in _SUMS) != sums:
                found.append(f"word {number} wrote something else: {word}")
        return found


@dataclass(frozen=True)
class RandomPrograms:
    """Programs that run one after the other on a core without a reset.

    Members
    -------
    before, after:
        Memory outside.
    programs:
        In their order.
    """

    before: bytes
    programs: list[RandomProgram]
    after: bytes


class _Machine(Machine):
    """A machine that adds up what goes into its scalars, as the observer does."""

    scalar_sum: int = 0

    def _put(self, number: int, value: int) -> None:
        super()._put(number, value)
        if number := number % SCALARS:
            half = np.array([2 * number, 2 * number + 1], np.uint64)
            stored = self.scalars[number] % (1 << SCALAR_BITS)
            parts = np.array([stored & 0xFFFFFFFF, stored >> 32], np.uint64)
            self.scalar_sum += int(splitmix(half, parts).sum(dtype=np.uint64))


class _Maker:
    """Makes programs for one core, one after the other, on a machine that keeps its state."""

    def __init__(self, config: CoreConfig, seed: int) -> None:
        self.config = config
        self.rng = np.random.default_rng(seed)
        self.outside = self.rng.integers(0, 256, _DATA, dtype=np.uint8)
        # No code is -128, and the array's products of it would need a bit more.
        self.outside[self.outside == 0x80] = 0
        self.machine = _Machine(config, self.outside.copy())
        self.words: list[Word] = []
        self.expected: list[tuple[int, ...]] = []
        self.last: int | None = None
        self.free = False
        self._share()
        self.taken: set[int] = set()
        self.pages = config.scratchpad_pages
        self.page = config.scratchpad_page_bytes
        self.line = config.line_bytes

    def _share(self) -> None:
        """Give each unit two semaphores of its own that its words may wait for."""
        order = self.rng.permutation(SEMAPHORES)
        self.semaphores = {
            unit: [1 << int(k) for k in order[2 * j : 2 * j + 2]] for j, unit in enumerate(Unit)
        }

    def number(self, low: int, high: int) -> int:
        """Draw low to high, both included."""
        return int(self.rng.integers(low, high + 1))

    def set_up(self, word: Word) -> None:
        """Add a word that only sets something up, or that everything waits for."""
        self.words.append(word)
        self.machine.scalar_sum = 0
        sums = checksums(word, self.machine.execute(word), self.config.columns)
        self.expected.append((*sums, self.machine.scalar_sum % (1 << 64)))

    def run(self, word: Word) -> None:
        """Add a word that works. It waits for the one before, by semaphores, if units differ."""
        before = None if self.last is None or self.free else self.words[self.last]
        if before is not None and (before.unit != word.unit or isinstance(word, Multiply)):
            # Every unit has its own, so that none takes what another one was given.
            mask = sum(self.semaphores[word.unit][: self.number(1, 2)])
            assert self.last is not None  # noqa: S101 - the word before has a place
            self.words[self.last] = replace(before, signal=mask)
            word = replace(word, wait=mask)
        if self.free and self.number(0, 1):
            word = self.given(word)
        self.last = len(self.words)
        self.set_up(word)

    def noise(self) -> None:
        """Set up something that nothing uses: before a word runs, all that it needs is set."""
        kind = _SET_UP[self.number(0, len(_SET_UP) - 1)]
        self.set_up(draw_word(self.rng, kind, self.config))

    def given(self, word: Word) -> Word:
        """Let a word wait for what it is given at once, most likely long before its turn."""
        mask = sum(self.semaphores[word.unit][: self.number(1, 2)])
        self.set_up(Nop(signal=mask))
        return replace(word, wait=mask)

    def fence(self) -> None:
        """Wait for everything."""
        self.set_up(self.given(Fence()))
        self.last = None

    def transfers(self) -> None:
        """More of them than the DMA's queue holds."""
        for _ in range(12):
            count = self.number(1, 8)
            line = self.number(0, self.pages * self.page // self.line - count)
            self.run(self._transfer((Load, Store)[self.number(0, 1)], line, count))

    # DMA.

    def load(self, page: int | None = None) -> None:
        """Fill a page, or part of one."""
        whole = page is not None
        page = self.number(0, self.pages - 1) if page is None else page
        lines = self.page // self.line
        count = lines if whole else self.number(1, min(80, lines))
        first = 0 if whole else self.number(0, lines - count)
        self.run(self._transfer(Load, page * lines + first, count))

    def store(self) -> None:
        """Store some lines."""
        lines = self.pages * self.page // self.line
        count = self.number(1, 80)
        self.run(self._transfer(Store, self.number(0, lines - count), count))

    def _transfer(self, kind: type[DmaWord], line: int, count: int) -> DmaWord:
        outside = self.number(0, _DATA // self.line - count)
        return kind(outside=outside * self.line, scratchpad=line * self.line,
                    bytes=count * self.line)  # fmt: skip

    # Scalars.

    def scalar(self) -> None:
        """Compute with random scalars."""
        function = Function(self.number(0, max(Function)))
        count = self.number(1, 3)
        fixed = {name: self.number(_SCALARS_KEPT, 255 - count) for name in "dabc"}
        fixed["immediate"] = self.number(0, 1)
        shift = function in (Function.SHIFT, Function.SHIFT_RANDOM)
        if shift or self.number(0, 3) == 0:
            fixed |= {"immediate": 1, "value": self.number(-15, 63)}
        self.run(draw_word(self.rng, Scalar, self.config, function=function, count=count, **fixed))

    def large_scalar(self) -> None:
        """Make a scalar of 48 bits."""
        number = self.number(_SCALARS_KEPT, 255)
        for function, value in (
            (Function.ADD, None), (Function.SHIFT, -self.number(0, 2)), (Function.SHIFT, -15),
            (Function.XOR, None),
        ):  # fmt: skip
            fixed = {} if value is None else {"value": value}
            a = 0 if function is Function.ADD else number
            self.run(draw_word(self.rng, Scalar, self.config, function=function, d=number, a=a,
                               count=1, immediate=1, **fixed))  # fmt: skip

    def many_scalars(self) -> None:
        """Compute, store or load nearly all of them."""
        count = self.number(200, 235)
        first = self.number(_SCALARS_KEPT, 255 - count)
        which = self.number(0, 2)
        if which == 0:
            self.run(draw_word(self.rng, Scalar, self.config, function=Function.SUBTRACT, d=first,
                               a=first, b=1, c=1, count=count, next_b=0, next_c=0))  # fmt: skip
            return
        kind = LoadScalars if which == 1 else StoreScalars
        size = self.number(1, 4)
        self.run(draw_word(self.rng, kind, self.config, d=first, count=count, size=size, step=size,
                           plane=1, address=self.number(0, self.page)))  # fmt: skip

    def put(self, value: int) -> int:
        """Set a random scalar; return its number."""
        number = self.number(_SCALARS_KEPT, 255)
        while number in self.taken:
            number = self.number(_SCALARS_KEPT, 255)
        self.taken.add(number)
        self.run(draw_word(self.rng, Scalar, self.config, function=Function.ADD, d=number, a=0,
                           count=1, immediate=1, value=value))  # fmt: skip
        return number

    def transfer_scalars(self, kind: type[LoadScalars | StoreScalars]) -> None:
        """Load or store scalars, near to each other or far apart."""
        size = self.number(1, 4)
        count = self.number(1, 4)
        fixed: dict[str, int] = {"size": size, "count": count, "d": self.number(1, 255 - count)}
        room = self.pages * self.page - 1
        if count > 1:
            fixed["step"] = self.number(0, room // (2 * (count - 1)))
            room -= fixed["step"] * (count - 1)
        if size > 1:
            fixed["plane"] = self.number(0, room // (size - 1))
            room -= fixed["plane"] * (size - 1)
        self.run(draw_word(self.rng, kind, self.config, address=self.number(0, room), **fixed))

    # Passes.

    def stride(self, stream: Stream, loops: Loops, first: int, last: int) -> Stride:
        """Addresses from `first` to `last`; strides that are never taken have any value."""
        counts = (-(-loops.channels // self.config.columns), loops.rows, loops.positions)
        room = last - first
        steps, low = [], 0
        for count in counts:
            most = room // (count - 1) if count > 1 else 0
            step = self.number(-most, most)
            room -= abs(step) * (count - 1)
            low += min(step * (count - 1), 0)
            steps.append(step)
        base = first - low + self.number(0, room)
        block, row, position = steps
        regular = Stride.regular(stream, base, loops, position=position, row=row, block=block)
        unused = [name for name, count in zip(("block", "row", "position"), counts, strict=True)
                  if count == 1]  # fmt: skip
        drawn = draw_word(self.rng, Stride, self.config, stream=stream, base=base)
        return replace(regular, **{name: getattr(drawn, name) for name in unused})

    def pass_(self, *, beats: int = 40) -> Pass:
        """Set up a pass over random bytes or words, with random settings, and return it.

        Beside others it reads pages 0 and 1 and writes the lower half of page 2, and reads the
        lower half of the results' page 0 and writes page 1.
        """
        config, lanes = self.config, self.config.columns
        channels = self.number(1, 3 * lanes)
        blocks = -(-channels // lanes)
        positions = self.number(1, max(1, min(20, beats // blocks)))
        rows = self.number(1, max(1, beats // blocks // positions))
        loops = draw_word(self.rng, Loops, config, positions=positions, rows=rows,
                          channels=channels)  # fmt: skip
        if self.number(0, 1):
            loops = replace(loops, addend_channels=self.number(0, channels))
        fixed = self._what(loops)
        own, words = (2, 1) if self.free else (self.number(0, self.pages - 1),
                                               self.number(0, config.results_pages - 1))  # fmt: skip
        self.taken = set()
        settings = self._settings(fixed)
        others = [page for page in range(2 if self.free else self.pages) if page != own]
        self.set_up(loops)
        masks = -(-blocks * rows * positions // MASK_BEATS) * lanes
        room = self.page - 32
        for stream in (Stream.X, Stream.Y):
            page = others[self.number(0, len(others) - 1)]
            self.set_up(self.stride(stream, loops, page * self.page, page * self.page + room))
        start = own * self.page
        # Masks of what is written lie in front of it.
        ahead = masks if fixed["mask_out"] else 0
        end = start + (self.page // 2 - 32 if self.free else room)
        # A block's sum is written once, with the address of its last beat.
        stored = replace(loops, positions=1, rows=1) if fixed["accumulate"] else loops
        still = {"position": 0, "row": 0} if fixed["accumulate"] else {}
        output = self.stride(Stream.OUTPUT, stored, start + ahead, end)
        self.set_up(replace(output, **still))
        page = own if fixed["mask_out"] else others[self.number(0, len(others) - 1)]
        base = start if fixed["mask_out"] else page * self.page + self.number(0, room - masks)
        self.set_up(draw_word(self.rng, Stride, config, stream=Stream.MASK, base=base))
        depth = config.results_page_depth
        readable = [page for page in range(config.results_pages) if page != words]
        page = readable[self.number(0, len(readable) - 1)]
        half = depth // 2 if self.free else depth
        self.set_up(self.stride(Stream.RESULTS_IN, loops, page * depth, page * depth + half - 1))
        first = words * depth
        output = self.stride(Stream.RESULTS_OUT, stored, first, (words + 1) * depth - 1)
        self.set_up(replace(output, **still))
        index = self.number(0, 7) << 21
        indices = self.stride(Stream.INDEX, stored, index, index + (1 << 21) - 64)
        self.set_up(replace(indices, **still))
        return draw_word(self.rng, Pass, config, **fixed, **settings)

    def _what(self, loops: Loops) -> dict[str, int]:
        """Draw what a pass does, so that 32 bits hold everything."""
        operand = Operand(self.number(0, max(Operand)))
        byte = operand in (Operand.X, Operand.X_FACTOR, Operand.X_Y)
        addends = [a for a in Addend if not (byte and a is Addend.Y_X)]
        addend = addends[self.number(0, len(addends) - 1)]
        accumulate = addend is not Addend.SCALAR and self.number(0, 4) == 0
        mask_in, mask_out = ((0, 0), (0, 0), (0, 1), (1, 0))[0 if accumulate else self.number(0, 3)]
        return {
            "operand": operand, "addend": addend, "mask_in": mask_in, "mask_out": mask_out,
            "accumulate": int(accumulate),
        }  # fmt: skip

    def _settings(self, fixed: dict[str, int]) -> dict[str, int]:
        """Set the scalars of a pass; return their numbers."""
        operand, addend = fixed["operand"], fixed["addend"]
        wide = int(np.abs(self.machine.results).max()).bit_length()
        least = max(-15, wide - 31) if operand == Operand.RESULTS else -15
        if fixed["accumulate"]:
            # 2**6 beats of 2**24 each.
            least = max(least, wide - 24 if operand == Operand.RESULTS else -8)
        u_shift = self.number(least, self.number(max(least, 0), 40))
        v_shift = self.number(-8 if fixed["accumulate"] else -15, 20)
        if self.number(0, 7) == 0:
            # Beyond what a shift is limited to.
            u_shift = self.number(40, 1 << 20)
            v_shift = self.number(20, 1 << 20)
            if least == -15 and not fixed["accumulate"]:
                u_shift, v_shift = -u_shift, -v_shift
        if addend == Addend.SCALAR:
            v_shift = self.wide()
        bias = 0 if fixed["accumulate"] else self.wide()
        return {
            "u_shift": self.put(u_shift), "v_shift": self.put(v_shift),
            "factor": self.put(self.number(-127, 127)), "bias": self.put(bias),
            "shift": self.put(self.number(-3, self.number(0, 63))), "key": self.put(self.wide()),
        }  # fmt: skip

    def wide(self) -> int:
        """Draw 32 bits or less, signed."""
        return self.number(-(1 << 31), (1 << 31) - 1) >> self.number(0, self.number(0, 31))

    def loss(self) -> None:
        """Take the error of random sums as logits."""
        config = self.config
        self.taken = set()
        classes = self.number(2, config.loss_classes)
        # Around that which leaves a few fraction bits of the largest logit; or any.
        wide = int(np.abs(self.machine.results).max()).bit_length()
        near = wide - self.number(0, 12)
        exponent = self.put(near if self.number(0, 3) else self.number(-50, 70))
        label = self.put(self.number(0, classes - 1))
        loops = Loops(positions=1, channels=classes)
        page, depth = self.number(0, config.results_pages - 1), config.results_page_depth
        for stream in WORD_STREAMS:
            self.set_up(self.stride(stream, loops, page * depth, (page + 1) * depth - 1))
            page = (page + 1) % config.results_pages
        self.run(draw_word(self.rng, Loss, config, classes=classes, label=label,
                           exponent=exponent))  # fmt: skip

    # Products.

    def product(self) -> None:
        """Multiply random bytes: a convolution, or one of its gradients.

        Beside others the operands are in pages 0 and 1, and the sums in the upper half of page 0.
        """
        number = self.number
        a, b = map(int, self.rng.permutation(2 if self.free else self.pages)[:2])
        z = 0 if self.free else number(0, self.config.results_pages - 1)
        while True:
            kernel = (number(1, 3), number(1, 3))
            g = Geometry(
                channels=number(1, 7), height=number(1, 6), width=number(1, 6),
                out_channels=number(1, 7), kernel=kernel, stride=(number(1, 3), number(1, 3)),
                padding=(number(0, 2), number(0, 2), number(0, 2), number(0, 2)),
            )  # fmt: skip
            if min(g.positions) < 1:
                continue
            which = number(0, 2)
            samples = number(1, 3) if which == 1 else 1
            made = self._products(g, which, samples, a, b, z)
            if made:
                break
        # Nothing of A exists in every fourth: then it may be anywhere.
        nothing = number(0, 3) == 0
        for word in made:
            if isinstance(word, Multiply):
                word = replace(word, accumulate=number(0, 1))
                if nothing:
                    a_base = draw_word(self.rng, Multiply, self.config).a_base
                    word = replace(word, a_base=a_base)
                self.run(word)
            elif nothing and isinstance(word, AStrides | Window):
                shape = ("m0", "m1") if isinstance(word, Window) else ()
                drawn = draw_word(self.rng, type(word), self.config)
                kept = {name: getattr(word, name) for name in shape}
                kept |= {"height": 0} if isinstance(word, Window) else {}
                self.set_up(replace(drawn, **kept))
            else:
                self.set_up(self._filled(word, made))

    def _products(
        self, g: Geometry, which: int, samples: int, a: int, b: int, z: int
    ) -> list[Any] | None:
        """Words for a product whose operands and results fit a page each, somewhere in them."""
        config = self.config
        ahead = 2 * g.channels + 2 * config.rows + 64
        weights = g.weight_rows * g.row_pitch(config) + 64
        error = samples * g.output_bytes + 64
        needs = {0: (samples * g.input_bytes, weights), 1: (samples * g.input_bytes, error),
                 2: (g.output_bytes, weights)}[which]  # fmt: skip
        columns = config.columns
        height, width = g.positions
        words = {0: height * width * -(-g.out_channels // columns),
                 1: g.weight_rows * -(-g.out_channels // columns),
                 2: g.height * g.width * -(-g.channels // columns)}[which]  # fmt: skip
        room_a, room_b = (self.page - ahead - 64 - need for need in needs)
        first = config.results_page_depth // 2 if self.free else 0
        room_z = config.results_page_depth - words - first
        if min(room_a, room_b, room_z) < 0:
            return None
        places = {
            "a": a * self.page + ahead + self.number(0, room_a),
            "b": b * self.page + self.number(0, room_b),
            "z": z * config.results_page_depth + first + self.number(0, room_z),
        }
        if which == 0:
            return list(forward(g, config, **places))
        if which == 1:
            return list(backward_weight(g, config, samples=samples, **places))
        return list(backward_data(g, config, **places))

    def _filled(self, word: Any, words: Sequence[Any]) -> Any:
        """A set-up word with any value where the product takes none."""
        a_loops, b_loops, window = (
            next(w for w in words if isinstance(w, kind)) for kind in (ALoops, BLoops, Window)
        )
        unused: set[str] = set()
        if isinstance(word, BStrides) and len({w.n0 for w in words if isinstance(w, BLoops)}) == 1:
            loops = (("t0", "n0"), ("t1", "n1"), ("t2", "n2"), ("j", "nj"))
            unused = {
                name for name, count in loops
                if all(getattr(w, count) == 1 for w in words if isinstance(w, BLoops))
            }  # fmt: skip
        if isinstance(word, AStrides):
            if not a_loops.transposed:
                unused = {"n"}
            if all(w.m0 == 1 for w in words if isinstance(w, Window)):
                unused.add("x")
            if all(w.m1 == 1 for w in words if isinstance(w, Window)):
                unused.add("y")
        if isinstance(word, ALoops) and not word.transposed:
            unused = {"lanes_last"}
        if isinstance(word, Results) and a_loops.transposed:
            unused = {"z_x", "z_y"}
        drawn = draw_word(self.rng, type(word), self.config)
        return replace(word, **{name: getattr(drawn, name) for name in unused})

    # Programs.

    def at_once(self) -> None:
        """All units at work at the same time, in pages where they meet."""
        for _ in range(2):
            self.fence()
            self.free = True
            work = self.pass_()
            self.product()
            half = self.page // self.line // 2
            # The pass reads what is stored, and writes the other half of the page that is loaded.
            self.run(self._transfer(Load, 5 * half, half))
            self.run(self._transfer(Store, self.number(0, 2 * half), 2 * half))
            self.run(work)
            self.free = False
            self.fence()

    def program(self, blocks: int) -> RandomProgram:
        """Make one."""
        self.words, self.expected, self.last = [], [], None
        self._share()
        kinds: list[Callable[[], None]] = [
            self.load, self.store, self.transfers, self.scalar, self.large_scalar,
            lambda: self.transfer_scalars(LoadScalars), lambda: self.transfer_scalars(StoreScalars),
            lambda: self.run(self.pass_()), lambda: self.run(self.pass_()), self.loss, self.product, self.product, self.at_once,
            lambda: self.run(Nop()),
        ]  # fmt: skip
        kinds = [*kinds * 3, self.many_scalars]
        for _ in range(blocks):
            for _ in range(self.number(0, 4)):
                self.noise()
            kinds[self.number(0, len(kinds) - 1)]()
        self.words.append(End())
        return RandomProgram(self.words, self.expected)

    def first(self) -> RandomProgram:
        """Fill the scratchpad."""
        self.words, self.expected, self.last = [], [], None
        self.free = True
        for page in range(self.pages):
            self.load(page)
        self.free = False
        self.words.append(End())
        return RandomProgram(self.words, self.expected)


def random_programs(
    config: CoreConfig, number: int, *, count: int = 8, blocks: int = 16
) -> RandomPrograms:
    """Return so many programs of so many blocks each, behind one that fills the scratchpad."""
    maker = _Maker(config, number)
    before = maker.outside.tobytes()
    programs = [maker.first(), *(maker.program(blocks) for _ in range(count))]
    return RandomPrograms(before, programs, maker.machine.outside.tobytes())
