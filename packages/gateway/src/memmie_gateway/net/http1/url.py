"""URLs of services, parsed once, and shown without secrets."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from typing import Final, Self
from urllib.parse import urlsplit

_SCHEME: Final = re.compile(r"\s*[A-Za-z][A-Za-z0-9+.-]*://")
_NEXT_URL: Final = re.compile(r",(?=\s*[A-Za-z][A-Za-z0-9+.-]*://)")
_HIDDEN: Final = "***"


@dataclass(frozen=True, slots=True)
class ServiceUrl:
    """A parsed URL.

    Attributes:
        url: as configured; it identifies the service, but may have secrets in its query, so it must not be shown.
        shown: the URL for logs and metrics, without the values in its query.
        host: a name or an address.
        port: the TCP port.
        secure: whether connections to it use TLS.
        path: at least "/".
        query: "" for none.
        host_header: the value of the Host header.
        is_address: whether the host is an address, which needs no look-up.
    """

    url: str = field(repr=False)
    shown: str
    host: str
    port: int
    secure: bool
    path: str
    query: str = field(repr=False)
    host_header: str
    is_address: bool

    @classmethod
    def take_apart(cls, url: str, *, plain: str, secure: str, example: str) -> Self:
        """Parse a URL.

        Args:
            url: the text.
            plain: the scheme without TLS.
            secure: the scheme with TLS.
            example: a valid one, for the message about an invalid one.

        Raises:
            ValueError: the URL has another scheme or no host, or has credentials, a fragment or characters that must be
                percent-encoded.
        """
        wanted = f"this is not a URL such as {example}"  # not quoted, because it may contain credentials
        try:
            parts = urlsplit(url)
        except ValueError:  # brackets around something that is not an IPv6 address, for example
            raise ValueError(wanted) from None
        try:
            port = parts.port
        except ValueError:
            raise ValueError(f"{wanted}: the port must be a number from 0 to 65535") from None
        if parts.scheme not in (plain, secure) or not parts.hostname:
            raise ValueError(wanted)
        if parts.username is not None:
            raise ValueError("a URL must not contain credentials, because URLs are logged")
        if parts.fragment:
            raise ValueError("a URL must not have a fragment")
        if not url.isascii() or not url.isprintable() or " " in url:
            raise ValueError("the URL has characters that must be percent-encoded")
        is_secure = parts.scheme == secure
        usual_port = 443 if is_secure else 80
        host_header = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        if port and port != usual_port:
            host_header += f":{port}"
        return cls(
            url,
            without_query_values(url),
            parts.hostname,
            port or usual_port,
            is_secure,
            parts.path or "/",
            parts.query,
            host_header,
            _is_address(parts.hostname),
        )


def without_query_values(url: str) -> str:
    """Return a URL with `***` for each value in its query, because any of them may be a secret."""
    path, mark, query = url.partition("?")
    fields = [field.partition("=") for field in query.split("&")]
    return (
        path
        + mark
        + "&".join(f"{name}={_HIDDEN}" if equals else name and _HIDDEN for name, equals, _ in fields)
    )


def without_secrets(text: str) -> str:
    """Return what somebody wrote as one or several URLs, also invalid ones, with `***` for everything that may be secret.

    These are credentials, which may contain any character, and the values in a query or in the fragment of a URL.
    """
    scheme = match[0] if (match := _SCHEME.match(text)) else ""
    credentials, at, rest = text[len(scheme) :].rpartition("@")
    shown = scheme + (f"{_HIDDEN}@" if credentials or at else "") + rest
    return ",".join(map(_without_values, _NEXT_URL.split(shown)))


def _without_values(url: str) -> str:
    before, mark, _ = url.partition("#") if _SCHEME.match(url) else (url, "", "")
    return without_query_values(before) + mark + (_HIDDEN if mark else "")


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
