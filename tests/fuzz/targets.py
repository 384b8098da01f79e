"""What is fuzzed: each target gets any bytes, and fails if the gateway misreads them or raises another error than its own.

The same targets serve the everyday tests (`test_fuzz.py`) and the coverage-guided fuzzer (`run.py`).
"""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections.abc import Callable, Iterator
from typing import Final
from urllib.parse import unquote_plus

from tests.fuzz.wire import Wire
from tests.unit.core.handshakes import CLIENT, GOOD, TRACE, read_head

from memmie_gateway.core.auth.identity import MAX_CLAIMS_BYTES, Identity
from memmie_gateway.core.auth.lease import TokenEnds
from memmie_gateway.core.auth.verdicts import AuthUnavailableError, read_verdict
from memmie_gateway.core.http.arrival import Arrival
from memmie_gateway.core.http.credentials import (
    ALL_SOURCES,
    FIRST_MESSAGE_SOURCES,
    find_credentials,
    plausible,
)
from memmie_gateway.core.http.request import BadRequestError, Request
from memmie_gateway.core.http.response import Response
from memmie_gateway.core.websocket import handshake
from memmie_gateway.core.websocket.frames import ANY_RESERVED, RSV1, FrameScanner
from memmie_gateway.net.clock import Clock
from memmie_gateway.net.handover import Handover
from memmie_gateway.net.http1.response_reader import MAX_BODY, HttpError, ResponseReader
from memmie_gateway.net.ingress.head_reader import HeadReader
from memmie_gateway.net.ingress.listener import Handlers, Listener, ListenerOptions
from memmie_gateway.net.websocket import PATHS

LONGEST: Final = 4096
"""Bytes of an input that are used. Longer ones find nothing more, and take longer."""


def pieces(data: bytes) -> Iterator[bytes]:
    """Cut bytes at places that depend on them alone, so that a failure can be repeated."""
    rng, at = random.Random(len(data)), 0  # noqa: S311 - not for a secret
    while at < len(data):
        size = rng.choice((1, 1, 2, 3, 7, 50))
        yield data[at : at + size]
        at += size


# The head of a request.


class Door:
    """The listener for one connection, and where the connection went.

    Attributes:
        went: the request, or a word.
    """

    def __init__(self) -> None:
        self.went: Request | str = "nowhere"
        options = ListenerOptions(
            max_head_bytes=2048,
            max_headers=20,
            head_seconds=60,
            max_connections=10,
            max_connections_per_address=0,
            trusted_proxies=(),
        )
        handlers = Handlers(
            routes=dict.fromkeys(PATHS, self._route),
            http=self._http,
            refused=lambda _: None,
            connections=lambda: 0,
        )
        self._listener = Listener(options, handlers, random.Random(0), Clock())  # noqa: S311 - not for a secret

    def _route(self, arrival: Arrival, handover: Handover) -> None:
        assert arrival.request.path in PATHS
        self.went = arrival.request
        handover.end(b"")

    def _http(self, _: Arrival, handover: Handover) -> None:
        self.went = "to the HTTP routes"
        handover.end(b"")

    def send(self, chunks: list[bytes]) -> Request | str:
        """Send a client's bytes; return the request that a route gets, or a word."""
        wire = Wire()
        wire.begin(HeadReader(self._listener))
        for chunk in chunks:
            if wire.closing:
                break
            wire.receive(chunk)
        if wire.written:
            self.went = "to a refusal"
            read_head(wire.written.partition(b"\r\n\r\n")[0] + b"\r\n\r\n")
        wire.lose()
        assert not self._listener.pending | self._listener.http
        return self.went


def head(data: bytes) -> None:
    """Any bytes of a client are a request, or are refused; however they are cut, it is the same request."""

    async def both() -> tuple[Request | str, Request | str]:
        return Door().send([data]), Door().send(list(pieces(data)))

    whole, cut = _LOOP.run_until_complete(both())
    if isinstance(whole, Request):
        assert isinstance(cut, Request)
        assert (whole.method, whole.path, whole.query) == (cut.method, cut.path, cut.query)
        assert whole.headers.fields == cut.headers.fields
        _forward(whole)
    else:
        assert not isinstance(cut, Request)


OWN: Final = (
    b"host",
    b"connection",
    b"upgrade",
    b"x-user-id",
    b"x-request-id",
    b"x-forwarded-host",
    b"x-forwarded-proto",
)
"""Fields that the gateway writes itself; their values may be those of a strange token."""

_LOOP: Final = asyncio.new_event_loop()


