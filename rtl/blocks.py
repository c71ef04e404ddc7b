"""The blocks that can be synthesised on their own: name -> component.

One entry a block. A factory imports what it makes when it is called, so that the names alone cost
nothing.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from golden.errors import InputError
from rtl.config import CoreConfig

if TYPE_CHECKING:
    from amaranth.lib.wiring import Component

__all__ = ["BLOCKS", "COMPARISON_BLOCKS", "make"]


def _pe(config: CoreConfig) -> "Component":
    from rtl.systolic_array import ProcessingElement

    return ProcessingElement(
        accumulator_bits=config.accumulator_bits, operand_bits=config.activation_bits
    )


def _multiplier(config: CoreConfig) -> "Component":
    from rtl.multiplier import Multiplier

    return Multiplier()


def _mac_array(config: CoreConfig) -> "Component":
    from rtl.systolic_array import SystolicArray

    return SystolicArray(
        rows=config.rows,
        columns=config.columns,
        accumulator_bits=config.accumulator_bits,
        operand_bits=config.activation_bits,
    )


def _feeder(config: CoreConfig) -> "Component":
    from rtl.feeder import Feeder

    return Feeder(rows=config.rows, operand_bits=config.activation_bits)


def _product_addresses(config: CoreConfig) -> "Component":
    from rtl.product_addresses import ProductAddresses

    return ProductAddresses(config=config)


def _product_unit(config: CoreConfig) -> "Component":
    from rtl.product_unit import ProductUnit

    return ProductUnit(config=config)


def _quantizer(config: CoreConfig) -> "Component":
    from rtl.lane_quantizer import LaneQuantizer

    return LaneQuantizer()


def _vector_lane(config: CoreConfig) -> "Component":
    from rtl.vector_lane import VectorLane

    return VectorLane(accumulator_bits=config.accumulator_bits)


def _vector_unit(config: CoreConfig) -> "Component":
    from rtl.vector_unit import VectorUnit

    return VectorUnit(config=config)


def _core(config: CoreConfig) -> "Component":
    from rtl.training_core import TrainingCore

    return TrainingCore(config=config)


def _fp32_add(config: CoreConfig) -> "Component":
    from rtl.float_adder import FloatAdder

    return FloatAdder()


def _fp32_mul(config: CoreConfig) -> "Component":
    from rtl.float_multiplier import FloatMultiplier

    return FloatMultiplier()


def _fp32_div(config: CoreConfig) -> "Component":
    from rtl.float_divider import FloatDivider

    return FloatDivider()


def _fp32_sqrt(config: CoreConfig) -> "Component":
    from rtl.float_square_root import FloatSquareRoot

    return FloatSquareRoot()


def _bn_fp32(config: CoreConfig) -> "Component":
    from rtl.float_batch_norm import FloatBatchNorm

    return FloatBatchNorm()


def _bn_wageubn(config: CoreConfig) -> "Component":
    from rtl.wageubn_norm import WageubnNorm

    return WageubnNorm()


def _bn_range(config: CoreConfig) -> "Component":
    from rtl.range_norm import RangeNorm

    return RangeNorm()


def _fixup(config: CoreConfig) -> "Component":
    from rtl.fixup_unit import FixupUnit

    return FixupUnit()


BLOCKS: Mapping[str, Callable[[CoreConfig], "Component"]] = MappingProxyType(
    {
        "multiplier": _multiplier,
        "pe": _pe,
        "mac_array": _mac_array,
        "feeder": _feeder,
        "product_addresses": _product_addresses,
        "product_unit": _product_unit,
        "quantizer": _quantizer,
        "vector_lane": _vector_lane,
        # The lane's passes are what updates parameters: there is no other unit for it.
        "update_unit": _vector_lane,
        "vector_unit": _vector_unit,
        "core": _core,
        "fp32_add": _fp32_add,
        "fp32_mul": _fp32_mul,
        "fp32_div": _fp32_div,
        "fp32_sqrt": _fp32_sqrt,
        "bn_fp32": _bn_fp32,
        "bn_wageubn": _bn_wageubn,
        "bn_range": _bn_range,
        "fixup": _fixup,
    }
)
"""Block name -> what makes it for a core's configuration."""


COMPARISON_BLOCKS = (
    "fp32_add",
    "fp32_mul",
    "fp32_div",
    "fp32_sqrt",
    "bn_fp32",
    "bn_wageubn",
    "bn_range",
    "fixup",
)
"""The data paths that the training core is compared with: no core's configuration changes them."""


def make(block: str, config: CoreConfig) -> "Component":
    """Return the component of `block`.

    Raises
    ------
    InputError
        If there is no such block.
    """
    if block not in BLOCKS:
        raise InputError(f"block must be one of {', '.join(BLOCKS)}, not {block!r}")
    return BLOCKS[block](config)
