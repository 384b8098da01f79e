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
        "memmie-fake-auth", "A faithful fake of the Auth service, with faults on demand.", default_port=8001
    )
    serve.add_argument(
        "--access-ttl",
        type=float,
        default=defaults.access_ttl_seconds,
        metavar="SECONDS",
        help="how long a token from register, login or refresh is valid (default: %(default)s)",
    )
    serve.add_argument(
        "--refresh-ttl",
        type=float,
        default=defaults.refresh_ttl_seconds,
        metavar="SECONDS",
        help="how long a refresh token is valid (default: %(default)s)",
    )
    serve.add_argument(
        "--refusal",
        choices=("status", "body"),
        default=defaults.refusal,
        help="how `validate` refuses a token: `status` answers 401, `body` answers 200 with valid: false "
        "(default: %(default)s)",
    )
    serve.add_argument(
        "--signing-key-file",
        type=Path,
        metavar="PEM",
        help="a file with the RSA private key that signs tokens; by default a key is made at the start",
    )
    return run(parser, "memmie-fake-auth", _make, arguments)


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
    )


if __name__ == "__main__":
    sys.exit(main())
