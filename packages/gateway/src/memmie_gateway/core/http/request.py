"""A parsed request head."""

from __future__ import annotations

import re
from typing import Final

from memmie_gateway.core.http.headers import Fields, Headers
from memmie_gateway.core.record import record

MAX_QUERY_FIELDS: Final = 100

_ABSOLUTE: Final = re.compile(  # up to where the path begins; only an IPv6 address has brackets
    rb"(?:http|ws)s?://(?:\[[0-9a-f:.]+\](?::[0-9]*)?|[^/?#\[\]]+)(?=[/?#]|$)", re.IGNORECASE
)

_MUST_BE_ENCODED: Final = "the URL has characters that must be percent-encoded"
_QUERY: Final = re.compile(r"[!\"$-~]*")  # visible characters without "#", which begins a fragment


class BadRequestError(ValueError):
    """The request is invalid; the message for the client says why."""


@record
class Request:
    """One request head.

    Attributes:
        method: as sent, such as "GET".
        path: the path, not percent-decoded.
        query: the query, not percent-decoded; "" if there is none.
        version: "1.1" or "1.0".
        headers: all fields.
    """

    method: str
    path: str
    query: str
    version: str
    headers: Headers

    def __repr__(self) -> str:
        """Leave out the query and the headers, because they may contain tokens."""
        return f"<Request {self.method} {self.path}>"

    @property
    def has_body(self) -> bool:
        """Whether a body follows the head, so that the client may still be sending (RFC 9112 §6)."""
        headers = self.headers
        return bool(headers.all(b"transfer-encoding")) or headers.all(b"content-length") not in ((), (b"0",))

    @classmethod
    def parse(cls, method: bytes, target: bytes, version: str, fields: Fields) -> Request:
        """Parse the parts of the request line (RFC 9112 §3).

        Raises:
            BadRequestError: the version is not 1.0 or 1.1, or the target is neither in origin form nor in absolute
                form, is not ASCII, has a fragment, or has too many query fields.
        """
        if version not in ("1.0", "1.1"):
            raise BadRequestError("only HTTP/1.1 is spoken here")
        if not target.startswith(b"/"):
            absolute = _ABSOLUTE.match(target)
            if absolute is None:
                raise BadRequestError("the request target must be a path")
            target = b"/" + target[absolute.end() :].removeprefix(b"/")
        try:
            path, _, query = target.decode("ascii").partition("?")
        except UnicodeDecodeError:
            raise BadRequestError(_MUST_BE_ENCODED) from None
        if "#" in path:  # a client that sends the request on would leave out the rest, as a fragment
            raise BadRequestError(_MUST_BE_ENCODED)
        if query:
            if not _QUERY.fullmatch(query):
                raise BadRequestError(_MUST_BE_ENCODED)
            if query.count("&") + query.count(";") >= MAX_QUERY_FIELDS:
                raise BadRequestError(f"the URL has more than {MAX_QUERY_FIELDS} query fields")
        return cls(method.decode("ascii"), path, query, version, Headers(fields))
