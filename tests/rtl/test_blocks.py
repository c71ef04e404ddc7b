"""Every block of the registry becomes Verilog with a module of its own."""

import re

import pytest

from golden.errors import InputError
from rtl.blocks import BLOCKS, make
from rtl.config import CoreConfig
from rtl.verilog import convert

SMALL = CoreConfig(
    rows=2, columns=1, loss_classes=4, scratchpad_page_bytes=256, results_page_depth=16
)

SLOW = ("core", "vector_lane", "vector_unit", "bn_fp32", "bn_wageubn")


@pytest.mark.parametrize(
    "block",
    [pytest.param(block, marks=pytest.mark.slow) if block in SLOW else block for block in BLOCKS],
)
def test_every_block_is_a_module(block: str) -> None:
    component = make(block, SMALL)
    top = getattr(component, "module_name", f"eoq_{block}")
    modules = re.findall(r"^module (\S+) ?\(", convert(component, top), re.MULTILINE)
    assert top in modules
    assert len(modules) == len(set(modules))


def test_an_unknown_block_is_one_line() -> None:
    with pytest.raises(InputError, match=r"^block must be one of multiplier, pe, .*not 'pee'$"):
        make("pee", SMALL)
