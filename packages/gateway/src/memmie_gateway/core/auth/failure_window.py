"""A sliding window of the tokens that were sent to Auth: how many failed, and of how many client addresses.

One client can present any number of tokens, as often as it likes. So a token of an address counts once in the window,
and an address has one vote: it counts as failing if at least half of its tokens failed. The memory is bounded, and an
address cannot displace another one, because it takes up one entry.
"""

from __future__ import annotations

import itertools
from collections import OrderedDict
from typing import Final, NamedTuple, Self

from memmie_gateway.core.oldest import drop_until

WINDOW_SECONDS: Final = 10.0
"""Length of the window in seconds."""

MAX_PAIRS: Final = 32_768
"""Maximum number of tokens in the window."""

MIN_TOKENS, MAX_TOKENS = 16, 256
"""Bounds of the number of failed tokens of one address that count, and of its other tokens."""


class Failures(NamedTuple):
    """What the window shows.

    Attributes:
        tokens: number of failed tokens; a token counts for each address that presented it.
        of_failing: number of those that belong to failing addresses.
        failing: number of failing addresses.
        addresses: number of addresses.
    """

    tokens: int
    of_failing: int
    failing: int
    addresses: int


class _Tally:
    """The tokens of one address, by their last outcome."""

    __slots__ = ("failed", "good")

    def __init__(self) -> None:
        self.failed: set[bytes] = set()
        self.good: set[bytes] = set()


class FailureWindow:
    """The last outcome of each token of each address, for `WINDOW_SECONDS`.

    Args:
        max_addresses: maximum number of addresses; if there are more, the oldest are forgotten.
        max_tokens: maximum number of failed tokens of one address, and of its other tokens; more do not count.
    """

    __slots__ = ("_last_good", "_max_addresses", "_max_tokens", "_tallies", "_times")

    def __init__(self, *, max_addresses: int, max_tokens: int) -> None:
        self._max_addresses = max_addresses
        self._max_tokens = max_tokens
        self._tallies: dict[str, _Tally] = {}
        self._times: OrderedDict[tuple[str, bytes], float] = OrderedDict()
        self._last_good = float("-inf")

    @classmethod
    def for_failures(cls, failures: int) -> Self:
        """Make a window in which one address alone can have so many failed tokens, up to `MAX_TOKENS`."""
        tokens = min(max(failures, MIN_TOKENS), MAX_TOKENS)
        return cls(max_addresses=MAX_PAIRS // (2 * tokens), max_tokens=tokens)

    def __repr__(self) -> str:
        return f"<FailureWindow addresses={len(self._tallies)} tokens={len(self._times)}>"

    def __len__(self) -> int:
        """Return the number of tokens in the window."""
        return len(self._times)

    def add(self, address: str, digest: bytes, now: float, *, failed: bool) -> None:
        """Add the outcome of a token, in place of an earlier one.

        Args:
            address: the key of the client's address.
            digest: identifies the token.
            now: seconds of a monotonic clock.
            failed: whether Auth failed.
        """
        self._expire(now)
        self._remove(address, digest)
        if not failed:
            self._last_good = now
        tally = self._tallies.get(address)
        if tally is None:
            if len(self._tallies) >= self._max_addresses:
                self._forget(next(iter(self._tallies)))
            tally = self._tallies[address] = _Tally()
        digests = tally.failed if failed else tally.good
        if len(digests) < self._max_tokens:
            digests.add(digest)
            self._times[address, digest] = now

    def forget_failures(self) -> None:
        """Forget all failed tokens, but not the others."""
        for address, digest in list(self._times):
            if digest in self._tallies[address].failed:
                self._remove(address, digest)

    def failures(self, now: float) -> Failures:
        """Return what the window shows."""
        self._expire(now)
        tokens = of_failing = failing = 0
        for tally in self._tallies.values():
            failed = len(tally.failed)
            tokens += failed
            if failed and failed >= len(tally.good):
                of_failing += failed
                failing += 1
        return Failures(tokens, of_failing, failing, len(self._tallies))

    def different(self, now: float, most: int) -> int:
        """Return the number of different failed tokens of failing addresses, but at most `most`."""
        self._expire(now)
        found: set[bytes] = set()
        for tally in self._tallies.values():
            if len(tally.failed) >= len(tally.good):
                found.update(itertools.islice(tally.failed, most))
            if len(found) >= most:
                return most
        return len(found)

    def good_since(self, failures: int, now: float) -> bool:
        """Tell whether a token of any address has not failed since the first of the last so many failures."""
        self._expire(now)
        times = [time for pair, time in self._times.items() if pair[1] in self._tallies[pair[0]].failed]
        return len(times) < failures or self._last_good >= times[-failures]

    def _expire(self, now: float) -> None:
        for address, digest in drop_until(self._times, now - WINDOW_SECONDS):
            self._discount(address, digest)

    def _remove(self, address: str, digest: bytes) -> None:
        if self._times.pop((address, digest), None) is not None:
            self._discount(address, digest)

    def _discount(self, address: str, digest: bytes) -> None:
        tally = self._tallies[address]
        tally.failed.discard(digest)
        tally.good.discard(digest)
        if not tally.failed and not tally.good:
            del self._tallies[address]

    def _forget(self, address: str) -> None:
        tally = self._tallies.pop(address)
        for digest in tally.failed | tally.good:
            del self._times[address, digest]
