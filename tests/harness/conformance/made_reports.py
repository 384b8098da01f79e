"""Reports for the tests of the matrix."""

from __future__ import annotations

import json
from typing import Any

from memmie_harness.conformance.matrix.saved import SavedReport, parse_report

HOSTILE = [
    "<script>alert(1)</script>",
    "</title></style></textarea></pre><img src=x onerror=alert(1)>",
    "\" onmouseover=\"alert(1)\" x='y' autofocus onfocus='alert(2)",
    "javascript:alert(1)",
    "<a href=javascript:alert(1)>&lt;click&#62;</a>",
    "<!-- --><![CDATA[ ]]><?php ?>",
    "{{ 7 * 7 }}{% raw %}",
    "NUL \x00, escape \x1b[2J\x1b]0;title\x07, delete \x7f, next line \x85",
    "right to left \u202e \u2066 \u200f, \u05d0\u05d1, zero \u200b\ufeff, line \u2028 paragraph \u2029",
    "a|b\n| c | d |\r\n```\n# heading\n- item",
    "[link](https://example.test) ![](x) <https://example.test> https://example.test www.example.test",
    "`code` ``` **bold** __x__ ~~y~~ $z$ \\| \\",
    "astral \U0001f600 and private \ue000 and z\u0300\u0301\u0302\u0303algo",
    "x" * 500,
]
"""Texts that are markup, or change what is around them, where they are not escaped."""


def row(
    name: str = "closes/code-1000-up", outcome: str = "passed", note: str = "", **fields: Any
) -> dict[str, Any]:
    """Return a test of a report."""
    evidence = {"exchange": ["client sent: \\x88"], "expected": "a Close frame", "seen": "nothing"}
    return {
        "id": name,
        "title": f"Title of {name}",
        "level": "must",
        "rule": "RFC 6455 §5.5.1",
        "outcome": outcome,
        "seconds": 0.02,
        **fields,
        "evidence": {**fields.get("evidence", evidence), **({"note": note} if note else {})},
    }


def content(*rows: dict[str, Any], target: str = "gw", **versions: str) -> dict[str, Any]:
    """Return a report as its JSON has it."""
    return {"target": target, "versions": versions, "tests": list(rows)}


def as_bytes(report: object) -> bytes:
    """Return a report as a file has it."""
    return json.dumps(report).encode()


def saved(*rows: dict[str, Any], target: str = "gw", **versions: str) -> SavedReport:
    """Return a report that was read."""
    return parse_report(as_bytes(content(*rows, target=target, **versions)), "report.json")
