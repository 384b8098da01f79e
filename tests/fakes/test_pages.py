"""Web pages: which may use a fake's API (CORS), and none may use its control routes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from memmie_fake_auth import FakeAuth
from memmie_fake_base.page_guard import is_private_host
from memmie_fake_studio import FakeStudio

PAGE = "http://localhost:5173"


@pytest.fixture
async def auth() -> AsyncIterator[FakeAuth]:
    async with FakeAuth(cors_origins=(PAGE,)) as auth:
        yield auth


def preflight(origin: str = PAGE) -> dict[str, str]:
    return {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }


async def test_a_page_of_an_allowed_origin_reads_answers_also_refusals_and_faults(
    http: aiohttp.ClientSession, auth: FakeAuth
) -> None:
    auth.script("error", route="/health", status=503)
    for path, status in (("/.well-known/jwks.json", 200), ("/nowhere", 404), ("/health", 503)):
        async with http.get(auth.url + path, headers={"Origin": PAGE}) as response:
            assert response.status == status
            assert response.headers["Access-Control-Allow-Origin"] == PAGE
            assert response.headers["Access-Control-Expose-Headers"] == "*"
            assert response.headers["Vary"] == "Origin"


async def test_a_preflight_allows_what_the_page_asks_for_and_no_fault_strikes_it(
    http: aiohttp.ClientSession, auth: FakeAuth
) -> None:
    auth.script("error", times=1)
    async with http.options(f"{auth.url}/api/v1/auth/login", headers=preflight()) as response:
        assert response.status == 204
        assert response.headers["Access-Control-Allow-Origin"] == PAGE
        assert response.headers["Access-Control-Allow-Methods"] == "POST"
        assert response.headers["Access-Control-Allow-Headers"] == "authorization,content-type"
    assert auth.faults[0]["struck"] == 0


@pytest.mark.parametrize("origin", ["http://localhost:5174", "https://localhost:5173", "null", ""])
async def test_other_pages_read_nothing(http: aiohttp.ClientSession, auth: FakeAuth, origin: str) -> None:
    for method in ("GET", "OPTIONS"):
        async with http.request(method, f"{auth.url}/health", headers=preflight(origin)) as response:
            assert response.status == (200 if method == "GET" else 405)
            assert not [name for name in response.headers if name.startswith("Access-Control")]
            assert response.headers["Vary"] == "Origin"


async def test_a_star_allows_every_page_and_by_default_no_page_is_allowed(
    http: aiohttp.ClientSession,
) -> None:
    async with FakeStudio(cors_origins=("*",)) as studio, FakeAuth() as auth:
        async with http.get(f"{studio.url}/health", headers={"Origin": "null"}) as response:
            assert response.headers["Access-Control-Allow-Origin"] == "null"
        async with http.get(f"{auth.url}/health", headers={"Origin": PAGE}) as response:
            assert "Access-Control-Allow-Origin" not in response.headers
            assert "Vary" not in response.headers


@pytest.mark.parametrize(
    "origin", ["localhost:5173", "http://localhost:5173/", "http://a/b", "null", "*.a", ""]
)
def test_what_is_not_an_origin_is_refused(origin: str) -> None:
    with pytest.raises(ValueError, match=r"cors_origins: .* an origin such as http://localhost:5173"):
        FakeAuth(cors_origins=(origin,))


async def test_control_routes_refuse_every_page(http: aiohttp.ClientSession) -> None:
    async with FakeAuth(cors_origins=("*",)) as auth:
        for method, headers in (("POST", {"Origin": PAGE}), ("OPTIONS", preflight())):
            async with http.request(method, f"{auth.url}/_control/reset", headers=headers) as response:
                assert response.status == 403
                assert (await response.json())["code"] == "page_not_allowed"
                assert "Access-Control-Allow-Origin" not in response.headers


async def test_control_routes_refuse_a_page_whose_domain_points_to_loopback(
    http: aiohttp.ClientSession, auth: FakeAuth
) -> None:
    async def status_for(host: str) -> tuple[int, Any]:
        async with http.get(f"{auth.url}/_control/log", headers={"Host": host}) as response:
            return response.status, (await response.json()).get("code")

    assert await status_for("pages.example.com:8001") == (403, "host_not_allowed")
    assert await status_for("localhost:8001") == (200, None)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:8001", "[::1]:8001", "[::1]", "localhost", "LOCALHOST.:80", "fake-auth:8001", "auth.localhost",
        "auth.default.svc.cluster.local:8001", "host.docker.internal:8001", "ci-7.example.com:8001", "",
    ],
)  # fmt: skip
def test_addresses_and_private_names_are_safe(host: str) -> None:
    assert is_private_host(host, own="ci-7.example.com")


@pytest.mark.parametrize(
    "host",
    ["example.com", "127.0.0.1.example.com:8001", "localhost.example.com", "example.com.:80", "a.localhos"],
)
def test_public_names_are_not(host: str) -> None:
    assert not is_private_host(host, own="127.0.0.1")


@pytest.mark.parametrize("origins", [(), (PAGE,)])
async def test_each_origin_that_a_browser_blocks_is_reported_once(
    http: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture, origins: tuple[str, ...]
) -> None:
    other = "http://localhost:5174"
    async with FakeAuth(cors_origins=origins) as auth:
        for headers in (
            {}, {"Origin": other, "Upgrade": "websocket"}, {"Origin": other, "X-Forwarded-For": "127.0.0.1"},
            {"Origin": other}, {"Origin": other}, {"Origin": "x" * 1000},
        ):  # fmt: skip
            async with http.get(f"{auth.url}/health", headers=headers):
                pass
        for number in range(40):
            async with http.get(f"{auth.url}/health", headers={"Origin": f"http://page-{number}.test"}):
                pass
    told = [record.getMessage() for record in caplog.records if record.name == "memmie_fake_base.cors"]
    assert len(told) == 20
    where = auth.url.removeprefix("http://")
    assert told[0] == f"the browser blocks pages of '{other}', which --cors-origin does not name, at {where}"
    assert f"'{'x' * 100}'" in told[1]
