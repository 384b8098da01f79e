"""A request head as the edge has parsed it, and the answers the gateway itself gives."""

from __future__ import annotations

import json
import math
import re
from http import HTTPStatus
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, urlencode

from memmie_gateway.core.closing import Cause
from memmie_gateway.core.headers import Fields, Headers

MAX_QUERY_FIELDS: Final = 100

_ABSOLUTE: Final = re.compile(rb"(?:http|ws)s?://[^/?#]+", re.IGNORECASE)  # up to where the path begins


class BadRequestError(ValueError):
    """The request cannot be understood; the message says why, in words for the client."""


class Request(NamedTuple):
    """One request head.

    Attributes:
        method: as sent, for instance "GET".
        path: the path, percent-decoding left undone.
        query: its fields, decoded, in order.
        version: "1.1" or "1.0".
        headers: all fields.
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    version: str
    headers: Headers

    def __repr__(self) -> str:
        """Leave out the query and the headers: they carry tokens."""
        return f"<Request {self.method} {self.path}>"

    @classmethod
    def parse(cls, method: bytes, target: bytes, version: str, fields: Fields) -> Request:
        """Read the request line's parts (RFC 9112 §3).

        Raises:
            BadRequestError: the version is not 1.0 or 1.1, or the target is neither in origin form nor in absolute
                form, is not ASCII, does not decode to UTF-8, or has too many query fields.
        """
        if version not in ("1.0", "1.1"):
            raise BadRequestError("only HTTP/1.1 is spoken here")
        if absolute := _ABSOLUTE.match(target):
            target = b"/" + target[absolute.end() :].removeprefix(b"/")
        elif not target.startswith(b"/"):
            raise BadRequestError("the request target must be a path")
        try:
            path, _, query = target.decode("ascii").partition("?")
            return cls(method.decode("ascii"), path, _query_fields(query), version, Headers(fields))
        except UnicodeDecodeError:
            raise BadRequestError("the URL is not UTF-8 text") from None
        except ValueError:
            raise BadRequestError(f"the URL has more than {MAX_QUERY_FIELDS} query fields") from None

    def query_without(self, *names: str) -> str:
        """Return the query string without the fields `names`."""
        if not self.query:
            return ""
        return urlencode([(name, value) for name, value in self.query if name not in names])


def _query_fields(query: str) -> tuple[tuple[str, str], ...]:
    if not query:
        return ()
    return tuple(parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=MAX_QUERY_FIELDS))


def refusal(cause: Cause, detail: str = "", *, retry_after: float = 1) -> bytes:
    """Build the whole HTTP answer that refuses a request (spec §1).

    Args:
        cause: why; its row of the closing table gives status, `code` and words.
        detail: more words for this one case; they replace the row's.
        retry_after: seconds, for a cause that may pass.
    """
    ending = cause.ending
    body = json.dumps({"error": detail or ending.words, "code": ending.code}).encode()
    extra = ""
    if ending.retry:
        extra += f"Retry-After: {max(1, math.ceil(retry_after))}\r\n"
    if cause in (Cause.NOT_AN_UPGRADE, Cause.WRONG_VERSION):
        # Upgrade goes with a connection option of that name (RFC 9110 §7.8).
        extra += "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    if ending.status == HTTPStatus.UNAUTHORIZED:
        extra += "WWW-Authenticate: Bearer\r\n"
    return http_response(ending.status, body, "application/json", extra)


def http_response(status: int, body: bytes, content_type: str, extra: str = "") -> bytes:
    """Build a complete HTTP/1.1 answer after which the connection is closed."""
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    head = (
        f"HTTP/1.1 {status} {phrase}\r\n"
        f"Content-Type: {content_type}\r\n"
        f"Content-Length: {len(body)}\r\n"
        "Cache-Control: no-store\r\n"
        f"Connection: close\r\n{extra}\r\n"
    )
    return head.encode("latin-1") + body
