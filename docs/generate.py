"""Generate docs/settings.md and docs/closing.md: `python docs/generate.py`. A test compares them with the code."""
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
An empty variable counts as not set.
If a setting is invalid, the gateway does not start, and exits with code 2.
It prints one line for each invalid setting, with the variable, the value and what is allowed.
When the gateway starts, it also reports variables that look like misspelt settings; so does `memmie-gateway check`.
`memmie-gateway settings` prints this list.
`memmie-gateway check` validates your settings, and tests the connections to Auth and to each backend.

*Auth* is your service that validates tokens, and *Studio* is your WebSocket service.
A *backend* is one running instance of Studio.

"""

REFUSALS = """\
# Why a connection ends

<!-- Written by docs/generate.py from memmie_gateway.core.outcomes. -->

When the gateway refuses a connection, or a live connection ends, there is exactly one cause.
Each cause has a stable code, the first column of these tables.
You find this code in four places:

- `code` in the JSON body of a refusal,
- `cause` in the log,
- `reason` in the metric `gateway_refusals_total`,
- `type` in the metric `gateway_websocket_errors_total`, for a live connection that ended with an error.

The column *by* says which party caused the refusal or the end.
The column *retry* says whether it makes sense to try again soon.

## Refused

These are the refusals during the handshake.
The client gets the HTTP status and the body `{"error": words, "code": code}`.
If *retry* is "yes", the answer has a `Retry-After` header.

With first-message auth the gateway accepts the upgrade before it knows the token.
It can then no longer send an HTTP status, so the client gets the close code instead.

A backend's own refusal with a 4xx status (`studio_refused`) is passed on with its status and body.
With first-message auth the client gets the close code 4000 + this status instead.

| code | words | by | HTTP status | close code | retry |
|---|---|---|---|---|---|
"""

ENDS = """
## Ended

These are the ends of live connections.
Each side that is still connected gets a Close frame.
*Passed on* means that one side sent a Close frame, and that the gateway forwards it to the other side with the same code and reason.
*Lost* means that the connection to this side is gone, so nothing can be sent to it.
`token_ended` is reserved: in this version a connection does not end when its token expires.

| code | words | by | close code to the client | close code to Studio | retry |
|---|---|---|---|---|---|
"""


def pages() -> dict[Path, str]:
    """Return the text of each generated page by its path."""
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
    # The gateway has no words for a Close frame of a side itself; a lost side gets no Close frame.
    none = "lost" if ending.words else "passed on"
    return (
        f"| `{ending.code}` | {ending.words} | {ending.by.value} "
        f"| {ending.to_client or none} | {ending.to_backend or none} | {_yes(ending)} |\n"
    )


def _yes(ending: Ending) -> str:
    return "yes" if ending.retry else ""


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
