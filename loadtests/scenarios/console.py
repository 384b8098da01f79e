"""What a run says while it lasts, on standard error."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Final

from loadtests.common.run import Second
from loadtests.common.units import shown

SPARSELY: Final = 10
"""If standard error is not a terminal, there is one line in so many seconds."""


@dataclass
class Console:
    """Where a run speaks.

    Attributes:
        command: what begins a complaint.
        json: whether run.json is printed instead of the table.
        follows: whether every second is shown; Locust's own statistics do that if `locust` is the command.
    """

    command: str = "locust"
    json: bool = False
    follows: bool = False

    def tell(self, scenario: str, second: Second) -> None:
        """Show a second: a line that is overwritten on a terminal, else a line now and then."""
        if not self.follows:
            return
        if sys.stderr.isatty():
            sys.stderr.write(f"\r\x1b[K{_line(scenario, second)}")
            sys.stderr.flush()
        elif round(second.at) % SPARSELY == 0:
            self.say(_line(scenario, second))

    def say(self, line: str) -> None:
        """Write a line that stays."""
        self.clear()
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()

    def complain(self, words: str) -> None:
        """Write what went wrong."""
        self.say(f"{self.command}: {words}")

    def clear(self) -> None:
        """Remove the line that is overwritten, so that what follows begins a line, on standard output too."""
        if self.follows and sys.stderr.isatty():
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


CONSOLE: Final = Console()
"""This process's; `load.py` changes it."""


def _line(scenario: str, second: Second) -> str:
    parts = [
        f"{scenario} {second.at:.0f} s",
        f"{second.connections} connections",
        f"{second.messages} messages/s",
    ]
    if second.p50 is not None and second.p99 is not None:
        parts.append(f"p50 {shown(second.p50, 's')}, p99 {shown(second.p99, 's')}")
    if second.gateway_cpu is not None and second.gateway_rss is not None:
        parts.append(f"gateway {second.gateway_cpu:.0%}, {shown(second.gateway_rss, 'bytes')}")
    parts.append(f"{second.failures} failures")
    return " · ".join(parts)
