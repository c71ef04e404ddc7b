"""Words of the matrix unit: both ways at the limits of every field, and what does not fit."""

from dataclasses import fields

import pytest

from rtl.instructions import HEADER, PAYLOAD_BITS, WORD_BITS, Word, payload
from rtl.matrix_instructions import MATRIX_WORDS, Multiply, Results


@pytest.mark.parametrize("kind", MATRIX_WORDS)
def test_words_there_and_back(kind: type[Word]) -> None:
    """Every field alone at its limits: none touches another's bits."""
    table = HEADER | dict(kind.layout)
    names = [field.name for field in fields(kind)]
    assert sorted(names) == sorted(set(table) - {"unit", "op"})
    for name in names:
        for value in table[name].limits:
            word = kind(**(dict.fromkeys(names, 0) | {name: value}))
            packed = word.pack()
            assert 0 <= packed < 1 << WORD_BITS
            assert kind.unpack(packed) == word
            others = [n for n in table if n != name and n not in ("unit", "op")]
            assert all(table[other].extract(packed) == 0 for other in others)


def test_operations_differ() -> None:
    assert len({kind.op for kind in MATRIX_WORDS}) == len(MATRIX_WORDS)
    with pytest.raises(ValueError, match=r"^unit and op must be 2 and 1, not 2 and 7$"):
        Multiply.unpack(Results().pack())


def test_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match=r"^z_x must be 0 to 255, not 256$"):
        Results(z_x=256).pack()
    with pytest.raises(ValueError, match=rf"^fields must fit {PAYLOAD_BITS} bits, not 105$"):
        payload(("a", 100), ("b", 5))
