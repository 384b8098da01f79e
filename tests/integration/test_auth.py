"""How Auth is asked (spec §2): once per token, remembered for as long as allowed, left alone while it is down."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest
from aiohttp import web
from tests.integration.no_limits import NO_LIMITS
from websockets.exceptions import InvalidStatus

from memmie_fake_auth import FakeAuth
from memmie_fake_base.faults import RequestFault
from memmie_harness.client import heartbeat
from memmie_harness.fixture_types import Connect
from memmie_harness.targets import Target

VALIDATE = "/api/v1/auth/validate"

Metric = Callable[..., Awaitable[float]]
Refused = Callable[..., Awaitable[Any]]

pytestmark = pytest.mark.memmie(target="inprocess")


def questions(auth: FakeAuth) -> list[dict[str, Any]]:
    return auth.log.entries("request", path=VALIDATE)


async def served_at_last(connect: Connect, token: str) -> None:
    """Connect until it works; in the meantime Auth is unavailable."""
    statuses = set()
    while True:
        try:
            await heartbeat(await connect(token=token))
        except InvalidStatus as error:
            statuses.add(error.response.status_code)
        else:
            break
    assert statuses <= {503}


@dataclass(frozen=True)
class HoldBack(RequestFault):
    """Answers as soon as the test says so."""

    name: ClassVar[str] = "hold_back"
    free: asyncio.Event = field(default_factory=asyncio.Event)

    async def strike(self, request: web.Request) -> None:
        del request
        await self.free.wait()


@pytest.mark.memmie(env={**NO_LIMITS, "AUTH_TIMEOUT_SECONDS": 30})
async def test_a_hundred_connects_with_one_token_are_one_question(
    memmie_gateway: Target, memmie_auth: FakeAuth, memmie_connect: Connect, metric: Metric
) -> None:
    token, hold = memmie_auth.mint(), HoldBack()
    memmie_auth.script(hold, route=VALIDATE)
    async with asyncio.TaskGroup() as group:
        for _ in range(100):
            group.create_task(memmie_connect(token=token))
        while await metric(memmie_gateway, "gateway_pending_connections") < 100:
            pass
        hold.free.set()

    assert len(questions(memmie_auth)) == 1
    assert await metric(memmie_gateway, "gateway_auth_verdicts_total", source="shared") == 99


@pytest.mark.memmie(env={**NO_LIMITS, "AUTH_TIMEOUT_SECONDS": 30})
async def test_an_impatient_client_takes_the_answer_from_nobody(
    memmie_gateway: Target, memmie_auth: FakeAuth, memmie_connect: Connect, metric: Metric
) -> None:
    token, hold = memmie_auth.mint(), HoldBack()
    memmie_auth.script(hold, route=VALIDATE)
    impatient = asyncio.create_task(memmie_connect(token=token))
    await memmie_auth.log.wait_for("request", path=VALIDATE)  # it is the impatient one's question
    patient = asyncio.create_task(memmie_connect(token=token))
    while await metric(memmie_gateway, "gateway_pending_connections") < 2:
        pass
    impatient.cancel()
    await asyncio.gather(impatient, return_exceptions=True)
    await memmie_gateway.wait_for_log(lambda record: record.get("cause") == "client_left")
    hold.free.set()

    await heartbeat(await patient)
    assert len(questions(memmie_auth)) == 1


@pytest.mark.memmie(env={**NO_LIMITS, "AUTH_CACHE_SECONDS": 1, "AUTH_REFUSAL_CACHE_SECONDS": 0.3})
async def test_verdicts_are_believed_for_their_time_and_refusals_for_less(
    memmie_auth: FakeAuth, memmie_connect: Connect, refusal: Refused
) -> None:
    good, bad = memmie_auth.mint(), memmie_auth.mint(kind="bad_signature")

    async def seconds_between_two_questions(connect: Callable[[], Awaitable[Any]]) -> float:
        memmie_auth.log.clear()
        connects = 0
        while len(questions(memmie_auth)) < 2:
            await connect()
            connects += 1
        assert connects > 2  # some of them were not asked about
        first, second = questions(memmie_auth)
        return float(second["time"] - first["time"])

    async def come_and_go() -> None:
        await (await memmie_connect(token=good)).close()

    assert 1 <= await seconds_between_two_questions(come_and_go) < 2
    assert 0.3 <= await seconds_between_two_questions(lambda: refusal(token=bad)) < 1


@pytest.mark.memmie(env=NO_LIMITS)
async def test_no_verdict_outlives_its_token(memmie_auth: FakeAuth, memmie_connect: Connect) -> None:
    minted = time.time()
    token = memmie_auth.mint(ttl_seconds=0.5)
    served = 0

    async def come_and_go_for_ever() -> None:
        nonlocal served
        while True:
            await (await memmie_connect(token=token)).close()
            served += 1

    with pytest.raises(InvalidStatus, match="401"):
        await come_and_go_for_ever()

    # The cache would have kept it for a minute. (A JWT's end is a whole second.)
    assert 0.5 <= time.time() - minted < 2.5
    assert served > 1
    assert len(questions(memmie_auth)) == 2


@pytest.mark.memmie(env={**NO_LIMITS, "AUTH_BREAKER_FAILURES": 0, "AUTH_TIMEOUT_SECONDS": 0.3})
async def test_an_auth_that_cannot_answer_is_neither_a_refusal_nor_a_free_pass(
    memmie_auth: FakeAuth, memmie_connect: Connect, refusal: Refused
) -> None:
    known = memmie_auth.mint("known")
    await memmie_connect(token=known)

    faults: list[tuple[str, dict[str, Any]]] = [
        ("error", {"status": 500}),
        ("error", {"status": 403}),
        ("error", {"status": 302}),
        ("error", {"status": 200, "body": "x" * 100_000}),
        *(("error", {"status": 200, "body": body}) for body in ("[]", "", "{")),
        ("html", {}),
        ("garbage", {}),
        ("reset", {}),
        ("hang", {}),
    ]
    for name, parameters in faults:
        scripted = memmie_auth.script(name, route=VALIDATE, times=1, **parameters)
        refused = await refusal(token=memmie_auth.mint())
        assert (refused.status, refused.code) == (503, "auth_unavailable"), (name, parameters)
        assert refused.json["error"] == "Auth cannot answer now, retry later"
        assert int(refused.headers["retry-after"]) >= 1
        assert scripted.struck == 1
        # It is not remembered against anybody, and who is known is served meanwhile.
        await heartbeat(await memmie_connect(token=known))
    await heartbeat(await memmie_connect("new"))


def from_address(number: int) -> dict[str, Any]:
    """Return the options of a client with an address of its own."""
    return {"local_addr": (f"127.0.0.{number}", 0)}


@pytest.mark.memmie(env={**NO_LIMITS, "AUTH_BREAKER_FAILURES": 3, "AUTH_BREAKER_SECONDS": 1})
async def test_the_breaker_opens_and_recovers(
    memmie_gateway: Target, memmie_auth: FakeAuth, memmie_connect: Connect, refusal: Refused, metric: Metric
) -> None:
    known = memmie_auth.mint("known")
    await memmie_connect(token=known, **from_address(2))
    memmie_auth.log.clear()
    memmie_auth.script("error", route=VALIDATE, times=3)

    for number in range(2, 8):
        assert (await refusal(token=memmie_auth.mint(), **from_address(number))).status == 503
    assert len(questions(memmie_auth)) == 3  # the others were not even asked about
    assert await metric(memmie_gateway, "gateway_auth_circuit_open") == 1
    await heartbeat(await memmie_connect(token=known))

    await served_at_last(memmie_connect, memmie_auth.mint("new"))
    last_failure, success = questions(memmie_auth)[2:]
    assert 1 <= success["time"] - last_failure["time"] < 2
    assert await metric(memmie_gateway, "gateway_auth_circuit_open") == 0


@pytest.mark.memmie(env={**NO_LIMITS, "AUTH_BREAKER_FAILURES": 2, "AUTH_BREAKER_SECONDS": 0.2})
async def test_auth_may_go_away_and_come_back(
    memmie_gateway: Target, memmie_auth: FakeAuth, memmie_connect: Connect, refusal: Refused
) -> None:
    known, new = memmie_auth.mint("known"), memmie_auth.mint("new")
    live = await memmie_connect(token=known)

    await memmie_auth.stop()
    for token in (new, new, memmie_auth.mint("newer")):
        assert (await refusal(token=token)).status == 503
    await heartbeat(live)
    await heartbeat(await memmie_connect(token=known))
    left_alone = await memmie_gateway.wait_for_log(lambda record: record["event"] == "auth_circuit")
    assert (left_alone["level"], left_alone["state"]) == ("warning", "open")
    assert left_alone["detail"] == "Auth gave no complete answer (Connection refused)"

    await memmie_auth.start()
    await served_at_last(memmie_connect, new)
    assert await memmie_gateway.wait_for_log(
        lambda record: record["event"] == "auth_circuit" and record["state"] == "closed"
    )
    told = [record["state"] for record in memmie_gateway.logs() if record["event"] == "auth_circuit"]
    assert told == ["open", "closed"]
