"""A sample report. The counts of ResNet-18 are real, everything else is invented but plausible."""

import functools
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from reports import Highlight, Report, Section, Table, figures

SCHEMES = ("eoq", "wageubn", "range-bn", "fp32-bn")
PHASES = ("forward", "backward_data", "backward_weight")
HOSTILE = "<script>document.title='owned'</script> $\\frac$ \u202egnp.exe \x00 & \"quoted\""

TOTALS = {
    "resnet18": (1_814_073_344, 1_696_059_392, 1_814_073_344),
    "squeezenet": (349_152_000, 327_802_560, 349_152_000),
}


def _layers() -> list[tuple[str, int, int]]:
    """ResNet-18 at 224x224: name, forward MACs, backward-data MACs."""
    layers = [("conv1", 118_013_952, 0)]
    side, width = 56, 64
    for stage, channels in enumerate((64, 128, 256, 512), start=1):
        for block in range(2):
            down = stage > 1 and block == 0
            side = side // 2 if down else side
            first = side * side * channels * width * 9
            second = side * side * channels * channels * 9
            layers.append((f"layer{stage}.{block}.conv1", first, first))
            layers.append((f"layer{stage}.{block}.conv2", second, second))
            if down:
                short = side * side * channels * width
                layers.append((f"layer{stage}.{block}.downsample", short, short))
            width = channels
    return [*layers, ("fc", 512_000, 512_000)]


def _macs() -> Table:
    rows = [
        (network, phase, count)
        for network, counts in TOTALS.items()
        for phase, count in zip(PHASES, counts, strict=True)
    ]
    return Table(
        key="macs",
        title="Multiply-accumulates of one training step",
        frame=pd.DataFrame(rows, columns=["network", "phase", "count"]),
        caption="One image of 224x224. Taps on zero padding count; the first layer has no "
        "backward-data; a strided convolution's backward-data is phase-decomposed.",
        units={"count": "MACs"},
        exact=True,
    )


def _normalization() -> Table:
    rows = [
        ("resnet18", "eoq", 0, 0, 0, 0),
        ("resnet18", "wageubn", 4_800, 2_483_712, 22_353_408, 22_353_408),
        ("resnet18", "range-bn", 0, 4_800, 19_869_696, 19_869_696),
        ("resnet18", "fp32-bn", 4_800, 4_800, 22_353_408, 89_413_632),
        ("squeezenet", "eoq", 0, 0, 0, 0),
        ("squeezenet", "wageubn", 2_600, 2_589_352, 23_304_168, 23_304_168),
        ("squeezenet", "range-bn", 0, 2_600, 20_714_816, 20_714_816),
        ("squeezenet", "fp32-bn", 2_600, 2_600, 23_304_168, 93_216_672),
    ]
    columns = ["network", "scheme", "sqrt", "div", "element_passes", "bytes"]
    return Table(
        key="normalization",
        title="What normalisation costs in a training step",
        frame=pd.DataFrame(rows, columns=columns),
        caption="One image. One reciprocal a channel; per-element division for wageubn.",
        units={"sqrt": "ops", "div": "ops", "element_passes": "elements", "bytes": "B"},
        exact=True,
        labels={"sqrt": "square roots", "div": "divisions", "element_passes": "element passes"},
    )


def _memory() -> Table:
    rows = []
    for network, parameters, elements in (
        ("resnet18", 11_689_512, 2_483_712),
        ("squeezenet", 1_248_424, 2_589_352),
    ):
        for scheme in SCHEMES:
            word = 4 if scheme == "fp32-bn" else 1
            extra = 1 if scheme == "eoq" else 2
            sizes = (
                parameters * word,
                parameters * word * 2,
                elements * word * extra,
                elements * word,
            )
            for kind, size in zip(
                ("weights", "momentum", "activations", "gradients"), sizes, strict=True
            ):
                rows.append((network, scheme, kind, size))
    return Table(
        key="memory",
        title="Peak memory of one training step",
        frame=pd.DataFrame(rows, columns=["network", "scheme", "kind", "bytes"]),
        caption="Batch of one. Liveness of saved activations counted; ReLU masks at one bit.",
        units={"bytes": "B"},
        exact=True,
    )


def _energy() -> Table:
    rows = []
    for network, scale in (("resnet18", 1.0), ("squeezenet", 0.21)):
        for scheme, nominal in zip(SCHEMES, (0.0041, 0.0063, 0.0059, 0.0483), strict=True):
            energy = nominal * scale
            name = "horowitz-45nm"
            rows.append(
                (network, scheme, energy * 0.61234, energy * 1.00371, energy * 1.83127, name)
            )
    return Table(
        key="energy",
        title="Energy of one training step",
        frame=pd.DataFrame(rows, columns=["network", "scheme", "low", "nominal", "high", "table"]),
        caption="Nominal from Horowitz, ISSCC 2014, 45 nm, 0.9 V; low and high across all tables.",
        units={"low": "J", "nominal": "J", "high": "J"},
        exact=False,
    )


def _layer_macs() -> Table:
    rows = []
    for name, forward, backward in _layers():
        for phase, count in zip(PHASES, (forward, backward, forward), strict=True):
            rows.append((name, phase, "mac", "int8", count))
    rows.append((HOSTILE, "forward", "mac", "int8", 90_000_000))
    return Table(
        key="layers",
        title="Operations by layer and phase, resnet18 under eoq",
        frame=pd.DataFrame(rows, columns=["layer", "phase", "op", "format", "count"]),
        caption="One image of 224x224; in the order of the network.",
        units={"count": "MACs"},
        exact=True,
    )


