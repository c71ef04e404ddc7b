"""Instruction set of the core: one 128-bit word in, one 64-bit status record out.

Pure Python numbers; `rtl.layouts` makes the Amaranth layouts from the same tables, and the port map
that ships with the Verilog prints them. Our choice throughout.

Every field has a fixed place, so the decoder is wires; `count`, `tiles` and so on mean what the
opcode says. Fields an opcode does not use are ignored and should be zero. Opcode 0 is illegal, so
that an all-zero word is caught.
"""

import enum
from dataclasses import dataclass
from typing import ClassVar

from golden.formats import Rounding

__all__ = [
    "INSTRUCTION_BITS",
    "INSTRUCTION_FIELDS",
    "STATUS_BITS",
    "STATUS_FIELDS",
    "Error",
    "Field",
    "Instruction",
    "Loss",
    "Matmul",
    "Opcode",
    "Pre",
    "Quantize",
    "Shift",
    "Status",
    "Update",
    "unpack",
]


class Opcode(enum.IntEnum):
    """What an instruction does."""

    MATMUL = 1
    QUANTIZE = 2
    SHIFT = 3
    UPDATE = 4
    LOSS = 5


class Pre(enum.IntEnum):
    """What QUANTIZE does with `i_y` before it looks for the largest magnitude."""

    NONE = 0
    BIAS = 1
    BIAS_RELU = 2
    MASK = 3


class Error(enum.IntEnum):
    """Why an instruction was not executed. It then took nothing from any operand stream."""

    NONE = 0
    OPCODE = 1
    FIELD = 2


@dataclass(frozen=True)
class Field:
    """Place of a field in a word: `width` bits from bit `offset`."""

    offset: int
    width: int
    signed: bool = False

    @property
    def limits(self) -> tuple[int, int]:
        """Smallest and largest value that can be encoded."""
        if self.signed:
            return -(1 << (self.width - 1)), (1 << (self.width - 1)) - 1
        return 0, (1 << self.width) - 1

    def insert(self, name: str, value: int) -> int:
        """`value` at its place; TypeError or ValueError that names the field if it does not fit."""
        if not isinstance(value, int):
            raise TypeError(f"{name} must be an integer, not {value!r}")
        low, high = self.limits
        if not low <= value <= high:
            raise ValueError(f"{name} must be {low} to {high}, not {value!r}")
        return (int(value) & ((1 << self.width) - 1)) << self.offset

    def extract(self, word: int) -> int:
        """Value of the field in `word`."""
        value = (word >> self.offset) & ((1 << self.width) - 1)
        return value - (1 << self.width) if value > self.limits[1] else value


INSTRUCTION_BITS = 128

INSTRUCTION_FIELDS = {
    "opcode": Field(0, 4),
    "stochastic": Field(4, 1),
    "wide": Field(5, 1),
    "pre": Field(6, 2),
    "count": Field(8, 16),
    "shift": Field(24, 8, signed=True),
    "applied": Field(32, 3),
    "decay": Field(35, 4),
    "bias_shift": Field(32, 8, signed=True),
    # MATMUL and LOSS draw no random bits: what they need lies over the index.
    "index": Field(40, 24),
    "tiles": Field(40, 16),
    "label": Field(40, 16),
    "key": Field(64, 32),
}
"""Instruction word. Fields share bits where no opcode has both: `index`, `tiles` and `label`;
`applied`, `decay` and `bias_shift`."""

STATUS_BITS = 64

STATUS_FIELDS = {
    "opcode": Field(0, 4),
    "error": Field(4, 4),
    "shift": Field(8, 8, signed=True),
    "zero": Field(16, 1),
    "cycles": Field(32, 32),
}
"""Status record. Bits 17 to 31 are zero."""


def _word(fields: dict[str, Field], values: dict[str, int]) -> int:
    return sum(fields[name].insert(name, value) for name, value in values.items())


@dataclass(frozen=True, kw_only=True)
class Instruction:
    """One instruction; the subclasses are the opcodes."""

    opcode: ClassVar[Opcode]

    def fields(self) -> dict[str, int]:
        """Return the fields of the word by name, all but the opcode."""
        raise NotImplementedError

    def pack(self) -> int:
        """128-bit word. TypeError or ValueError names a field that cannot be encoded."""
        return _word(INSTRUCTION_FIELDS, {"opcode": self.opcode, **self.fields()})


