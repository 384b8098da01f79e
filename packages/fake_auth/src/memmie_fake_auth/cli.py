"""The command `memmie-fake-auth`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from memmie_fake_auth.auth import FakeAuth
from memmie_fake_auth.settings import AuthSettings
from memmie_fake_base.cli import make_parser, run


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit code: 0, 1 for an unhealthy fake, 2 for bad arguments."""
    defaults = AuthSettings()
    parser, serve = make_parser(
        "memmie-fake-auth",
        "A fake of the Auth service for development and tests, with faults on demand.",
        default_port=8001,
    )
    serve.add_argument(
        "--access-ttl",
        type=float,
        default=defaults.access_ttl_seconds,
        metavar="SECONDS",
        help="time for which a token from register, login or refresh is valid (default: %(default)s)",
    )
    serve.add_argument(
        "--refresh-ttl",
        type=float,
        default=defaults.refresh_ttl_seconds,
        metavar="SECONDS",
        help="time for which a refresh token is valid (default: %(default)s)",
    )
    serve.add_argument(
        "--refusal",
        choices=("status", "body"),
        default=defaults.refusal,
        help="how `validate` refuses an invalid token. With `status` it answers 401. With `body` it answers 200, "
        'and the body has "valid": false (default: %(default)s)',
    )
    serve.add_argument(
        "--signing-key-file",
        type=Path,
        metavar="PEM",
        help="a file with the RSA private key that signs tokens; by default the fake makes a new key when it starts",
    )
    return run(parser, _make, arguments)


def _make(options: argparse.Namespace) -> FakeAuth:
    pem = options.signing_key_file.read_text() if options.signing_key_file else ""
    return FakeAuth(
        options.host,
        options.port,
        access_ttl_seconds=options.access_ttl,
        refresh_ttl_seconds=options.refresh_ttl,
        refusal=options.refusal,
        signing_key=pem,
        log_entries=options.log_entries,
        cors_origins=tuple(options.cors_origins),
    )


if __name__ == "__main__":
    sys.exit(main())
