"""The results of the cases, through the gateway compared with direct ones."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

DIRECT: Final = "direct"
GATEWAY: Final = "gateway"
AGENTS: Final = (DIRECT, GATEWAY)


class Result(NamedTuple):
    """The result of one case.

    Attributes:
        behavior: the suite's verdict: OK, NON-STRICT, INFORMATIONAL, FAILED and a few more.
        closing: its verdict on the closing handshake.
        clean: whether both sides exchanged Close frames before the connection ended.
        reason: what the suite says about the result.
    """

    behavior: str
    closing: str
    clean: bool
    reason: str = ""


Results = Mapping[str, Result]
"""The results of one agent, by case."""


def read_results(folder: Path) -> dict[str, Results]:
    """Read a report of the suite; return the results by agent."""
    index = json.loads((folder / "index.json").read_text())
    return {
        agent: {
            case: _result(json.loads((folder / entry["reportfile"]).read_text()))
            for case, entry in cases.items()
        }
        for agent, cases in index.items()
    }


def _result(report: Mapping[str, object]) -> Result:
    return Result(
        str(report["behavior"]),
        str(report["behaviorClose"]),
        bool(report["wasClean"]),
        f"{report['result']} {report['resultClose']}",
    )


def differences(direct: Results, gateway: Results, wanted: Sequence[str] = ()) -> list[str]:
    """Return one line for each case that differs through the gateway, or was not run.

    It is not a difference if a connection ends cleanly through the gateway only.

    Args:
        direct: the results without the gateway.
        gateway: the results through the gateway.
        wanted: the cases that had to be run; patterns with `*` are ignored.
    """
    named = {case for case in wanted if "*" not in case}
    lines = []
    for case in sorted(direct.keys() | gateway.keys() | named, key=_in_order):
        before, after = direct.get(case), gateway.get(case)
        if before is None or after is None:
            lines.append(f"{case}: not run {'directly' if before is None else 'through the gateway'}")
        elif before[:2] != after[:2] or before.clean > after.clean:
            lines.append(
                f"{case}: directly {_words(before)}, through the gateway {_words(after)}: {after.reason}"
            )
    return lines


def table(results: Mapping[str, Mapping[str, Results]]) -> str:
    """Return the totals as text: a row for each role of the suite and each agent."""
    lines = [f"{'suite':<16}{'testee':<10}{'cases':>6}  {'unclean':>7}  verdicts"]
    for role, agents in results.items():
        for agent in AGENTS:
            of_agent = agents.get(agent, {}).values()
            unclean = sum(not result.clean for result in of_agent)
            verdicts = Counter(result.behavior for result in of_agent)
            words = ", ".join(f"{count} {verdict}" for verdict, count in verdicts.most_common())
            lines.append(f"{role:<16}{agent:<10}{len(of_agent):>6}  {unclean:>7}  {words}")
    return "\n".join(lines)


def _words(result: Result) -> str:
    return f"{result.behavior} (closing {result.closing}{'' if result.clean else ', unclean'})"


def _in_order(case: str) -> tuple[int, ...]:
    return tuple(int(part) for part in case.split("."))
