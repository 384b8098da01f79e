"""Origins of web pages that may connect (RFC 6455 §10.2, RFC 6454)."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from memmie_gateway.core.http.headers import Headers
from memmie_gateway.core.http.refusals import RefusedError
from memmie_gateway.core.outcomes import Cause

_ORIGIN: Final = re.compile(
    r"([a-z][a-z0-9+.-]*)://([a-z0-9._-]+|\*\.[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?"
)

_SUBDOMAINS: Final = re.compile(r"(?:[a-z0-9_-]+\.)+")

_PORTS: Final = {"http": "80", "ws": "80", "https": "443", "wss": "443"}

_SHOWN: Final = 100
"""Characters of an origin that a log shows; the client chooses the text."""


class Origin(NamedTuple):
    """An origin, or a pattern for some of them.

    Attributes:
        scheme: in lower case.
        host: in lower case; `*.` at the beginning stands for any subdomain.
        port: the usual port of the scheme if none is given, "" for a scheme without one.
    """

    scheme: str
    host: str
    port: str

    @classmethod
    def parse(cls, text: str) -> Origin | None:
        """Parse an origin or a pattern; return None if it is neither."""
        found = _ORIGIN.fullmatch(text.lower())
        if found is None:
            return None
        scheme, host, port = found.groups()
        if host.startswith("["):
            try:
                host = f"[{ipaddress.IPv6Address(host[1:-1])}]"
            except ValueError:
                return None
        return cls(scheme, host, str(int(port)) if port else _PORTS.get(scheme, ""))

    def covers(self, other: Origin) -> bool:
        """Tell whether an origin is this one, or has this pattern."""
        if not self.host.startswith("*."):
            return self == other
        if (self.scheme, self.port) != (other.scheme, other.port) or not other.host.endswith(self.host[1:]):
            return False
        return _SUBDOMAINS.fullmatch(other.host.removesuffix(self.host[2:])) is not None


class Origins:
    """The origins of pages that may connect.

    Args:
        allowed: origins such as `https://app.example.com`, `https://*.example.com` for any subdomain, `null` for pages
            without an origin, or `*` for all.

    Attributes:
        every: whether all origins are allowed.
    """

    def __init__(self, allowed: Iterable[str]) -> None:
        texts = frozenset(allowed)
        self.every = "*" in texts
        self._null = "null" in texts
        self._patterns = [origin for text in texts if (origin := Origin.parse(text))]

    def __repr__(self) -> str:
        return f"<Origins {'every' if self.every else len(self._patterns) + self._null}>"

    def allow(self, headers: Headers) -> bool:
        """Tell whether a request with these headers may connect.

        A request without an Origin, as from clients that are not browsers, may connect.
        """
        if self.every:
            return True
        values = headers.all(b"origin")
        if len(values) != 1:
            return not values
        text = values[0].decode("latin-1")
        if text == "null":
            return self._null
        origin = Origin.parse(text)
        return origin is not None and any(pattern.covers(origin) for pattern in self._patterns)

    @staticmethod
    def refusal(headers: Headers) -> RefusedError:
        """Return the error for a request that may not connect; its text for the log names the origin.

        Text that is not an origin is left out, because the client chooses it.
        """
        values = headers.all(b"origin")
        text = values[0].decode("latin-1") if len(values) == 1 else ""
        if text != "null" and Origin.parse(text) is None:
            words = "the header Origin is not one origin"
        else:
            words = f"ALLOWED_ORIGINS does not allow pages of {text[:_SHOWN]}"
        return RefusedError(Cause.ORIGIN_REFUSED, internal=words)
