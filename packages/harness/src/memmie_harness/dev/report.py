"""The output of `memmie dev`: text for people, or one JSON object for programs."""

from __future__ import annotations

import json
import os
import shlex
import sys
from typing import Final, TextIO

from memmie_harness.dev.pages import allowed_pages
from memmie_harness.dev.stack import Running

BOLD: Final = "1"
"""The terminal's code for bold text."""

GREEN: Final = "32"
"""The terminal's code for green text."""

DIM: Final = "2"
"""The terminal's code for dim text."""

HINT: Final = (
    "The token is valid for a day. "
    "`memmie dev --token-for USER` prints one of any user, and with `--token-seconds N` one that ends soon."
)
"""What the text says about tokens."""

SOCKET_IO: Final = "Or in a page or Node.js, with socket.io-client: io(gateway, { auth: { token } })"
"""What the text says about Socket.IO; the addresses and the token are there already."""


NO_TOKEN: Final = "a-token-of-your-Auth"  # noqa: S105 - it stands for one
"""What stands for a token that only the developer's own Auth can make."""


def as_json(running: Running) -> str:
    """Return the stack as one line of JSON."""
    return json.dumps(
        {
            "gateway": running.gateway,
            "websocket": running.websocket,
            "auth": running.auth,
            "studios": running.studios,
            "user_id": running.user_id,
            "token": running.token,
            "start_seconds": round(running.start_seconds, 3),
            "proof": running.proof.what,
            "round_trip_ms": round(running.proof.seconds * 1000, 3),
        }
    )


def as_text(running: Running, *, colour: bool) -> str:
    """Return the stack as text: commands to paste, with the token, and each address once."""

    def paint(style: str, text: str) -> str:
        return f"\x1b[{style}m{text}\x1b[0m" if colour else text

    fake_studios = not running.own_studios
    addresses = [
        ("gateway", running.gateway),
        ("auth", running.auth if running.token else f"{running.auth}  {paint(DIM, 'your own')}"),
        *(
            (f"studio {number}", url if fake_studios else f"{url}  {paint(DIM, 'your own')}")
            for number, url in enumerate(running.studios, start=1)
        ),
        *(("" if number else "pages", line) for number, line in enumerate(allowed_pages(running))),
    ]
    proof = f"{running.proof.what} in {running.proof.seconds * 1000:.1f} ms"
    # A token is long, so the addresses come last, where they stay visible.
    return "\n".join(
        [
            *_how_to_connect(running),
            "",
            *([HINT, ""] if running.token else []),
            *(f"{paint(BOLD, name.ljust(9))} {address}" for name, address in addresses),
            "",
            f"{paint(GREEN, 'ready')} in {running.start_seconds:.2f} s; {proof}",
        ]
    )


def _how_to_connect(running: Running) -> list[str]:
    """Return the lines to paste, with the token once."""
    user = f" as user {running.user_id!r}" if running.user_id else ""
    if running.passthrough:
        return [
            f"To talk to Studio{user} in a page or Node.js, with socket.io-client:",
            f"  {socket_io_line(running)}",
        ]
    own = ["Or in a web page, with the token for TOKEN:", f"  {page_line(running)}"]
    heartbeat = ['Then type {"id":"1","type":"heartbeat"} and press Enter.']
    blob = ["Or create a blob over HTTP; open connections then get blob.created:", f"  {http_line(running)}"]
    return [
        f"To talk to Studio{user}, paste the first line, and then one of the others:",
        f"  {variables_line(running)}",
        *(f"  {line}" for line in client_lines().values()),
        *(own if running.own_studios else heartbeat),
        SOCKET_IO,
        *([] if running.own_studios else blob),
    ]


def variables_line(running: Running) -> str:
    """Return the shell's line that sets `URL` and `TOKEN`, which the lines of the clients use."""
    return f"URL={running.websocket} TOKEN={running.token or NO_TOKEN}"


def http_line(running: Running) -> str:
    """Return the shell command that creates a blob of the user with `$TOKEN` in the fake Studio."""
    blob = """'{"processor_id":"p1","schema_id":"s1","data":"hello"}'"""
    return f'curl -H "Authorization: Bearer $TOKEN" -d {blob} {running.gateway}/api/v1/blobs'


def socket_io_line(running: Running) -> str:
    """Return the JavaScript that connects to a Studio which speaks Socket.IO itself; it finds no token in `auth`."""
    return f'io("{running.gateway}", {{ query: {{ token: "{running.token or NO_TOKEN}" }} }})'


def page_line(running: Running) -> str:
    """Return the JavaScript with which a web page connects."""
    return f'new WebSocket("{running.websocket}", ["bearer", "TOKEN"])'


def client_lines() -> dict[str, str]:
    """Return the shell command with which each common client connects to `$URL` with `$TOKEN`, by the client's name."""
    header = '"Authorization: Bearer $TOKEN"'
    return {
        # This client is always here, because this package depends on it. It cannot send headers, so the token goes
        # into the query, as from a browser.
        "python": f'{shlex.quote(sys.executable)} -m websockets "$URL?token=$TOKEN"',
        # Without "=", websocat would take the address for a second header.
        "websocat": f"websocat -H={header} $URL",
        "wscat": f"wscat -H {header} -c $URL",
    }


def wants_colour(stream: TextIO) -> bool:
    """Tell whether `stream` is a terminal with colours, and the user did not set `NO_COLOR`."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
