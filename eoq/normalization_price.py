"""The price of batch normalisation, synthesised: units, whole steps, and the paper's claim.

EOQ's abstract (arXiv 2105.13890) and text say that the integer process in the place of batch
normalisation has more than 70 times less power and more than 18 times the speed of FP32's. The
equations behind that were not to be had; here both sides are synthesised with one library, their
gates simulated on real training data, and the two ratios given level by level.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cosim.normalization_energy import channel_energy
from eoq.synthesis import synthesis_table
from golden import data
from golden.errors import InputError
from golden.networks import load
from golden.schemes import SCHEMES
from hwmodel.ledger import ledger
from hwmodel.normalization_units import (
    DIRECTIONS,
    UNITS,
    ChannelEnergy,
    Unit,
    load_units,
    unit_cost,
    unit_cycles,
)
from hwmodel.step import Step, total
from hwmodel.toml_reader import Band
from rtl.cell_library import CellLibrary
from rtl.config import CoreConfig
from rtl.synthesis import synthesize

__all__ = ["CHANNEL", "CLAIM", "NETWORKS", "STAGES", "Price", "normalization_price"]

NETWORKS = ("resnet8", "resnet20", "resnet18", "resnet34", "resnet50")

CHANNEL = 4096
"""Elements of the channel that rates are given for."""

BATCH = 64
"""Of the whole steps."""

RATE = 1e9
"""Elements a second, each forward and backward, for the comparison at equal throughput."""

CLAIM = {"power": 70, "speed": 18}
"""Of the paper, both "more than"."""

_OPERATORS = ("pe", "fp32_mul", "fp32_add", "fp32_div", "quantizer")
STAGES = len(UNITS) + len(_OPERATORS) + 1
"""Calls of `stage`."""

_DIVISION_CYCLES = 30
_PE_LATENCY, _FLOAT_LATENCY = 2, 4

Row = dict[str, Any]


@dataclass(frozen=True)
class Price:
    """Tables, a list of rows each, and what they rest on."""

    liberty: str
    units: list[Row]
    equal_throughput: list[Row]
    equal_area: list[Row]
    steps: list[Row]
    operators: list[Row]
    claim: list[Row]
    assumptions: list[str]


def normalization_price(
    library: CellLibrary,
    *,
    recipe: str = "stock",
    network: str = "resnet8",
    dataset: str = "digits",
    stage: Callable[[str], None] = lambda _: None,
    tell: Callable[[str], None] = lambda _: None,
) -> Price:
    """Synthesise the four units and the multiply-accumulates, simulate their gates, price steps.

    Parameters
    ----------
    library, recipe:
        What everything is mapped to, and how.
    network, dataset:
        Whose training steps give the operands, under the scheme of each unit.

    Raises
    ------
    InputError
        If the library lacks what energy needs.
    """
    if library.lacking:
        raise InputError(
            f"{library.where}: the price of normalisation requires {', '.join(library.lacking)}, "
            "got none; eoq synth --block says area and delay"
        )
    config = CoreConfig(rows=4, columns=4)
    images = data.load(dataset)
    net = load(network, input_shape=images.shape, classes=images.classes)
    units, rows = {}, []
    for name in UNITS:
        stage(name)
        synthesis = synthesize(name, config, library, recipe=recipe, tell=tell)
        energies = channel_energy(synthesis, library, net, images, tell=tell)
        if synthesis.area_um2 is None or synthesis.delay_ns is None:
            raise InputError(f"{library.where}: required an area and a delay of {name}, got none")
        unit = Unit(
            name, load_units()[name].what, _exactly(synthesis.area_um2),
            _exactly(synthesis.delay_ns),
            {e.direction: ChannelEnergy(_exactly(e.element_pj), _exactly(e.channel_pj))
             for e in energies},
            library.name,
        )  # fmt: skip
        units[name] = unit
        row = {"unit": name, "area_um2": synthesis.area_um2, "nand2": synthesis.nand2,
               "delay_ns": synthesis.delay_ns, **_rates(unit)}  # fmt: skip
        for e in energies:
            row |= {
                f"{e.direction}_element_pj": e.element_pj,
                f"{e.direction}_channel_pj": e.channel_pj,
                f"{e.direction}_clock_pj": e.element_clock_pj,
                f"{e.direction}_held_out_error": e.held_out_error,
            }
        rows.append(row)
    operators, _ = synthesis_table(
        _OPERATORS, config, library, recipe=recipe, operands=(network, dataset), stage=stage,
        tell=tell,
    )  # fmt: skip
    parts = {row["block"]: row for row in operators}
    stage("whole steps")
    steps = list(_steps(units, parts))
    return Price(
        library.where, rows, _equal_throughput(units), _equal_area(units), steps,
        [_operator(row) for row in operators], list(_claim(units, parts, steps)),
        _assumptions(network, dataset),
    )  # fmt: skip


def _exactly(value: float) -> Band:
    return Band(value, value, value)


def _cycles(unit: Unit) -> dict[str, int]:
    return {way: unit_cycles(unit.name, CHANNEL, backward=way == "backward") for way in DIRECTIONS}


def _seconds(unit: Unit, ways: Sequence[str] = DIRECTIONS) -> float:
    """An element's, of a channel of `CHANNEL`, one unit at its own clock."""
    cycles = _cycles(unit)
    return sum(cycles[way] for way in ways) / CHANNEL * unit.delay.nominal * 1e-9


