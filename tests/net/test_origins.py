"""Pages of other origins may not connect, however they spell theirs (RFC 6455 §10.2)."""

from __future__ import annotations

import pytest
from tests.net.pair import Dial, GatewayLog, StartGateway
from tests.net.scripted_studio import ScriptedStudio

from memmie_fake_auth import FakeAuth
from memmie_harness.conformance.peers import upgrade_request

ALLOWED = "https://app.test,https://*.example.org"


@pytest.mark.parametrize(
    "origins",
    [
        pytest.param(["https://evil.test/.example.org"], id="a path that ends like the host"),
        pytest.param(["https://evil.test?.example.org"], id="a query that does"),
        pytest.param(["https://evil.test:80@x.example.org"], id="credentials"),
        pytest.param(["https://.example.org"], id="no label"),
        pytest.param(["https://example.org"], id="the domain itself"),
        pytest.param(["https://x.example.org:8443"], id="another port"),
        pytest.param(["http://app.test"], id="another scheme"),
        pytest.param(["https://app.test", "https://evil.test"], id="two origins"),
        pytest.param(["null"], id="null"),
    ],
)
async def test_another_origin(
    start_gateway: StartGateway, dial: Dial, auth: FakeAuth, origins: list[str]
) -> None:
    client = await dial(await start_gateway(ALLOWED_ORIGINS=ALLOWED))
    client.write(upgrade_request(auth.mint(), extra=[f"Origin: {origin}" for origin in origins]))
    assert (await client.read_head()).status == 403


@pytest.mark.parametrize(
    "origin", ["https://APP.test:443", "https://x.y.example.org:443", "https://x.example.org"]
)
async def test_the_same_origin(
    start_gateway: StartGateway, dial: Dial, auth: FakeAuth, studio: ScriptedStudio, origin: str
) -> None:
    client = await dial(await start_gateway(ALLOWED_ORIGINS=ALLOWED))
    client.write(upgrade_request(auth.mint(), extra=[f"Origin: {origin}"]))
    assert (await studio.arrival()).head.get("origin") == ""


async def test_the_log_names_the_origin_but_the_answer_does_not(
    start_gateway: StartGateway, dial: Dial, auth: FakeAuth, log: GatewayLog
) -> None:
    client = await dial(await start_gateway(ALLOWED_ORIGINS=ALLOWED))
    client.write(upgrade_request(auth.mint(), extra=["Origin: https://evil.test"]))
    head = await client.read_head()
    assert b"pages of this origin may not connect" in head.body
    line = await log.line("refused")
    assert line["detail"] == "ALLOWED_ORIGINS does not allow pages of https://evil.test"
