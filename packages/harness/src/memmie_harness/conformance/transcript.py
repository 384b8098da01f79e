"""What the peers of one test sent and got, in a form that people can read and that contains no token."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable
from typing import Final

KEPT_HEAD: Final = 800
KEPT_TAIL: Final = 100
"""How many bytes of one entry are shown, from its beginning and from its end."""

LOOKED_AT: Final = 8192
"""How many bytes from the beginning and from the end are searched for tokens before the middle is left out.

They are more than a token has, because half a token is still a secret.
"""

MAX_ENTRIES: Final = 20
"""How many entries are kept from the beginning, and as many from the end."""


def escape(data: bytes) -> str:
    """Return bytes as printable ASCII, and leave out the middle of many."""
    if len(data) > KEPT_HEAD + KEPT_TAIL:
        left_out = len(data) - KEPT_HEAD - KEPT_TAIL
        return f"{_escape(data[:KEPT_HEAD])}[… {left_out} bytes …]{_escape(data[-KEPT_TAIL:])}"
    return _escape(data)


def _escape(data: bytes) -> str:
    return data.decode("latin-1").encode("unicode_escape").decode("ascii")


def digest(token: str) -> str:
    """Return what stands for a token in evidence."""
    return f"[token {hashlib.sha256(token.encode()).hexdigest()[:8]}]"


class Entry:
    """Consecutive bytes in one direction; only as many as evidence shows."""

    __slots__ = ("beginning", "end", "size", "what")

    def __init__(self, what: str) -> None:
        self.what = what
        self.beginning = b""
        self.end = b""
        self.size = 0

    def add(self, data: bytes) -> None:
        """Append bytes."""
        self.size += len(data)
        self.beginning += data[: max(0, LOOKED_AT - len(self.beginning))]
        self.end = (self.end + data[-LOOKED_AT:])[-LOOKED_AT:]

    def text(self, secrets: Iterable[str]) -> str:
        """Return the entry as a line."""
        beginning, end = (_hide(data, secrets) for data in (self.beginning, self.end))
        if self.size <= LOOKED_AT:
            return f"{self.what}: {escape(beginning)}"
        shown = f"{_escape(beginning[:KEPT_HEAD])}[…]{_escape(end[-KEPT_TAIL:])}"
        return f"{self.what} {self.size} bytes: {shown}"


def _hide(data: bytes, secrets: Iterable[str]) -> bytes:
    for secret in secrets:
        data = data.replace(secret.encode("latin-1", "replace"), digest(secret).encode())
    return data


class Transcript:
    """The exchange of one test; consecutive bytes of one peer in one direction are one entry."""

    def __init__(self) -> None:
        self.entries: list[Entry | str] = []
        self._last: deque[Entry | str] = deque(maxlen=MAX_ENTRIES)
        self._left_out = 0

    def add(self, who: str, verb: str, data: bytes) -> None:
        """Note that a peer sent or got bytes."""
        what = f"{who} {verb}"
        entries = self._last or self.entries
        last = entries[-1] if entries else None
        if not isinstance(last, Entry) or last.what != what:
            last = Entry(what)
            self.note(last)
        last.add(data)

    def note(self, entry: Entry | str) -> None:
        """Append an entry, or words such as `client closed its connection`."""
        if len(self.entries) < MAX_ENTRIES:
            self.entries.append(entry)
            return
        self._left_out += len(self._last) == MAX_ENTRIES
        self._last.append(entry)

    def extend(self, other: Transcript) -> None:
        """Append the entries of another transcript, which is short."""
        for entry in other.entries:
            self.note(entry)

    def lines(self, secrets: Iterable[str]) -> list[str]:
        """Return the entries as lines, without the secrets."""
        hidden = sorted(secrets, key=len, reverse=True)
        left_out = [f"[… {self._left_out} entries …]"] if self._left_out else []
        entries = [*self.entries, *left_out, *self._last]
        return [entry if isinstance(entry, str) else entry.text(hidden) for entry in entries]


def hide(text: str, secrets: Iterable[str]) -> str:
    """Return a text in which tokens are replaced by their digests."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, digest(secret))
    return text