def _joules(unit: Unit, ways: Sequence[str] = DIRECTIONS) -> float:
    """An element's, with its share of the channel's."""
    picojoules = sum(
        unit.energy[way].element.nominal + unit.energy[way].channel.nominal / CHANNEL
        for way in ways
    )
    return picojoules * 1e-12


def _rates(unit: Unit) -> Row:
    cycles = _cycles(unit)
    return {
        "forward_cycles": cycles["forward"],
        "backward_cycles": cycles["backward"],
        "latency_ns": cycles["forward"] * unit.delay.nominal,
        "elements_per_s": 1 / _seconds(unit),
        "element_pj": _joules(unit) * 1e12,
        "power_w": _joules(unit) / _seconds(unit),
    }


def _equal_throughput(units: Mapping[str, Unit]) -> list[Row]:
    """As many units as handle `RATE`."""
    rows = []
    for unit in units.values():
        count = RATE * _seconds(unit)
        rows.append({"unit": unit.name, "units": count,
                     "area_mm2": count * unit.area.nominal * 1e-6,
                     "power_w": RATE * _joules(unit)})  # fmt: skip
    return _times(rows, "area_mm2", "power_w")


def _equal_area(units: Mapping[str, Unit]) -> list[Row]:
    """As many units as fit where one FP32 unit does."""
    room = units["bn_fp32"].area.nominal
    rows = []
    for unit in units.values():
        count = room / unit.area.nominal
        rate = count / _seconds(unit)
        rows.append({"unit": unit.name, "units": count, "elements_per_s": rate,
                     "power_w": rate * _joules(unit)})  # fmt: skip
    return _times(rows, "elements_per_s", "power_w")


def _times(rows: list[Row], *keys: str) -> list[Row]:
    """With each quantity's multiple of Fixup's."""
    base = next(row for row in rows if row["unit"] == "fixup")
    return [{**row, **{f"{key}_times_fixup": row[key] / base[key] for key in keys}} for row in rows]


def _steps(units: Mapping[str, Unit], parts: Mapping[str, Row]) -> Iterator[Row]:
    """An image's share of a training step with a batch of `BATCH`."""
    per_mac = {
        "eoq": parts["pe"]["energy_pj"],
        "fp32-bn": parts["fp32_mul"]["energy_pj"] + parts["fp32_add"]["energy_pj"],
    }
    for name in NETWORKS:
        network = load(name)
        base: Row = {}
        for scheme in SCHEMES.values():
            step = Step(network, scheme, BATCH)
            cost = unit_cost(step, units)
            row: Row = {
                "network": name, "scheme": scheme.name, "unit": cost.unit,
                "cycles": (cost.forward_cycles + cost.backward_cycles) / BATCH,
                "seconds": cost.seconds / BATCH, "energy_j": cost.energy_j / BATCH,
                "mac_j": None, "conversion_j": None,
            }  # fmt: skip
            if scheme.name in per_mac:
                counts = ledger(step)
                macs = total(counts, op="mac")
                row["mac_j"] = macs * per_mac[scheme.name] * 1e-12 / BATCH
                converted = total(counts, phase="quantization", op="shift")
                row["conversion_j"] = converted * parts["quantizer"]["energy_pj"] * 1e-12 / BATCH
            base = base or row
            row |= {f"{key}_times_eoq": row[key] / base[key] for key in ("seconds", "energy_j")}
            yield row


def _operator(row: Row) -> Row:
    return {key: row[key] for key in ("block", "area_um2", "delay_ns", "energy_pj")}


