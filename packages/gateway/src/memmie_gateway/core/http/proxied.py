"""The heads of forwarded HTTP requests and of their answers (spec §3).

Identity and tokens are removed and set by the same rules as for upgrades (see `forwarding` and `credentials`).
"""

from __future__ import annotations

import enum
import re
from http import HTTPStatus
from typing import Final, NamedTuple

from memmie_gateway.core.http import cors, forwarding
from memmie_gateway.core.http.arrival import Arrival
from memmie_gateway.core.http.credentials import HEAD_SOURCES, Credentials, find_credentials
from memmie_gateway.core.http.headers import LineStarts
from memmie_gateway.core.http.query import means_user_id, without
from memmie_gateway.core.http.refusals import RefusedError
from memmie_gateway.core.http.request import Request
from memmie_gateway.core.http.response import Response
from memmie_gateway.core.http.routes import METHODS, HttpRoute, Service, path_problem
from memmie_gateway.core.outcomes import Cause

_STARTS: Final = forwarding.RequestLineStarts(
    frozenset(
        {
            b"content-length",
            b"http2-settings",
            b"sec-websocket-accept",
            b"sec-websocket-extensions",
            b"sec-websocket-key",
            b"sec-websocket-protocol",
            b"sec-websocket-version",
        }
    )
)

_ANSWER_STARTS: Final = LineStarts(
    (b"cache-control", b"content-encoding", b"content-type", b"date", b"etag", b"server", b"set-cookie"),
    dropped=(
        *forwarding.HOP_BY_HOP,
        *(b"content-length", b"x-request-id", b"proxy-authenticate"),
    ),
)

_NAME: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9a-z-]+")  # RFC 9110 §5.6.2, in lower case
_VALUE: Final = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")  # RFC 9110 §5.5

_WITHOUT_BODY: Final = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)


class Body(NamedTuple):
    """How the body of a request is framed.

    Attributes:
        length: its length in bytes; None if it is chunked.
    """

    length: int | None


class Framing(enum.Enum):
    """How the body of an answer is framed for the client."""

    NONE = enum.auto()
    LENGTH = enum.auto()
    CHUNKED = enum.auto()
    UNTIL_CLOSE = enum.auto()
    """For a client with HTTP/1.0, which does not know chunks."""


def request_problem(request: Request) -> str:
    """Return why a request is not forwarded, or "".

    The parser has already refused a Content-Length that is invalid or doubled, or that stands beside Transfer-Encoding.
    """
    hosts = request.headers.all(b"host")
    if len(hosts) > 1 or (not hosts and request.version == "1.1"):
        return "exactly one Host header is needed"
    if hosts and not forwarding.is_host(hosts[0]):
        return "the Host header must be a name or an address, and perhaps a port"
    codings = request.headers.all(b"transfer-encoding")
    if codings and request.version != "1.1":
        return "HTTP/1.0 has no Transfer-Encoding"
    if codings and (len(codings) > 1 or codings[0].lower() != b"chunked"):
        return "the only Transfer-Encoding that is understood here is chunked"
    if codings and request.headers.all(b"content-length"):
        return "a request has either a Content-Length or a Transfer-Encoding"
    return path_problem(request.path)


def is_served(request: Request) -> bool:
    """Tell whether requests with this method are forwarded."""
    return request.method in METHODS


def why_refused(request: Request) -> RefusedError | None:
    """Return why a request is not forwarded, or None."""
    if request.headers.get(b"upgrade") is not None:
        return RefusedError(Cause.WRONG_PROTOCOL)
    if not is_served(request):
        detail = f"{request.method} is not allowed here"
        return RefusedError(Cause.METHOD_REFUSED, detail, allow=",".join(METHODS))
    if problem := request_problem(request):
        return RefusedError(Cause.BAD_REQUEST, problem)
    if any(value.lower() != b"100-continue" for value in request.headers.all(b"expect")):
        return RefusedError(Cause.EXPECTATION_REFUSED)
    return None


def body_of(request: Request) -> Body:
    """Return how the body of a valid request is framed; the length is 0 if it has none."""
    if request.headers.all(b"transfer-encoding"):
        return Body(None)
    return Body(int(request.headers.one(b"content-length") or 0))


def credentials_for(route: HttpRoute, request: Request) -> Credentials:
    """Return the token of a request, and the parts of it that may be forwarded.

    Auth is the service that tokens are for, and a token in a query may be one of its own, such as that of a link in a mail.
    So what goes there without a check keeps its tokens, but no `user_id`.
    """
    if route.service is not Service.AUTH or route.authenticated:
        return find_credentials(request, HEAD_SOURCES)
    query = without(request.query, lambda name, _: means_user_id(name)) if request.query else ""
    return Credentials(None, request.headers.fields, query)


