"""Writes the pages that are read off the code: `python docs/generate.py`. A test holds them equal."""
# ruff: noqa: INP001 - a script

from __future__ import annotations

from pathlib import Path

from memmie_gateway.app.reference import as_markdown, rows
from memmie_gateway.core.outcomes import Cause, Ending

HERE = Path(__file__).parent

SETTINGS = """\
# Settings

<!-- Written by docs/generate.py from memmie_gateway.app.settings. -->

Every setting is an environment variable.
An empty one counts as not set; a bad one stops the start with exit code 2 and a line that names it.
`memmie-gateway settings` prints this list, `memmie-gateway check` tries the settings out.

"""

REFUSALS = """\
# Why a connection ends

<!-- Written by docs/generate.py from memmie_gateway.core.closing. -->

Every refusal and every end has one cause.
Its code is stable: it is `code` in the JSON body of a refusal, `code` (of a refusal) or `cause` (of an end) in the log, `reason` in `gateway_refusals_total` and `type` in `gateway_websocket_errors_total`.
*By* is who brought it about.

## Refused

The client gets the HTTP status and `{"error": words, "code": code}`; where trying again soon may help, `Retry-After` too.
A client whose upgrade was accepted before its token was known (first-message auth) gets the close code instead.
A Studio's own 4xx (`studio_refused`) is passed on with its status and body, or as close code 4000 + status.

| code | words | by | HTTP status | close code | retry |
|---|---|---|---|---|---|
"""

ENDS = """
## Ended

A live connection ends with a Close frame to each side that is still there.
*Passed on* is a Close frame of the other side's, with its own code and reason.

| code | words | by | close code to the client | close code to Studio | retry |
|---|---|---|---|---|---|
"""


def pages() -> dict[Path, str]:
    """Return each generated page by its path."""
    return {
        HERE / "settings.md": SETTINGS + as_markdown(rows()),
        HERE / "closing.md": REFUSALS
        + "".join(_refusal(cause) for cause in Cause if cause.ending.status)
        + ENDS
        + "".join(
            _end(cause.ending) for cause in Cause if not cause.ending.status or cause is Cause.DRAINING
        ),
    }


def _refusal(cause: Cause) -> str:
    ending = cause.ending
    return (
        f"| `{ending.code}` | {ending.words} | {ending.by.value} | {ending.status} "
        f"| {cause.close_code} | {_yes(ending)} |\n"
    )


def _end(ending: Ending) -> str:
    # Only an end that a side made itself has no words of the gateway's; a lost side is told nothing.
    none = "lost" if ending.words else "passed on"
    return (
        f"| `{ending.code}` | {ending.words} | {ending.by.value} "
        f"| {ending.to_client or none} | {ending.to_studio or none} | {_yes(ending)} |\n"
    )


def _yes(ending: Ending) -> str:
    return "yes" if ending.retry else ""


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
