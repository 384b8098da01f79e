"""The heads of forwarded HTTP requests and of their answers (spec §3)."""

from __future__ import annotations

import pytest
from tests.unit.core.handshakes import CLIENT, FORGED, TRACE, USER_ID, Values, arrival, read_head

from memmie_gateway.core.http.arrival import Arrival
from memmie_gateway.core.http.client_address import Client
from memmie_gateway.core.http.headers import Headers
from memmie_gateway.core.http.proxied import (
    Framing,
    answer_head,
    answer_problem,
    body_of,
    chunk,
    credentials_for,
    is_event_stream,
    is_served,
    request_fields,
    request_problem,
    target_for,
    why_refused,
)
from memmie_gateway.core.http.request import Request
from memmie_gateway.core.http.response import Response
from memmie_gateway.core.http.routes import HttpRoute
from memmie_gateway.core.outcomes import Cause

API = HttpRoute.parse("/api=studio:/api")
OPEN = HttpRoute.parse("/public=studio:/public:open")
AUTH = HttpRoute.parse("/auth=auth:/api/v1/auth:open")
HOST: Values = {b"host": (b"gateway.test",)}


def request(
    values: Values | None = None,
    *,
    method: bytes = b"GET",
    target: bytes = b"/api/v1/x",
    version: str = "1.1",
) -> Request:
    fields = tuple((name, value) for name, all_ in (HOST | (values or {})).items() for value in all_)
    return Request.parse(method, target, version, fields)


def forwarded(route: HttpRoute, asked: Request, user_id: str | None = "u 1") -> tuple[str, dict[str, str]]:
    credentials = credentials_for(route, asked)
    fields = request_fields(arrival(asked), route, credentials, user_id, "studio:8010")
    assert len({name.lower() for name, _ in fields}) == len(fields)
    target = target_for(route, asked, credentials, marked=False)
    return target, {name.lower(): value for name, value in fields}


# The request.


def test_the_user_and_the_client_are_told_and_nothing_else_is_added() -> None:
    target, fields = forwarded(API, request({b"authorization": (b"Bearer t1",), b"accept": (b"*/*",)}))
    assert target == "/api/v1/x"
    assert fields == {
        "host": "studio:8010",
        "x-user-id": "u%201",
        "x-real-ip": CLIENT.address,
        "x-forwarded-for": CLIENT.chain,
        "x-forwarded-proto": "http",
        "x-forwarded-host": "gateway.test",
        "x-request-id": "id-1",
        "traceparent": TRACE,
        "accept": "*/*",
    }


@pytest.mark.parametrize(
    ("target", "expected"),
    [(b"/api/x?", "/api/x?"), (b"/api/x?token=t1&a=?", "/api/x?a=?"), (b"/api/x?token=?", "/api/x")],
)
def test_the_mark_of_an_empty_query_stays(target: bytes, expected: str) -> None:
    asked = request(target=target)
    assert target_for(API, asked, credentials_for(API, asked), marked=True) == expected


@pytest.mark.parametrize("name", FORGED)
def test_what_a_client_must_not_say(name: bytes) -> None:
    values = (b"7",) if name == b"content-length" else (b"forged",)
    _, fields = forwarded(API, request({name: values}))
    assert "forged" not in (fields.get(name.decode(), ""), fields.get(name.decode().replace("_", "-"), ""))


@pytest.mark.parametrize(
    "name", [b"sec-websocket-key", b"sec-websocket-protocol", b"http2-settings", b"x-own"]
)
def test_fields_for_one_connection_or_for_websockets(name: bytes) -> None:
    _, fields = forwarded(API, request({name: (b"v",), b"connection": (b"X-Own, close",)}))
    assert name.decode() not in fields


@pytest.mark.parametrize("name", USER_ID)
def test_no_spelling_of_user_id_reaches_a_service(name: str) -> None:
    for route, prefix in ((API, "/api"), (OPEN, "/public"), (AUTH, "/auth")):
        target, _ = forwarded(route, request(target=f"{prefix}/x?a=1&{name}=other&b=2".encode()))
        assert target == f"{route.upstream}/x?a=1&b=2"


def test_the_token_is_removed_and_all_other_bytes_stay() -> None:
    target, fields = forwarded(
        API, request({b"cookie": (b"a=t1; b=2",)}, target=b"/api/%7Ex/a+b;c?x=%2f&token=t1&y=a+b&z&copy=t1&=")
    )
    assert target == "/api/%7Ex/a+b;c?x=%2f&y=a+b&z&="
    assert fields["cookie"] == "b=2"


