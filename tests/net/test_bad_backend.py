"""A Studio that does not take the upgrade as it should: the client is answered, and the next one is served."""

from __future__ import annotations

import asyncio
import contextlib
import json
from functools import partial
from typing import Any

import pytest
from tests.net.pair import Dial, GatewayLog, StartGateway, nobody_is_left, until
from tests.net.scripted_studio import ScriptedStudio, accept

from memmie_fake_auth import FakeAuth
from memmie_gateway import Gateway
from memmie_gateway.core.websocket import acceptance
from memmie_gateway.net.sessions.session import Session
from memmie_harness.conformance.peers import Head, Peer, upgrade_request


async def ask(gateway: Gateway, dial: Dial, auth: FakeAuth, studio: ScriptedStudio) -> tuple[Peer, Peer]:
    """Let a client ask to come in, up to where Studio is to answer."""
    client = await dial(gateway)
    client.write(upgrade_request(auth.mint(), extra=["Sec-WebSocket-Protocol: json.v1"]))
    return client, await studio.arrival()


async def refused(client: Peer, log: GatewayLog, words: str) -> Head:
    """See that the client gets a 503 and may try again, and that the log says what Studio did."""
    answer = await client.read_head()
    assert (answer.status, json.loads(answer.body)["code"]) == (503, "studio_failed")
    assert answer.get("retry-after") == "1"
    assert await client.read_rest() == b""
    line = await log.line("dial_failed")
    assert words in line["detail"]
    return answer


def not_an_upgrade(status: str, *fields: str) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *fields, "Content-Length: 2", "", "ok"]).encode()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        pytest.param(not_an_upgrade("200 OK"), "the backend answered the upgrade with 200", id="200"),
        pytest.param(
            not_an_upgrade("302 Found", "Location: /elsewhere"),
            "the backend answered the upgrade with 302",
            id="302",
        ),
        pytest.param(not_an_upgrade("500 Oops"), "the backend answered the upgrade with 500", id="500"),
        pytest.param(not_an_upgrade("503 Busy"), "the backend answered the upgrade with 503", id="503"),
        pytest.param(b"\x00\xff" * 100, "the answer is not HTTP", id="garbage"),
        pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n", "the answer is not HTTP", id="SSH"),
        pytest.param(
            b"HTTP/1.1 101 Hm\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: d3JvbmcgYWNjZXB0\r\n\r\n",
            "the Sec-WebSocket-Accept header does not match the key",
            id="wrong accept",
        ),
        pytest.param(
            b"HTTP/1.1 101 Hm\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
            "the Upgrade header is not websocket",
            id="other upgrade",
        ),
        pytest.param(
            b"HTTP/1.1 101 Hm\r\nX: " + b"x" * (1 << 17),
            "the head of the answer is too large",
            id="huge head",
        ),
        pytest.param(b"", "the backend did not answer within 0.2 seconds", id="nothing"),
        pytest.param(
            b"HTTP/1.1 101 Hm\r\nUpgrade:",
            "the backend did not answer within 0.2 seconds",
            id="half an answer",
        ),
    ],
)
async def test_another_answer(
    unharmed: StartGateway,
    dial: Dial,
    auth: FakeAuth,
    studio: ScriptedStudio,
    log: GatewayLog,
    answer: bytes,
    words: str,
) -> None:
    client, asked = await ask(await unharmed(DIAL_TIMEOUT_SECONDS="0.2"), dial, auth, studio)
    asked.write(answer)
    await refused(client, log, words)


async def test_a_subprotocol_that_nobody_offered(
    unharmed: StartGateway, dial: Dial, auth: FakeAuth, studio: ScriptedStudio, log: GatewayLog
) -> None:
    client, asked = await ask(await unharmed(), dial, auth, studio)
    accept(asked, "Sec-WebSocket-Protocol: xml.v9")
    await refused(client, log, "the backend selected a subprotocol that was not offered")


