"""Limits: how many at once, how many per second, and whose they are (spec §1, §7, §8).

Concurrent connections and rates are two different limits with two different stores. All state is bounded: the
counts of concurrent connections by the connections there are, the rates by eviction of the least recently used.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from collections import OrderedDict
from collections.abc import Hashable, Iterable
from typing import Final, NamedTuple

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

IPV6_PREFIX: Final = 64
"""Bits of an IPv6 address that count as one client: whoever has one address of a /64 has all of them."""

_ADDRESSES_REMEMBERED: Final = 4096
"""Addresses whose reading is remembered: the clients of a gateway come again, or all of them from its proxies."""

_WITH_PORT: Final = re.compile(r"(?:\[(.+)\]|([^:]+))(?::[0-9]{1,5})?")  # `[IPv6]` or IPv4, and maybe a port


class ConcurrencyLimit:
    """At most `limit` at once for each key; 0 means no limit."""

    __slots__ = ("_held", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._held: dict[Hashable, int] = {}

    def __repr__(self) -> str:
        return f"<ConcurrencyLimit {self.limit} keys={len(self._held)}>"

    def acquire(self, key: Hashable) -> bool:
        """Take a slot, to be given back with `release`; False where none is left."""
        held = self._held.get(key, 0)
        if self.limit and held >= self.limit:
            return False
        self._held[key] = held + 1
        return True

    def release(self, key: Hashable) -> None:
        """Give a slot back."""
        held = self._held[key] - 1
        if held:
            self._held[key] = held
        else:
            del self._held[key]

    def held(self, key: Hashable) -> int:
        """Return how many slots of `key` are taken."""
        return self._held.get(key, 0)


class TokenBucket:
    """A rate with a burst, that may be overdrawn: what was received cannot be unreceived, only waited for.

    `left` is public so that the data path can pay with one subtraction, and ask (`settle`) only when in debt.

    Args:
        rate: tokens a second, above 0.
        burst: tokens in a full bucket, at least 1.
        now: seconds, any clock that does not go back.
    """

    __slots__ = ("_burst", "_debt", "_filled", "_rate", "left")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._filled = now
        self._debt = 0.0  # at the last call of `settle`
        self.left = burst

    def __repr__(self) -> str:
        return f"<TokenBucket {self._rate}/s left={self.left:.1f} of {self._burst}>"

    def settle(self, now: float) -> float:
        """Add what has come in since the last call; return the seconds until the debt is paid, 0 for no debt.

        What comes in between two calls is at most what was owed and one burst, so a bucket that is settled only
        when it is in debt lets at most two bursts pass at once, and the rate holds over any longer time.
        """
        earned = min((now - self._filled) * self._rate, self._debt + self._burst)
        self._filled = now
        self.left = min(self._burst, self.left + earned)
        self._debt = max(0.0, -self.left)
        return self._debt / self._rate

    def take(self, now: float) -> float:
        """Take one token; return 0, or the seconds until there is one to take."""
        self.settle(now)
        if self.left >= 1:
            self.left -= 1
            return 0.0
        return (1 - self.left) / self._rate


class Rates:
    """A bucket for each key, the least recently used forgotten beyond `max_keys`; a rate of 0 means no limit."""

    __slots__ = ("_buckets", "_burst", "_max_keys", "_rate")

    def __init__(self, rate: float, burst: float, max_keys: int) -> None:
        self._rate = rate
        self._burst = burst
        self._max_keys = max_keys
        self._buckets: OrderedDict[Hashable, TokenBucket] = OrderedDict()

    def __repr__(self) -> str:
        return f"<Rates {self._rate}/s keys={len(self._buckets)}>"

    def __len__(self) -> int:
        """Return how many keys are remembered."""
        return len(self._buckets)

    def take(self, key: Hashable, now: float) -> float:
        """Take one token of `key`; return 0, or the seconds until there is one to take."""
        bucket = self.bucket(key, now)
        return bucket.take(now) if bucket else 0.0

    def bucket(self, key: Hashable, now: float) -> TokenBucket | None:
        """Return the bucket of `key`, new or known; None where there is no limit."""
        if not self._rate:
            return None
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = TokenBucket(self._rate, self._burst, now)
            if len(self._buckets) > self._max_keys:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(key)
        return bucket


class Client(NamedTuple):
    """Who is on the other end of the line.

    Attributes:
        address: the client's own address, as far as trusted proxies tell it.
        chain: what to tell Studio in X-Forwarded-For.
        trusted_peer: the TCP peer is a trusted proxy, so its other X-Forwarded headers may be believed, too.
    """

    address: str
    chain: str
    trusted_peer: bool

    @property
    def limit_key(self) -> str:
        """The key for limits by address: an IPv4 address, or the /64 of an IPv6 address."""
        return limit_key(self.address)


@functools.lru_cache(maxsize=_ADDRESSES_REMEMBERED)
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
        trusted: the networks of proxies whose word counts.
    """
    address = plain(peer)
    if not trusted or not is_trusted(address, trusted):
        return Client(address, address, trusted_peer=False)
    chain = [address]
    for element in reversed(list(forwarded_for)):
        hop = _parse_hop(element)
        if hop is None:
            # What stands left of a word that is no address was not written by a proxy of ours.
            break
        chain.append(hop)
        if not is_trusted(hop, trusted):
            break
    return Client(chain[-1], ", ".join(reversed(chain)), trusted_peer=True)


@functools.lru_cache(maxsize=_ADDRESSES_REMEMBERED)
def plain(address: str) -> str:
    """Return an address without its zone, and an IPv4 address mapped into IPv6 as the IPv4 address it is."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    return str(getattr(parsed, "ipv4_mapped", None) or parsed)


def _parse_hop(element: str) -> str | None:
    """Read an element of X-Forwarded-For: an address, in brackets and with a port where somebody wrote one."""
    text = element.strip().strip('"')
    with_port = _WITH_PORT.fullmatch(text)
    try:
        return plain(with_port[1] or with_port[2] if with_port else text)
    except ValueError:
        return None


def is_trusted(address: str, trusted: tuple[Network, ...]) -> bool:
    """Tell whether an address is one of the proxies whose word counts."""
    parsed = ipaddress.ip_address(address)
    return any(parsed in network for network in trusted)
