"""Studio's WebSocket handshake: the user, what is negotiated, and what is refused."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from memmie_fake_base import token_digest
from memmie_fake_studio import FakeStudio

UPGRADE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


@pytest.mark.parametrize(
    ("path", "changes", "status", "code"),
    [
        ("/ws", {}, 400, "bad_user"),
        ("/ws?user_id=", {}, 400, "bad_user"),
        ("/ws?user_id=u1&user_id=u2", {}, 400, "bad_user"),
        ("/ws?user_id=u1", {"Upgrade": "tea"}, 426, "upgrade_required"),
        ("/ws?user_id=u1", {"Sec-WebSocket-Version": "12"}, 400, "bad_handshake"),
        ("/ws?user_id=u1", {"Sec-WebSocket-Key": "short"}, 400, "bad_handshake"),
        ("/nowhere", {}, 404, "not_found"),
    ],
)
async def test_a_bad_upgrade_is_refused(
    http: aiohttp.ClientSession,
    studio: FakeStudio,
    path: str,
    changes: dict[str, str],
    status: int,
    code: str,
) -> None:
    async with http.get(studio.url + path, headers={**UPGRADE, **changes}) as response:
        assert (response.status, (await response.json())["code"]) == (status, code)
    assert studio.connections == []


async def test_the_first_offered_subprotocol_that_studio_speaks_is_selected() -> None:
    async with FakeStudio(subprotocols=("v1", "v2")) as studio:
        for offered, selected in (("v3 v2 v1", "v2"), ("v3", None), ("", None)):
            names = [Subprotocol(name) for name in offered.split()]
            async with connect(f"{studio.ws_url}?user_id=u1", subprotocols=names or None) as client:
                assert client.subprotocol == selected
        assert [entry["subprotocol"] for entry in studio.log.entries("connect")] == ["v2", None, None]


@pytest.mark.parametrize("compression", [True, False])
async def test_permessage_deflate_is_negotiated_where_allowed(compression: bool) -> None:  # noqa: FBT001 - a case
    async with (
        FakeStudio(compression=compression) as studio,
        connect(f"{studio.ws_url}/echo", compression="deflate") as client,
    ):
        text = "again and again " * 1000
        await client.send(text)
        assert await client.recv() == text
        expected = ["permessage-deflate"] if compression else []
        assert [extension.name for extension in client.protocol.extensions] == expected
        assert studio.log.entries("connect")[0]["extensions"] == expected


async def test_what_was_received_is_logged_and_tokens_are_digests(auth: Any, studio: FakeStudio) -> None:
    token = auth.mint()
    headers = {"Authorization": f"Bearer {token}", "X-User-ID": "u1", "traceparent": "00-1-2-01"}
    async with connect(
        f"{studio.ws_url}?user_id=u1&token={token}",
        additional_headers=headers,
        subprotocols=[Subprotocol("bearer"), Subprotocol(token)],
    ):
        entry = studio.log.entries("connect")[0]
    assert entry["headers"]["authorization"] == f"Bearer {token_digest(token)}"
    assert entry["headers"]["sec-websocket-protocol"] == f"bearer, {token_digest(token)}"
    assert (entry["headers"]["x-user-id"], entry["headers"]["traceparent"]) == ("u1", "00-1-2-01")
    request = studio.log.entries("request")[0]
    assert (request["status"], request["query"]["token"]) == (101, token_digest(token))
    assert token not in repr(list(studio.log))


async def test_bytes_that_are_no_utf8_in_the_address_and_the_headers_harm_nobody(studio: FakeStudio) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", studio.port)
    lines = [b"GET /ws?user_id=\xff HTTP/1.1", b"Host: x", b"Authorization: Bearer \xff"]
    lines += [f"{name}: {value}".encode() for name, value in UPGRADE.items()]
    writer.write(b"\r\n".join(lines) + b"\r\n\r\n")
    assert (await reader.readline()).split()[1] in {b"101", b"400"}
    writer.close()
    await writer.wait_closed()
    async with connect(f"{studio.ws_url}?user_id=u1") as client:
        await client.ping()


async def test_frames_that_came_with_the_upgrade_are_not_lost(studio: FakeStudio) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", studio.port)
    head = ["GET /ws/echo HTTP/1.1", "Host: x", *(f"{name}: {value}" for name, value in UPGRADE.items())]
    # A masked text frame "hi", the mask all zeros (RFC 6455 §5.2).
    writer.write("\r\n".join(head).encode() + b"\r\n\r\n" + b"\x81\x82\x00\x00\x00\x00hi")
    await reader.readuntil(b"\r\n\r\n")
    assert await reader.readexactly(4) == b"\x81\x02hi"
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("path", ["/ws/health", "/ws/echo/health"])
async def test_the_health_route_answers_pings_and_needs_no_user(studio: FakeStudio, path: str) -> None:
    async with connect(studio.url.replace("http", "ws") + path) as probe:
        async with asyncio.timeout(5):
            await (await probe.ping())
        (entry,) = studio.log.entries("connect", path=path)
        assert entry["user_id"] == ""
        assert studio.connections == []  # a test compares them with its own clients