@dataclass(frozen=True, kw_only=True)
class Matmul(Instruction):
    """A @ B summed over `tiles` reduction tiles.

    Each tile takes `rows_of_core` beats of `i_b` (row r of the stationary tile) and `rows` beats of
    `i_a`; then `rows` beats of int32 sums leave on `o`.

    Parameters
    ----------
    rows:
        Rows of A and of the result, 1 to `CoreConfig.accumulator_depth`.
    tiles:
        Reduction tiles, 1 to 65,535. Their padding must be zero in A or in B.
    """

    opcode: ClassVar[Opcode] = Opcode.MATMUL
    rows: int
    tiles: int = 1

    def fields(self) -> dict[str, int]:
        """Return the fields of the word by name, all but the opcode."""
        return {"count": self.rows, "tiles": self.tiles}


@dataclass(frozen=True, kw_only=True)
class Quantize(Instruction):
    """Two passes: find the tensor's shift, then SAT8(round(x', shift)); status.shift says which.

    Parameters
    ----------
    beats:
        Beats of `i_x` (and of `i_y` unless `pre` is NONE), 1 to `CoreConfig.tensor_depth`.
    pre, pre_shift:
        x' = x (NONE), SAT32(x + RSH(y, pre_shift)) (BIAS), that with negative values made 0
        (BIAS_RELU), or x where y > 0 and 0 elsewhere (MASK). With BIAS_RELU bit 8 of a result is
        the ReLU's mask, x' > 0, above a code that is never negative.
    rounding:
        Of the second pass. RSH(y, pre_shift) is always half up.
    key, index:
        Element `e` uses `golden.randomness.draw(key, index + e)`, lanes counted fastest.
    """

    opcode: ClassVar[Opcode] = Opcode.QUANTIZE
    beats: int
    pre: Pre = Pre.NONE
    pre_shift: int = 0
    rounding: Rounding = Rounding.HALF_UP
    key: int = 0
    index: int = 0

    def fields(self) -> dict[str, int]:
        """Return the fields of the word by name, all but the opcode."""
        return {
            "stochastic": int(self.rounding is Rounding.STOCHASTIC),
            "pre": Pre(self.pre),
            "count": self.beats,
            "shift": self.pre_shift,
            "index": self.index,
            "key": self.key,
        }


@dataclass(frozen=True, kw_only=True)
class Shift(Instruction):
    """One pass: SAT8(round(x, shift)).

    Parameters
    ----------
    beats:
        Beats of `i_x` and of `o`, 1 to 65,535.
    shift:
        To the right; a negative one goes left, exactly, by at most 15.
    rounding, key, index:
        As in `Quantize`.
    """

    opcode: ClassVar[Opcode] = Opcode.SHIFT
    beats: int
    shift: int
    rounding: Rounding = Rounding.HALF_UP
    key: int = 0
    index: int = 0

    def fields(self) -> dict[str, int]:
        """Return the fields of the word by name, all but the opcode."""
        return {
            "stochastic": int(self.rounding is Rounding.STOCHASTIC),
            "count": self.beats,
            "shift": self.shift,
            "index": self.index,
            "key": self.key,
        }


@dataclass(frozen=True, kw_only=True)
class Update(Instruction):
    """Momentum and parameter update of `beats` (1 to 65,535) beats, as `golden.optimizer.update`.

    `i_x` carries {parameter int16, 8 bits ignored, gradient int8}, `i_y` the momentum v in 16 bits.
    The gradient is at the momentum's scale (SHIFT brings it there). `o` carries {p' int8, u int8,
    v' int16}, or when `wide` {p' int16, v' int16}.

    Parameters
    ----------
    applied:
        Fraction bits a of the momentum, 0 to 7: u = SRSH(w, a + 3), v' = w - (u << a) with
        w = v + SAT(g + d).
    decay:
        0 to 15: d = SRSH(p, decay) with u's draw; with 0 d is 0.
    key, index:
        Key of the draw an element makes, and the index of the first element.
    wide:
        An int16 scalar with an int16 momentum, and not an int8 weight with an int8 momentum.
    """

    opcode: ClassVar[Opcode] = Opcode.UPDATE
    beats: int
    applied: int
    key: int
    decay: int = 0
    index: int = 0
    wide: bool = False

    def fields(self) -> dict[str, int]:
        """Return the fields of the word by name, all but the opcode."""
        return {
            "wide": int(self.wide),
            "count": self.beats,
            "applied": self.applied,
            "decay": self.decay,
            "index": self.index,
            "key": self.key,
        }


