"""Results of co-simulations as JUnit XML, which continuous-integration systems read."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any
from xml.etree import ElementTree

__all__ = ["junit"]


def junit(
    results: Sequence[Mapping[str, Any]], missed: Sequence[str] = (),
    checks: Mapping[str, str | None] = MappingProxyType({}),
) -> str:  # fmt: skip
    """Return one test suite with a test case a run, one a functional bin that was missed, and one
    a check of coverage.

    Parameters
    ----------
    results:
        `cosim.regression.Regression.results`: passed, name, seconds, and first_mismatch or error.
    missed:
        Bins that had to be hit and were not.
    checks:
        `cosim.regression.Regression.checks`.
    """
    failures = sum(not r["passed"] and "error" not in r for r in results) + len(missed)
    failures += sum(1 for wrong in checks.values() if wrong)
    errors = sum("error" in r for r in results)
    seconds = sum(float(r["seconds"]) for r in results)
    suite = ElementTree.Element(
        "testsuite", name="eoq cosim", tests=str(len(results) + len(missed) + len(checks)),
        failures=str(failures), errors=str(errors), time=f"{seconds:.3f}",
    )  # fmt: skip
    for result in results:
        case = ElementTree.SubElement(
            suite, "testcase", classname="eoq.cosim", name=str(result["name"]),
            time=f"{result['seconds']:.3f}",
        )  # fmt: skip
        if "error" in result:
            ElementTree.SubElement(case, "error", message=_clean(result["error"]))
        elif not result["passed"]:
            ElementTree.SubElement(case, "failure", message=_clean(result["first_mismatch"]))
    for name in missed:
        case = ElementTree.SubElement(suite, "testcase", classname="eoq.cosim.bins", name=name,
                                      time="0.000")  # fmt: skip
        ElementTree.SubElement(case, "failure", message="never hit")
    for name, wrong in checks.items():
        case = ElementTree.SubElement(suite, "testcase", classname="eoq.cosim.coverage", name=name,
                                      time="0.000")  # fmt: skip
        if wrong:
            ElementTree.SubElement(case, "failure", message=_clean(wrong))
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _clean(text: object) -> str:
    """Return text without the characters that XML cannot hold."""
    return "".join(c for c in str(text) if c in "\t\n\r" or " " <= c <= "\ud7ff" or c >= "\ue000")