async def test_an_extension_that_nobody_offered(
    unharmed: StartGateway, dial: Dial, auth: FakeAuth, studio: ScriptedStudio, log: GatewayLog
) -> None:
    """The client would have to fail the connection (RFC 6455 §4.1), after it was let in."""
    client, asked = await ask(await unharmed(), dial, auth, studio)
    accept(asked, "Sec-WebSocket-Extensions: permessage-deflate")
    await refused(client, log, "the backend accepted an extension that was not offered")


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("finish", "the service closed the connection without a complete answer"),
        ("reset", "the connection broke"),
    ],
)
@pytest.mark.parametrize("after", [b"", b"HTTP/1.1 101 Swi"])
async def test_it_leaves_in_mid_handshake(
    unharmed: StartGateway,
    dial: Dial,
    auth: FakeAuth,
    studio: ScriptedStudio,
    log: GatewayLog,
    how: str,
    words: str,
    after: bytes,
) -> None:
    client, asked = await ask(await unharmed(), dial, auth, studio)
    asked.write(after)
    await asked.writer.drain()
    getattr(asked, how)()
    await refused(client, log, words)


@pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden", "404 Not Found", "429 Later"])
async def test_a_refusal_of_this_client_is_passed_on(
    unharmed: StartGateway, dial: Dial, auth: FakeAuth, studio: ScriptedStudio, log: GatewayLog, status: str
) -> None:
    client, asked = await ask(await unharmed(), dial, auth, studio)
    asked.write(not_an_upgrade(status, "Content-Type: text/plain"))
    answer = await client.read_head()
    assert (answer.status, answer.get("content-type")) == (int(status[:3]), "text/plain")
    assert answer.body == b"ok"
    assert await client.read_rest() == b""
    assert (await log.line("refused"))["cause"] == "studio_refused"


async def test_it_breaks_the_protocol_right_behind_its_answer_and_leaves(
    start_gateway: StartGateway, dial: Dial, auth: FakeAuth, studio: ScriptedStudio
) -> None:
    gateway = await start_gateway()
    client, backend = await ask(gateway, dial, auth, studio)
    accept(backend, behind=b"\xff" * 16)
    backend.leave()
    assert (await client.read_head()).status == 101
    assert (await client.read_close())[0] == 1002
    client.leave()
    await until(partial(nobody_is_left, gateway))


async def test_a_studio_that_accepts_while_the_gateway_drains_is_left(
    start_gateway: StartGateway, dial: Dial, auth: FakeAuth, studio: ScriptedStudio
) -> None:
    gateway = await start_gateway()
    client, backend = await ask(gateway, dial, auth, studio)
    gateway.parts.admission.draining = True
    accept(backend)
    answer = await client.read_head()
    assert (answer.status, json.loads(answer.body)["code"]) == (503, "shutting_down")
    assert await backend.read_rest() == b""


async def test_a_session_that_fails_at_its_start_ends(
    start_gateway: StartGateway,
    dial: Dial,
    auth: FakeAuth,
    studio: ScriptedStudio,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """This would be a bug, which is reported; but neither connection stays."""
    failure = ValueError("a bug")

    def fail(_: Session) -> None:
        raise failure

    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    monkeypatch.setattr(Session, "start", fail)
    gateway = await start_gateway()
    client, backend = await ask(gateway, dial, auth, studio)
    accept(backend)
    with contextlib.suppress(ConnectionError):
        await client.read_rest()
    with contextlib.suppress(ConnectionError):
        await backend.read_rest()
    await until(partial(nobody_is_left, gateway))
    assert [context["exception"] for context in reported] == [failure]


async def test_a_session_that_cannot_be_made_leaves_no_connection(
    start_gateway: StartGateway,
    dial: Dial,
    auth: FakeAuth,
    studio: ScriptedStudio,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise ValueError

    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    monkeypatch.setattr(acceptance, "client_answer", fail)
    gateway = await start_gateway()
    client, backend = await ask(gateway, dial, auth, studio)
    accept(backend)
    assert (await client.read_head()).status == 500
    with contextlib.suppress(ConnectionError):
        assert await backend.read_rest() == b""
    await until(partial(nobody_is_left, gateway))


async def test_a_studio_that_is_not_there(start_gateway: StartGateway, dial: Dial, auth: FakeAuth) -> None:
    async with ScriptedStudio() as gone:
        url = gone.url
    gateway = await start_gateway(STUDIO_WS_URLS=url)
    client = await dial(gateway)
    client.write(upgrade_request(auth.mint()))
    answer = await client.read_head()
    assert (answer.status, answer.get("retry-after")) == (503, "1")
