"""What a block of the core is made of, counted from the size of its array.

Area is linear in these counts. A calibrated technology file has um2 for each of them
(`hwmodel.technology`), found by `eoq synth --calibrate` and held against sizes that were not used.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from rtl.config import CoreConfig

__all__ = ["BLOCK_PARTS", "MEMORY_PARTS", "PARTS"]

PARTS: Mapping[str, Callable[[CoreConfig], int]] = MappingProxyType(
    {
        # Processing elements.
        "element": lambda config: config.rows * config.columns,
        # Bytes that skew a row of weights: column c waits c cycles.
        "weight_delay": lambda config: config.columns * (config.columns - 1) // 2,
        # Bytes that skew operands: row r waits r + 1 cycles.
        "operand_delay": lambda config: config.rows * (config.rows + 1) // 2,
        # Edges: a column has its sum, a row its operand.
        "column": lambda config: config.columns,
        "row": lambda config: config.rows,
        # Control, whatever the size.
        "fixed": lambda _: 1,
    }
)
"""Part -> how many of it a core has."""

BLOCK_PARTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "mac_array": ("element", "weight_delay", "column", "row", "fixed"),
        "product_unit": tuple(PARTS),
        # A lane a column.
        "vector_unit": ("column", "fixed"),
    }
)
"""Block of `rtl.blocks` -> the parts that its area is linear in; without memories."""

MEMORY_PARTS: Mapping[str, Callable[[CoreConfig], int]] = MappingProxyType(
    {
        # One for each byte of a line in a page, and for each column in a page of results.
        "macro": lambda config: (
            config.scratchpad_pages * config.line_bytes + config.results_pages * config.columns
        ),
        "bit": lambda config: (
            8 * config.scratchpad_pages * config.scratchpad_page_bytes
            + config.results_pages
            * config.results_page_depth
            * config.columns
            * config.accumulator_bits
        ),
    }
)
"""Memory macros of scratchpad and results memory, and their bits. Queues and scalars, less than
3,000 bytes, are left out."""
