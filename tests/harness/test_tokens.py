from __future__ import annotations

import asyncio
import socket

import aiohttp
import pytest

from memmie_fake_auth import FakeAuth
from memmie_fake_studio import FakeStudio
from memmie_harness.tokens import MintError, mint_token


async def test_mints_through_the_control_api_of_a_fake_auth() -> None:
    async with FakeAuth(port=0) as auth:
        token = await asyncio.to_thread(mint_token, auth.url, "u1", ttl_seconds=60)
        async with (
            aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as session,
            session.post(f"{auth.url}/api/v1/auth/validate", json={"token": token}) as response,
        ):
            assert (await response.json())["user_id"] == "u1"


async def test_says_what_answered_without_a_token() -> None:
    async with FakeStudio(port=0) as not_an_auth:
        with pytest.raises(MintError, match=r"answered 404 instead of a token\. Is it a fake Auth"):
            await asyncio.to_thread(mint_token, not_an_auth.url, "u1")


async def test_says_that_nobody_answers() -> None:
    with socket.socket() as taken:  # bound, but nobody listens
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(MintError, match="did not answer"):
            mint_token(f"http://127.0.0.1:{taken.getsockname()[1]}", "u1")
