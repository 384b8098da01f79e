"""Where a token may be (spec §1), how a client without a good one is refused, and that none ever shows."""

from __future__ import annotations

import base64
import json
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from websockets.asyncio.client import ClientConnection
from websockets.typing import Subprotocol

from memmie_fake_auth import FakeAuth
from memmie_fake_base import token_digest
from memmie_fake_studio import FakeStudio
from memmie_harness.client import heartbeat
from memmie_harness.fixture_types import MintToken
from memmie_harness.targets import ProcessTarget, Target

Dial = Callable[..., Awaitable[ClientConnection]]
Closed = Callable[[ClientConnection], Awaitable[tuple[int | None, str]]]
DialRefusal = Callable[..., Awaitable[Any]]

FIRST_MESSAGE = {"FIRST_MESSAGE_AUTH": "true", "FIRST_MESSAGE_SECONDS": 0.5}


def auth_message(token: str) -> str:
    return json.dumps({"type": "auth", "data": {"token": token}})


@pytest.mark.memmie(studios=1)
async def test_a_token_is_taken_from_every_place_of_a_handshake(
    memmie_gateway: Target, memmie_token: MintToken, memmie_studios: list[FakeStudio], dial: Dial
) -> None:
    url = memmie_gateway.ws_url

    async def user_and_subprotocol(opening: Awaitable[ClientConnection]) -> tuple[str, str | None]:
        connection = await opening
        await heartbeat(connection)
        return memmie_studios[0].connections[-1].user_id, connection.subprotocol

    header = dial(url, memmie_token("header"))
    assert await user_and_subprotocol(header) == ("header", None)

    query = dial(f"{url}?token={memmie_token('query')}&room=7")
    assert await user_and_subprotocol(query) == ("query", None)

    pair = dial(url, subprotocols=[Subprotocol("bearer"), Subprotocol(memmie_token("pair"))])
    assert await user_and_subprotocol(pair) == ("pair", "bearer")

    lone = dial(url, subprotocols=[Subprotocol(memmie_token("lone"))])
    assert await user_and_subprotocol(lone) == ("lone", None)

    # What the client wants of Studio itself is passed on.
    requests = memmie_studios[0].log.entries("request", path="/ws")
    assert [entry["query"].get("room") for entry in requests] == [None, "7", None, None]


@pytest.mark.memmie(studios=1)
async def test_the_first_place_that_has_a_token_wins(
    memmie_gateway: Target, memmie_token: MintToken, memmie_studios: list[FakeStudio], dial: Dial
) -> None:
    url = memmie_gateway.ws_url
    pair = [Subprotocol("bearer"), Subprotocol(memmie_token("pair"))]
    query = f"{url}?token={memmie_token('query')}"

    await dial(query, memmie_token("header"), subprotocols=pair)
    await dial(query, subprotocols=pair)
    await dial(query, subprotocols=[Subprotocol("chat")])

    users = [connection.user_id for connection in memmie_studios[0].connections]
    assert users == ["header", "pair", "query"]


@pytest.mark.memmie(studios=1)
async def test_refusals_say_why_in_json(
    memmie_gateway: Target,
    memmie_auth: FakeAuth,
    memmie_studios: list[FakeStudio],
    dial: Dial,
    dial_refusal: DialRefusal,
) -> None:
    url = memmie_gateway.ws_url

    missing = await dial_refusal(url)
    assert missing.status == 401
    assert missing.json == {"error": "a token is needed", "code": "token_missing"}
    assert missing.headers["content-type"] == "application/json"
    assert missing.headers["www-authenticate"] == "Bearer"

    bad = [memmie_auth.mint(kind=kind) for kind in ("expired", "revoked", "bad_signature")]
    for token in [*bad, "rubbish", "x" * 4096]:
        refused = await dial_refusal(url, token)
        assert (refused.status, refused.code) == (401, "token_invalid")
        assert refused.json["error"] == "the token is not valid"

    # Auth may refuse in the body of a 200, too (spec §2).
    scripted = memmie_auth.script(
        "error", route="/api/v1/auth/validate", times=1, status=200, body='{"valid": false}'
    )
    assert (await dial_refusal(url, "unheard-of")).code == "token_invalid"
    assert scripted.struck == 1

    # `bearer` without a token behind it is no token, and neither is an empty one.
    assert (await dial_refusal(url, subprotocols=[Subprotocol("bearer")])).code == "token_missing"
    assert (await dial_refusal(f"{url}?token=")).code == "token_missing"
    assert not memmie_studios[0].log.entries("request", path="/ws")

    await heartbeat(await dial(url, memmie_auth.mint()))  # as if nothing had happened


