"""HTTP requests to Studio and Auth through a gateway, with the fakes' REST behind it (spec §3, §4, §5)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from tests.net.pair import Dial, GatewayLog, StartGateway, nobody_is_left, until

from memmie_fake_auth import FakeAuth
from memmie_fake_studio import FakeStudio
from memmie_gateway import Gateway
from memmie_harness.conformance.peers import upgrade_request


@pytest.fixture
async def studios() -> AsyncIterator[list[FakeStudio]]:
    async with FakeStudio() as first, FakeStudio() as second:
        yield [first, second]


@pytest.fixture
async def gateway(start_gateway: StartGateway, studios: list[FakeStudio]) -> Gateway:
    return await start_gateway(STUDIO_WS_URLS=",".join(studio.ws_url for studio in studios))


@pytest.fixture
async def http(gateway: Gateway) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(gateway.url) as session:
        yield session


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


BLOB = {"processor_id": "p", "schema_id": "s", "data": {"a": 1}}


async def test_a_blob_by_post_reaches_the_same_studio_as_the_websocket(
    gateway: Gateway, http: aiohttp.ClientSession, auth: FakeAuth
) -> None:
    for number in range(4):
        token = auth.mint(f"user {number}")
        async with http.ws_connect("/ws", headers=bearer(token)) as websocket:
            async with http.post("/api/v1/blobs", json=BLOB, headers=bearer(token)) as answer:
                assert answer.status == 201
                blob = await answer.json()
            event = await websocket.receive_json(timeout=5)
            assert (event["type"], event["data"]["id"]) == ("blob.created", blob["id"])
        async with http.get(f"/api/v1/blobs/{blob['id']}", headers=bearer(token)) as answer:
            assert (answer.status, (await answer.json())["id"]) == (200, blob["id"])


async def test_register_log_in_and_log_out(http: aiohttp.ClientSession, auth: FakeAuth) -> None:
    person = {"email": "a@example.org", "password": "secret password", "username": "a"}
    async with http.post("/auth/register", json=person) as answer:
        assert answer.status == 201
    async with http.post("/auth/login", json=person) as answer:
        assert answer.status == 200
        token = (await answer.json())["token"]
    async with http.get("/api/v1/books", headers=bearer(token)) as answer:
        assert answer.status == 200
    async with http.post("/auth/logout", headers=bearer(token)) as answer:
        assert answer.status in (200, 204)
