"""`/metrics`: the names and labels of spec §6, what they count, and the two formats."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from websockets.asyncio.client import ClientConnection

from memmie_fake_studio import FakeStudio
from memmie_harness.client import heartbeat
from memmie_harness.fixture_types import Connect
from memmie_harness.targets import ProcessTarget, Target

Closed = Callable[[ClientConnection], Awaitable[tuple[int | None, str]]]
Metric = Callable[..., Awaitable[float]]
Refused = Callable[..., Awaitable[Any]]

# Family, type and labels. The first four are in the contract (spec §6): existing dashboards must keep working.
FAMILIES = {
    ("gateway_websocket_connections", "gauge", ("backend",)),
    ("gateway_websocket_messages", "counter", ("backend", "direction")),
    ("gateway_websocket_errors", "counter", ("backend", "type")),
    ("gateway_websocket_latency_seconds", "histogram", ("backend",)),
    ("gateway_websocket_bytes", "counter", ("backend", "direction")),
    ("gateway_websocket_closes", "counter", ("by", "code")),
    ("gateway_refusals", "counter", ("reason", "status")),
    ("gateway_http_requests", "counter", ("method", "route", "status")),
    ("gateway_http_request_duration_seconds", "histogram", ("route",)),
    ("gateway_http_live_responses", "gauge", ("backend",)),
    ("gateway_pending_connections", "gauge", ()),
    ("gateway_evictions", "counter", ("evidence", "mode")),
    ("gateway_evictions_waiting", "gauge", ("evidence",)),
    ("gateway_backend_healthy", "gauge", ("backend",)),
    ("gateway_backend_ejected", "gauge", ("backend",)),
    ("gateway_stale_names", "gauge", ()),
    ("gateway_users_split", "gauge", ()),
    ("gateway_strays", "gauge", ()),
    ("gateway_auth_latency_seconds", "histogram", ()),
    ("gateway_auth_verdicts", "counter", ("outcome", "source")),
    ("gateway_auth_cached_verdicts", "gauge", ()),
    ("gateway_auth_circuit_open", "gauge", ()),
    ("gateway_auth_rechecks", "counter", ("outcome",)),
    ("gateway_renewed_connections", "counter", ()),
    ("gateway_event_loop_lag_seconds", "histogram", ()),
    ("gateway_log_lines_dropped", "counter", ()),
    ("gateway_build_info", "gauge", ("python", "version")),
}

METRICS_PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


@pytest.mark.parametrize(("name", "kind", "labels"), sorted(FAMILIES))
def test_the_page_of_metrics_has_a_row_for_each(name: str, kind: str, labels: tuple[str, ...]) -> None:
    shown = f"{name}_total" if kind == "counter" else name
    cells = [line.split("|") for line in METRICS_PAGE.read_text().splitlines() if f"| `{shown}` |" in line]

    [[_, _, type_cell, labels_cell, *_]] = cells
    assert type_cell.strip() == kind
    assert sorted(labels_cell.replace("`", "").replace(" ", "").split(",")) == sorted(labels or ("",))


@pytest.mark.memmie(studios=1)
async def test_every_metric_has_its_name_its_type_and_its_labels_in_both_formats(
    memmie_gateway: ProcessTarget,
    memmie_connect: Connect,
    memmie_studios: list[FakeStudio],
    refusal: Refused,
    closed: Closed,
    http: aiohttp.ClientSession,
) -> None:
    connection = await memmie_connect("u1")
    await heartbeat(connection)
    await refusal(token="wrong")
    async with http.get(f"{memmie_gateway.url}/api/v1/books") as response:
        assert response.status == 401
    memmie_studios[0].connections[-1].abort()
    await closed(connection)
    await memmie_gateway.wait_for_log(lambda record: record["event"] == "closed")

    async def families(parse: Callable[[str], Any], accept: str, content_type: str) -> dict[str, Any]:
        async with http.get(f"{memmie_gateway.url}/metrics", headers={"Accept": accept}) as response:
            assert response.headers["Content-Type"].startswith(content_type)
            return {family.name: family for family in parse(await response.text())}

    text = await families(parse_text, "*/*", "text/plain")
    openmetrics = await families(
        parse_openmetrics, "application/openmetrics-text; version=1.0.0", "application/openmetrics-text"
    )
    for found in (text, openmetrics):
        shapes = {
            (
                family.name,
                family.type,
                tuple(sorted({label for sample in family.samples for label in sample.labels} - {"le"})),
            )
            for family in found.values()
            if family.name.startswith("gateway_")
        }
        assert shapes == FAMILIES
        assert all(family.documentation for family in found.values())
        assert {"process_cpu_seconds", "process_resident_memory_bytes", "process_open_fds"} <= found.keys()

    resident = text["process_resident_memory_bytes"].samples[0].value
    assert 0.5 < resident / psutil.Process(memmie_gateway.pid).memory_info().rss < 2  # it is that process's


@pytest.mark.memmie(studios=1, env={"MAX_CONNECTIONS_PER_USER": 1}, target="inprocess")
async def test_what_happened_is_counted_once(
    memmie_gateway: Target,
    memmie_connect: Connect,
    memmie_studios: list[FakeStudio],
    refusal: Refused,
    closed: Closed,
    metric: Metric,
) -> None:
    [studio], gateway = memmie_studios, memmie_gateway
    connection = await memmie_connect("u1", compression=None)
    await connection.send("x" * 1000)
    await connection.recv()
    await refusal("u1")
    await refusal(token="wrong")
    await refusal(token="wrong")
    await connection.close(1000)
    await gateway.wait_for_log(lambda record: record["event"] == "closed")
    studio_closes = await memmie_connect("u2")
    studio.connections[-1].close(4321)
    await closed(studio_closes)
    await gateway.wait_for_log(lambda record: record.get("user_id") == "u2")

    # A frame of 1000 bytes has 8 of header and mask, the Close frame with its code is 8 in all; the answer
    # to Studio's Close, too.
    received = {"direction": "client->backend", "backend": studio.ws_url}
    assert await metric(gateway, "gateway_websocket_bytes_total", **received) == 1008 + 8 + 8
    assert await metric(gateway, "gateway_websocket_messages_total", **received) == 1
    assert await metric(gateway, "gateway_websocket_closes_total", code="1000", by="client") == 1
    assert await metric(gateway, "gateway_websocket_closes_total", code="other", by="studio") == 1
    assert await metric(gateway, "gateway_websocket_closes_total") == 2
    assert await metric(gateway, "gateway_refusals_total", reason="token_invalid", status="401") == 2
    reason = "too_many_connections_of_user"
    assert await metric(gateway, "gateway_refusals_total", reason=reason, status="429") == 1
    assert await metric(gateway, "gateway_auth_verdicts_total", source="auth", outcome="refused") == 1
    assert await metric(gateway, "gateway_auth_verdicts_total", source="cache") == 1
    assert await metric(gateway, "gateway_auth_cached_verdicts") == 4
    assert await metric(gateway, "gateway_websocket_connections") == 0
    assert await metric(gateway, "gateway_pending_connections") == 0


@pytest.mark.memmie(studios=1, target="inprocess")
async def test_no_label_grows_with_users_or_requests(
    memmie_gateway: Target,
    memmie_connect: Connect,
    refusal: Refused,
    http: aiohttp.ClientSession,
) -> None:
    async def series() -> int:
        async with http.get(f"{memmie_gateway.url}/metrics") as response:
            return len((await response.text()).splitlines())

    async def visit(user: str) -> None:
        await heartbeat(await memmie_connect(user))
        await refusal(token=f"wrong-{user}")
        async with http.get(f"{memmie_gateway.url}/{user}"):
            pass

    await visit("u0")
    before = await series()
    for number in range(1, 6):
        await visit(f"u{number}")
    assert await series() == before
