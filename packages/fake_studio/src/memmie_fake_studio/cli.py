"""The command `memmie-fake-studio`."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from typing import Final

from memmie_fake_base.cli import make_parser, run
from memmie_fake_studio.settings import StudioSettings
from memmie_fake_studio.studio import FakeStudio

_OPTIONS: Final = {
    "auth_url": "the address of Auth, which validates the tokens of HTTP requests; without this option, the fake trusts X-User-ID",
    "max_message_bytes": "maximum size of a WebSocket message or an HTTP body, in bytes",
    "ping_interval_seconds": "seconds between pings to each client; 0 for no pings",
    "pong_timeout_seconds": "maximum seconds without a pong; after that the client is disconnected; 0 for no limit",
    "write_timeout_seconds": "maximum seconds until a full send buffer drains; after that the client is disconnected",
    "close_timeout_seconds": "maximum seconds for a closing handshake",
    "queue_messages": "maximum number of events that wait for a slow client; with one more the client is disconnected",
    "auth_timeout_seconds": "maximum seconds until Auth answers",
    "max_items": "maximum number of blobs; the same maximum applies to buckets and to books",
}
"""Help on the options that set the setting of the same name; an option has the type of the setting's default."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit code: 0, 1 for an unhealthy fake, 2 for bad arguments."""
    defaults = StudioSettings()
    parser, serve = make_parser(
        "memmie-fake-studio",
        "A fake of the Studio service for development and tests, with faults on demand.",
        default_port=8010,
    )
    for name, words in _OPTIONS.items():
        default = getattr(defaults, name)
        shown = f"{words} (default: {default})" if default else words
        serve.add_argument(f"--{name.replace('_', '-')}", type=type(default), default=default, help=shown)
    serve.add_argument(
        "--behind-gateway",
        action="store_true",
        help="trust X-User-ID of a request without a token: a gateway has validated the token and removed it",
    )
    serve.add_argument("--greeting", action="store_true", help="send `connected` when a WebSocket is open")
    serve.add_argument("--echo", action="store_true", help="send every data frame on /ws back to the client")
    serve.add_argument(
        "--no-compression",
        dest="compression",
        action="store_false",
        help="refuse to compress messages (permessage-deflate)",
    )
    serve.add_argument(
        "--no-log-messages", dest="log_messages", action="store_false", help="do not log WebSocket messages"
    )
    serve.add_argument(
        "--subprotocol",
        dest="subprotocols",
        action="append",
        default=[],
        metavar="NAME",
        help="a subprotocol that the fake accepts; repeat this option for several subprotocols",
    )
    return run(parser, _make, arguments)


def _make(options: argparse.Namespace) -> FakeStudio:
    given = {field.name: getattr(options, field.name) for field in dataclasses.fields(StudioSettings)}
    given["subprotocols"] = tuple(given["subprotocols"])
    given["cors_origins"] = tuple(given["cors_origins"])
    return FakeStudio(options.host, options.port, settings=StudioSettings(**given))


if __name__ == "__main__":
    sys.exit(main())
