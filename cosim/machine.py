"""`Machine`: what every word of the core does to its memories, in NumPy and in program order.

The reference between golden and the RTL. It knows no cycles and no order between units: a program
whose semaphores keep every hazard does on the core what it does here word by word.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cosim.errors import ProgramError
from cosim.scalar_functions import scalar_function
from cosim.value_bins import ValueBins
from golden.formats import Integers, QuantSpec, Rounding, bit_length, rounding_shift, saturate
from golden.loss import softmax_error
from golden.randomness import draw
from rtl.config import CoreConfig
from rtl.control_instructions import ControlWord
from rtl.dma_instructions import Load, Store
from rtl.instructions import Word
from rtl.matrix_instructions import (
    ALoops,
    AStrides,
    BLoops,
    BStrides,
    MatrixWord,
    Multiply,
    Results,
    Window,
)
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
    Output,
    Pass,
    Rectify,
    Scalar,
    StoreScalars,
    Stream,
    Stride,
    Total,
)

__all__ = ["Machine", "Writes"]

_QUANTIZERS = (QuantSpec(), QuantSpec(rounding=Rounding.STOCHASTIC))


@dataclass
class Writes:
    """What one word wrote.

    Members
    -------
    addresses, bytes:
        Of the scratchpad, or by a store of the DMA of the memory outside.
    words, sums:
        Of the results memory: addresses, and (words, C) values.
    """

    addresses: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    bytes: NDArray[np.uint8] = field(default_factory=lambda: np.zeros(0, np.uint8))
    words: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    sums: NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 0), np.int64))


class Machine:
    """Memories of a core, and the words that change them.

    Parameters
    ----------
    config:
        Size of the core.
    outside:
        The memory on the bus; changed in place by `Store`.

    Members
    -------
    memory, results, scalars:
        Bytes of the scratchpad; (words, C) partial sums; `SCALARS` numbers.
    bins:
        What the words' numbers have hit.
    """

    def __init__(self, config: CoreConfig, outside: NDArray[np.uint8]) -> None:
        self.config, self.outside = config, outside
        self.memory = np.zeros(1 << config.scratchpad_address_bits, dtype=np.uint8)
        self.results = np.zeros((1 << config.results_address_bits, config.columns), np.int64)
        self.scalars = [0] * SCALARS
        self.bins = ValueBins(config)
        self._matrix: dict[type, Any] = {}
        self._loops: Loops | None = None
        self._strides: dict[int, Stride] = {}
        self._run: dict[type, Callable[[Any], Writes]] = {
            Multiply: self._multiply,
            Pass: self._pass,
            Loops: self._set_loops,
            Stride: self._set_stride,
            Bases: self._set_bases,
            Scalar: self._scalar,
            LoadScalars: self._load_scalars,
            StoreScalars: self._store_scalars,
            Loss: self._loss,
            Load: self._load,
            Store: self._store,
        }

    def run(self, words: Sequence[Word]) -> None:
        """Execute all of them."""
        for word in words:
            self.execute(word)

    def execute(self, word: Word) -> Writes:
        """Execute one word. ProgramError when it reaches outside a memory."""
        if isinstance(word, ControlWord):
            return Writes()
        if isinstance(word, MatrixWord) and not isinstance(word, Multiply):
            self._matrix[type(word)] = word
            return Writes()
        return self._run[type(word)](word)

    # Memories.

    def _bytes(self, addresses: Integers) -> NDArray[np.uint8]:
        self._check(addresses, len(self.memory), "scratchpad byte")
        return self.memory[addresses]

    def _write(self, addresses: Integers, data: Integers) -> Writes:
        self._check(addresses, len(self.memory), "scratchpad byte")
        written = Writes(
            addresses=addresses.ravel().astype(np.int64),
            bytes=np.asarray(data).astype(np.uint8).ravel(),
        )
        self.memory[written.addresses] = written.bytes
        return written

    def _write_words(self, addresses: Integers, sums: Integers) -> Writes:
        self._check(addresses, len(self.results), "results word")
        self.results[addresses] = sums
        return Writes(words=np.asarray(addresses), sums=np.asarray(sums, dtype=np.int64))

    @staticmethod
    def _check(addresses: Integers, size: int, what: str) -> None:
        if addresses.size and not (addresses.min() >= 0 and addresses.max() < size):
            raise ProgramError(
                f"{what} must be 0 to {size - 1}, not {addresses.min()} to {addresses.max()}"
            )

    # Matrix unit.

    def _multiply(self, word: Multiply) -> Writes:
        a_loops, b_loops = self._matrix[ALoops], self._matrix[BLoops]
        addresses, sums = (self._weight_gradient if a_loops.transposed else self._convolve)(
            word, a_loops, b_loops
        )
        if word.accumulate:
            sums = sums + self.results[addresses]
        half = 1 << (self.config.accumulator_bits - 1)
        return self._write_words(addresses, (sums + half) % (2 * half) - half)

    def _operand_a(
        self, word: Multiply, t2: Any, byte: Any, y: Any, sample: Any
    ) -> NDArray[np.int64]:
        """Bytes of A for broadcast indices: tap row, byte of the line, row of positions, sample."""
        window, strides = self._matrix[Window], self._matrix[AStrides]
        line = window.y_first + t2 * window.y_t2 + y * window.y_step
        inside = (line >= 0) & (line < window.height) & (byte >= 0) & (byte < window.line)
        where = word.a_base + t2 * strides.t2 + y * strides.y + sample * strides.n + byte
        values = self._bytes(np.where(inside, where, 0)).view(np.int8).astype(np.int64)
        return np.where(inside, values, 0)

    def _operand_b(self, word: Multiply, tiles: NDArray[np.int64], valid: Any) -> NDArray[np.int64]:
        """(tiles * R, nj * C) bytes of B; rows that are not `valid` (tiles, R) are zeros."""
        loops, strides, config = self._matrix[BLoops], self._matrix[BStrides], self.config
        rows = tiles[:, None] + np.arange(config.rows) * strides.row
        lane = loops.pitch * config.line_bytes + 1
        vectors = word.b_base + rows[..., None] + np.arange(loops.nj) * strides.j
        vectors = vectors[..., None] % len(self.memory)
        # Lanes past the last output may leave the vector's page: they begin at its other end.
        size = config.scratchpad_page_bytes
        addresses = vectors // size * size + (vectors + np.arange(config.columns) * lane) % size
        values = self.memory[addresses].view(np.int8).astype(np.int64)
        return np.where(valid[..., None, None], values, 0).reshape(-1, loops.nj * config.columns)

    def _valid_rows(self, loops: BLoops, index_0: NDArray[np.int64]) -> NDArray[np.bool_]:
        limit = np.where(index_0 == loops.n0 - 1, loops.rows_last, self.config.rows)
        return np.arange(self.config.rows) < limit[:, None]

    def _convolve(self, word: Multiply, a: ALoops, b: BLoops) -> tuple[Any, Any]:
        config, window, strides = self.config, self._matrix[Window], self._matrix[AStrides]
        b_strides, z = self._matrix[BStrides], self._matrix[Results]
        t2, t1, t0 = (i.ravel() for i in np.indices((a.n2, a.n1, a.n0)))
        b2, b1, b0 = (i.ravel() for i in np.indices((b.n2, b.n1, b.n0)))
        y, x = (i.ravel() for i in np.indices((window.m1, window.m0)))
        byte = (
            window.x_first + t1[:, None] * strides.t1
            + t0[:, None] * config.rows + np.arange(config.rows)
        )  # fmt: skip
        operand_a = self._operand_a(
            word, t2[:, None], byte + (x * strides.x)[:, None, None], y[:, None, None], 0
        ).reshape(len(x), -1)
        tiles = b2 * b_strides.t2 + b1 * b_strides.t1 + b0 * b_strides.t0
        operand_b = self._operand_b(word, tiles, self._valid_rows(b, b0))
        product = _product(operand_a, operand_b)
        where = word.z_base + y * z.z_y + x * z.z_x
        blocks = np.arange(b.nj)[:, None]
        sums = product.reshape(len(x), b.nj, config.columns).transpose(1, 0, 2)
        return (where + blocks * z.z_j).ravel(), sums.reshape(-1, config.columns)

    def _weight_gradient(self, word: Multiply, a: ALoops, b: BLoops) -> tuple[Any, Any]:
        config, window, strides = self.config, self._matrix[Window], self._matrix[AStrides]
        b_strides, z = self._matrix[BStrides], self._matrix[Results]
        tile = np.arange(b.n0)
        count = (b.n0 - 1) * config.rows + b.rows_last
        # Positions past the last are not read: their rows of B are zeros.
        position = np.minimum(np.arange(b.n0 * config.rows), max(count - 1, 0))
        sample, rest = np.divmod(position, window.m0 * window.m1)
        y, x = np.divmod(rest, window.m0)
        t2, t1, t0 = (i.ravel() for i in np.indices((a.n2, a.n1, a.n0)))
        lanes = np.where(t0 == a.n0 - 1, a.lanes_last, config.rows)
        byte = (
            window.x_first + t1[:, None] * strides.t1
            + t0[:, None] * config.rows + np.arange(config.rows)
        )  # fmt: skip
        operand_a = self._operand_a(
            word, t2[:, None], byte + (x * strides.x)[:, None, None],
            y[:, None, None], sample[:, None, None],
        )  # fmt: skip
        taken = (np.arange(config.rows) < lanes[:, None]).ravel()
        operand_b = self._operand_b(word, tile * b_strides.t0, self._valid_rows(b, tile))
        product = _product(operand_a.reshape(len(x), -1)[:, taken].T, operand_b)
        blocks = np.arange(b.nj)[:, None]
        sums = product.reshape(-1, b.nj, config.columns).transpose(1, 0, 2)
        where = word.z_base + blocks * z.z_j + np.arange(product.shape[0])
        return where.ravel(), sums.reshape(-1, config.columns)

    # Vector unit.

    def _set_loops(self, word: Loops) -> Writes:
        self._loops = word
        return Writes()

    def _set_stride(self, word: Stride) -> Writes:
        self._strides[word.stream] = word
        return Writes()

    def _set_bases(self, word: Bases) -> Writes:
        bases = {
            Stream.X: word.x, Stream.Y: word.y, Stream.OUTPUT: word.output,
            Stream.RESULTS_IN: word.results_in, Stream.RESULTS_OUT: word.results_out,
        }  # fmt: skip
        for stream, base in bases.items():
            old = self._strides.get(stream, Stride(stream=stream))
            self._strides[stream] = Stride(
                stream=stream, base=base, position=old.position, row=old.row, block=old.block
            )
        return Writes()

    def _read(self, number: int) -> int:
        return self.scalars[number] if number else 0

    def _put(self, number: int, value: int) -> None:
        half = 1 << (SCALAR_BITS - 1)
        self.scalars[number % SCALARS] = (int(value) + half) % (2 * half) - half

    def _addresses(self, stream: Stream, shape: tuple[int, int, int]) -> NDArray[np.int64]:
        """Of every beat: (blocks, rows, positions)."""
        s = self._strides.get(stream, Stride(stream=stream))
        blocks, rows, positions = np.indices(shape, dtype=np.int64)
        row = (shape[2] - 1) * s.position + s.row
        block = (shape[1] - 1) * row + (shape[2] - 1) * s.position + s.block
        return s.base + blocks * block + rows * row + positions * s.position

    def _pass(self, word: Pass) -> Writes:
        loops, lanes = self._loops, self.config.columns
        if loops is None:
            raise ProgramError("a Pass requires Loops before it")
        blocks = -(-loops.channels // lanes)
        shape = (blocks, loops.rows, loops.positions)
        channel = (np.arange(blocks)[:, None] * lanes + np.arange(lanes))[:, None, None, :]
        exists = np.broadcast_to(channel < loops.channels, (*shape, lanes))
        lane = np.arange(lanes)

        def at(stream: Stream) -> NDArray[np.int64]:
            where = self._addresses(stream, shape)[..., None] + lane
            return np.where(exists, where, 0)

        def signed(stream: Stream) -> NDArray[np.int64]:
            return self._bytes(at(stream)).view(np.int8).astype(np.int64)

        u: Integers = np.zeros((*shape, lanes), dtype=np.int64)
        match word.operand:
            case Operand.RESULTS:
                where = self._addresses(Stream.RESULTS_IN, shape)
                self._check(where, len(self.results), "results word")
                u = self.results[where]
            case Operand.X:
                u = signed(Stream.X)
            case Operand.X_FACTOR:
                factor = (self._read(word.factor) + 128) % 256 - 128
                u = signed(Stream.X) * factor
            case Operand.X_Y:
                u = signed(Stream.X) * signed(Stream.Y)
        u = rounding_shift(u, _short(self._read(word.u_shift)))
        v: Integers = np.zeros_like(u)
        match word.addend:
            case Addend.Y:
                v = signed(Stream.Y)
            case Addend.Y_X:
                v = (signed(Stream.Y) << 8) | self._bytes(at(Stream.X)).astype(np.int64)
        v = np.where(channel < loops.addend_channels, v, 0)
        v = rounding_shift(v, _short(self._read(word.v_shift)))
        if word.addend == Addend.SCALAR:
            v = np.full_like(u, _wrapped(self._read(word.v_shift), 32))
        t = saturate((-u if word.negate else u) + v, 32)
        positive = t > 0
        if word.rectify == Rectify.FIRST:
            t = np.maximum(t, 0)
        if word.accumulate:
            t = np.where(exists, t, 0).sum(axis=(1, 2), keepdims=True)
            shape, exists = (blocks, 1, 1), exists[:, :1, :1]
        else:
            t = saturate(t + _wrapped(self._read(word.bias), 32), 32)
        if word.rectify != Rectify.FIRST:
            positive = t > 0
        if word.rectify == Rectify.LAST:
            t = np.maximum(t, 0)
        if word.mask_in:
            t = t * self._masks(t.shape)
        t = np.where(exists, t, 0)

        random = None
        if word.stochastic:
            index = self._addresses(Stream.INDEX, shape)[..., None] + lane
            random = draw(self._read(word.key) & 0xFFFFFFFF, index)
        shift = max(_short(self._read(word.shift)), 0)
        if shift > 63:
            raise ProgramError(f"a pass's shift must be at most 63, not {shift}")
        o = _QUANTIZERS[word.stochastic].apply(t, shift, random)
        o = np.where(exists, o, 0)
        shifts = _short(self._read(word.u_shift)), _short(self._read(word.v_shift)), shift
        self.bins.quantized(word, loops, shifts, t, o, positive & exists)

        written = Writes()
        if word.output == Output.RESULTS:
            written = self._write_words(self._addresses(Stream.RESULTS_OUT, shape).ravel(),
                                        t.reshape(-1, lanes))  # fmt: skip
        elif word.output == Output.BYTES:
            where = self._addresses(Stream.OUTPUT, shape)[..., None] + lane
            written = self._write(where[exists], o[exists])
        if word.mask_out:
            masks = self._write_masks(positive & exists)
            written.addresses = np.concatenate([written.addresses, masks.addresses])
            written.bytes = np.concatenate([written.bytes, masks.bytes])
        if word.measure:
            top = int(bit_length(np.abs(t).max(initial=0)))
            self._put(word.top, top)
            self._put(word.top + 1, max(top - 7, 0))
        if word.total != Total.NONE:
            self._put(word.sum, int((t if word.total == Total.T else o).sum()))
        return written

    def _mask_addresses(self, beats: int) -> NDArray[np.int64]:
        groups = -(-beats // MASK_BEATS)
        base = self._strides[Stream.MASK].base
        return base + np.arange(groups * self.config.columns, dtype=np.int64)

    def _masks(self, shape: tuple[int, ...]) -> NDArray[np.int64]:
        beats = int(np.prod(shape[:-1]))
        stored = self._bytes(self._mask_addresses(beats)).reshape(-1, 1, self.config.columns)
        bits = (stored >> np.arange(MASK_BEATS, dtype=np.uint8)[:, None]) & 1
        return bits.reshape(-1, self.config.columns)[:beats].reshape(shape).astype(np.int64)

    def _write_masks(self, positive: NDArray[np.bool_]) -> Writes:
        lanes = self.config.columns
        beats = positive.reshape(-1, lanes)
        padded = np.zeros((-(-len(beats) // MASK_BEATS) * MASK_BEATS, lanes), dtype=np.int64)
        padded[: len(beats)] = beats
        groups = padded.reshape(-1, MASK_BEATS, lanes)
        packed = (groups << np.arange(MASK_BEATS)[:, None]).sum(axis=1)
        return self._write(self._mask_addresses(len(beats)), packed.ravel())

    def _scalar(self, word: Scalar) -> Writes:
        for k in range(word.count):
            a = self._read(word.a + k * word.next_a)
            b = word.value if word.immediate else self._read(word.b + k * word.next_b)
            c = self._read(word.c + k * word.next_c)
            self.bins.scalar(word, a)
            self._put(word.d + k, scalar_function(Function(word.function), a, b, c, k))
        return Writes()

    def _load_scalars(self, word: LoadScalars) -> Writes:
        for k in range(word.count):
            where = word.address + k * word.step + np.arange(word.size) * word.plane
            raw = self._bytes(where).tobytes()
            self._put(word.d + k, int.from_bytes(raw, "little", signed=not word.unsigned))
        return Writes()

    def _store_scalars(self, word: StoreScalars) -> Writes:
        addresses, data = [], []
        for k in range(word.count):
            value = self._read(word.d + k)
            for byte in range(word.size):
                addresses.append(word.address + k * word.step + byte * word.plane)
                data.append((value >> 8 * byte) & 0xFF)
        return self._write(np.array(addresses, dtype=np.int64), np.array(data))

    def _loss(self, word: Loss) -> Writes:
        lanes = self.config.columns
        count = -(-word.classes // lanes)
        source, target = self._strides[Stream.RESULTS_IN], self._strides[Stream.RESULTS_OUT]
        where = source.base + np.arange(count) * source.block
        self._check(where, len(self.results), "results word")
        logits = self.results[where].reshape(1, -1)[:, : word.classes]
        label = np.array([self._read(word.label)])
        error = np.zeros((1, count * lanes), dtype=np.int64)
        error[:, : word.classes] = softmax_error(logits, self._read(word.exponent), label)
        return self._write_words(
            target.base + np.arange(count) * target.block, error.reshape(count, lanes)
        )

    # DMA.

    def _load(self, word: Load) -> Writes:
        self._check(np.array([word.outside, word.outside + word.bytes - 1]), len(self.outside),
                    "byte outside")  # fmt: skip
        data = self.outside[word.outside : word.outside + word.bytes]
        return self._write(word.scratchpad + np.arange(word.bytes), data)

    def _store(self, word: Store) -> Writes:
        where = word.outside + np.arange(word.bytes)
        self._check(where, len(self.outside), "byte outside")
        data = self._bytes(word.scratchpad + np.arange(word.bytes))
        self.outside[where] = data
        return Writes(addresses=where, bytes=data)


def _product(a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.int64]:
    """Exact: sums of products of bytes stay far below 2**53."""
    return (a.astype(np.float64) @ b.astype(np.float64)).astype(np.int64)


def _wrapped(value: int, bits: int) -> int:
    half = 1 << (bits - 1)
    return (value + half) % (2 * half) - half


def _short(value: int) -> int:
    """A shift as the vector unit keeps it: 8 bits, saturated."""
    return max(-128, min(127, value))
