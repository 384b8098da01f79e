"""Starting, stopping and starting again."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Any

import aiohttp
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, ConnectionClosedOK

from memmie_fake_auth import FakeAuth
from memmie_fake_studio import FakeStudio


async def test_a_fake_listens_on_a_free_port_and_says_which(http: aiohttp.ClientSession) -> None:
    async with FakeAuth() as auth, FakeStudio() as studio:
        assert 0 < auth.port != studio.port > 0
        assert auth.url == f"http://127.0.0.1:{auth.port}"
        assert studio.ws_url == f"ws://127.0.0.1:{studio.port}/ws"
        for fake in (auth, studio):
            async with http.get(f"{fake.url}/health") as response:
                assert (response.status, (await response.json())["status"]) == (200, "healthy")


async def test_a_fake_shows_where_it_listens() -> None:
    auth = FakeAuth()
    assert repr(auth) == "<FakeAuth stopped>"
    async with auth, FakeStudio() as studio:
        assert repr(auth) == f"<FakeAuth {auth.url}>"
        assert repr(studio) == f"<FakeStudio {studio.url}>"


async def test_a_stopped_studio_starts_again_on_the_same_port() -> None:
    studio = FakeStudio()
    await studio.start()
    port = studio.port
    async with connect(f"{studio.ws_url}?user_id=u1") as client:
        await studio.stop()
        with pytest.raises(ConnectionClosedError):
            await client.recv()
        with pytest.raises(ConnectionRefusedError):
            await connect(f"{studio.ws_url}?user_id=u1")
        await studio.start()
        assert studio.port == port
        async with connect(f"{studio.ws_url}?user_id=u1") as second:
            await second.ping()
    await studio.stop()
    assert not studio.running


@pytest.mark.parametrize("turns", range(6))
async def test_stopping_does_not_hang_a_client_that_has_just_connected(turns: int) -> None:
    async with FakeStudio() as studio:
        with socket.create_connection(("127.0.0.1", studio.port)) as client:
            for _ in range(turns):  # accepting takes a few turns of the loop: stop in the middle of each
                await asyncio.sleep(0)
            await studio.stop()
            client.settimeout(5)
            with contextlib.suppress(ConnectionResetError):
                assert client.recv(1) == b""


async def test_stopping_cuts_connections_without_a_close_frame(studio: FakeStudio, open_client: Any) -> None:
    async with open_client() as client:
        await studio.stop()
        with pytest.raises(ConnectionClosed) as ending:
            await client.receive()
    assert ending.value.rcvd is None
    assert studio.connections == []
    entry = studio.log.entries("close")[0]
    assert (entry["closed_by"], entry["code"], entry["because"]) == ("studio", 1006, "Studio stopped")


async def test_stopping_with_grace_closes_with_1001(studio: FakeStudio, open_client: Any) -> None:
    async with open_client() as client:
        async with asyncio.timeout(2):
            await studio.stop(grace=30)
        with pytest.raises(ConnectionClosedOK) as ending:
            await client.receive()
    assert ending.value.rcvd is not None
    assert ending.value.rcvd.code == 1001


async def test_grace_ends_even_if_a_client_does_not_answer(studio: FakeStudio, open_client: Any) -> None:
    async with open_client() as client:
        client.ws.transport.pause_reading()
        async with asyncio.timeout(2):
            await studio.stop(grace=0.05)
        assert studio.log.entries("close")[0]["clean"] is False
        client.ws.transport.resume_reading()


async def test_starting_twice_is_an_error_and_stopping_twice_is_none(auth: FakeAuth) -> None:
    with pytest.raises(RuntimeError, match="already listens on"):
        await auth.start()
    await auth.stop()
    await auth.stop()


async def test_a_taken_port_is_an_os_error_and_the_fake_can_be_started_later() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        auth = FakeAuth(port=taken.getsockname()[1])
        with pytest.raises(OSError, match="address already in use"):
            await auth.start()
        assert not auth.running
    await auth.start()
    await auth.stop()


def test_an_invalid_port_is_refused() -> None:
    with pytest.raises(ValueError, match=r"port: 70000 is given; allowed: 0-65535"):
        FakeAuth(port=70000)
