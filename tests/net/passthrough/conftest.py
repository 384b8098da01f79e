"""A gateway before a Studio that speaks Socket.IO itself, of which the test decides every byte."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.net.pair import Dial, StartGateway
from tests.net.passthrough.passing import TEXT_FIELDS, Open, open_packet, request_of
from tests.net.scripted_http import ScriptedHttp
from tests.net.socketio import PollingPeer

from memmie_fake_auth import FakeAuth
from memmie_gateway import Gateway


@pytest.fixture
async def studio() -> AsyncIterator[ScriptedHttp]:
    async with ScriptedHttp() as studio:
        yield studio


@pytest.fixture
def start(start_gateway: StartGateway) -> StartGateway:
    """`gateway = await start(MAX_CONNECTIONS="1")`."""

    async def started(**settings: str) -> Gateway:
        return await start_gateway(**{"SOCKETIO": "passthrough", **settings})

    return started


@pytest.fixture
def opened(dial: Dial, studio: ScriptedHttp, auth: FakeAuth) -> Open:
    """`client = await opened(gateway, "sid-1")`: Studio has given it this `sid`, and says these things about it."""

    async def open_(
        gateway: Gateway, sid: str = "sid-1", *extra: str, user: str = "u1", **about: Any
    ) -> PollingPeer:
        client = PollingPeer(dial, gateway, f"Authorization: Bearer {auth.mint(user)}", *extra)
        peer = await client.begin("GET")
        (await request_of(studio)).answer(open_packet(sid, **about), *TEXT_FIELDS)
        answer = await peer.read_head()
        assert answer.status == 200, answer
        client.open = json.loads(answer.body[1:])
        assert client.open["sid"] == sid
        return client

    return open_
