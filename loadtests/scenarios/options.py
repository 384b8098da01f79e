"""Kinds of option values: what argparse's `type=` calls, and complains with."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

MOST_SECONDS = 24 * 3600


def whole(least: int, most: int) -> Callable[[str], int]:
    """Return what reads a whole number between two bounds."""

    def read(text: str) -> int:
        number = int(text) if text.isascii() and text.isdigit() else least - 1
        if not least <= number <= most:
            raise ArgumentTypeError(f"{text!r} given, a whole number from {least} to {most} needed")
        return number

    return read


def seconds(text: str) -> float:
    """Read a duration."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0.1 <= number <= MOST_SECONDS:
        raise ArgumentTypeError(f"{text!r} given, seconds from 0.1 to {MOST_SECONDS} needed")
    return number


def directory(text: str) -> Path:
    """Read a folder's name."""
    if not text.strip():
        raise ArgumentTypeError("nothing given, a folder's name needed")
    return Path(text)


def add_every(parser: ArgumentParser) -> None:
    """Add the option for the users' pace."""
    parser.add_argument(
        "--every",
        type=seconds,
        default=1.0,
        metavar="SECONDS",
        help="pause between a user's messages (default: %(default)g)",
    )


def url(*schemes: str) -> Callable[[str], str]:
    """Return what reads an address of one of these schemes: without a query, which may hold a token."""

    def read(text: str) -> str:
        parts = urlsplit(text)
        if (
            parts.scheme not in schemes
            or not parts.hostname
            or parts.query
            or parts.username
            or parts.fragment
        ):
            allowed = " or ".join(f"{scheme}://HOST:PORT/…" for scheme in schemes)
            raise ArgumentTypeError(f"{allowed} needed, without a user, a query or a fragment")
        return text

    return read
