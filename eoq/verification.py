"""The report's chapter on verification: what was verified, how, and what came of it."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from cosim.functional_bins import BINS
from cosim.sources import sources_key
from eoq.recorded_sections import missing, validation_table
from eoq.records import Record, load_record
from reports import Section, Table
from reports.curve import curve

__all__ = ["verification_section"]

Row = Mapping[str, Any]

_PROVED = {
    "tests/rtl/test_quantizer_formal.py": (
        "the quantisers", "proofs that they are their specification; mutants are refuted",
    ),
    "tests/rtl/test_sums_formal.py": (
        "sums", "proofs that a column adds exactly, that no sum within the bound wraps and that "
        "saturation is symmetric; a product or a number more is refuted",
    ),
    "tests/rtl/test_streams_formal.py": (
        "streams and buses", "proofs that what is offered stands until it is taken, that bursts "
        "keep to boundaries and have the beats they promised; mutants are refuted",
    ),
}  # fmt: skip
"""File of proofs -> what they are about, and what they say."""


def verification_section(own: Sequence[Section] = ()) -> Section:
    """What is verified and how; `own` parts were simulated with the report, others are recorded."""
    record = load_record("verification")
    parts = [*own]
    if record:
        parts += [_listed(record), *_covered(record), _proofs(record)]
    validation, training = load_record("validation"), load_record("training")
    if validation:
        parts.append(_simulated(validation))
    if training:
        parts.append(_learned(training))
    return Section(
        key="verification",
        title="Verification",
        text=[
            "Hardware is held against the same arithmetic that trains in NumPy and against the "
            "cost model's cycles; seeds are fixed and printed.",
            _sources(record) if record else missing("verification"),
        ],
        tables=[_status(record), _bins(record)],
        parts=parts,
    )


def _sources(record: Record) -> str:
    then, now = record.result["sources"], sources_key()
    said = f"Co-simulations, tests and proofs are recorded: {record.source}, of the sources {then}"
    if then == now:
        return f"{said}, which are the present ones."
    return (
        f"{said}. THE SOURCES HAVE CHANGED SINCE and are now {now}: python benchmarks/records.py "
        "verification runs all of it again."
    )


def _status(record: Record | None) -> Table:
    """One row for each thing that is verified, with what came of it."""
    said = record.result if record else None
    rows = [
        ("whole training steps", "bit for bit and cycle for cycle, both simulators", _steps(),
         "eoq validate --group rtl"),
        ("random networks and cores, chosen steps, random and faulty programs",
         "the same; functional bins that have to be hit", _runs(said),
         "eoq cosim --list tests/cosim/lists/full.toml -o DIR"),
        ("lines and toggles of a core", "counted by Verilator over random programs that are "
         "checked; what is constant, or waived with a reason, does not count", _coverage(said),
         "eoq cosim --list tests/cosim/lists/coverage.toml -o DIR"),
        ("every unit", "random with corners, against golden, at several parameters", _units(said),
         "pytest tests/rtl"),
        *((what, how, _proved(said, file), f"pytest {file}")
          for file, (what, how) in _PROVED.items()),
        ("gates", "mapped netlists replay the RTL's vectors bit for bit", _gates(), "eoq synth"),
    ]  # fmt: skip
    return Table(
        key="verified",
        title="What is verified, how, and what came of it",
        frame=pd.DataFrame(rows, columns=["what", "how", "outcome", "command"]),
    )


_UNKNOWN = "not recorded"


def _steps() -> str:
    record = load_record("validation")
    if record is None:
        return _UNKNOWN
    rows = _against_rtl(record)
    return _of(sum(row["status"] == "pass" for row in rows), len(rows), "comparisons passed")


def _runs(said: Mapping[str, Any] | None) -> str:
    if said is None:
        return _UNKNOWN
    runs, bins = said["list"]["runs"], said["list"]["bins"]
    passed = _of(sum(r["passed"] for r in runs), sum(r["runs"] for r in runs), "runs passed")
    return f"{passed}, {_of(sum(bins.get(name, 0) > 0 for name in BINS), len(BINS), 'bins hit')}"


def _coverage(said: Mapping[str, Any] | None) -> str:
    if said is None or "coverage" not in said:
        return _UNKNOWN
    return ", ".join(
        f"{row['covered']:.1f} % of {row['points']:,} {row['what']}"
        for row in said["coverage"]["coverage"]
    )


def _units(said: Mapping[str, Any] | None) -> str:
    if said is None:
        return _UNKNOWN
    return _of(said["units"]["passed"], said["units"]["tests"], "tests passed")


def _proved(said: Mapping[str, Any] | None, file: str) -> str:
    if said is None:
        return _UNKNOWN
    texts = []
    for claim, text in (("holds", "proofs hold"), ("is refuted", "mutants are refuted")):
        found = [p for p in said["proofs"] if (p["file"], p["claim"]) == (file, claim)]
        texts.append(_of(sum(p["outcome"] == "passed" for p in found), len(found), text))
    return ", ".join(texts)


def _gates() -> str:
    """A record of synthesis is there only if all gates did what the RTL did."""
    record = load_record("synthesis")
    if record is None:
        return _UNKNOWN
    replayed = [block for block in record.result["blocks"] if block["energy"]]
    cycles = sum(phase["cycles"] for block in replayed for phase in block["energy"].values())
    return f"{len(replayed)} blocks equal in {cycles:,} cycles"


def _of(good: int, all_: int, what: str) -> str:
    return f"{good:,} of {all_:,} {what}"


def _bins(record: Record | None) -> Table:
    frame = pd.DataFrame(BINS.items(), columns=["bin", "what goes unseen without it"])
    caption = "Each is counted while steps run; a list of runs fails when one is missed."
    units = {}
    if record:
        hits = record.result["list"]["bins"]
        frame.insert(1, "hits", [hits.get(name, 0) for name in BINS])
        caption += f" Hits of the full list: {record.source}."
        units["hits"] = ""
    return Table(
        key="bins", title="Functional bins", frame=frame, caption=caption, units=units, exact=None
    )


def _listed(record: Record) -> Section:
    """The list that the full suite runs."""
    said = record.result["list"]
    frame = pd.DataFrame(said["runs"])
    frame.insert(2, "seeds", frame.pop("seeds").replace("", "the fault's"))
    # Programs that train nothing are checked too, but not against golden.
    totals = frame[frame["steps"] > 0].sum(numeric_only=True)
    return Section(
        key="listed",
        title="Co-simulated runs",
        text=[
            f"{totals['steps']:,} training steps on cores of many shapes: {totals['elements']:,} "
            f"numbers compared with golden's, {totals['instructions']:,} words and "
            f"{totals['cycles_rtl']:,} cycles with the model's.",
            *_failed(said),
        ],
        tables=[
            Table(
                key="listed-runs",
                title="Runs of the full list",
                frame=frame,
                caption=f"{said['command']}; {record.source}. Elements: numbers of all tensors, "
                "each compared; programs with a fault are compared by their fault and by memory.",
                units={"runs": "", "passed": "", "steps": "", "tensors": "", "elements": "",
                       "instructions": "", "cycles_rtl": "cycles"},
                exact=None,
                labels={"instructions": "words", "cycles_rtl": "cycles"},
            )
        ],
    )  # fmt: skip


def _covered(record: Record) -> list[Section]:
    """Lines and toggles, where they are in the record."""
    said = record.result.get("coverage")
    if said is None:
        return []
    return [
        Section(
            key="covered",
            title="Lines and toggles",
            text=[
                "Blocks and choices of the Verilog, and each bit of each signal, up and down.",
                *_failed(said),
            ],
            tables=[
                Table(
                    key="covered",
                    title="What the runs of the coverage list met",
                    frame=pd.DataFrame(said["coverage"]),
                    caption=f"{said['command']}; {record.source}. Constant: cannot change by "
                    "construction. Waived: with a reason in waivers.toml beside the list. Neither "
                    "is among the points.",
                    units={"covered": "%", "points": "", "hit": "", "constant": "", "waived": ""},
                    exact=None,
                )
            ],
        )
    ]


def _failed(said: Mapping[str, Any]) -> list[str]:
    """Name the runs of a list that failed, and what else it required."""
    return [f"FAILED: {name}: {why}" for name, why in said["failed"].items()]


def _proofs(record: Record) -> Section:
    """Each proof, and each mutant that had to be refuted."""
    frame = pd.DataFrame(record.result["proofs"])
    frame["file"] = [_PROVED[file][0] if file in _PROVED else file for file in frame["file"]]
    frame["outcome"] = frame["outcome"].replace({"passed": "PASS", "failed": "FAIL"})
    return Section(
        key="proofs",
        title="Formal proofs",
        text=[
            "Yosys' SAT solver looks for inputs that break an assertion. A proof passes when there "
            "are none, a mutant when there are: an assertion that nothing can break shows nothing."
        ],
        tables=[
            Table(
                key="proofs",
                title="Proofs and mutants",
                frame=frame,
                caption=f"{record.source}. Seconds: of the test, its hardware's making included.",
                units={"seconds": "s"},
                exact=None,
                labels={"file": "about", "name": "proof", "reach": "how far"},
            )
        ],
    )


def _against_rtl(record: Record) -> list[Row]:
    return [row for row in record.result["rows"] if row["group"] == "model against RTL"]


def _simulated(record: Record) -> Section:
    rows = _against_rtl(record)
    return Section(
        key="simulated",
        title="Simulated steps",
        text=[
            "Every tensor of a step is compared with golden's bit for bit, what every instruction "
            "writes with the instruction set's model, and the cycle in which it is taken and "
            "complete with the cost model's."
        ],
        tables=[validation_table(rows, record, "simulated-steps", "Model and RTL")],
    )


def _learned(record: Record) -> Section:
    said = record.result
    table = Table(
        key="learned-in-rtl",
        title="Validation accuracy by epoch",
        frame=pd.DataFrame(
            [
                {"epoch": epoch, "accuracy": 100 * value}
                for epoch, value in enumerate(said["validation_curve"], start=1)
            ]
        ),
        caption=f"{said['network']} on {said['data']}, batch {said['batch']}, seed {said['seed']}; "
        f"{record.source}.",
        units={"epoch": "", "accuracy": "%"},
        exact=None,
        labels={"accuracy": "validation accuracy"},
    )
    return Section(
        key="learned",
        title="Learned in RTL",
        text=[
            f"{said['epochs'] * said['steps_per_epoch']:,} steps on the simulated core, its "
            "parameters those of golden after every epoch and its cycles the model's in every "
            f"step. Test accuracy, read once: {100 * said['test_accuracy']:.1f} %."
        ],
        tables=[table],
        figures=[
            curve(
                table, "epoch", "accuracy", key="learned-in-rtl", title="The core learns",
                caption=table.caption,
            )
        ],
    )  # fmt: skip