def target_for(route: HttpRoute, request: Request, credentials: Credentials, *, marked: bool) -> str:
    """Return the request target at the service: nothing of path and query is changed except what is removed.

    Args:
        route: the route of the request.
        request: the client's request.
        credentials: the parts of the request that may be forwarded.
        marked: whether the client's target ends with a question mark, which stays if the query is empty.
    """
    query = forwarding.clean_query(credentials)
    path = route.path_for(request.path)
    return f"{path}?{query}" if query or (marked and not request.query) else path


def request_fields(
    arrival: Arrival, route: HttpRoute, credentials: Credentials, user_id: str | None, host: str
) -> list[tuple[str, str]]:
    """Return the header fields of the request to the service.

    A field is dropped if its value is not UTF-8, because the client that sends the request cannot send it unchanged.

    Args:
        arrival: the client's request.
        route: its route.
        credentials: the parts of the request that may be forwarded.
        user_id: the user; None on a route without authentication.
        host: the service's host and port.
    """
    own = forwarding.own_fields(arrival, user_id or "").split("\r\n")
    if user_id is None:
        own = own[1:]  # X-User-ID
    fields = [("Host", host), *(_field(line) for line in own)]
    if route.service is Service.AUTH:
        given = arrival.request.headers.all(b"authorization")
        fields += [("Authorization", value.decode("latin-1")) for value in given]
    for line in forwarding.passed_fields(arrival, credentials, _STARTS):
        try:
            fields.append(_field(line.decode()))
        except UnicodeDecodeError:
            continue
    body = body_of(arrival.request)
    if body.length is not None and arrival.request.headers.all(b"content-length"):
        fields.append(("Content-Length", str(body.length)))
    return fields


def _field(line: str) -> tuple[str, str]:
    name, _, value = line.partition(": ")
    return name, value


def answer_problem(response: Response) -> str:
    """Return why an answer of a service is not passed on, or ""."""
    if not 200 <= response.status <= 599:
        return f"the status {response.status} is not one of an answer"
    headers = response.headers
    for name, value in headers.fields:
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            return "a header field has characters that are not allowed"
    codings = headers.all(b"transfer-encoding")
    if codings and (len(codings) > 1 or codings[0].lower() != b"chunked"):
        return "the Transfer-Encoding is not chunked"
    lengths = headers.all(b"content-length")
    if lengths and (len(lengths) > 1 or not lengths[0].isdigit()):
        return "the Content-Length is not a number"
    return ""


def is_event_stream(response: Response) -> bool:
    """Tell whether an answer is a stream of events, which may be silent for long (HTML, §9.2)."""
    return response.headers.one(b"content-type").partition(";")[0].strip().lower() == "text/event-stream"


def answer_head(
    response: Response, request: Request, request_id: str, page: cors.Lines
) -> tuple[bytes, Framing]:
    """Build the head of the answer to the client, and return it with the framing of the body.

    Args:
        response: the answer of the service, without its body.
        request: the client's request.
        request_id: the id of the request.
        page: the header fields for pages (see `cors`).
    """
    headers, status = response.headers, response.status
    lengths = () if headers.all(b"transfer-encoding") else headers.all(b"content-length")
    if status in _WITHOUT_BODY or request.method == "HEAD":
        framing = Framing.NONE
    elif lengths:
        framing = Framing.LENGTH
    else:
        framing = Framing.CHUNKED if request.version == "1.1" else Framing.UNTIL_CLOSE
    lines = [f"HTTP/1.1 {status} {_phrase(status)}", "Connection: close", f"X-Request-ID: {request_id}"]
    if lengths and status != HTTPStatus.NO_CONTENT:  # RFC 9110 §8.6
        lines.append(f"Content-Length: {lengths[0].decode('ascii')}")
    if framing is Framing.CHUNKED:
        lines.append("Transfer-Encoding: chunked")
    lines += [f"{name}: {value}" for name, value in page]
    dropped = forwarding.nominated(headers)
    parts = ["\r\n".join(lines).encode("latin-1")]
    parts += [
        start + value
        for name, value in headers.fields
        if (start := _ANSWER_STARTS[name]) and name not in dropped and not name.startswith(cors.PREFIX)
    ]
    return b"\r\n".join(parts) + b"\r\n\r\n", framing


def chunk(data: bytes) -> bytes:
    """Return a part of a body as one chunk (RFC 9112 §7.1); of an empty one, the last chunk."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