def _claim(
    units: Mapping[str, Unit], parts: Mapping[str, Row], steps: Sequence[Row]
) -> Iterator[Row]:
    mul, add, div, pe = (parts[n] for n in ("fp32_mul", "fp32_add", "fp32_div", "pe"))
    float_clock = max(mul["delay_ns"], add["delay_ns"])
    mac = mul["energy_pj"] + add["energy_pj"]
    yield _ratio(
        "MAC", "FP32 multiplier and adder against the int8 element with 32-bit sums",
        mac / pe["energy_pj"], float_clock / pe["delay_ns"],
        "one result a cycle, each at its own clock; operand and weight registers only in int8's",
    )  # fmt: skip
    yield _ratio(
        "MAC, latency", "the same, from operands to result",
        mac / pe["energy_pj"],
        2 * _FLOAT_LATENCY * float_clock / (_PE_LATENCY * pe["delay_ns"]),
        f"{2 * _FLOAT_LATENCY} cycles against {_PE_LATENCY}: nothing is pipelined between results",
    )  # fmt: skip
    fixup, normal = units["fixup"], units["bn_fp32"]
    one = fixup.energy["forward"].element.nominal
    clock = fixup.delay.nominal
    yield _ratio(
        "element, folded", "FP32 multiply and add against Fixup's multiply and add, forward",
        mac / one, float_clock / clock,
        "inference with the deviation folded into a factor and an offset a channel",
    )  # fmt: skip
    chain = mac + add["energy_pj"] + div["energy_pj"]
    slow = _DIVISION_CYCLES * max(float_clock, div["delay_ns"]) / clock
    yield _ratio(
        "element, divided", "subtract, divide, multiply, add in FP32 against Fixup's, forward",
        chain / one, slow,
        f"every element is divided, by a serial divider in {_DIVISION_CYCLES} cycles; what waits "
        "for it has its clock gated",
    )  # fmt: skip
    idle = (_DIVISION_CYCLES - 1) * (_clock(mul) + 2 * _clock(add))
    yield _ratio(
        "element, divided, no gating", "the same", (chain + idle) / one, slow,
        "as before, and nothing has its clock gated",
    )  # fmt: skip
    yield _ratio(
        "element, divided, bare",
        "the same against an int8 multiply and add alone (the array's element)",
        chain / pe["energy_pj"], slow * clock / pe["delay_ns"],
        "as two rows above; Fixup's unit has registers, saturation, control and the backward pass",
    )  # fmt: skip
    for ways, what in ((("forward",), "forward"), (DIRECTIONS, "forward and backward")):
        yield _ratio(
            f"element, units, {what}",
            "the FP32 unit against Fixup's, in training, statistics included",
            _joules(normal, ways) / _joules(fixup, ways),
            _seconds(normal, ways) / _seconds(fixup, ways),
            f"channels of {CHANNEL} elements, one reciprocal a channel, each unit at its own clock",
        )  # fmt: skip
    for name in NETWORKS:
        ours, theirs = (
            next(row for row in steps if (row["network"], row["scheme"]) == (name, scheme))
            for scheme in ("eoq", "fp32-bn")
        )
        yield _ratio(
            f"model, {name}", "all normalisation of a training step against all of Fixup's scalars",
            theirs["energy_j"] / ours["energy_j"], theirs["seconds"] / ours["seconds"],
            f"batch {BATCH}, one unit each; a bias alone takes a whole pass of Fixup's unit",
        )  # fmt: skip
    for name in NETWORKS:
        ours, theirs = (
            next(row for row in steps if (row["network"], row["scheme"]) == (name, scheme))
            for scheme in ("eoq", "fp32-bn")
        )
        yield _ratio(
            f"model, {name}, with products",
            "the same with all multiply-accumulates, and EOQ's conversions",
            _whole(theirs) / _whole(ours), None,
            "no memory, no update; conversions by the 8-bit quantiser",
        )  # fmt: skip


def _clock(part: Row) -> float:
    """pJ a cycle of an operator's clock."""
    return part["energy"]["forward"]["clock_pj"]


def _whole(row: Row) -> float:
    return row["energy_j"] + row["mac_j"] + row["conversion_j"]


def _ratio(level: str, what: str, power: float, speed: float | None, assuming: str) -> Row:
    """How many times less power at the same rate (less energy), and how many times as fast."""
    return {
        "level": level, "compared": what, "power": power, "speed": speed,
        "power_claim": _verdict(power, CLAIM["power"]),
        "speed_claim": None if speed is None else _verdict(speed, CLAIM["speed"]),
        "assuming": assuming,
    }  # fmt: skip


def _verdict(ratio: float, claimed: float) -> str:
    return "reproduced" if ratio > claimed else "refuted"


def _assumptions(network: str, dataset: str) -> list[str]:
    return [
        f"operands: training steps of {network} on {dataset}, under the scheme of each unit",
        "energy: gates without delays, toggles x Liberty, clock included, no wires, no clock tree, "
        "no clock gating; leakage left out (below 0.01 %)",
        "delay: the shortest clock of each unit by itself, no wires, inputs at 0 ns",
        f"rates and shares are those of channels of {CHANNEL} elements; the elements of every pass "
        "come from memory, whose energy is not in these figures (eoq cost has it: more passes cost "
        "batch normalisation more)",
        "power: of as many units as handle the same elements a second, so the ratio of energies; "
        "speed: of one unit at its own clock",
        "Fixup's results are 32 bits and are converted to 8 by the quantiser, whose energy is in "
        "conversion_j; FP32 has no conversion",
        f"steps: batch {BATCH}, an image's share; a bias without a multiplier is priced as both",
    ]
