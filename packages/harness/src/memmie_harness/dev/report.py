"""What ``memmie dev`` tells: text for people, one JSON object for machines."""

from __future__ import annotations

import json
import os
import shlex
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from memmie_harness.dev.stack import Running

BOLD = "1"
GREEN = "32"
DIM = "2"


def as_json(running: Running) -> str:
    """One line of JSON with all that a script needs."""
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
    """A page for people: where everything is, and lines to paste."""

    def paint(style: str, text: str) -> str:
        return f"\x1b[{style}m{text}\x1b[0m" if colour else text

    addresses = [
        ("gateway", f"{running.gateway}  {paint(DIM, running.websocket)}"),
        ("auth", running.auth),
        *((f"studio {number}", url) for number, url in enumerate(running.studios, start=1)),
    ]
    proof = f"heartbeat → ack through the gateway in {running.round_trip_seconds * 1000:.1f} ms"
    # Tokens are long: the addresses come last, where they stay in sight.
    return "\n".join(
        [
            f"{paint(BOLD, 'token')} of user {running.user_id!r}, good for a day on this stack:",
            f"  {running.token}",
            "",
            'To talk to Studio paste one of these lines, then type {"id":"1","type":"heartbeat"} and Enter:',
            *(f"  {line}" for line in client_lines(running).values()),
            "",
            *(f"{paint(BOLD, name.ljust(9))} {address}" for name, address in addresses),
            "",
            f"{paint(GREEN, 'ready')} in {running.start_seconds:.2f} s; {proof}",
        ]
    )


def client_lines(running: Running) -> dict[str, str]:
    """A shell line for each common client that opens a connection through the gateway, by the client's name."""
    header = f"Authorization: Bearer {running.token}"
    return {
        # The one that is certainly here: it comes with this package. It knows no headers, so the token goes where
        # browsers put it.
        "python": f"{shlex.quote(sys.executable)} -m websockets '{running.websocket}?token={running.token}'",
        # Without the "=" websocat takes the address for a second header.
        "websocat": f"websocat -H='{header}' {running.websocket}",
        "wscat": f"wscat -H '{header}' -c {running.websocket}",
    }


def wants_colour(stream: TextIO) -> bool:
    """Whether `stream` is a terminal whose user has not asked for plain text (``NO_COLOR``, any value)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