def _cycles() -> Table:
    rows = []
    for index in range(60):
        kind = ("matmul", "quantize", "relu", "update")[index % 4]
        cycles = {"matmul": 640, "quantize": 33, "relu": 17, "update": 129}[kind] + 11 * (
            index // 4
        )
        rows.append((index, f"{index:03d} {kind}", cycles, cycles, 0, index != 7))
    columns = ["index", "instruction", "cycles_rtl", "cycles_model", "mismatches", "passed"]
    return Table(
        key="cycles",
        title="Every instruction: RTL against model",
        frame=pd.DataFrame(rows, columns=columns),
        caption="4x4 array, Verilator 5.052, seed 1; cycles between issue and retirement.",
        units={
            "index": "",
            "cycles_rtl": "cycles",
            "cycles_model": "cycles",
            "mismatches": "values",
        },
        exact={"cycles_rtl": None, "cycles_model": True, "mismatches": True},
        labels={"cycles_rtl": "cycles, RTL", "cycles_model": "cycles, model"},
    )


def _units() -> Table:
    rows = [
        ("int8 PE", "osu018", 22_752, 948.0, 3.82, 1.0, "PASS"),
        ("quantiser", "osu018", 14_208, 592.0, 3.4, None, "PASS"),
        ("FP32 divider", "osu018", 45_238, 1884.9, 5.6, 12.4, "FAIL"),
    ]
    columns = ["block", "library", "area", "nand2", "delay", "energy", "check"]
    return Table(
        key="blocks",
        title="Synthesised blocks",
        frame=pd.DataFrame(rows, columns=columns),
        caption="osu018, typical, 1.8 V, no wires.",
        units={"area": "um2", "nand2": "gates", "delay": "ns", "energy": "x"},
        labels={"nand2": "NAND2 equivalents", "energy": "energy against PE"},
        exact={"area": None, "nand2": None, "delay": False, "energy": False},
    )


@functools.cache
def _sections() -> tuple[Section, ...]:
    macs, normalization, memory = _macs(), _normalization(), _memory()
    energy, layers, cycles = _energy(), _layer_macs(), _cycles()
    return (
        Section(
            key="costs",
            title="Costs by scheme",
            text=["Operations are counted from the definition of each scheme, not sampled."],
            figures=[
                figures.energy_band(energy, caption="Dot: Horowitz, 45 nm. Band: all tables."),
                figures.memory_by_kind(memory, caption="Batch of one."),
                figures.normalization_cost(normalization, caption="One image, forward and back."),
                figures.macs_by_phase(macs, caption="One image of 224x224."),
            ],
            tables=[macs, normalization, memory, energy],
        ),
        Section(
            key="layers",
            title="Layer by layer",
            figures=[figures.macs_by_layer(layers, caption="In the order of the network.")],
            tables=[layers],
        ),
        Section(
            key="hardware",
            title="Hardware and verification",
            text=[f"A paragraph is text, and only text: {HOSTILE}"],
            figures=[
                figures.cycles_agreement(cycles, caption="4x4 array, Verilator, seed 1."),
                figures.grouped_bars(
                    _units(),
                    key="area",
                    title="Area of the blocks",
                    group="library",
                    series="block",
                    values=["area"],
                    caption="osu018, no wires.",
                ),
            ],
            tables=[cycles, _units()],
        ),
    )


def build_report(**changes: Any) -> Report:
    """Return the sample report; `changes` replace its fields."""
    parts: dict[str, Any] = {
        "title": "Training step of resnet18 and squeezenet under four schemes",
        "command": "eoq report resnet18 squeezenet.onnx -o report",
        "date": "2026-11-22",
        "verdict": "PASS",
        "summary": [
            "An EOQ step of resnet18 needs 5,324,206,080 multiply-accumulates, as many as any of "
            "the other schemes: nothing is saved there.",
            "Dropping batch normalisation saves 4,800 square roots and 4,800 divisions, and 9 "
            "passes over the activations (89.4 MB in FP32).",
            "Energy is 11 to 13 times below FP32; most of that is the 8-bit format, not the "
            "normalisation.",
            "60 of 60 instructions of the generated RTL agree with the reference bit for bit and "
            "with the cycle model to the cycle, on Verilator and on Icarus.",
        ],
        "highlights": [
            Highlight(
                "Training step, resnet18", 5_324_206_080, "MACs", True, "the same in all schemes"
            ),
            Highlight("Energy, eoq", 0.0041152, "J", False, "2.5 to 7.5 mJ across tables"),
            Highlight("Peak memory, eoq", 40_035_960, "B", True, "fp32-bn: 169,984,320 B"),
            Highlight(
                "Instructions that agree", "60 of 60", "", None, "Verilator 5.052, Icarus 11"
            ),
        ],
        "sections": _sections(),
        "versions": {
            "eoqkit": "0.1.0",
            "Verilator": "5.052",
            "Icarus Verilog": "11.0",
            "numpy": "2.4.6",
        },
    }
    return Report(**(parts | changes))


@pytest.fixture(scope="session")
def sample_report() -> Callable[..., Report]:
    """Build the sample report, with changes to its fields if wanted."""
    return build_report
