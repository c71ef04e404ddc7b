"""The report's chapter on verification, from records that are there, outdated, bad or missing."""

import json
from pathlib import Path
from typing import Any

import pytest

from cosim.functional_bins import BINS
from cosim.sources import sources_key
from eoq import records
from eoq.verification import verification_section
from reports import Section


def result(sources: str, *, passed: bool = True) -> dict[str, Any]:
    outcome = "passed" if passed else "failed"
    proof = {"name": "it holds", "reach": "for ever", "seconds": 0.25}
    sums, streams = "tests/rtl/test_sums_formal.py", "tests/rtl/test_streams_formal.py"
    return {
        "sources": sources,
        "list": {
            "command": "eoq cosim --list it", "passed": passed,
            "runs": [
                {"what": "chosen steps", "simulator": "icarus", "runs": 1200,
                 "passed": 1200 - (not passed), "steps": 1500, "tensors": 9, "elements": 12345,
                 "instructions": 77, "cycles_rtl": 88, "seeds": "0-3"},
                {"what": "programs with a fault", "simulator": "icarus", "runs": 1, "passed": 1,
                 "steps": 0, "tensors": 0, "elements": 0, "instructions": 5, "cycles_rtl": 6,
                 "seeds": ""},
            ],
            "failed": {} if passed else {"a-run": "word 7 differs"},
            "bins": dict.fromkeys(BINS, 3) | ({} if passed else {"fault OP": 0}),
        },
        "coverage": {
            "command": "eoq cosim --list covers", "passed": passed,
            "failed": {} if passed else {"line coverage of 3x2": "12 %, 95 % required"},
            "coverage": [
                {"core": "3x2", "what": "lines", "covered": 97.5, "points": 2000, "hit": 1950,
                 "constant": 7, "waived": 0},
                {"core": "3x2", "what": "toggles", "covered": 96.0, "points": 50, "hit": 48,
                 "constant": 9, "waived": 3},
            ],
        },
        "units": {"command": "pytest tests/rtl", "tests": 400, "passed": 400 - (not passed)},
        "proofs": [
            {"file": sums, "claim": "holds", "outcome": "passed", **proof},
            {"file": sums, "claim": "is refuted", "outcome": "passed", **proof},
            {"file": streams, "claim": "holds", "outcome": outcome, **proof},
        ],
    }  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(records, "FOLDER", tmp_path)
    return tmp_path


def recorded(folder: Path, **what: Any) -> Section:
    said = {
        "command": "the command",
        "date": "2026-01-02",
        "versions": {},
        "result": result(**what),
    }
    (folder / "verification.json").write_text(json.dumps(said))
    return verification_section()


def outcomes(section: Section) -> dict[str, str]:
    frame = section.tables[0].frame
    return dict(zip(frame["what"], frame["outcome"], strict=True))


def test_outcomes_hits_and_proofs_are_shown(folder: Path) -> None:
    section = recorded(folder, sources=sources_key())
    assert "the present ones" in section.text[1]
    assert "the command, 2026-01-02" in section.text[1]
    shown = outcomes(section)
    assert shown["random networks and cores, chosen steps, random and faulty programs"] == (
        f"1,201 of 1,201 runs passed, {len(BINS)} of {len(BINS)} bins hit"
    )
    assert shown["lines and toggles of a core"] == "97.5 % of 2,000 lines, 96.0 % of 50 toggles"
    assert shown["every unit"] == "400 of 400 tests passed"
    assert shown["sums"] == "1 of 1 proofs hold, 1 of 1 mutants are refuted"
    assert shown["streams and buses"] == "1 of 1 proofs hold, 0 of 0 mutants are refuted"
    # Other records than that of verification.
    assert shown["whole training steps"] == shown["gates"] == "not recorded"
    assert list(section.tables[1].frame["hits"]) == [3] * len(BINS)
    listed, covered, proofs = section.parts
    assert list(covered.tables[0].frame["hit"]) == [1950, 48]
    assert listed.text[0].startswith("1,500 training steps on ")
    assert "12,345 numbers compared with golden's, 77 words and 88 cycles" in listed.text[0]
    assert list(listed.tables[0].frame["seeds"]) == ["0-3", "the fault's"]
    assert list(proofs.tables[0].frame["outcome"]) == ["PASS"] * 3
    assert list(proofs.tables[0].frame["file"]) == ["sums", "sums", "streams and buses"]


def test_what_failed_is_shown(folder: Path) -> None:
    section = recorded(folder, sources=sources_key(), passed=False)
    shown = outcomes(section)
    assert shown["random networks and cores, chosen steps, random and faulty programs"] == (
        f"1,200 of 1,201 runs passed, {len(BINS) - 1} of {len(BINS)} bins hit"
    )
    assert shown["every unit"] == "399 of 400 tests passed"
    assert shown["streams and buses"].startswith("0 of 1 proofs hold")
    listed, covered, proofs = section.parts
    assert covered.text[1] == "FAILED: line coverage of 3x2: 12 %, 95 % required"
    assert listed.text[1] == "FAILED: a-run: word 7 differs"
    assert list(proofs.tables[0].frame["outcome"]) == ["PASS", "PASS", "FAIL"]


def test_a_record_without_coverage_is_shown_without_it(folder: Path) -> None:
    said = result(sources_key())
    del said["coverage"]
    record = {"command": "the command", "date": "2026-01-02", "versions": {}, "result": said}
    (folder / "verification.json").write_text(json.dumps(record))
    section = verification_section()
    assert outcomes(section)["lines and toggles of a core"] == "not recorded"
    assert [part.key for part in section.parts] == ["listed", "proofs"]


def test_sources_that_have_changed_since_are_said_so(folder: Path) -> None:
    section = recorded(folder, sources="0" * 32)
    assert "THE SOURCES HAVE CHANGED SINCE" in section.text[1]
    assert sources_key() in section.text[1]
    assert "python benchmarks/records.py verification" in section.text[1]


def test_without_records_the_chapter_says_what_makes_them(folder: Path) -> None:
    section = verification_section()
    assert (
        section.text[1]
        == "Nothing is recorded here; python benchmarks/verification.py computes it."
    )
    assert set(outcomes(section).values()) == {"not recorded"}
    assert "hits" not in section.tables[1].frame
    assert not section.parts


def test_the_shipped_records_are_of_every_bin_and_every_proof() -> None:
    record = records.load_record("verification")
    assert record is not None
    said = record.result
    assert said["list"]["passed"]
    assert min(said["list"]["bins"].get(name, 0) for name in BINS) > 0
    assert {p["outcome"] for p in said["proofs"]} == {"passed"}
    assert len({p["file"] for p in said["proofs"]}) == 3
    assert said["units"]["passed"] == said["units"]["tests"]
