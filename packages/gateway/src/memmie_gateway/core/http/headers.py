"""Header fields in their order, with an index by name, because each request needs many look-ups."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

Fields = tuple[tuple[bytes, bytes], ...]
"""Header fields in the order of the head; names are in lower case, values without surrounding blanks."""


_PARTS: Final = {
    part.lower(): part
    for part in (
        *(b"CH", b"DNT", b"ETag", b"GPC", b"ID", b"IP", b"MD5", b"TE", b"UA", b"WebSocket", b"WWW", b"XSS"),
        *(b"baggage", b"traceparent", b"tracestate"),  # names of the W3C, which are in lower case
    )
}
"""The parts of field names that are not written with one capital letter."""


def canonical(name: bytes) -> bytes:
    """Return a field name (lower case) in the case in which it is usually written, such as `Sec-WebSocket-Key`.

    Names have no case (RFC 9110 §5.1), but some programs look for this spelling only.
    """
    return b"-".join([_PARTS.get(part) or part.capitalize() for part in name.split(b"-")])


class LineStarts(dict[bytes, bytes]):
    """The start of a header line, by field name (lower case): the canonical name with its colon.

    A start is b"" if the field is not forwarded. A name without an entry is not added, because peers choose names.

    Args:
        usual: names to prepare, because each connection needs several of them.
        dropped: names of fields that are not forwarded.
    """

    __slots__ = ()

    def __init__(self, usual: Iterable[bytes], dropped: Iterable[bytes]) -> None:
        super().__init__((name, canonical(name) + b": ") for name in usual)
        self.update(dict.fromkeys(dropped, b""))

    def __missing__(self, name: bytes) -> bytes:
        """Return the start for a name without an entry."""
        return canonical(name) + b": "


class Headers:
    """The header fields of a request or response.

    Args:
        fields: all fields, in order.

    Attributes:
        fields: as given.
    """

    __slots__ = ("_by_name", "fields")

    def __init__(self, fields: Fields = ()) -> None:
        self.fields = fields
        by_name: dict[bytes, tuple[bytes, ...]] = {name: (value,) for name, value in fields}
        self._by_name = by_name
        if len(by_name) < len(fields):  # some name is there more than once, which is rare
            self._by_name = {name: tuple([v for n, v in fields if n == name]) for name in by_name}

    def __repr__(self) -> str:
        """Show the names only, because the values may be secrets."""
        return f"<Headers {b', '.join(self._by_name).decode('latin-1')}>"

    def all(self, name: bytes) -> tuple[bytes, ...]:
        """Return every value of the field `name` (lower case), in order."""
        return self._by_name.get(name, ())

    def one(self, name: bytes) -> str:
        """Return the values of the field `name` (lower case), joined with commas; "" if there is none."""
        values = self._by_name.get(name)
        return b", ".join(values).decode("latin-1") if values else ""

    def elements(self, name: bytes) -> list[str]:
        """Return the comma-separated elements of the field `name`, over all its values (RFC 9110 §5.6.1)."""
        values = self._by_name.get(name)
        if not values:
            return []
        parts = b",".join(values).decode("latin-1").split(",")
        return [stripped for part in parts if (stripped := part.strip(" \t"))]

    def has(self, name: bytes, element: bytes) -> bool:
        """Tell whether `element` (lower case) is one of the elements of the field `name`, ignoring their case."""
        values = self._by_name.get(name, ())
        if len(values) == 1 and values[0].lower() == element:
            return True
        return any(part.strip(b" \t") == element for value in values for part in value.lower().split(b","))
