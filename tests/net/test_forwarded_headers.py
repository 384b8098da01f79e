"""The header fields that Studio and the client see: what proxies say of the client, and in which case (spec §3)."""

from __future__ import annotations

import pytest
from tests.net.pair import Dial, Join, StartGateway
from tests.net.scripted_studio import ScriptedStudio
from tests.net.wire import Head, upgrade_request

from memmie_fake_auth import FakeAuth

TRUST = {"TRUSTED_PROXIES": "127.0.0.0/8,10.0.0.0/8"}


async def asked(
    start_gateway: StartGateway,
    dial: Dial,
    studio: ScriptedStudio,
    request: bytes,
    settings: dict[str, str],
) -> Head:
    """Return the head that Studio gets for this request."""
    client = await dial(await start_gateway(**settings))
    client.write(request)
    return (await studio.arrival()).head


@pytest.mark.parametrize(
    ("hops", "protos", "hosts", "proto", "host"),
    [
        pytest.param("203.0.113.9, 10.0.0.2", "https, http", "app.test, inner.test", "https", "app.test", id="two proxies"),
        pytest.param(
            "6.6.6.6, 203.0.113.9, 10.0.0.2", "ftp, https, http", "evil.test, app.test, inner.test", "https", "app.test",
            id="the client says something, too",
        ),
        pytest.param("203.0.113.9, 10.0.0.2", "https", "evil.test, x.test, app.test", "https", "app.test", id="lengths differ"),
        pytest.param("203.0.113.9", "<b>", "app.test/evil", "http", "gateway.test", id="not valid"),
    ],
)  # fmt: skip
async def test_proto_and_host_are_those_of_the_chosen_hop(
    start_gateway: StartGateway,
    dial: Dial,
    auth: FakeAuth,
    studio: ScriptedStudio,
    hops: str,
    protos: str,
    hosts: str,
    proto: str,
    host: str,
) -> None:
    told = [f"X-Forwarded-For: {hops}", f"X-Forwarded-Proto: {protos}", f"X-Forwarded-Host: {hosts}"]
    head = await asked(start_gateway, dial, studio, upgrade_request(auth.mint(), extra=told), TRUST)
    assert (head.get("x-forwarded-proto"), head.get("x-forwarded-host")) == (proto, host)
    assert head.get("x-real-ip") == "203.0.113.9"


@pytest.mark.parametrize("settings", [TRUST, {}])
async def test_port_and_prefix_pass_from_a_trusted_proxy_only(
    start_gateway: StartGateway,
    dial: Dial,
    auth: FakeAuth,
    studio: ScriptedStudio,
    settings: dict[str, str],
) -> None:
    told = [
        "X-Forwarded-Port: 8443",
        "X-Forwarded-Prefix: /app",
        "X-Forwarded-User: root",
        "X-Forwarded-Uri: /ws?token=T",
        "Forwarded: for=6.6.6.6",
        "X-Real-IP: 6.6.6.6",
    ]
    head = await asked(start_gateway, dial, studio, upgrade_request(auth.mint(), extra=told), settings)
    expected = ("8443", "/app") if settings else ("", "")
    assert (head.get("x-forwarded-port"), head.get("x-forwarded-prefix")) == expected
    assert head.get("x-real-ip") == "127.0.0.1"
    for word in ("root", "6.6.6.6", "token=T"):
        assert word not in str(head)


async def test_names_go_out_in_canonical_case(join: Join) -> None:
    """Some programs look for one spelling only."""
    pair = await join(
        extra=("user-agent: x", "COOKIE: a=1", "x-my-header: 1"),
        answer=("server: x", "SET-COOKIE: a=1", "etag: 1"),
    )
    assert pair.studio.head.names == (
        *("Host", "Connection", "Upgrade", "X-User-ID", "X-Real-IP"),
        *("X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Request-ID", "traceparent"),
        *("Sec-WebSocket-Key", "Sec-WebSocket-Version", "User-Agent", "Cookie", "X-My-Header"),
    )
    assert pair.client.head.names == (
        *("Upgrade", "Connection", "X-Request-ID", "Sec-WebSocket-Accept", "Server", "Set-Cookie", "ETag"),
    )


async def test_names_with_an_underscore_are_dropped(join: Join) -> None:
    """Some servers convert it to a dash, which is another field."""
    pair = await join(extra=("X_User_ID: root", "X-User_ID: root", "User_Agent: root"))
    assert "root" not in str(pair.studio.head)
