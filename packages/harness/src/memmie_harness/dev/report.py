"""The output of `memmie dev`: text for people, or one JSON object for programs."""

from __future__ import annotations

import json
import os
import shlex
import sys
from typing import Final, TextIO

from memmie_harness.dev.stack import Running

BOLD: Final = "1"
"""The terminal's code for bold text."""

GREEN: Final = "32"
"""The terminal's code for green text."""

DIM: Final = "2"
"""The terminal's code for dim text."""

HINT: Final = "The token is valid for a day. `memmie dev --token-for USER` prints one of any user."
"""What the text says about tokens."""

SOCKET_IO: Final = "Or in a page or Node.js, with socket.io-client: io(gateway, { auth: { token } })"
"""What the text says about Socket.IO; the addresses and the token are there already."""

NO_PAGES: Final = "none may use the API of the fakes; --cors-origin ORIGIN allows one"
"""What the text says where no origin of pages was given; the gateway then lets every page connect."""


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

    fake_studios = running.studios[0].startswith("http")
    addresses = [
        ("gateway", running.gateway),
        ("auth", running.auth if running.token else f"{running.auth}  {paint(DIM, 'your own')}"),
        *(
            (f"studio {number}", url if fake_studios else f"{url}  {paint(DIM, 'your own')}")
            for number, url in enumerate(running.studios, start=1)
        ),
        *(
            [("pages", " ".join(running.pages) or NO_PAGES)]
            if running.pages or fake_studios or running.token
            else []
        ),
    ]
    user = f" as user {running.user_id!r}" if running.user_id else ""
    proof = f"{running.proof.what} in {running.proof.seconds * 1000:.1f} ms"
    # A token is long, so the addresses come last, where they stay visible.
    return "\n".join(
        [
            f"To talk to Studio{user}, paste the first line, and then one of the others:",
            f"  {variables_line(running)}",
            *(f"  {line}" for line in client_lines().values()),
            *(
                ['Then type {"id":"1","type":"heartbeat"} and press Enter.']
                if fake_studios
                else ["Or in a web page, with the token for TOKEN:", f"  {page_line(running)}"]
            ),
            SOCKET_IO,
            *(
                [
                    "Or create a blob over HTTP; open connections then get blob.created:",
                    f"  {http_line(running)}",
                ]
                if fake_studios
                else []
            ),
            "",
            *([HINT, ""] if running.token else []),
            *(f"{paint(BOLD, name.ljust(9))} {address}" for name, address in addresses),
            "",
            f"{paint(GREEN, 'ready')} in {running.start_seconds:.2f} s; {proof}",
        ]
    )


def variables_line(running: Running) -> str:
    """Return the shell's line that sets `URL` and `TOKEN`, which the lines of the clients use."""
    return f"URL={running.websocket} TOKEN={running.token or 'a-token-of-your-Auth'}"


def http_line(running: Running) -> str:
    """Return the shell command that creates a blob of the user with `$TOKEN` in the fake Studio."""
    blob = """'{"processor_id":"p1","schema_id":"s1","data":"hello"}'"""
    return f'curl -H "Authorization: Bearer $TOKEN" -d {blob} {running.gateway}/api/v1/blobs'


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