@pytest.mark.parametrize(("query", "expected"), [(b"?token=t1", ""), (b"?", ""), (b"", ""), (b"?a", "?a")])
def test_a_query(query: bytes, expected: str) -> None:
    assert forwarded(API, request(target=b"/api/x" + query))[0] == f"/api/x{expected}"


def test_auth_gets_its_tokens_but_no_user() -> None:
    asked = request(
        {b"authorization": (b"Bearer t1",), b"x-user-id": (b"forged",)},
        target=b"/auth/verify?token=t1&user_id=u",
    )
    target, fields = forwarded(AUTH, asked, None)
    assert target == "/api/v1/auth/verify?token=t1"
    assert fields["authorization"] == "Bearer t1"
    assert "x-user-id" not in fields


def test_an_open_route_of_studio_gets_neither_token_nor_user() -> None:
    asked = request(
        {b"authorization": (b"Bearer t1",), b"x-user-id": (b"forged",)}, target=b"/public/x?token=t1"
    )
    target, fields = forwarded(OPEN, asked, None)
    assert target == "/public/x"
    assert not {"authorization", "x-user-id"} & fields.keys()


def test_a_value_that_is_not_utf_8_is_dropped() -> None:
    _, fields = forwarded(API, request({b"x-a": ("ä".encode("latin-1"),), b"x-b": ("ä".encode(),)}))
    assert "x-a" not in fields
    assert fields["x-b"] == "ä"


@pytest.mark.parametrize(
    ("values", "length", "told"),
    [
        ({}, 0, None),
        ({b"content-length": (b"0",)}, 0, "0"),
        ({b"content-length": (b"12",)}, 12, "12"),
        ({b"transfer-encoding": (b"chunked",)}, None, None),
    ],
)
def test_the_body_of_a_request(values: Values, length: int | None, told: str | None) -> None:
    asked = request(values, method=b"POST")
    assert body_of(asked).length == length
    assert forwarded(API, asked)[1].get("content-length") == told
    assert "transfer-encoding" not in forwarded(API, asked)[1], "the client that sends it frames it anew"


@pytest.mark.parametrize(
    ("values", "version", "problem"),
    [
        ({}, "1.1", ""),
        ({b"host": ()}, "1.1", "exactly one Host"),
        ({b"host": ()}, "1.0", ""),
        ({b"host": (b"a", b"b")}, "1.0", "exactly one Host"),
        ({b"host": (b"a b",)}, "1.1", "the Host header must be"),
        ({b"transfer-encoding": (b"chunked",)}, "1.1", ""),
        ({b"transfer-encoding": (b"Chunked",)}, "1.1", ""),
        ({b"transfer-encoding": (b"chunked",)}, "1.0", "HTTP/1.0 has no"),
        ({b"transfer-encoding": (b"gzip, chunked",)}, "1.1", "the only Transfer-Encoding"),
        ({b"transfer-encoding": (b"chunked", b"chunked")}, "1.1", "the only Transfer-Encoding"),
        ({b"transfer-encoding": (b"identity",)}, "1.1", "the only Transfer-Encoding"),
        ({b"transfer-encoding": (b"chunked",), b"content-length": (b"1",)}, "1.1", "a request has either"),
    ],
)
def test_problems_of_a_request(values: Values, version: str, problem: str) -> None:
    found = request_problem(request(values, version=version))
    assert found.startswith(problem)
    assert bool(found) is bool(problem)


def test_traversal_is_a_problem() -> None:
    assert request_problem(request(target=b"/api/../x")) == "the path has a dot segment"


@pytest.mark.parametrize(
    ("method", "served"), [(b"GET", True), (b"TRACE", False), (b"CONNECT", False), (b"BREW", False)]
)
def test_methods(method: bytes, *, served: bool) -> None:
    assert is_served(request(method=method)) is served


@pytest.mark.parametrize(
    ("asked", "cause"),
    [
        (request(), None),
        (request({b"expect": (b"100-Continue",)}), None),
        (request({b"expect": (b"more",)}), Cause.EXPECTATION_REFUSED),
        (request({b"upgrade": (b"h2c",)}), Cause.WRONG_PROTOCOL),
        (request(method=b"TRACE"), Cause.METHOD_REFUSED),
        (request(target=b"/api/../x"), Cause.BAD_REQUEST),
    ],
)
def test_what_is_not_forwarded(asked: Request, cause: Cause | None) -> None:
    error = why_refused(asked)
    assert (error.cause if error is not None else None) is cause


def test_a_trusted_proxy_is_believed() -> None:
    asked = request({b"x-forwarded-proto": (b"https",)})
    come = Arrival(asked, Client("192.0.2.1", "192.0.2.1", trusted_peer=True), "id-1", TRACE)
    fields = dict(request_fields(come, API, credentials_for(API, asked), "u", "studio"))
    assert fields["X-Forwarded-Proto"] == "https"


