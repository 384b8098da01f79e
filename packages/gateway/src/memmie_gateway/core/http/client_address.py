"""The address of a client behind trusted proxies, and its key for limits by address (spec §8)."""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Iterable
from typing import Final

from memmie_gateway.core.record import record

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

IPV6_PREFIX: Final = 64
"""Length in bits of the prefix that counts as one client, because a client usually has a whole /64."""

_REMEMBERED: Final = 4096
"""Size of the cache of parsed addresses; the same clients or proxies connect again and again."""

_WITH_PORT: Final = re.compile(r"(?:\[(.+)\]|([^:]+))(?::[0-9]{1,5})?")  # `[IPv6]` or IPv4, and maybe a port


@record
class Client:
    """The address of a client.

    Attributes:
        address: the client's address, as reported by trusted proxies, or the address of the TCP peer.
        chain: the value of X-Forwarded-For for the backend.
        trusted_peer: whether the TCP peer is a trusted proxy, so that its other X-Forwarded headers are used, too.
    """

    address: str
    chain: str
    trusted_peer: bool

    @property
    def limit_key(self) -> str:
        """The key for limits by address: an IPv4 address, or the /64 of an IPv6 address."""
        return limit_key(self.address)


@functools.lru_cache(maxsize=_REMEMBERED)
def limit_key(address: str) -> str:
    """Return the key for limits by address: an IPv4 address, or the /64 of an IPv6 address."""
    if ":" not in address:
        return address
    return str(ipaddress.ip_network((ipaddress.ip_address(address), IPV6_PREFIX), strict=False))


def find_client(peer: str, forwarded_for: Iterable[str], trusted: tuple[Network, ...]) -> Client:
    """Find the client behind trusted proxies: the right-most address that is not one of them (spec §8).

    Args:
        peer: the address of the TCP peer.
        forwarded_for: the elements of X-Forwarded-For, left to right.
        trusted: the networks of trusted proxies.
    """
    address = plain(peer)
    if not trusted or not is_trusted(address, trusted):
        return _direct(address)
    chain = [address]
    for element in reversed(list(forwarded_for)):
        hop = _parse_hop(element)
        if hop is None:
            # Elements to the left of an invalid one were not written by a trusted proxy.
            break
        chain.append(hop)
        if not is_trusted(hop, trusted):
            break
    return Client(chain[-1], ", ".join(reversed(chain)), trusted_peer=True)


@functools.lru_cache(maxsize=_REMEMBERED)
def _direct(address: str) -> Client:
    """Return a client that is not behind a trusted proxy."""
    return Client(address, address, trusted_peer=False)


@functools.lru_cache(maxsize=_REMEMBERED)
def plain(address: str) -> str:
    """Return an address without its zone; an IPv4 address mapped into IPv6 becomes that IPv4 address."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    return str(getattr(parsed, "ipv4_mapped", None) or parsed)


def _parse_hop(element: str) -> str | None:
    """Parse an element of X-Forwarded-For, an address that may have brackets and a port; None if it is invalid."""
    text = element.strip().strip('"')
    with_port = _WITH_PORT.fullmatch(text)
    try:
        return plain(with_port[1] or with_port[2] if with_port else text)
    except ValueError:
        return None


def is_trusted(address: str, trusted: tuple[Network, ...]) -> bool:
    """Tell whether an address belongs to a trusted proxy."""
    parsed = ipaddress.ip_address(address)
    return any(parsed in network for network in trusted)
