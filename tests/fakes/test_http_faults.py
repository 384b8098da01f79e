"""Each HTTP fault, as a client meets it; they are the same for both fakes."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import closing

import aiohttp
import pytest

from memmie_fake_auth import FakeAuth


async def health(http: aiohttp.ClientSession, auth: FakeAuth) -> tuple[int, str, str]:
    async with http.get(f"{auth.url}/health") as response:
        return response.status, response.content_type, await response.text()


async def raw_answer(auth: FakeAuth) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", auth.port)
    with closing(writer):
        writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        return await reader.read()


async def test_latency_delays_the_real_answer(http: aiohttp.ClientSession, auth: FakeAuth) -> None:
    auth.script("latency", seconds=0.2, jitter=0.05)
    begun = time.monotonic()
    status, _, _ = await health(http, auth)
    assert status == 200
    assert time.monotonic() - begun >= 0.15


async def test_error_answers_status_body_and_retry_after(http: aiohttp.ClientSession, auth: FakeAuth) -> None:
    auth.script("error", status=503, body="later", content_type="text/plain", retry_after=7)
    async with http.get(f"{auth.url}/health") as response:
        assert (response.status, await response.text()) == (503, "later")
        assert response.headers["Retry-After"] == "7"


async def test_html_where_json_was_expected(http: aiohttp.ClientSession, auth: FakeAuth) -> None:
    auth.script("html", status=502)
    status, content_type, text = await health(http, auth)
    assert (status, content_type) == (502, "text/html")
    assert text.startswith("<!DOCTYPE html>")


async def test_garbage_is_no_http(http: aiohttp.ClientSession, auth: FakeAuth) -> None:
    auth.script("garbage", size=1000)
    assert len(await raw_answer(auth)) == 1000
    with pytest.raises(aiohttp.ClientError):
        await health(http, auth)


async def test_hang_never_answers_and_lets_go_when_the_client_leaves(
    http: aiohttp.ClientSession, auth: FakeAuth
) -> None:
    auth.script("hang", times=1)
    request = asyncio.create_task(health(http, auth))
    await auth.log.wait_for("request")  # it hangs: the next one is not struck
    done, _ = await asyncio.wait([request], timeout=0.1)
    assert not done
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    assert (await health(http, auth))[0] == 200
    assert auth.log.entries("request")[0]["status"] is None


@pytest.fixture
async def patient_auth(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FakeAuth]:
    """An Auth that would wait 50 s for its handlers if its stop did not abort their connections."""
    monkeypatch.setattr("memmie_fake_base.server._CLEANUP_SECONDS", 50)
    async with FakeAuth() as auth:
        yield auth


async def test_stopping_ends_a_hang_at_once(http: aiohttp.ClientSession, patient_auth: FakeAuth) -> None:
    auth = patient_auth
    auth.script("hang")
    request = asyncio.create_task(health(http, auth))
    await auth.log.wait_for("request")
    async with asyncio.timeout(20):
        await auth.stop()
    with pytest.raises(aiohttp.ClientError):
        await request


async def test_reset_is_an_rst(auth: FakeAuth) -> None:
    auth.script("reset")
    with pytest.raises(ConnectionResetError):
        await raw_answer(auth)


async def test_drip_spreads_an_answer_over_time(http: aiohttp.ClientSession, auth: FakeAuth) -> None:
    auth.script("drip", bytes_per_second=1000, times=1)
    begun = time.monotonic()
    answer = await health(http, auth)
    assert answer[2] == '{"status": "healthy", "service": "auth"}'
    # Over 180 bytes of head and body at 1000 a second, the first 20 of which leave at once.
    assert time.monotonic() - begun >= 0.15


async def test_drip_holds_the_writer_back_and_loses_nothing(
    http: aiohttp.ClientSession, auth: FakeAuth
) -> None:
    auth.script("drip", bytes_per_second=3_000_000)
    auth.script("error", status=200, body="x" * 300_000)
    assert len((await health(http, auth))[2]) == 300_000


@pytest.mark.parametrize("connection", ["keep-alive", "close"])
async def test_stopping_cuts_an_answer_that_drips(patient_auth: FakeAuth, connection: str) -> None:
    auth = patient_auth
    auth.script("drip", bytes_per_second=1)
    reader, writer = await asyncio.open_connection("127.0.0.1", auth.port)
    writer.write(f"GET /health HTTP/1.1\r\nHost: x\r\nConnection: {connection}\r\n\r\n".encode())
    assert await reader.readexactly(1) == b"H"
    async with asyncio.timeout(20):
        await auth.stop()
        assert len(await reader.read()) < 3
    writer.close()


async def test_faults_compose_in_the_order_they_were_scripted(
    http: aiohttp.ClientSession, auth: FakeAuth
) -> None:
    auth.script("latency", seconds=0.1)
    auth.script("error", status=500)
    unreached = auth.script("html")
    begun = time.monotonic()
    assert (await health(http, auth))[0] == 500
    assert time.monotonic() - begun >= 0.1
    assert auth.log.entries("request")[0]["fault"] == "latency+error"
    assert unreached.struck == 0


async def test_a_fault_strikes_its_route_its_number_of_times(
    http: aiohttp.ClientSession, auth: FakeAuth
) -> None:
    scripted = auth.script("error", route="/heal*", times=2)
    statuses = [(await health(http, auth))[0] for _ in range(3)]
    assert statuses == [500, 500, 200]
    assert (scripted.struck, scripted.spent) == (2, True)
    async with http.get(f"{auth.url}/.well-known/jwks.json") as response:
        assert response.status == 200


async def test_a_fault_is_taken_back(http: aiohttp.ClientSession, auth: FakeAuth) -> None:
    scripted = auth.script("error")
    assert auth.unscript(scripted.id)
    assert not auth.unscript(scripted.id)
    assert (await health(http, auth))[0] == 200


async def test_faults_never_strike_control_routes(http: aiohttp.ClientSession, auth: FakeAuth) -> None:
    auth.script("reset")
    async with http.post(f"{auth.url}/_control/reset") as response:
        assert response.status == 204
    assert (await health(http, auth))[0] == 200


async def test_a_fault_that_strikes_a_client_that_left_harms_nobody(
    http: aiohttp.ClientSession, auth: FakeAuth
) -> None:
    auth.script("latency", seconds=0.05, times=1)
    auth.script("garbage", times=1)
    with socket.create_connection(("127.0.0.1", auth.port)) as client:
        client.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        await auth.log.wait_for("request")
    auth.reset()
    assert (await health(http, auth))[0] == 200