def _forward(request: Request, user_id: str = "u 1") -> str:
    """Forward a request if it is a handshake, and check what the backend gets; return its target."""
    if handshake.check_upgrade(request) is not None:
        return ""
    target = ""
    for sources in (ALL_SOURCES, FIRST_MESSAGE_SOURCES):
        credentials = find_credentials(request, sources)
        token = credentials.token or ""
        if token and not plausible(token):
            continue
        raw = handshake.upstream_head(
            Arrival(request, CLIENT, "id-1", TRACE), credentials, user_id, host="studio", path="/ws", query=""
        )
        first, fields = read_head(raw)
        method, target, version = first.split(" ")
        assert (method, version) == ("GET", "HTTP/1.1")
        _one_user(target)
        for name in (b"host", b"x-user-id", b"x-real-ip", b"x-forwarded-for", b"connection", b"upgrade"):
            assert sum(name == other for other, _ in fields) == 1
        assert not [name for name, _ in fields if b"_" in name]
        if token:
            values = [part for field in re.split("[&;]", target) for part in (field, field.partition("=")[2])]
            assert token not in values[2:]  # the first field is the gateway's own
            assert not [value for name, value in fields if value == token.encode() and name not in OWN]
    return target


def _one_user(target: str) -> None:
    """Only the gateway's own field names a user, wherever a server thinks that fields end."""
    assert target.startswith("/ws?user_id=u%201")
    rest = target.removeprefix("/ws?user_id=u%201")
    for ends in ("&", ";", "[&;]"):
        names = [unquote_plus(field.partition("=")[0]) for field in re.split(ends, rest)]
        assert not [name for name in names if name.strip(" \0").lower() in ("user_id", "user_id[]")]


# A query.


def query(data: bytes) -> None:
    """What stays of a query are its own fields, in their order and with their bytes; no user and no token is left."""
    token = "SECRET-SECRET-1"
    fields = tuple((name, value) for name, values in GOOD.items() for value in values)
    try:
        request = Request.parse(
            b"GET", b"/ws?" + data, "1.1", (*fields, (b"authorization", f"Bearer {token}".encode()))
        )
    except BadRequestError:
        return
    target = _forward(request)
    rest = target.removeprefix("/ws?user_id=u%201").removeprefix("&")
    sent = iter(re.split("([&;])", request.query))
    for part in re.split("([&;])", rest):
        assert part in sent or not part, "nothing is new, and nothing changes its place"
        name, _, value = part.partition("=")
        assert unquote_plus(name) != "token"
        assert token not in (value, unquote_plus(value))


# Frames.


def frames(data: bytes) -> None:
    """However a stream of frames is cut, the same bytes pass, and it ends in the same way.

    The first byte of the input says which stream it is.
    """
    options, data = data[:1], data[1:]
    bits = options[0] if options else 0

    def scanner() -> FrameScanner:
        reserved = (0, RSV1, ANY_RESERVED, 0)[bits >> 1 & 3]
        made = FrameScanner(masked=bool(bits & 1), max_message_bytes=1000, reserved_bits=reserved)
        if bits & 8:
            made.expect_pong(b"ping")
        return made

    whole, cut = scanner(), scanner()
    passed = whole.scan(data)
    assert passed == b"".join(cut.scan(piece) for piece in pieces(data))
    assert whole.take_violation() == cut.take_violation()
    assert whole.take_close() == cut.take_close()
    for name in ("received", "messages", "extra_frames", "remaining", "cut_bytes", "ended"):
        assert getattr(whole, name) == getattr(cut, name), name
    assert whole.ended or whole.held_back == cut.held_back
    assert whole.cut_bytes or data.startswith(passed)


# Auth's answer.


def auth_answer(data: bytes) -> None:
    """Any bytes of Auth are an answer, or none; however they are cut, it is the same one."""
    whole, cut = _answer([data]), _answer(list(pieces(data)))
    assert (whole is None) is (cut is None)
    if whole is None or cut is None:
        return
    assert (whole.status, whole.headers.fields, whole.body) == (cut.status, cut.headers.fields, cut.body)
    assert len(whole.body) <= MAX_BODY
    dropped: list[int] = []
    try:
        verdict = read_verdict(whole, b"digest", now=1e9, ends=TokenEnds(0), on_claims_dropped=dropped.append)
    except AuthUnavailableError:
        return
    if isinstance(verdict, Identity):
        assert 1 <= len(verdict.user_id.encode()) <= 1024
        assert verdict.user_id.isprintable() or not re.search(r"[\x00-\x1f\x7f-\x9f]", verdict.user_id)
        assert verdict.expires == 0 or verdict.expires > 1e9
        assert len(verdict.claims_json) <= MAX_CLAIMS_BYTES
        assert isinstance(json.loads(verdict.claims_json or b"{}"), dict)


def _answer(chunks: list[bytes]) -> Response | None:
    reader = ResponseReader()
    try:
        for chunk in chunks:
            if (response := reader.feed(chunk)) is not None:
                return response
        return reader.end(broken=False)
    except HttpError:
        return None
    finally:
        reader.close()


TARGETS: Final[dict[str, Callable[[bytes], None]]] = {
    "head": head,
    "query": query,
    "frames": frames,
    "auth_answer": auth_answer,
}
