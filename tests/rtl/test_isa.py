"""Encoding: what is packed comes back, and what cannot be encoded is named."""

import subprocess
import sys
from dataclasses import fields
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from golden.formats import Rounding
from rtl.isa import (
    INSTRUCTION_BITS,
    INSTRUCTION_FIELDS,
    STATUS_BITS,
    STATUS_FIELDS,
    Instruction,
    Loss,
    Matmul,
    Opcode,
    Pre,
    Quantize,
    Shift,
    Status,
    Update,
    unpack,
)

U8, U16, U24, U32 = (st.integers(0, (1 << bits) - 1) for bits in (8, 16, 24, 32))
S8 = st.integers(-128, 127)
ROUNDING = st.sampled_from(Rounding)

INSTRUCTIONS = st.one_of(
    st.builds(Matmul, rows=U16, tiles=U16),
    st.builds(
        Quantize,
        beats=U16,
        pre=st.sampled_from(Pre),
        pre_shift=S8,
        rounding=ROUNDING,
        key=U32,
        index=U24,
    ),
    st.builds(Shift, beats=U16, shift=S8, rounding=ROUNDING, key=U32, index=U24),
    st.builds(
        Update,
        beats=U16,
        applied=st.integers(0, 7),
        decay=st.integers(0, 15),
        key=U32,
        index=U24,
        wide=st.booleans(),
    ),
    st.builds(Loss, classes=U16, label=U16, exponent=S8, bias_shift=S8),
)


@given(INSTRUCTIONS)
def test_instructions_come_back(instruction: Instruction) -> None:
    word = instruction.pack()
    assert 0 < word < 1 << INSTRUCTION_BITS
    assert word & 15 == instruction.opcode
    assert unpack(word) == instruction


@given(st.builds(Status, opcode=st.integers(0, 15), error=st.integers(0, 15), shift=S8,
                 zero=st.integers(0, 1), cycles=U32))  # fmt: skip
def test_records_come_back(status: Status) -> None:
    assert Status.unpack(status.pack()) == status


def test_a_word_of_each_opcode() -> None:
    """Pinned: programs in memory must keep their meaning."""
    assert Matmul(rows=3, tiles=5).pack() == 0x0000_0000_0000_0000_0000_0500_0000_0301
    assert (
        Quantize(
            beats=2, pre=Pre.MASK, pre_shift=-1, rounding=Rounding.STOCHASTIC, key=0xA1, index=0xB2
        ).pack()
        == 0x0000_0000_0000_00A1_0000_B200_FF00_02D2
    )
    assert Shift(beats=2, shift=-2, key=1, index=1).pack() == 0x01_0000_0100_FE00_0203
    assert (
        Update(
            beats=1,
            applied=3,
            decay=5,
            key=4,
            index=6,
            wide=True,
        ).pack()
        == 0x0000_0000_0000_0004_0000_062B_0000_0124
    )
    assert Loss(classes=10, label=7, exponent=9, bias_shift=-3).pack() == 0x07FD_0900_0A05


@pytest.mark.parametrize(
    ("instruction", "message"),
    [
        (Matmul(rows=65536), "count must be 0 to 65535, not 65536"),
        (Matmul(rows=-1), "count must be 0 to 65535, not -1"),
        (Shift(beats=1, shift=128), "shift must be -128 to 127, not 128"),
        (Shift(beats=1, shift=1, index=1 << 24), "index must be 0 to 16777215, not 16777216"),
        (Shift(beats=1, shift=1, key=1 << 32), "key must be 0 to 4294967295, not 4294967296"),
    ],
)
def test_what_does_not_fit_is_named(instruction: Instruction, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        instruction.pack()


def test_other_types_are_named() -> None:
    with pytest.raises(TypeError, match=r"^count must be an integer, not 1\.5$"):
        Matmul(rows=1.5).pack()  # type: ignore[arg-type]


@pytest.mark.parametrize("word", [0, 6, 15])
def test_unknown_opcodes_are_refused(word: int) -> None:
    with pytest.raises(ValueError, match=rf"^opcode must be one of \[1, 2, 3, 4, 5\], not {word}$"):
        unpack(word)


@pytest.mark.parametrize(
    ("table", "bits"), [(INSTRUCTION_FIELDS, INSTRUCTION_BITS), (STATUS_FIELDS, STATUS_BITS)]
)
def test_fields_lie_within_the_word(table: dict, bits: int) -> None:
    assert all(f.offset >= 0 and f.offset + f.width <= bits for f in table.values())


@pytest.mark.parametrize("kind", [Matmul, Quantize, Shift, Update, Loss])
def test_no_opcode_uses_two_fields_of_the_same_bits(kind: type[Instruction]) -> None:
    blank = kind(**{f.name: 0 for f in fields(kind) if f.name not in ("pre", "rounding")})
    used = [INSTRUCTION_FIELDS[name] for name in ("opcode", *blank.fields())]
    taken = sorted((f.offset, f.offset + f.width) for f in used)
    assert all(a[1] <= b[0] for a, b in pairwise(taken))
    assert blank.opcode in Opcode


def test_encoding_and_configuration_load_no_amaranth() -> None:
    """`eoq cost` and the cycle model import these."""
    names = "sys, rtl.isa, rtl.config, hwmodel.product_cycles, hwmodel.lowering.program"
    code = f"import {names}; assert 'amaranth' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