@pytest.mark.memmie(studios=1, env=FIRST_MESSAGE)
async def test_the_first_message_may_carry_the_token(
    memmie_gateway: Target, memmie_token: MintToken, memmie_studios: list[FakeStudio], dial: Dial
) -> None:
    connection = await dial(memmie_gateway.ws_url, subprotocols=[Subprotocol("chat")])
    assert connection.subprotocol == "chat"  # with first-message auth a lone subprotocol is no token
    await connection.send(auth_message(memmie_token("u1")))
    await heartbeat(connection)

    assert [connection.user_id for connection in memmie_studios[0].connections] == ["u1"]
    # The auth message is the gateway's: Studio sees none of it.
    assert all('"auth"' not in entry["text"] for entry in memmie_studios[0].log.entries("message"))

    # Messages sent behind the token at once are not lost, and keep their order.
    eager = await dial(memmie_gateway.ws_url)
    await eager.send(auth_message(memmie_token("u2")))
    for number in range(20):
        await eager.send(json.dumps({"id": str(number), "type": "heartbeat"}))
    assert [json.loads(await eager.recv())["id"] for _ in range(20)] == [str(n) for n in range(20)]

    # The other places still work.
    await heartbeat(await dial(memmie_gateway.ws_url, memmie_token("u3")))


@pytest.mark.memmie(studios=1, env=FIRST_MESSAGE)
async def test_a_bad_first_message_is_closed_with_a_code(
    memmie_gateway: Target,
    memmie_auth: FakeAuth,
    memmie_studios: list[FakeStudio],
    dial: Dial,
    closed: Closed,
) -> None:
    url = memmie_gateway.ws_url

    late = await dial(url)
    assert await closed(late) == (1008, "the first message must be auth, in time")

    for message in ("not json", '{"type":"heartbeat"}', '{"type":"auth","data":{}}', b"\xff", "x" * 20_000):
        wrong = await dial(url)
        await wrong.send(message)
        assert (await closed(wrong))[0] == 1008

    refused = await dial(url)
    await refused.send(auth_message(memmie_auth.mint(kind="expired")))
    assert await closed(refused) == (4401, "the token is not valid")

    assert not memmie_studios[0].log.entries("request", path="/ws")
    # Each of them gave its place back: the address may have ten.
    for _ in range(10):
        await dial(url)


def forms(token: str) -> list[str]:
    """What would give a token away."""
    head, payload, signature = token.split(".")
    return [token, head + "." + payload, payload, signature, base64.b64encode(token.encode()).decode()]


@pytest.mark.memmie(studios=1, env={**FIRST_MESSAGE, "LOG_LEVEL": "debug"})
async def test_a_token_shows_nowhere(
    memmie_gateway: ProcessTarget,
    memmie_auth: FakeAuth,
    memmie_studios: list[FakeStudio],
    http: aiohttp.ClientSession,
    dial: Dial,
    dial_refusal: DialRefusal,
) -> None:
    url, [studio] = memmie_gateway.ws_url, memmie_studios
    good = [memmie_auth.mint(f"u{number}") for number in range(5)]
    bad = [memmie_auth.mint(kind="expired"), memmie_auth.mint(kind="bad_signature"), memmie_auth.mint()]

    await dial(url, good[0])
    await dial(f"{url}?token={good[1]}")
    await dial(url, subprotocols=[Subprotocol("bearer"), Subprotocol(good[2])])
    first = await dial(url)
    await first.send(auth_message(good[3]))
    await heartbeat(first)
    await dial_refusal(f"{url}?token={bad[0]}")
    await dial_refusal(url, bad[1])
    memmie_auth.script("reset", route="/api/v1/auth/validate")
    await dial_refusal(url, bad[2])
    async with http.get(f"{memmie_gateway.url}/nowhere?token={good[4]}") as response:
        assert response.status == 404
    async with http.get(f"{memmie_gateway.url}/metrics") as response:
        metrics = await response.text()
    connects = studio.log.entries("connect", path="/ws")
    requests = studio.log.entries("request", path="/ws")
    await memmie_gateway.stop()

    output = memmie_gateway.log_tail(10_000)
    assert len(memmie_gateway.logs()) > 8
    assert len(connects) == len(requests) == 4
    # The fakes log a digest where a token was: it must not be there either.
    seen_by_studio = json.dumps([connects, requests])
    for token in [*good, *bad]:
        assert token_digest(token) not in seen_by_studio
        for form in forms(token):
            assert form not in output
            assert form not in metrics
            assert form not in seen_by_studio
    assert not any("authorization" in entry["headers"] or "token" in entry["query"] for entry in requests)
