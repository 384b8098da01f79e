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
            "round_trip_ms": round(running.round_trip_seconds * 1000, 3),
        }
    )


def as_text(running: Running, *, colour: bool) -> str:
    """Return the stack as text: the token, commands to paste and the addresses."""

    def paint(style: str, text: str) -> str:
        return f"\x1b[{style}m{text}\x1b[0m" if colour else text

    addresses = [
        ("gateway", f"{running.gateway}  {paint(DIM, running.websocket)}"),
        ("auth", running.auth),
        *((f"studio {number}", url) for number, url in enumerate(running.studios, start=1)),
    ]
    proof = f"heartbeat → ack through the gateway in {running.round_trip_seconds * 1000:.1f} ms"
    # A token is long, so the addresses come last, where they stay visible.
    return "\n".join(
        [
            f"{paint(BOLD, 'token')} of user {running.user_id!r}, valid for a day on this stack:",
            f"  {running.token}",
            "",
            "To talk to Studio, run one of these commands:",
            *(f"  {line}" for line in client_lines(running).values()),
            'Then type {"id":"1","type":"heartbeat"} and press Enter.',
            "",
            *(f"{paint(BOLD, name.ljust(9))} {address}" for name, address in addresses),
            "",
            f"{paint(GREEN, 'ready')} in {running.start_seconds:.2f} s; {proof}",
        ]
    )


def client_lines(running: Running) -> dict[str, str]:
    """Return the shell command with which each common client connects through the gateway, by the client's name."""
    header = f"Authorization: Bearer {running.token}"
    return {
        # This client is always here, because this package depends on it. It cannot send headers, so the token goes
        # into the query, as from a browser.
        "python": f"{shlex.quote(sys.executable)} -m websockets '{running.websocket}?token={running.token}'",
        # Without "=", websocat would take the address for a second header.
        "websocat": f"websocat -H='{header}' {running.websocket}",
        "wscat": f"wscat -H '{header}' -c {running.websocket}",
    }


def wants_colour(stream: TextIO) -> bool:
    """Tell whether `stream` is a terminal with colours, and the user did not set `NO_COLOR`."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
