"""Which web pages may use the stack of `memmie dev`: the lines of its output, and a note if two options contradict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from memmie_harness.dev.stack import Running, split_origins


def allowed_pages(running: Running) -> list[str]:
    """Return what the output says about pages; nothing without fakes and without `--cors-origin`.

    Pages reach the fakes in two ways: through the gateway (`ALLOWED_ORIGINS`), and at the fakes' own ports
    (`--cors-origin`).
    """
    has_fakes = running.token is not None or not running.own_studios
    if running.pages and (running.pages == running.allowed_origins or not has_fakes):
        return [" ".join(running.allowed_origins)]
    if not has_fakes:
        return []
    every = "*" in running.allowed_origins
    at_gateway = "all" if every else f"{' '.join(running.allowed_origins)} (ALLOWED_ORIGINS)"
    at_fakes = (
        f"{' '.join(running.pages)} (--cors-origin)"
        if running.pages
        else "none; --cors-origin ORIGIN allows one, here and at the gateway"
    )
    return [f"through the gateway: {at_gateway}", f"at the fakes' own ports: {at_fakes}"]


def refused_pages(cors_origins: Sequence[str], settings: Mapping[str, str]) -> list[str]:
    """Return a line for each origin of `--cors-origin` that the setting `ALLOWED_ORIGINS` does not allow.

    >>> refused_pages(["http://a"], {"ALLOWED_ORIGINS": "http://b"})
    ['--cors-origin allows pages of http://a, but the gateway refuses them: ALLOWED_ORIGINS is http://b']

    Args:
        cors_origins: the origins.
        settings: the settings of `--env`.
    """
    given = settings.get("ALLOWED_ORIGINS")
    if given is None:
        return []
    allowed = split_origins(given)
    return [
        f"--cors-origin allows pages of {origin}, but the gateway refuses them: ALLOWED_ORIGINS is {given}"
        for origin in cors_origins
        if origin not in allowed and not any(fnmatchcase(origin, each) for each in allowed)
    ]
