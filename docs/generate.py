"""Generate docs/settings.md and docs/closing.md: `python docs/generate.py`. A test compares them with the code."""
# ruff: noqa: INP001 - a script

from __future__ import annotations

from pathlib import Path

from memmie_gateway.app.reference import as_markdown
from memmie_gateway.core.outcomes import Cause, Ending
from memmie_gateway.core.websocket.readable import READABLE

HERE = Path(__file__).parent

SETTINGS = """\
# Settings

<!-- Written by docs/generate.py from memmie_gateway.app.settings. -->

Every setting is an environment variable.
An empty variable counts as not set, except `HTTP_ROUTES`.
A name may also be in small letters, but if both are set, the one in capital letters counts.
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
Each cause has a stable code.
The code is in the first column of these tables.

If a client is refused, you find the code in these places:

- `code` in the JSON body of the HTTP answer, except for `studio_refused` (see below),
- `cause` in the log line `refused`,
- `reason` in the metric `gateway_refusals_total`.

If a live connection ends, you find the code in these places:

- `cause` in the log line `closed`,
- `type` in the metric `gateway_websocket_errors_total`, but only if the connection ended with an error.

These are not errors, so this metric does not count them: NO_ERRORS.

The column *by* says which party caused the refusal or the end.
In the column *retry*, "yes" means that the client should try again soon.
An empty cell means that the gateway does not give this advice.

## Refused

A client can be refused only before it has a live connection to a backend.
It gets the HTTP status and the body `{"error": words, "code": code}`.
If the client has left (`client_left`), it gets no answer.
If *retry* is "yes", the answer has a `Retry-After` header.

With first-message auth, a client may send its token in its first message.
The gateway then accepts the upgrade before it reads the token.
After the upgrade it cannot send an HTTP status, so the client gets the close code instead.

`POST /token/renew` and forwarded HTTP requests (see [spec.md](spec.md)) are refused with the same codes.
Only they and HTTP long-polling use `body_too_large`, and `request_timeout` for a body that comes too slowly.
For `body_too_large`, the words say how many bytes are allowed, and `detail` in the log line `refused` names the setting that changes this.
Requests for other HTTP routes, such as `/metrics`, are refused with these codes, too.
`method_not_allowed` and `expectation_failed` are only for HTTP routes.
The six codes at the end of the table are only for forwarded HTTP requests.
If such a request ends after its answer has begun, the client gets no code; the log line `request` has it as `cause`.

The cause `studio_refused` means that Studio itself answered the handshake with a 4xx status.
The client then gets the HTTP status, the headers and the body of Studio.
With first-message auth, the client gets the close code 4000 + the status of Studio instead.
The row of `studio_refused` has 400 and 1008 for a refusal with an unknown status.
In this version the gateway always knows the status of Studio, so no client gets these two values.

The column *close code for pages* is about `BROWSER_REFUSALS=true`.
A web page then gets this close code, and the reason is the code in the first column, such as `token_invalid`.
If the cell is empty, the page gets the HTTP status, which its browser hides from it.
Pages that use first-message auth get the code in the column *close code* once their upgrade is accepted.

| code | words | by | HTTP status | close code | close code for pages | retry |
|---|---|---|---|---|---|---|
"""

ENDS = """
## Ended

This table has the causes that end a live connection.
A live answer over HTTP ends for the same causes; it gets no Close frame, but is cut.
An answer is live after `HTTP_LIVE_SECONDS` (30 by default); before that, the end of its token does not end it.
When a live connection ends, each side that is still connected gets a Close frame.
There are three exceptions:

- A side that is dead gets no Close frame.
  The gateway aborts its connection (see [spec.md](spec.md), pings and dead sides).
- When a connection ends, the gateway may have forwarded only a part of a frame.
  It cannot send a Close frame before the rest of this frame has come.
  If the rest does not come, the gateway aborts the connection without a Close frame.
- A second SIGTERM ends the process immediately.
  Then all live connections are aborted without a Close frame.
  They have no `closed` line in the log, but the log line `cut_short` counts them.

A side that breaks the protocol or a limit is told last, so that it still gets the answers to what it sent before.
The other side gets its Close frame at once.
What it still sends is forwarded until its own Close frame comes, for at most `CLOSE_TIMEOUT_SECONDS`.
Then the side that broke the protocol or the limit gets its Close frame.

*Passed on* means that one side sends a Close frame, and the gateway forwards this frame to the other side.
The code and the reason stay the same.
*Lost* means that this side is gone or dead, so nothing is sent to it.
With `message_rate_exceeded`, the messages that wait in the gateway at this moment are dropped (see [spec.md](spec.md) §8).
`token_ended` has one of two reasons: the token expired (see `TOKEN_END`), or Auth refused it twice when the gateway asked again (see `AUTH_RECHECK_SECONDS`).

| code | words | by | close code to the client | close code to Studio | retry |
|---|---|---|---|---|---|
"""


def pages() -> dict[Path, str]:
    """Return the text of each generated page by its path."""
    return {
        HERE / "settings.md": SETTINGS + as_markdown(),
        HERE / "closing.md": REFUSALS.replace("NO_ERRORS", _no_errors())
        + "".join(_refusal(cause) for cause in Cause if cause.ending.status)
        + ENDS
        + "".join(
            _end(cause.ending) for cause in Cause if not cause.ending.status or cause is Cause.DRAINING
        ),
    }


def _no_errors() -> str:
    """Return the codes of the ends of live connections that are not errors."""
    endings = [cause.ending for cause in Cause if not cause.ending.status or cause is Cause.DRAINING]
    return ", ".join(f"`{ending.code}`" for ending in endings if not ending.error)


def _refusal(cause: Cause) -> str:
    ending = cause.ending
    return (
        f"| `{ending.code}` | {ending.words} | {ending.by.value} | {ending.status} "
        f"| {cause.close_code} | {_for_pages(cause)} | {_yes(ending)} |\n"
    )


def _for_pages(cause: Cause) -> str:
    if cause is Cause.BACKEND_REFUSED:
        return "4000 + the status of Studio"
    return str(4000 + cause.ending.status) if cause in READABLE else ""


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
