"""`memmie dev` with the developer's own Studio or Auth, for pages of one origin; everything in this process."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import aiohttp
import pytest
import socketio
from tests.net.socketio_studio import SocketIoStudio
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import InvalidStatus

from memmie_fake_auth import FakeAuth
from memmie_harness.client import connect
from memmie_harness.dev import proof
from memmie_harness.dev.ports import Ports
from memmie_harness.dev.proof import CheckError
from memmie_harness.dev.stack import Plan, running_stack

PORTS = Ports(gateway=0, auth=0, studios=(0,))
PAGE = "http://localhost:5173"


async def say_who(connection: ServerConnection) -> None:
    """A server that knows nothing of health checks and heartbeats."""
    assert connection.request is not None
    await connection.send(connection.request.headers["X-User-ID"])
    await connection.wait_closed()


def address(server: Server) -> str:
    return f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/chat"


@pytest.fixture
async def own_studio() -> AsyncIterator[str]:
    async with serve(say_who, "127.0.0.1", 0) as server:
        yield address(server)


async def test_ones_own_studio_gets_what_is_sent_and_an_opened_websocket_is_the_proof(
    own_studio: str,
) -> None:
    plan = Plan(ports=PORTS, gateway_settings={}, own_studios=(own_studio,))
    async with running_stack(plan, lambda _: None) as running:
        assert running.studios == (own_studio,)
        assert running.proof.what == "a WebSocket through the gateway to your Studio, opened"
        async with await connect(running.websocket, running.token) as client:
            assert await client.recv() == "dev"


async def test_a_studio_that_speaks_socket_io_itself_is_checked_by_the_way_of_its_clients() -> None:
    async with SocketIoStudio() as studio:
        own = Plan(ports=PORTS, gateway_settings={"SOCKETIO": "passthrough"}, own_studios=(studio.url,))
        async with running_stack(own, lambda _: None) as running:
            assert running.passthrough
            client = socketio.AsyncSimpleClient()
            await client.connect(f"{running.gateway}?token={running.token}", transports=["websocket"])
            assert studio.users == ["dev"]
            await client.disconnect()

        plan = Plan(ports=PORTS, gateway_settings={}, own_studios=(studio.url,))
        with pytest.raises(
            CheckError, match=r"Then add --env SOCKETIO=passthrough\): the gateway answered 400"
        ):
            async with running_stack(plan, lambda _: None):
                pass


async def test_a_studio_that_refuses_the_websocket_fails_the_check() -> None:
    async def refuse(connection: ServerConnection, _: object) -> object:
        return connection.respond(404, "no such path\n")

    async with serve(say_who, "127.0.0.1", 0, process_request=refuse) as server:  # type: ignore[arg-type] # its own Response
        plan = Plan(ports=PORTS, gateway_settings={}, own_studios=(address(server),))
        with pytest.raises(CheckError, match=r"could not be opened: the gateway answered 404 no such path"):
            async with running_stack(plan, lambda _: None):
                pass


async def test_a_studio_that_starts_later_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proof, "RETRY_SECONDS", 0.1)
    taken = socket.socket()  # nothing listens on it yet
    taken.bind(("127.0.0.1", 0))
    port = taken.getsockname()[1]
    refused = asyncio.Event()

    def see(line: str) -> None:
        if "refused" in line:
            refused.set()

    async def start_later() -> Server:
        await refused.wait()
        return await serve(say_who, sock=taken)

    starting = asyncio.create_task(start_later())
    plan = Plan(ports=PORTS, gateway_settings={}, own_studios=(f"ws://127.0.0.1:{port}/chat",))
    told: list[str] = []
    async with running_stack(plan, see, on_wait=told.append) as running:
        assert told == [f"waiting 10 seconds for your Studio at ws://127.0.0.1:{port}/chat; start it now"]
        assert running.proof.seconds > 0
        assert refused.is_set()
    (await starting).close()


async def test_a_studio_that_does_not_run_is_named_with_the_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proof, "START_SECONDS", 0.0)
    plan = Plan(ports=PORTS, gateway_settings={}, own_studios=("ws://127.0.0.1:9/ws",))
    with pytest.raises(CheckError, match=r"opened; ws://127\.0\.0\.1:9/ws itself: Connection refused$"):
        async with running_stack(plan, lambda _: None):
            pass


async def test_a_studio_that_answers_like_a_web_server_is_named_with_the_cause(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def answer(connection: ServerConnection, _: object) -> object:
        return connection.respond(200, "a page\n")

    monkeypatch.setattr(proof, "START_SECONDS", 0.0)
    async with serve(say_who, "127.0.0.1", 0, process_request=answer) as server:  # type: ignore[arg-type] # its own Response
        plan = Plan(ports=PORTS, gateway_settings={}, own_studios=(address(server),))
        with pytest.raises(
            CheckError, match=r"opened; ws://127\.0\.0\.1:\d+/chat itself: answered with 200$"
        ):
            async with running_stack(plan, lambda _: None):
                pass


async def test_ones_own_auth_makes_the_tokens_and_a_refusal_is_the_proof() -> None:
    async with FakeAuth() as own:
        plan = Plan(ports=PORTS, gateway_settings={}, own_auth=own.url)
        async with running_stack(plan, lambda _: None) as running:
            assert (running.auth, running.token, running.user_id) == (own.url, None, None)
            assert running.proof.what == "an invalid token, refused by your Auth"
            await (await connect(running.websocket, own.mint("u1"))).close()


async def test_an_auth_that_does_not_answer_fails_the_check() -> None:
    plan = Plan(ports=PORTS, gateway_settings={}, own_auth="http://127.0.0.1:9")
    with pytest.raises(
        CheckError, match="your Auth could not be asked about a token: the gateway answered 503"
    ):
        async with running_stack(plan, lambda _: None):
            pass


async def test_an_auth_that_accepts_everything_fails_the_check() -> None:
    async with FakeAuth() as own:
        own.script("error", status=200, body='{"valid": true, "user_id": "u1", "expires": 9999999999}')
        with pytest.raises(CheckError, match="your Auth accepts a random token"):
            async with running_stack(
                Plan(ports=PORTS, gateway_settings={}, own_auth=own.url), lambda _: None
            ):
                pass


async def test_pages_of_one_origin_use_the_fakes_and_the_gateway_and_others_do_not() -> None:
    plan = Plan(ports=PORTS, gateway_settings={}, cors_origins=(PAGE,))
    other = "http://localhost:5174"
    async with running_stack(plan, lambda _: None) as running, aiohttp.ClientSession() as http:
        for url in (
            f"{running.auth}/health",
            f"{running.studios[0]}/health",
            f"{running.gateway}/token/renew",
        ):
            for origin, allowed in ((PAGE, PAGE), (other, None)):
                async with http.post(url, headers={"Origin": origin}) as response:
                    assert response.headers.get("Access-Control-Allow-Origin") == allowed, url
        async with http.post(f"{running.auth}/_control/reset", headers={"Origin": PAGE}) as response:
            assert response.status == 403

        await (await connect(running.websocket, running.token, origin=PAGE)).close()
        with pytest.raises(InvalidStatus) as refused:
            await connect(running.websocket, running.token, origin=other)
        assert refused.value.response.status_code == 403


async def test_a_setting_on_the_command_line_wins_over_that_of_cors_origin() -> None:
    plan = Plan(ports=PORTS, gateway_settings={"ALLOWED_ORIGINS": "*"}, cors_origins=(PAGE,))
    async with running_stack(plan, lambda _: None) as running:
        await (await connect(running.websocket, running.token, origin="http://localhost:5174")).close()
