"""`POST /token/renew`: what it moves, whom it refuses, and what it does not tell (spec §1)."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import json
from collections.abc import Awaitable, Callable, Sequence

import pytest
from tests.net.answering_auth import AnsweringAuth
from tests.net.pair import Dial, Enter, GatewayLog, Join, StartGateway, later, until

from memmie_fake_auth import FakeAuth
from memmie_gateway import Gateway
from memmie_gateway.net.auth.authenticator import MAX_TOKEN_BYTES
from memmie_gateway.net.ingress.renewal import MOST_AT_ONCE
from memmie_harness.conformance.peers import Head, Peer, upgrade_request

ENDED = (4401, "the token expired or was revoked")
ORIGIN = "https://app.example.com"

Renew = Callable[..., Awaitable[Head]]
"""`answer = await renew(gateway, new, old)`."""


def request(
    token: str | None,
    body: bytes,
    *,
    method: str = "POST",
    target: str = "/token/renew",
    extra: Sequence[str] = (),
    length: int | None = None,
) -> bytes:
    lines = [
        f"{method} {target} HTTP/1.1",
        "Host: gateway.test",
        f"Content-Length: {len(body) if length is None else length}",
        *([] if token is None else [f"Authorization: Bearer {token}"]),
        *extra,
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


def old_token(token: object) -> bytes:
    return json.dumps({"token": token}).encode()


@pytest.fixture
def renew(dial: Dial) -> Renew:
    async def renewed(gateway: Gateway, new: str | None, old: object = "", **options: object) -> Head:
        client = await dial(gateway)
        body = old if isinstance(old, bytes) else old_token(old)
        client.write(request(new, body, **options))  # type: ignore[arg-type]
        return await client.read_head()

    return renewed


def refusal(answer: Head) -> tuple[int, str]:
    return answer.status, json.loads(answer.body)["code"]


# What it moves.


async def test_renewed_connections_live_on_until_the_new_token_ends(
    start_gateway: StartGateway, auth: FakeAuth, enter: Enter, renew: Renew, log: GatewayLog
) -> None:
    gateway = await start_gateway()
    old, new = auth.mint("u1", ttl_seconds=600), auth.mint("u1", ttl_seconds=1200)
    first, second = await enter(gateway, old), await enter(gateway, old)
    ends = await enter(gateway, auth.mint("u1", ttl_seconds=599))
    answer = await renew(gateway, new, old)
    assert (answer.status, json.loads(answer.body)) == (200, {"moved": 2})
    assert answer.get("cache-control") == "no-store"
    assert (await log.line("renewed"))["moved"] == 2
    later(gateway, 700)
    assert await ends.client.read_close() == ENDED
    await first.exchange()
    await second.exchange()
    assert len(gateway.parts.sessions._by_token) == 2
    later(gateway, 1300)
    assert await first.client.read_close() == await second.client.read_close() == ENDED
    assert gateway.parts.leases.renewed == 2


async def test_a_token_may_be_renewed_again_and_by_itself(
    start_gateway: StartGateway, auth: FakeAuth, enter: Enter, renew: Renew
) -> None:
    gateway = await start_gateway()
    tokens = [auth.mint("u1", ttl_seconds=600 * (number + 1)) for number in range(4)]
    pair = await enter(gateway, tokens[0])
    for old, new in itertools.pairwise(tokens):
        assert json.loads((await renew(gateway, new, old)).body) == {"moved": 1}
        assert json.loads((await renew(gateway, new, new)).body) == {"moved": 1}
        assert json.loads((await renew(gateway, new, old)).body) == {"moved": 0}
    await pair.exchange()
    assert len(gateway.parts.leases._ends) == 1


async def test_a_new_token_without_connections_leaves_nothing_behind(
    start_gateway: StartGateway, auth: FakeAuth, renew: Renew
) -> None:
    gateway = await start_gateway(AUTH_RECHECK_SECONDS="600")
    await renew(gateway, auth.mint("u1"), auth.mint("u1"))
    assert len(gateway.parts.leases._ends) == len(gateway.parts.rechecker._tokens) == 0


# What it does not tell.


async def test_unknown_ended_and_another_users_token_look_alike(
    start_gateway: StartGateway, auth: FakeAuth, enter: Enter, renew: Renew
) -> None:
    gateway = await start_gateway(TOKEN_LEEWAY_SECONDS="5")
    new = auth.mint("u1")
    other = auth.mint("u2")
    live = await enter(gateway, other)
    ended = auth.mint("u1", ttl_seconds=600)
    pair = await enter(gateway, ended)
    later(gateway, 700)
    assert await pair.client.read_close() == ENDED  # but it has not gone yet
    olds = [
        other,
        ended,
        auth.mint("u1"),
        auth.mint("u1", kind="expired"),
        auth.mint("u1", kind="bad_signature"),
    ]
    olds += ["x", "a b", "ü", "\ud800", "x" * 9000, "\x00"]
    answers = [await renew(gateway, new, old) for old in olds]
    assert {answer.status for answer in answers} == {200}
    assert {answer.body for answer in answers} == {b'{"moved": 0}'}
    assert len({tuple(name for name, _ in answer.fields) for answer in answers}) == 1
    await live.exchange()


async def test_no_token_shows_in_the_log(
    start_gateway: StartGateway, auth: FakeAuth, enter: Enter, renew: Renew, log: GatewayLog
) -> None:
    gateway = await start_gateway()
    old, new = auth.mint("u1"), auth.mint("u1")
    await enter(gateway, old)
    await renew(gateway, new, old, target=f"/token/renew?token={new}")
    await renew(gateway, "wrong-secret", old)
    await renew(gateway, new, b"not JSON " + old.encode())
    await until(lambda: len(log.lines("refused")) == 2)
    text = log.getvalue()
    assert not [token for token in (old, new, "wrong-secret") if token in text]


# Whom it refuses.


async def test_the_new_token_comes_in_the_header_and_must_be_valid(
    start_gateway: StartGateway, auth: FakeAuth, enter: Enter, renew: Renew
) -> None:
    gateway = await start_gateway()
    old, new = auth.mint("u1"), auth.mint("u1")
    pair = await enter(gateway, old)
    missing = await renew(gateway, None, old)
    assert refusal(missing) == (401, "token_missing")
    assert missing.get("www-authenticate") == "Bearer"
    assert refusal(await renew(gateway, None, old, target=f"/token/renew?token={new}"))[0] == 401
    for kind in ("expired", "revoked", "bad_signature"):
        assert refusal(await renew(gateway, auth.mint("u1", kind=kind), old)) == (401, "token_invalid")
    assert refusal(await renew(gateway, "x" * 9000, old)) == (401, "token_too_long")
    assert gateway.parts.leases.renewed == 0
    await pair.exchange()


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b'"T"', b"{}", b'{"token":""}', b'{"token":5}', b'{"token":null}', b"\xff", b"[" * 50_000],
    ids=lambda body: body[:20].decode("latin-1"),
)  # fmt: skip
async def test_bodies_that_are_not_an_old_token(
    start_gateway: StartGateway, auth: FakeAuth, renew: Renew, body: bytes
) -> None:
    gateway = await start_gateway()
    assert refusal(await renew(gateway, auth.mint("u1"), body)) == (400, "bad_request")


async def test_a_body_is_bounded_in_bytes_and_in_time(
    start_gateway: StartGateway, auth: FakeAuth, renew: Renew, dial: Dial
) -> None:
    gateway = await start_gateway(HEAD_SECONDS="0.3")
    token = auth.mint("u1")
    assert refusal(await renew(gateway, token, b" " * 100_000)) == (413, "body_too_large")
    slow = await dial(gateway)
    slow.write(request(token, b'{"to', length=30))
    assert refusal(await slow.read_head()) == (408, "request_timeout")
    bomb = gzip.compress(b" " * 50_000_000)
    answer = await renew(gateway, token, bomb, extra=["Content-Encoding: gzip"])
    assert refusal(answer) in {(400, "bad_request"), (413, "body_too_large")}


@pytest.mark.parametrize(
    ("chunks", "words"),
    [
        pytest.param(b"%x\r\n" % 100_000 + b" " * 100_000, "is larger than 65536 bytes", id="content"),
        pytest.param(b"1\r\n \r\n" * 40_000, "has more than 65536 bytes of framing", id="sizes"),
        pytest.param(b"1;" + b"x" * 200_000, "has more than 65536 bytes of framing", id="extension"),
    ],
)
async def test_a_chunked_body_is_bounded_with_its_framing(
    start_gateway: StartGateway, auth: FakeAuth, dial: Dial, log: GatewayLog, chunks: bytes, words: str
) -> None:
    gateway = await start_gateway()
    client = await dial(gateway)
    head = "POST /token/renew HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nAuthorization: Bearer"
    client.write(f"{head} {auth.mint()}\r\n\r\n".encode())
    await until(lambda: bool(gateway.parts.listener.http))
    client.write(chunks)
    assert refusal(await client.read_head()) == (413, "body_too_large")
    assert (await log.line("refused"))["detail"] == f"the request body {words}"


async def test_it_counts_against_the_connect_rate_of_the_client_behind_the_proxy(
    start_gateway: StartGateway, auth: FakeAuth, renew: Renew, dial: Dial
) -> None:
    gateway = await start_gateway(
        CONNECT_RATE_PER_IP="0.01", CONNECT_BURST_PER_IP="2", TRUSTED_PROXIES="127.0.0.0/8"
    )
    token = auth.mint("u1")
    one, two = ["X-Forwarded-For: 192.0.2.1"], ["X-Forwarded-For: 192.0.2.1, 192.0.2.2"]
    assert (await renew(gateway, token, "x", extra=one)).status == 200
    assert (await renew(gateway, "wrong", "x", extra=one)).status == 401
    refused = await renew(gateway, token, "x", extra=one)
    assert refusal(refused) == (429, "connect_rate_exceeded")
    assert int(refused.get("retry-after")) > 1
    client = await dial(gateway)
    client.write(upgrade_request(token, extra=one))
    assert (await client.read_head()).status == 429
    assert (await renew(gateway, token, "x", extra=two)).status == 200


async def test_one_address_may_have_only_so_many_under_way(
    start_gateway: StartGateway, auth: FakeAuth, renew: Renew, dial: Dial
) -> None:
    gateway = await start_gateway(MAX_CONNECTIONS_PER_IP="100")
    token = auth.mint("u1")
    slow: list[Peer] = []
    for _ in range(MOST_AT_ONCE):
        slow.append(await dial(gateway))
        slow[-1].write(request(token, b"{", length=13))
    await until(lambda: len(gateway.parts.listener.http) == MOST_AT_ONCE)
    while (answer := await renew(gateway, token, "x")).status == 200:  # the last one has only just arrived
        pass
    assert refusal(answer) == (429, "too_many_connections_from_address")
    for peer in slow:
        peer.write(b'"token":"x"}')
        assert (await peer.read_head()).status == 200
    assert (await renew(gateway, token, "x")).status == 200


async def test_an_auth_that_does_not_answer_is_neither_yes_nor_no(
    start_gateway: StartGateway, auth: FakeAuth, enter: Enter, renew: Renew
) -> None:
    gateway = await start_gateway()
    old = auth.mint("u1")
    pair = await enter(gateway, old)
    auth.script("error", route="/api/v1/auth/validate", status=500)
    refused = await renew(gateway, auth.mint("u1"), old)
    assert refusal(refused) == (503, "auth_unavailable")
    assert int(refused.get("retry-after")) >= 1
    await pair.exchange()


async def test_a_draining_gateway_renews_nothing(
    start_gateway: StartGateway, auth: FakeAuth, renew: Renew
) -> None:
    gateway = await start_gateway()
    gateway.parts.admission.draining = True
    assert refusal(await renew(gateway, auth.mint("u1"), "x")) == (503, "shutting_down")


async def test_a_slow_body_does_not_delay_the_end_of_the_gateway(
    start_gateway: StartGateway, auth: FakeAuth, dial: Dial
) -> None:
    gateway = await start_gateway(HEAD_SECONDS="60")
    slow = await dial(gateway)
    slow.write(request(auth.mint("u1"), b"{", length=12))
    await until(lambda: len(gateway.parts.listener.http) == 1)
    async with asyncio.timeout(4):
        await gateway.stop()


async def test_a_client_that_leaves_or_sends_a_bad_chunk_is_no_failure_of_the_gateway(
    start_gateway: StartGateway, auth: FakeAuth, dial: Dial, log: GatewayLog, caplog: pytest.LogCaptureFixture
) -> None:
    gateway = await start_gateway()
    leaves = await dial(gateway)
    leaves.write(request(auth.mint("u1"), b"{", length=12))
    await until(lambda: len(gateway.parts.listener.http) == 1)
    leaves.reset()
    assert (await log.line("refused"))["cause"] == "client_left"
    chunked = await dial(gateway)
    head = request(auth.mint("u1"), b"", extra=["Transfer-Encoding: chunked"])
    chunked.write(head.replace(b"Content-Length: 0\r\n", b"") + b"SECRET\r\n\r\n")
    assert refusal(await chunked.read_head()) == (400, "bad_request")
    assert caplog.records == []


async def test_a_token_may_be_as_long_as_at_the_handshake(start_gateway: StartGateway, renew: Renew) -> None:
    async with AnsweringAuth() as answers:
        gateway = await start_gateway(AUTH_URL=answers.url)
        long = answers.valid("x" * MAX_TOKEN_BYTES, "u1")
        assert (await renew(gateway, long, "x")).status == 200


async def test_only_post(start_gateway: StartGateway, auth: FakeAuth, renew: Renew) -> None:
    gateway = await start_gateway()
    for method in ("GET", "PUT", "DELETE"):
        answer = await renew(gateway, auth.mint("u1"), "x", method=method)
        assert refusal(answer) == (405, "method_not_allowed")
        assert answer.get("allow") == "OPTIONS,POST"


# Pages.


@pytest.mark.parametrize(
    ("allowed", "shown"),
    [("*", "*"), (ORIGIN, ORIGIN), ("https://*.example.com", ORIGIN), (f"https://x.test,{ORIGIN}", ORIGIN)],
)
async def test_a_page_of_an_allowed_origin(
    start_gateway: StartGateway, auth: FakeAuth, enter: Enter, renew: Renew, allowed: str, shown: str
) -> None:
    gateway = await start_gateway(ALLOWED_ORIGINS=allowed)
    old, new = auth.mint("u1"), auth.mint("u1")
    await enter(gateway, old)
    asks = [
        f"Origin: {ORIGIN}",
        "Access-Control-Request-Method: POST",
        "Access-Control-Request-Headers: authorization,content-type",
    ]
    preflight = await renew(gateway, None, b"", method="OPTIONS", extra=asks)
    assert preflight.status == 204
    assert preflight.get("access-control-allow-origin") == shown
    assert preflight.get("access-control-allow-methods") == "POST"
    assert preflight.get("access-control-allow-headers").lower() == "authorization, content-type"
    moved = await renew(gateway, new, old, extra=[f"Origin: {ORIGIN}"])
    refused = await renew(gateway, "wrong", old, extra=[f"Origin: {ORIGIN}"])
    assert [answer.status for answer in (moved, refused)] == [200, 401]
    for answer in (preflight, moved, refused):
        assert answer.get("access-control-allow-origin") == shown
        assert answer.get("access-control-allow-credentials") == ""
        assert answer.get("vary") == "Origin"


@pytest.mark.parametrize("method", ["POST", "OPTIONS"])
@pytest.mark.parametrize("origin", ["https://evil.test", "https://app.example.com.evil.test", "null", ""])
async def test_a_page_of_another_origin(
    start_gateway: StartGateway, auth: FakeAuth, enter: Enter, renew: Renew, method: str, origin: str
) -> None:
    gateway = await start_gateway(ALLOWED_ORIGINS=ORIGIN)
    old, new = auth.mint("u1"), auth.mint("u1")
    await enter(gateway, old)
    answer = await renew(gateway, new, old, method=method, extra=[f"Origin: {origin}"])
    assert refusal(answer) == (403, "origin_not_allowed")
    assert answer.get("access-control-allow-origin") == ""
    assert gateway.parts.leases.renewed == 0


async def test_options_without_an_origin(start_gateway: StartGateway, renew: Renew) -> None:
    answer = await renew(await start_gateway(), None, b"", method="OPTIONS")
    assert (answer.status, answer.get("allow")) == (204, "OPTIONS, POST")
    assert answer.get("access-control-allow-origin") == ""


async def test_an_upgrade_is_not_served_there(start_gateway: StartGateway, dial: Dial, join: Join) -> None:
    gateway = await start_gateway()
    client = await dial(gateway)
    client.write(upgrade_request("x", target="/token/renew"))
    assert refusal(await client.read_head()) == (404, "not_found")
    await (await join(gateway)).exchange()
