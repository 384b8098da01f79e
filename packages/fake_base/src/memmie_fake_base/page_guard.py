"""Keeping web pages away from the control routes: a browser sends requests to 127.0.0.1 for any page that it shows."""

from __future__ import annotations

import ipaddress
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from memmie_fake_base.control import is_control
from memmie_fake_base.problems import Problem

_PRIVATE: Final = ("localhost", "local", "internal")
"""Top-level domains that nobody can register: RFC 6761 §6.3, RFC 6762 §3, and ICANN's decision of 2024."""


def page_guard(own: str) -> Middleware:
    """Return a middleware that refuses control requests of web pages.

    Args:
        own: the name or address on which the fake was told to listen.
    """

    @web.middleware
    async def keep_pages_out(request: web.Request, handler: Handler) -> web.StreamResponse:
        if is_control(request):
            if "Origin" in request.headers:
                raise Problem(403, "page_not_allowed", "control routes are not for web pages; send no Origin")
            host = request.headers.get("Host", "")  # `request.host` would look up this machine's name
            if not is_private_host(host, own):
                raise Problem(
                    403,
                    "host_not_allowed",
                    f"the Host {host!r} could be that of a web page; for control routes use an IP address, "
                    f"a name without a dot, or one that ends in {' or '.join('.' + name for name in _PRIVATE)}",
                )
        return await handler(request)

    return keep_pages_out


def is_private_host(host: str, own: str) -> bool:
    """Tell whether a request with this `Host` does not come from a web page of a public domain.

    After such a page was loaded, its owner can let the domain point to 127.0.0.1 (DNS rebinding). The page's requests
    then reach the fake, without an Origin because both have the same one, but with the domain as `Host`.

    Args:
        host: the value of the header, with or without a port.
        own: the name or address on which the fake was told to listen.
    """
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    name = name.lower().removesuffix(".")
    if "." not in name and ":" not in name:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name == own.lower() or name.rpartition(".")[2] in _PRIVATE
    return True