# The answer.


def answer(status: int = 200, **fields: str | list[str]) -> Response:
    pairs = [
        (name.replace("_", "-").encode(), value.encode("latin-1"))
        for name, values in fields.items()
        for value in (values if isinstance(values, list) else [values])
    ]
    return Response(status, Headers(tuple(pairs)))


def test_what_passes_to_the_client() -> None:
    raw, framing = answer_head(
        answer(
            content_type="text/plain",
            content_length="5",
            etag='"x"',
            set_cookie=["a=1", "b=2"],
            connection="keep-alive, x-own",
            keep_alive="timeout=5",
            x_own="1",
            x_request_id="studio's",
            access_control_allow_origin="*",
            access_control_expose_headers="x",
            server="studio",
            trailer="x",
        ),
        request(),
        "id-1",
        (("Access-Control-Allow-Origin", "https://app.test"),),
    )
    first, fields = read_head(raw)
    assert (first, framing) == ("HTTP/1.1 200 OK", Framing.LENGTH)
    assert fields == [
        (b"connection", b"close"),
        (b"x-request-id", b"id-1"),
        (b"content-length", b"5"),
        (b"access-control-allow-origin", b"https://app.test"),
        (b"content-type", b"text/plain"),
        (b"etag", b'"x"'),
        (b"set-cookie", b"a=1"),
        (b"set-cookie", b"b=2"),
        (b"server", b"studio"),
    ]


@pytest.mark.parametrize(
    ("given", "method", "version", "framing", "told"),
    [
        (answer(), b"GET", "1.1", Framing.CHUNKED, {b"transfer-encoding": b"chunked"}),
        (answer(), b"GET", "1.0", Framing.UNTIL_CLOSE, {}),
        (answer(transfer_encoding="chunked"), b"GET", "1.1", Framing.CHUNKED, {b"transfer-encoding": b"chunked"}),
        (answer(transfer_encoding="chunked", content_length="3"), b"GET", "1.1", Framing.CHUNKED, {b"transfer-encoding": b"chunked"}),
        (answer(content_length="3"), b"GET", "1.0", Framing.LENGTH, {b"content-length": b"3"}),
        (answer(content_length="3"), b"HEAD", "1.1", Framing.NONE, {b"content-length": b"3"}),
        (answer(), b"HEAD", "1.1", Framing.NONE, {}),
        (answer(204, content_length="0"), b"GET", "1.1", Framing.NONE, {}),
        (answer(304, content_length="3"), b"GET", "1.1", Framing.NONE, {b"content-length": b"3"}),
    ],
)  # fmt: skip
def test_the_framing_of_an_answer(
    given: Response, method: bytes, version: str, framing: Framing, told: dict[bytes, bytes]
) -> None:
    raw, chosen = answer_head(given, request(method=method, version=version), "id-1", ())
    _, fields = read_head(raw)
    assert chosen is framing
    assert {
        name: value for name, value in fields if name in (b"content-length", b"transfer-encoding")
    } == told


def test_an_unknown_status_has_no_phrase() -> None:
    assert answer_head(answer(299), request(), "id-1", ())[0].startswith(b"HTTP/1.1 299 \r\n")


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (answer(content_type="text/plain"), ""),
        (answer(599), ""),
        (answer(101), "the status 101"),
        (answer(600), "the status 600"),
        (answer(x_a="a\rb"), "a header field"),
        (Response(200, Headers(((b"x y", b"1"),))), "a header field"),
        (answer(transfer_encoding="chunked"), ""),
        (answer(transfer_encoding="gzip, chunked"), "the Transfer-Encoding"),
        (answer(transfer_encoding=["chunked", "chunked"]), "the Transfer-Encoding"),
        (answer(content_length="1"), ""),
        (answer(content_length=["1", "2"]), "the Content-Length"),
        (answer(content_length="-1"), "the Content-Length"),
    ],
)
def test_problems_of_an_answer(given: Response, problem: str) -> None:
    found = answer_problem(given)
    assert found.startswith(problem)
    assert bool(found) is bool(problem)


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("text/event-stream", True),
        ("Text/Event-Stream; charset=utf-8", True),
        ("text/plain", False),
        ("", False),
    ],
)
def test_a_stream_of_events(content_type: str, *, expected: bool) -> None:
    assert is_event_stream(answer(content_type=content_type)) is expected


def test_chunks() -> None:
    assert chunk(b"x" * 17) == b"11\r\n" + b"x" * 17 + b"\r\n"
    assert chunk(b"") == b"0\r\n\r\n"
