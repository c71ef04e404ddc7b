"""The processing element, the quantiser lane, the array and the core, beside published designs.

    python benchmarks/synthesis.py [LIBERTY]

Peers' figures were measured once for this project, on Debian's osu018 with the recipe `stock`
(Yosys 0.70, Booth multipliers, no wires, inputs at 0 ns), from the sources named; their energies
are a toggle model's and are not printed, because ours come from another one.
"""

import sys
from pathlib import Path

from rtl.cell_library import default_liberty, load_library
from rtl.config import CoreConfig
from rtl.synthesis import RECIPES, Synthesis, synthesize

PEERS = (
    ("axis-systolic-array, int8 PE, 32-bit sums", 35_148, 4.01),
    ("OpenTPU, int8 PE, 32-bit sums", 25_823, 6.00),
    ("a small open INT8 GEMM (AXI), 32-bit sums", 32_088, 5.73),
    ("Gemmini's int8 PE, 20-bit sums (transcribed)", 22_058, 4.74),
)
TARGETS = (
    "targets: PE 22,500 um2, 3.8 ns, 85; quantiser lane 650 NAND2; array's overhead 10 %; "
    "core's critical path 1.15 PE's"
)


def show(name: str, area: float, nand2: float, delay: float | None) -> None:
    """Print one row."""
    product = "" if delay is None else f"{area * delay / 1000:>10.1f}"
    timing = "-" if delay is None else f"{delay:.2f}"
    print(f"{name:<46}{area:>10,.0f}{nand2:>8,.0f}{timing:>7}{product}", flush=True)


def measured(name: str, result: Synthesis) -> None:
    """Print a row of ours."""
    if result.area_um2 is None:
        raise ValueError(f"{name}: a library gives an area")
    show(name, result.area_um2, result.nand2, result.delay_ns)


def main() -> None:
    """Print the table."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else default_liberty()
    if path is None:
        sys.exit("a Liberty file is required: apt-get install qflow-tech-osu018, or name one")
    library = load_library(path)
    print(path)
    print(f"{'':<46}{'um2':>10}{'NAND2':>8}{'ns':>7}{'um2*ns/1000':>12}")
    for bits in (32, 24):
        config = CoreConfig(rows=16, columns=16, accumulator_bits=bits)
        for recipe in RECIPES:
            found = synthesize("pe", config, library, recipe=recipe)
            measured(f"pe, {bits}-bit sums, {recipe}", found)
    if path == default_liberty():
        for name, area, delay in PEERS:
            show(name, area, area / library.nand2.area, delay)
    for recipe in ("stock", "balanced"):
        found = synthesize("quantizer", CoreConfig(rows=1, columns=1), library, recipe=recipe)
        measured(f"quantizer lane, 32 to 8 bits, {recipe}", found)
    config = CoreConfig(rows=16, columns=16)
    element = synthesize("pe", config, library).area_um2 or 0.0
    for block in ("mac_array", "product_unit"):
        whole = synthesize(block, config, library)
        measured(f"{block}, 16x16, without memories", whole)
        overhead = 1 - 256 * element / (whole.area_um2 or 1.0)
        print(f"  of it beside the 256 elements: {overhead:.1%}")
    for block, what in (("feeder", "skews, and transposes"), ("product_addresses", "im2col")):
        part = synthesize(block, config, library)
        measured(f"{block}, 16x16 ({what})", part)
        print(f"  of the product unit: {(part.area_um2 or 0.0) / (whole.area_um2 or 1.0):.1%}")
    fed = (whole.area_um2 or 1.0) - (part.area_um2 or 0.0)
    beside = 1 - 256 * element / fed
    print(f"  the product unit without it, beside the 256 elements: {beside:.1%}")
    for recipe in ("stock", "balanced"):
        for size in (4, 8, 16):
            config = CoreConfig(rows=size, columns=size)
            pe = synthesize("pe", config, library, recipe=recipe)
            core = synthesize("core", config, library, recipe=recipe)
            measured(f"core, {size}x{size}, without memories, {recipe}", core)
            if core.delay_ns and pe.delay_ns:
                print(f"  of the element's critical path: {core.delay_ns / pe.delay_ns:.2f}")
    print(TARGETS)


if __name__ == "__main__":
    main()
