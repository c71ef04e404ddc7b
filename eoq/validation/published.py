"""Counts and closed forms against published figures and what other tools print."""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from eoq.api import cost
from eoq.validation.check import Check
from golden import networks
from golden.schemes import EOQ
from hwmodel.conventions import Conventions
from hwmodel.products import matrix_products
from hwmodel.step import Step
from hwmodel.systolic import systolic_cycles
from hwmodel.technology import load_technology

__all__ = ["GROUP", "published_checks"]

GROUP = "model against published figures"

_SHAPES = "torchvision's shapes, counted by hand"

_COUNTS: Mapping[str, Mapping[str, int]] = MappingProxyType(
    {
        "resnet18": {
            "forward": 1_814_073_344, "backward_data": 1_696_059_392, "total": 5_324_206_080,
            "parameters": 11_689_512, "unpadded": 1_680_390_912, "sqrt": 4_800, "div": 4_800,
            "elements": 2_483_712,
        },
        "resnet34": {
            "forward": 3_663_761_408, "backward_data": 3_545_747_456, "total": 10_873_270_272,
            "parameters": 21_797_672, "unpadded": 3_374_922_496, "sqrt": 8_512, "div": 8_512,
            "elements": 3_738_112,
        },
        "resnet50": {
            "forward": 4_089_184_256, "backward_data": 3_971_170_304, "total": 12_149_538_816,
            "parameters": 25_557_032, "unpadded": 3_948_251_904, "sqrt": 26_560, "div": 26_560,
            "elements": 11_113_984,
        },
    }
)  # fmt: skip
"""Of one image of 224x224 with batch normalisation."""

_FLOP_COUNTERS = {"resnet18": 1.82e9, "resnet34": 3.67e9, "resnet50": 4.11e9}
"""What FLOP counters print: MACs and two for each normalised element."""

_SYSTOLIC = {
    (32, "weight-stationary"): 2_855_052, (32, "output-stationary"): 2_214_616,
    (16, "weight-stationary"): 9_226_448, (16, "output-stationary"): 8_165_154,
}  # fmt: skip

_CACTI = ((8 << 10, 6.1), (32 << 10, 17.0), (1 << 20, 93.5))
"""Bytes, and pJ of a 64-bit read at 45 nm."""


def published_checks(tell: Callable[[str], None] = lambda _: None) -> Iterator[Check]:
    """Price the networks that others have counted."""
    for name in _COUNTS:
        tell(f"{name}: pricing")
        yield from _counts(name)
    yield from _resnet18()
    yield from _energies()


def _row(
    what: str, model: float, reference: float, unit: str, source: str, bound: float = 0
) -> Check:
    return Check(
        group=GROUP, what=what, model=model, reference=reference, unit=unit, bound=bound,
        source=source,
    )  # fmt: skip


def _counts(name: str) -> Iterator[Check]:
    priced = cost(name, "fp32-bn")[0]
    unpadded = cost(name, "fp32-bn", conventions=Conventions(padding=False))[0]
    ours = {
        **priced.macs, "parameters": priced.parameters, "unpadded": unpadded.macs["forward"],
        **priced.normalization,
    }  # fmt: skip
    words = {
        "forward": "forward MACs", "backward_data": "backward-data MACs", "total": "MACs a step",
        "unpadded": "forward MACs without padding", "sqrt": "square roots", "div": "divisions",
        "elements": "normalised elements",
    }  # fmt: skip
    for key, count in _COUNTS[name].items():
        yield _row(f"{name}: {words.get(key, key)}", ours[key], count, "", _SHAPES)
    flops = priced.macs["forward"] + 2 * int(priced.normalization["elements"])
    yield _row(
        f"{name}: MACs and 2 a normalised element", flops, _FLOP_COUNTERS[name], "",
        "FLOP counters, to three digits", 0.005,
    )  # fmt: skip


def _resnet18() -> Iterator[Check]:
    costs = cost("resnet18")
    for scheme, megabytes in (("fp32-bn", 79.5), ("wageubn", 19.9)):
        yield _row(
            f"resnet18: passes of normalisation, {scheme}",
            costs[scheme].normalization["bytes"] / 1e6, megabytes, "MB",
            "8 passes over 2,483,712 elements, to three digits", 0.003,
        )  # fmt: skip
    eoq, bn = costs["eoq"], costs["fp32-bn"]
    outside = eoq.hierarchy.off_chip.name
    forward = sum(
        t.compulsory
        for t in eoq.transfers
        if t.level == outside and t.phase == "forward" and t.tensor in ("W", "A", "O")
    )
    update = sum(t.compulsory for t in bn.transfers if t.level == outside and t.phase == "update")
    yield _row(
        "resnet18: compulsory bytes, forward, int8", forward / 1e6, 16.08, "MB",
        "weights, inputs and outputs once, to four digits", 0.0004,
    )  # fmt: skip
    yield _row(
        "resnet18: bytes of SGD with momentum, fp32", update / 1e6, 234, "MB",
        "5 words a parameter, to three digits", 0.003,
    )  # fmt: skip
    for (size, dataflow), cycles in _SYSTOLIC.items():
        found = cost("resnet18", "eoq", array=(size, size))[0].totals["systolic_forward_cycles"]
        yield _row(
            f"resnet18 forward on {size}x{size}, {dataflow}", found[dataflow], cycles, "cycles",
            "closed form of SCALE-Sim's paper",
        )  # fmt: skip
    products = matrix_products(Step(networks.load("resnet18"), EOQ))
    layer = next(p for p in products if p.phase == "forward" and (p.m, p.k, p.n) == (3136, 576, 64))
    yield _row(
        "resnet18 conv2_x on 32x32, weight-stationary",
        systolic_cycles(
            layer.m, layer.k, layer.n, 32, 32, "weight-stationary", as_scale_sim=True
        ),
        116_279, "cycles", "SCALE-Sim 3.0.0, run",
    )  # fmt: skip
    yield _row(
        "resnet18 forward on 32x32, every multiplier busy", eoq.macs["forward"] // 1024,
        1_771_556, "cycles", "ZigZag 3.9.1, run: its ideal",
    )  # fmt: skip


def _energies() -> Iterator[Check]:
    horowitz, ours = load_technology("horowitz-45nm"), load_technology("osu018")
    for capacity, picojoules in _CACTI:
        yield _row(
            f"64-bit access of {capacity >> 10} KiB, table horowitz-45nm",
            horowitz.sram(capacity).nominal * 8e12, picojoules, "pJ", "CACTI at 45 nm", 0.65,
        )  # fmt: skip
    for capacity, price in list(horowitz.sram_entries.items())[1:-1]:
        yield _row(
            f"64-bit access of {capacity >> 10} KiB, from the other sizes of table horowitz-45nm",
            horowitz.without_sram(capacity).sram(capacity).nominal * 8e12, price.nominal, "pJ",
            "Horowitz, ISSCC 2014, 45 nm: a size that was not used", 0.10,
        )  # fmt: skip
    published = horowitz.energy("mac", "fp32").nominal / horowitz.energy("mac", "int8").nominal
    energy = ours.energy("mac", "fp32").nominal / ours.energy("mac", "int8").nominal
    yield _row(
        "energy of an FP32 MAC over an int8 one, table osu018", energy, published, "x",
        "Horowitz, ISSCC 2014, 45 nm", 0.25,
    )  # fmt: skip
