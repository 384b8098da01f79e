"""Whatever a head says: a client whose verdict is cached, and one for whom everything is asked, are served alike."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.net.pair import Dial, GatewayLog, StartGateway, until
from tests.net.scripted_studio import ScriptedStudio, accept

from memmie_fake_auth import FakeAuth
from memmie_gateway import Gateway
from memmie_harness.conformance.peers import PATIENCE, Head, Peer, upgrade_request

TOKEN, REFUSED = "@TOKEN@", "@REFUSED@"  # they stand for tokens in the lines below

FIELDS = [
    f"Authorization: Bearer {TOKEN}",
    f"authorization: bearer  {TOKEN} ",
    f"Authorization: Bearer {REFUSED}",
    "Authorization: Basic eDp5",
    f"Sec-WebSocket-Protocol: bearer, {TOKEN}",
    f"Sec-WebSocket-Protocol: chat, Bearer, {TOKEN}, v2",
    f"Sec-WebSocket-Protocol: {TOKEN}",
    "Sec-WebSocket-Protocol: chat",
    "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
    f"Cookie: a=1; token={TOKEN}; b=2",
    "Cookie: session=x",
    f"Referer: https://app.test/page?token={TOKEN}#top",
    f"X-Copy: {TOKEN}",
    "X-Custom:  with blanks \t",
    "x_custom: with an underscore",
    "X-Custom: twice",
    "X-User-ID: somebody else",
    "X-Forwarded-For: 192.0.2.1, 198.51.100.2",
    "X-Forwarded-Proto: https",
    "X-Request-ID: chosen-by-the-client",
    "X-Request-ID: not valid",
    "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "tracestate: a=b",
    "Connection: keep-alive, X-Custom",
    "Origin: https://app.test",
    "Host: other.test",
    "Content-Length: 0",
    "Content-Length: 5",
    "Transfer-Encoding: chunked",
    "Upgrade: h2c",
    "Sec-WebSocket-Version: 8",
    "Sec-WebSocket-Key: short",
]
TARGETS = [
    "/ws",
    "/websocket",
    "/nowhere",
    f"/ws?token={TOKEN}",
    f"/ws?a=1&token={TOKEN}&b=%20&user_id=x&c={TOKEN}",
    f"/ws?token={REFUSED}",
    "/ws?a;b",
    "http://gateway.test/ws?x",
]
WITHOUT = ["host", "upgrade", "connection", "sec-websocket-key", "sec-websocket-version"]
USUAL = (TARGETS[0], (), (FIELDS[0], FIELDS[8], "Cookie: session=x"))


@pytest.fixture
async def cached(start_gateway: StartGateway) -> Gateway:
    return await start_gateway()


@pytest.fixture
async def uncached(start_gateway: StartGateway) -> Gateway:
    return await start_gateway(
        AUTH_CACHE_SECONDS="0", AUTH_REFUSAL_CACHE_SECONDS="0", AUTH_STALE_SECONDS="0", AUTH_KEEPALIVE="false"
    )


def fields_of(head: Head) -> list[tuple[str, str]]:
    return [(name, value) for name, value in head.fields if name != "date"]


async def served(
    gateway: Gateway, dial: Dial, studio: ScriptedStudio, log: GatewayLog, request: bytes
) -> dict[str, Any]:
    """Send a handshake, and close the connection if it is accepted; return what Studio, the client and the log got."""
    gateway.parts.events.refusal_log.flush()  # every refusal has a line of its own
    lines_before = len(log.lines("closed") + log.lines("refused"))
    client = await dial(gateway)
    client.write(request)
    answered = asyncio.ensure_future(client.read_head())
    arrived = asyncio.ensure_future(studio.arrival())
    await asyncio.wait({answered, arrived}, return_when=asyncio.FIRST_COMPLETED, timeout=PATIENCE)
    at_studio: Peer | None = None
    if arrived.done():
        at_studio = arrived.result()
        accept(at_studio, "Server: x", "X-Custom: y")
    else:
        arrived.cancel()
    answer = await answered
    if at_studio is not None:
        client.send_close(4000, "bye")
        assert await at_studio.read_close() == (4000, "bye")
        at_studio.send_close(4000)
        at_studio.leave()
    rest = await client.read_rest()
    client.leave()
    await until(lambda: len(log.lines("closed") + log.lines("refused")) > lines_before)
    (line,) = (
        (log.lines("closed") + log.lines("refused"))[-1:] if at_studio is None else log.lines("closed")[-1:]
    )
    outcome = {
        "studio": at_studio and [at_studio.head.first_line, *map(list, fields_of(at_studio.head))],
        "client": [answer.first_line, *map(list, fields_of(answer)), answer.body.decode(), rest.hex()],
        "log": {name: value for name, value in line.items() if name not in ("timestamp", "seconds")},
    }
    text = json.dumps(outcome).replace(answer.get("x-request-id"), "ID")
    if b"traceparent" not in request:
        text = re.sub(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", "TRACE", text)
    return dict(json.loads(text))


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
    ],  # one pair of gateways serves all
)
@example(head=USUAL)
@example(head=("/ws", (), (f"Authorization: Bearer {REFUSED}",)))
@example(head=("/ws", ("sec-websocket-key",), (FIELDS[0],)))
@given(
    head=st.tuples(
        st.sampled_from(TARGETS),
        st.lists(st.sampled_from(WITHOUT), max_size=1).map(tuple),
        st.lists(st.sampled_from(FIELDS), max_size=6).map(tuple),
    )
    | st.tuples(
        st.just("/ws"),
        st.just(()),
        st.lists(st.sampled_from(FIELDS[5:25]), max_size=5).map(lambda more: (FIELDS[0], *more)),
    )
)
async def test_a_cached_verdict_changes_nothing(
    cached: Gateway,
    uncached: Gateway,
    dial: Dial,
    studio: ScriptedStudio,
    auth: FakeAuth,
    log: GatewayLog,
    head: tuple[str, tuple[str, ...], tuple[str, ...]],
) -> None:
    target, without, fields = head
    text = upgrade_request(None, target=target, without=without, extra=fields).decode("latin-1")
    request = text.replace(TOKEN, auth.mint("u1")).replace(REFUSED, "x.y.z").encode("latin-1")
    await served(cached, dial, studio, log, request)  # from now on, it has the verdict
    asked = sum(cached.parts.authenticator.asked.values())
    one = await served(cached, dial, studio, log, request)
    assert sum(cached.parts.authenticator.asked.values()) == asked
    assert one == await served(uncached, dial, studio, log, request)
