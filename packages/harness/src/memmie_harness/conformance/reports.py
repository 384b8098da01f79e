"""Reports of a run as files: JSON and JUnit XML."""

from __future__ import annotations

import json
import re
from typing import Final
from xml.etree import ElementTree as ET

from memmie_harness.conformance.model import Outcome, Report, Result

_NOT_XML: Final = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd]")


def as_json(report: Report) -> str:
    """Return the report as JSON."""
    return json.dumps(report.as_json(), indent=1) + "\n"


def as_junit(report: Report) -> str:
    """Return the report as JUnit XML: a group is a class, and what is not offered is skipped."""
    suite = ET.Element(
        "testsuite",
        name=f"conformance of {report.target}",
        tests=str(len(report.results)),
        failures=str(report.count(Outcome.FAILED)),
        errors=str(report.count(Outcome.ERROR)),
        skipped=str(report.count(Outcome.NOT_OFFERED)),
        time=f"{sum(result.seconds for result in report.results):.3f}",
    )
    for result in report.results:
        group, _, name = result.test.id.partition("/")
        case = ET.SubElement(suite, "testcase", classname=group, name=name, time=f"{result.seconds:.3f}")
        tag = {
            Outcome.FAILED: "failure",
            Outcome.ERROR: "error",
            Outcome.NOT_OFFERED: "skipped",
        }.get(result.outcome)
        if tag is not None:
            message = result.evidence.seen if tag != "failure" else f"expected {result.evidence.expected}"
            child = ET.SubElement(case, tag, message=_xml(message))
            child.text = _xml(explain(result))
    return ET.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _xml(text: str) -> str:
    return _NOT_XML.sub("?", text)


def explain(result: Result) -> str:
    """Return a result in words: the rule, the offers that the test depends on, what was expected and seen, the note, and the exchange."""
    test, evidence = result.test, result.evidence
    lines = [f"{result.outcome} {test.id} ({test.level}): {test.title}", f"  rule:     {test.rule}"]
    if test.needs:
        lines.append(f"  offers:   {', '.join(sorted(test.needs))}")
    if evidence.expected:
        lines.append(f"  expected: {evidence.expected}")
    if evidence.seen:
        lines.append(f"  seen:     {evidence.seen}")
    if evidence.note:
        lines.append(f"  why:      {evidence.note}")
    lines += [f"    {line}" for line in evidence.exchange]
    return "\n".join(lines)