@dataclass(frozen=True, kw_only=True)
class Loss(Instruction):
    """Softmax cross-entropy error of one sample, as `golden.loss.softmax_error`.

    ceil(classes / columns) beats of int32 products on `i_x` and of the classifier's int16 biases on
    `i_y` (a beat of both at once), as many of the error on `o`. The logits are SAT32(x +
    RSH(y, bias_shift)). Lanes past the last class are ignored in and zero out.

    Parameters
    ----------
    classes:
        2 to `CoreConfig.loss_classes`.
    label:
        The right class, below `classes`.
    exponent:
        The logits' exponent s: their value is x * 2**-s. The error's exponent is 15.
    bias_shift:
        From the bias's exponent to the logits'; negative goes left.
    """

    opcode: ClassVar[Opcode] = Opcode.LOSS
    classes: int
    label: int
    exponent: int
    bias_shift: int = 0

    def fields(self) -> dict[str, int]:
        """Return the fields of the word by name, all but the opcode."""
        return {
            "count": self.classes,
            "label": self.label,
            "shift": self.exponent,
            "bias_shift": self.bias_shift,
        }


def unpack(word: int) -> Instruction:
    """Return the instruction that a 128-bit word encodes; ValueError if its opcode is none."""
    value = {name: field.extract(word) for name, field in INSTRUCTION_FIELDS.items()}
    rounding = Rounding.STOCHASTIC if value["stochastic"] else Rounding.HALF_UP
    match value["opcode"]:
        case Opcode.MATMUL:
            return Matmul(rows=value["count"], tiles=value["tiles"])
        case Opcode.QUANTIZE:
            return Quantize(
                beats=value["count"],
                pre=Pre(value["pre"]),
                pre_shift=value["shift"],
                rounding=rounding,
                key=value["key"],
                index=value["index"],
            )
        case Opcode.SHIFT:
            return Shift(
                beats=value["count"],
                shift=value["shift"],
                rounding=rounding,
                key=value["key"],
                index=value["index"],
            )
        case Opcode.UPDATE:
            return Update(
                beats=value["count"],
                applied=value["applied"],
                decay=value["decay"],
                key=value["key"],
                index=value["index"],
                wide=bool(value["wide"]),
            )
        case Opcode.LOSS:
            return Loss(
                classes=value["count"],
                label=value["label"],
                exponent=value["shift"],
                bias_shift=value["bias_shift"],
            )
    raise ValueError(f"opcode must be one of {[int(o) for o in Opcode]}, not {value['opcode']!r}")


@dataclass(frozen=True, kw_only=True)
class Status:
    """What the core says of one finished instruction.

    Parameters
    ----------
    opcode:
        Of the instruction, as it was read: an illegal one comes back unchanged.
    error:
        Why it was refused; 0 when it was executed.
    shift, zero:
        QUANTIZE only: the shift that was found, and whether every element was zero.
    cycles:
        Clock cycles from the one that accepted the instruction to the first one in which this
        record was valid, both included, modulo 2**32.
    """

    opcode: int
    error: int = 0
    shift: int = 0
    zero: int = 0
    cycles: int = 0

    def pack(self) -> int:
        """64-bit record."""
        return _word(STATUS_FIELDS, {name: getattr(self, name) for name in STATUS_FIELDS})

    @classmethod
    def unpack(cls, word: int) -> "Status":
        """Return the record that 64 bits encode."""
        return cls(**{name: field.extract(word) for name, field in STATUS_FIELDS.items()})
