"""URLs of services, parsed once."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class ServiceUrl:
    """A parsed URL.

    Attributes:
        url: as configured; it identifies the service in metrics and logs.
        host: a name or an address.
        port: the TCP port.
        secure: whether connections to it use TLS.
        path: at least "/".
        query: "" for none.
        host_header: the value of the Host header.
        is_address: whether the host is an address, which needs no look-up.
    """

    url: str
    host: str
    port: int
    secure: bool
    path: str
    query: str
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
        wanted = f"{url!r} is not a URL such as {example}"
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
            raise ValueError(f"{url!r} must not have a fragment")
        if not url.isascii() or not url.isprintable() or " " in url:
            raise ValueError(f"{url!r} has characters that must be percent-encoded")
        is_secure = parts.scheme == secure
        usual_port = 443 if is_secure else 80
        host_header = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        if port and port != usual_port:
            host_header += f":{port}"
        return cls(
            url,
            parts.hostname,
            port or usual_port,
            is_secure,
            parts.path or "/",
            parts.query,
            host_header,
            _is_address(parts.hostname),
        )


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
