"""HTTP requests to Studio and Auth through a gateway, with the fakes' REST behind it (spec §3, §4, §5)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from tests.net.pair import GatewayLog, StartGateway, nobody_is_left, until
from yarl import URL

from memmie_fake_auth import FakeAuth
from memmie_fake_studio import FakeStudio
from memmie_gateway import Gateway
from memmie_gateway.core.outcomes import Cause

BLOB = {"processor_id": "p", "schema_id": "s", "data": {"a": 1}}
PAGE = "https://app.test"


@pytest.fixture
async def studios() -> AsyncIterator[list[FakeStudio]]:
    async with FakeStudio() as first, FakeStudio() as second:
        yield [first, second]


@pytest.fixture
async def start(start_gateway: StartGateway, studios: list[FakeStudio]) -> StartGateway:
    """Start a gateway before both Studios."""

    async def started(**settings: str) -> Gateway:
        return await start_gateway(STUDIO_WS_URLS=",".join(studio.ws_url for studio in studios), **settings)

    return started


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def refused(answer: aiohttp.ClientResponse, status: int, code: str) -> None:
    assert (answer.status, (await answer.json())["code"]) == (status, code)
    assert answer.headers["X-Request-ID"]


async def test_a_blob_by_post_reaches_the_studio_of_the_websocket(
    start: StartGateway, client: aiohttp.ClientSession, auth: FakeAuth
) -> None:
    gateway = await start(LB_STRATEGY="round_robin")
    for number in range(4):
        token = auth.mint(f"user {number}")
        async with client.ws_connect(f"{gateway.url}/ws", headers=bearer(token)) as websocket:
            async with client.post(f"{gateway.url}/api/v1/blobs", json=BLOB, headers=bearer(token)) as answer:
                assert answer.status == 201
                blob = await answer.json()
            event = await websocket.receive_json(timeout=5)
            assert (event["type"], event["data"]["id"]) == ("blob.created", blob["id"])
            url = f"{gateway.url}/api/v1/blobs/{blob['id']}?token={token}"
            async with client.get(url) as answer:
                assert (answer.status, (await answer.json())["id"]) == (200, blob["id"])


async def test_register_log_in_use_studio_and_log_out(
    start: StartGateway, client: aiohttp.ClientSession
) -> None:
    gateway = await start(AUTH_CACHE_SECONDS="0")
    person = {"email": "a@example.org", "password": "secret password", "username": "a"}
    async with client.post(f"{gateway.url}/auth/register", json=person) as answer:
        assert answer.status == 201
    async with client.post(f"{gateway.url}/auth/login", json=person) as answer:
        assert answer.status == 200
        token = (await answer.json())["token"]
    async with client.get(f"{gateway.url}/api/v1/books", headers=bearer(token)) as answer:
        assert (answer.status, await answer.json()) == (200, {"books": [], "total": 0})
    async with client.post(f"{gateway.url}/auth/logout", headers=bearer(token)) as answer:
        assert answer.status in (200, 204), "Auth got the token"
    async with client.get(f"{gateway.url}/api/v1/books", headers=bearer(token)) as answer:
        await refused(answer, 401, "token_invalid")


async def test_another_user_gets_studios_own_answer(
    start_gateway: StartGateway, client: aiohttp.ClientSession, auth: FakeAuth
) -> None:
    async with FakeStudio() as studio:
        gateway = await start_gateway(STUDIO_WS_URLS=studio.ws_url)
        url = f"{gateway.url}/api/v1/blobs"
        async with client.post(url, json=BLOB, headers=bearer(auth.mint("u1"))) as answer:
            blob = await answer.json()
        async with client.get(f"{url}/{blob['id']}", headers=bearer(auth.mint("u2"))) as answer:
            assert answer.status == 403


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/auth/validate", 404, "not_found"),
        ("/auth/%76alidate", 404, "not_found"),
        ("/auth/..%2f..%2f..%2f_control/tokens", 400, "bad_request"),
        ("/authx", 404, "not_found"),
        ("/users", 404, "not_found"),
        ("/api/v1/books", 401, "token_missing"),
        ("/api", 401, "token_missing"),
    ],
)
async def test_what_goes_nowhere(
    start: StartGateway, client: aiohttp.ClientSession, path: str, status: int, code: str
) -> None:
    gateway = await start()
    async with client.post(URL(gateway.url + path, encoded=True)) as answer:
        await refused(answer, status, code)


async def test_the_gateways_own_paths_win_over_any_prefix(
    start: StartGateway, client: aiohttp.ClientSession, auth: FakeAuth
) -> None:
    gateway = await start(HTTP_ROUTES="/=studio:/")
    for path in ("/health", "/ready", "/metrics"):
        async with client.get(gateway.url + path) as answer:
            assert answer.status == 200
    async with client.post(f"{gateway.url}/token/renew", headers=bearer("x")) as answer:
        assert answer.status == 400
    async with client.get(f"{gateway.url}/api/v1/ws", headers=bearer(auth.mint())) as answer:
        await refused(answer, 426, "upgrade_required")
    async with client.get(f"{gateway.url}/api/v1/books", headers=bearer(auth.mint())) as answer:
        assert answer.status == 200


async def test_without_routes_there_is_no_http(start: StartGateway, client: aiohttp.ClientSession) -> None:
    gateway = await start(HTTP_ROUTES="")
    assert gateway.parts.proxy is None
    async with client.get(f"{gateway.url}/api/v1/books") as answer:
        await refused(answer, 404, "not_found")


async def test_an_upgrade_is_not_forwarded(
    start: StartGateway, client: aiohttp.ClientSession, auth: FakeAuth
) -> None:
    gateway = await start()
    for protocol in ("websocket", "h2c"):
        headers = {**bearer(auth.mint()), "Upgrade": protocol, "Connection": "Upgrade"}
        async with client.get(f"{gateway.url}/api/v1/books", headers=headers) as answer:
            await refused(answer, 426, "upgrade_refused")
            assert answer.headers["Upgrade"] == "HTTP/1.1"


async def test_a_method_that_is_not_served(start: StartGateway, client: aiohttp.ClientSession) -> None:
    gateway = await start()
    async with client.request("TRACE", f"{gateway.url}/api/v1/books") as answer:
        await refused(answer, 405, "method_not_allowed")
        assert answer.headers["Allow"] == "GET,HEAD,POST,PUT,PATCH,DELETE,OPTIONS"


# Pages.


async def test_a_page_of_the_list(start: StartGateway, client: aiohttp.ClientSession, auth: FakeAuth) -> None:
    gateway = await start(ALLOWED_ORIGINS=PAGE)
    url = f"{gateway.url}/api/v1/blobs"
    asking = {"Origin": PAGE, "Access-Control-Request-Method": "POST"}
    async with client.options(url, headers=asking) as answer:
        assert answer.status == 204
        assert answer.headers["Access-Control-Allow-Headers"] == "authorization, content-type"
        assert answer.headers["Access-Control-Allow-Origin"] == PAGE
    for headers, status in ((bearer(auth.mint()), 201), ({}, 401)):
        async with client.post(url, json=BLOB, headers={"Origin": PAGE, **headers}) as answer:
            assert answer.status == status
            assert answer.headers.getall("Access-Control-Allow-Origin") == [PAGE]
            assert answer.headers["Access-Control-Allow-Credentials"] == "true"
            assert "Origin" in answer.headers["Vary"]


async def test_a_page_of_another_origin_reaches_nothing(
    start: StartGateway, client: aiohttp.ClientSession, auth: FakeAuth, studios: list[FakeStudio]
) -> None:
    gateway = await start(ALLOWED_ORIGINS=PAGE)
    headers = {"Origin": "https://evil.test", **bearer(auth.mint())}
    for url in (f"{gateway.url}/api/v1/blobs", f"{gateway.url}/auth/login"):
        async with client.post(url, json=BLOB, headers=headers) as answer:
            await refused(answer, 403, "origin_not_allowed")
            assert "Access-Control-Allow-Origin" not in answer.headers
    assert auth.log.entries("validate") == []
    assert [studio.log.entries("http") for studio in studios] == [[], []]


async def test_studios_own_words_about_pages_are_dropped(
    start_gateway: StartGateway, client: aiohttp.ClientSession, auth: FakeAuth
) -> None:
    async with FakeStudio(cors_origins=("*",)) as studio:
        gateway = await start_gateway(STUDIO_WS_URLS=studio.ws_url)
        headers = {"Origin": PAGE, **bearer(auth.mint())}
        async with client.get(f"{gateway.url}/api/v1/books", headers=headers) as answer:
            assert answer.headers.getall("Access-Control-Allow-Origin") == ["*"]
            assert "Access-Control-Allow-Credentials" not in answer.headers


# Limits.


async def test_the_rate_of_a_user(start: StartGateway, client: aiohttp.ClientSession, auth: FakeAuth) -> None:
    gateway = await start(HTTP_RATE_PER_USER="0.001", HTTP_BURST_PER_USER="1")
    url = f"{gateway.url}/api/v1/books"
    async with client.get(url, headers=bearer(auth.mint("u1"))) as answer:
        assert answer.status == 200
    async with client.get(url, headers=bearer(auth.mint("u1"))) as answer:
        await refused(answer, 429, "request_rate_exceeded")
        assert int(answer.headers["Retry-After"]) > 900
    async with client.get(url, headers=bearer(auth.mint("u2"))) as answer:
        assert answer.status == 200


async def test_the_rates_of_an_address(
    start: StartGateway, client: aiohttp.ClientSession, auth: FakeAuth
) -> None:
    gateway = await start(
        HTTP_RATE_PER_IP="0.001", HTTP_BURST_PER_IP="1", HTTP_OPEN_RATE_PER_IP="0.001", HTTP_OPEN_BURST_PER_IP="1",
        CONNECT_RATE_PER_IP="0.001", CONNECT_BURST_PER_IP="1",
    )  # fmt: skip
    expected = [(200, 401), (429, 429)]  # each has a rate of its own
    for api, login in expected:
        async with client.get(f"{gateway.url}/api/v1/books", headers=bearer(auth.mint())) as answer:
            assert answer.status == api
        async with client.post(
            f"{gateway.url}/auth/login", json={"email": "x@y.z", "password": "x"}
        ) as answer:
            assert answer.status == login
    async with client.ws_connect(f"{gateway.url}/ws", headers=bearer(auth.mint())):
        pass  # and so have WebSockets


# Failures.


async def test_a_studio_that_cannot_be_reached_is_not_the_only_one(
    start: StartGateway, client: aiohttp.ClientSession, auth: FakeAuth, studios: list[FakeStudio]
) -> None:
    gateway = await start()
    await studios[0].stop()
    for number in range(6):
        url = f"{gateway.url}/api/v1/books"
        async with client.get(url, headers=bearer(auth.mint(f"u{number}"))) as answer:
            assert answer.status == 200
    await studios[1].stop()
    async with client.get(f"{gateway.url}/api/v1/books", headers=bearer(auth.mint("u"))) as answer:
        await refused(answer, 503, "studio_failed")
        assert answer.headers["Retry-After"] == "1"


async def test_auth_fails(start: StartGateway, client: aiohttp.ClientSession, auth: FakeAuth) -> None:
    gateway = await start()
    await auth.stop()
    for path in ("/auth/login", "/api/v1/books"):
        async with client.post(gateway.url + path, headers=bearer("unknown")) as answer:
            await refused(answer, 503, "auth_unavailable")
            assert answer.headers["Retry-After"]


@pytest.mark.parametrize(
    ("fault", "status", "code"), [("reset", 502, "auth_broke_off"), ("hang", 504, "auth_timeout")]
)
async def test_auth_does_not_answer_a_login(
    start: StartGateway, client: aiohttp.ClientSession, auth: FakeAuth, fault: str, status: int, code: str
) -> None:
    gateway = await start(HTTP_IDLE_SECONDS="0.3")
    auth.script(fault, route="/api/v1/auth/login", times=1)
    async with client.post(f"{gateway.url}/auth/login", json={}) as answer:
        await refused(answer, status, code)
        assert answer.headers["Retry-After"] == "1"
    async with client.post(f"{gateway.url}/auth/login", json={}) as answer:
        assert answer.status == 400, "the next one is served"


async def test_a_gateway_that_shuts_down(start: StartGateway, client: aiohttp.ClientSession) -> None:
    gateway = await start()
    gateway.parts.admission.draining = True
    async with client.get(f"{gateway.url}/api/v1/books") as answer:
        await refused(answer, 503, "shutting_down")
    gateway.parts.admission.draining = False


async def test_a_bug_affects_one_request(
    start: StartGateway, client: aiohttp.ClientSession, auth: FakeAuth, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = await start()
    assert gateway.parts.proxy is not None
    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    monkeypatch.setattr(gateway.parts.proxy.admission, "identify", None)
    async with client.get(f"{gateway.url}/api/v1/books", headers=bearer(auth.mint())) as answer:
        await refused(answer, 500, "internal_error")
    assert len(reported) == 1
    await until(lambda: nobody_is_left(gateway))


# The log and the metrics.


async def test_each_request_has_one_line(
    start: StartGateway,
    client: aiohttp.ClientSession,
    auth: FakeAuth,
    log: GatewayLog,
    studios: list[FakeStudio],
) -> None:
    gateway = await start()
    url, token = f"{gateway.url}/api/v1/blobs", auth.mint("u1")
    async with client.post(f"{url}?token={token}", json=BLOB, headers={"X-Request-ID": "forged"}) as answer:
        request_id = answer.headers["X-Request-ID"]
        size = len(await answer.read())
    line = await log.line("request")
    assert line["backend"] in [studio.ws_url for studio in studios]
    assert isinstance(line["seconds"], float)
    expected = {
        "request_id": request_id, "user_id": "u1", "address": "127.0.0.1", "method": "POST", "path": "/api/v1/blobs", "route": "/api",
        "status": 201, "by": None, "cause": None, "detail": None, "bytes_from_client": 55, "bytes_to_client": size, "live": False,
    }  # fmt: skip
    assert {name: line[name] for name in expected} == expected | {
        "bytes_from_client": line["bytes_from_client"]
    }
    assert line["bytes_from_client"] > 40
    assert request_id != "forged"
    async with client.get(url) as answer:
        assert answer.status == 401
    refusal = await log.line("refused")
    assert (refusal["cause"], refusal["status"], refusal["path"]) == ("token_missing", 401, "/api/v1/blobs")
    assert len(log.lines("request")) == 1
    assert token not in log.getvalue()
    events = gateway.parts.events
    assert events.requests == {("/api", "POST", "201"): 1, ("/api", "GET", "401"): 1}
    assert events.refusals == {(Cause.TOKEN_MISSING.ending.code, "401"): 1}
    async with client.get(f"{gateway.url}/metrics") as answer:
        text = await answer.text()
    assert 'gateway_http_requests_total{method="POST",route="/api",status="201"} 1.0' in text
    assert 'gateway_http_request_duration_seconds_count{route="/api"} 2.0' in text
