"""Textbook closed forms of a systolic array, to compare with tools that use them.

An array of R rows and C columns makes a product (m, k) @ (k, n) in folds, one after another; the
operands run in and out along the diagonals in every fold, and what is stationary is loaded, or
unloaded, in R cycles:

    weight-stationary   fold = R of k by C of n, m vectors pass     2R + C + m - 2 cycles
    input-stationary    fold = R of k by C of m, n vectors pass     2R + C + n - 2 cycles
    output-stationary   fold = R of m by C of n, k vectors pass     2R + C + k - 2 cycles

(Samajdar et al., "SCALE-Sim: Systolic CNN Accelerator Simulator", arXiv 1811.02883). The tool of
that name, version 3.0.0, reports a cycle less a layer, and does not count the unloading of sums:
output-stationary folds of R + C + k - 2. Neither says anything of memories, and folds do not
overlap: our core's cycles are in `hwmodel.product_cycles`, and RTL counts the same.
"""

from typing import Any

from hwmodel.products import matrix_products
from hwmodel.step import Step

__all__ = ["DATAFLOWS", "forward_cycles", "systolic_cycles"]

DATAFLOWS = ("weight-stationary", "input-stationary", "output-stationary")


def systolic_cycles(
    m: int, k: int, n: int, rows: Any, columns: Any, dataflow: str, *, as_scale_sim: bool = False
) -> Any:
    """Cycles of one product; arrays of rows and columns give arrays.

    Parameters
    ----------
    m, k, n:
        Sizes of the product.
    rows, columns:
        Of the array.
    dataflow:
        One of `DATAFLOWS`: what stays.
    as_scale_sim:
        As the tool counts, not as the paper does.

    Raises
    ------
    ValueError
        If the dataflow is not one of `DATAFLOWS`.
    """
    if dataflow not in DATAFLOWS:
        raise ValueError(f"dataflow must be one of {', '.join(DATAFLOWS)}, not {dataflow!r}")
    down, across, passing = {
        "weight-stationary": (k, n, m),
        "input-stationary": (k, m, n),
        "output-stationary": (m, n, k),
    }[dataflow]
    folds = -(-down // rows) * -(-across // columns)
    fold = 2 * rows + columns + passing - 2
    if not as_scale_sim:
        return folds * fold
    return folds * (fold - rows * (dataflow == "output-stationary")) - 1


def forward_cycles(step: Step, rows: Any, columns: Any) -> dict[str, Any]:
    """Cycles of the forward products of a step, one after another, by dataflow."""
    products = [p for p in matrix_products(step) if p.phase == "forward"]
    return {
        dataflow: sum(
            p.repeats * systolic_cycles(p.m, p.k, p.n, rows, columns, dataflow) for p in products
        )
        for dataflow in DATAFLOWS
    }
