"""Tokens of live connections are asked about again, and end with two refusals, unless Auth refuses everybody."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import pytest
from tests.clock import Clock, loop_clock
from tests.net.answering_auth import AnsweringAuth
from tests.net.pair import Dial, GatewayLog, Join, Pair, StartGateway, until

from memmie_gateway import Gateway
from memmie_gateway.core.sessions.recheck import CONFIRM_SECONDS, Answer, RawToken
from memmie_harness.conformance.peers import PATIENCE, upgrade_request

pytestmark = pytest.mark.one_loop

ENDED = (4401, "the token expired or was revoked")
INTERVAL = 600.0

Enter = Callable[[str, str], Awaitable[Pair]]


@pytest.fixture
async def clock(gateway: Gateway) -> AsyncIterator[Clock]:  # noqa: ARG001 - it has started by then
    with loop_clock() as clock:
        yield clock


@pytest.fixture
def settings() -> dict[str, str]:
    return {}


@pytest.fixture
async def gateway(start_gateway: StartGateway, answers: AnsweringAuth, settings: dict[str, str]) -> Gateway:
    return await start_gateway(
        AUTH_URL=answers.url,
        PING_INTERVAL_SECONDS="0",
        WS_TIMEOUT_SECONDS="0",
        **{"AUTH_RECHECK_SECONDS": str(INTERVAL), **settings},
    )


@pytest.fixture
def enter(gateway: Gateway, answers: AnsweringAuth, join: Join) -> Enter:
    """`pair = await enter(token, user)`."""

    async def entered(token: str, user: str) -> Pair:
        if token not in answers.verdicts:
            answers.valid(token, user)
        return await join(gateway, token=token)

    return entered


async def asked(answers: AnsweringAuth, token: str, times: int) -> None:
    await until(lambda: answers.asked[token] >= times)


async def cut(gateway: Gateway, pair: Pair) -> None:
    """See it told that its token has ended."""
    assert await pair.client.read_close() == ENDED
    assert await pair.studio.read_close() == (1001, ENDED[1])
    assert gateway.parts.evictor.evicted.total() >= 1


async def test_a_revoked_token_is_cut_after_two_refusals_and_the_others_stay(
    gateway: Gateway, answers: AnsweringAuth, enter: Enter, clock: Clock
) -> None:
    first, second = await enter("T", "u1"), await enter("T", "u1")
    others = [await enter(f"o{number}", f"o{number}") for number in range(7)]
    answers.verdicts["T"] = 401
    clock.put_forward(INTERVAL)
    await asked(answers, "T", 2)
    await until(lambda: bool(gateway.parts.rechecker._rechecks._suspects))
    await first.exchange()
    clock.put_forward(4.5)
    await until(lambda: all(answers.asked[f"o{number}"] >= 2 for number in range(7)))
    assert answers.asked["T"] == 2
    await first.exchange()
    clock.put_forward(1)
    await cut(gateway, first)
    await cut(gateway, second)
    for pair in others:
        await pair.exchange()
    assert (answers.asked["T"], gateway.parts.rechecker.answers[Answer.REFUSED]) == (3, 2)


async def test_a_token_is_asked_about_once_however_many_connections_it_has(
    gateway: Gateway, answers: AnsweringAuth, enter: Enter, clock: Clock
) -> None:
    pairs = [await enter("T", "u1") for _ in range(5)]
    clock.put_forward(INTERVAL)
    await until(lambda: gateway.parts.rechecker.answers[Answer.VALID] == 1)
    assert answers.asked["T"] == 2
    await pairs[0].exchange()


async def test_an_auth_that_refuses_everybody_cuts_nobody(
    gateway: Gateway, answers: AnsweringAuth, enter: Enter, clock: Clock, log: GatewayLog
) -> None:
    pairs = [await enter(f"t{number}", f"u{number}") for number in range(8)]
    answers.status = 401
    rechecker = gateway.parts.rechecker
    clock.put_forward(INTERVAL)
    await until(lambda: rechecker.answers[Answer.REFUSED] == 8)
    assert len(rechecker._rechecks._suspects) == 8
    clock.put_forward(CONFIRM_SECONDS)
    await until(lambda: rechecker.answers[Answer.REFUSED] > 8)
    assert len(rechecker._rechecks._suspects) < 8
    for pair in pairs:
        await pair.exchange()
    assert gateway.parts.evictor.evicted.total() == 0
    line = await log.line("recheck_doubted")
    assert line["level"] == "warning"
    assert line["refused"] == line["asked"] >= 5
    answers.status = 0
    await (await enter("new", "new")).exchange()


@pytest.mark.parametrize("status", [500, 403, 302])
async def test_an_auth_that_fails_cuts_nobody(
    gateway: Gateway, answers: AnsweringAuth, enter: Enter, clock: Clock, status: int
) -> None:
    pair = await enter("T", "u1")
    answers.status = status
    for times in (1, 2, 3):
        clock.put_forward(INTERVAL)
        await until(lambda times=times: gateway.parts.rechecker.answers[Answer.NONE] >= times)  # type: ignore[misc]
    await pair.exchange()


async def test_a_token_that_belongs_to_another_user_by_now_is_refused(
    gateway: Gateway, answers: AnsweringAuth, enter: Enter, clock: Clock
) -> None:
    pair = await enter("T", "u1")
    answers.valid("T", "u2")
    clock.put_forward(INTERVAL)
    await until(lambda: gateway.parts.rechecker.answers[Answer.REFUSED] == 1)
    clock.put_forward(6)
    await cut(gateway, pair)


async def test_the_refusal_is_remembered_so_the_token_opens_nothing_new(
    gateway: Gateway, answers: AnsweringAuth, enter: Enter, clock: Clock, dial: Dial
) -> None:
    await enter("T", "u1")
    answers.verdicts["T"] = 401
    clock.put_forward(INTERVAL)
    await until(lambda: gateway.parts.rechecker.answers[Answer.REFUSED] == 1)
    client = await dial(gateway)
    client.write(upgrade_request("T"))
    assert (await client.read_head()).status == 401
    assert answers.asked["T"] == 2


async def test_a_connection_that_was_renewed_in_between_stays(
    gateway: Gateway, answers: AnsweringAuth, enter: Enter, clock: Clock, dial: Dial
) -> None:
    pair = await enter("T", "u1")
    answers.verdicts["T"] = 401
    clock.put_forward(INTERVAL)
    await until(lambda: gateway.parts.rechecker.answers[Answer.REFUSED] == 1)
    client = await dial(gateway)
    answers.valid("NEW", "u1")
    client.write(
        b"POST /token/renew HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer NEW\r\nContent-Length: 13\r\n\r\n"
        b'{"token":"T"}'
    )
    assert (await client.read_head()).body == b'{"moved": 1}'
    clock.put_forward(INTERVAL)
    await asked(answers, "NEW", 2)
    assert answers.asked["T"] == 2
    await pair.exchange()


@pytest.mark.parametrize("settings", [{"EVICT_PER_SECOND": "0.01"}])
async def test_a_connection_that_is_renewed_while_its_end_waits_stays(
    gateway: Gateway, answers: AnsweringAuth, enter: Enter, clock: Clock
) -> None:
    first, second = await enter("T", "u1"), await enter("T", "u1")
    old = gateway.parts.sessions.of_user("u1")[0].info.identity
    answers.verdicts["T"] = 401
    clock.put_forward(INTERVAL)
    await until(lambda: gateway.parts.rechecker.answers[Answer.REFUSED] == 1)
    clock.put_forward(6)
    await cut(gateway, first)
    evictions = gateway.parts.evictor._evictions
    assert len(evictions) == 1
    answers.valid("NEW", "u1")
    digest = gateway.parts.authenticator.digest("NEW")
    assert digest is not None
    assert gateway.parts.leases.renew(old.digest, replace(old, digest=digest), "NEW") == 1
    await until(lambda: not len(evictions))
    await second.exchange()


@pytest.mark.parametrize("settings", [{"EVICTIONS": "observe"}])
async def test_observing_cuts_nobody_and_says_who_would_have_been(
    gateway: Gateway, answers: AnsweringAuth, enter: Enter, clock: Clock, log: GatewayLog
) -> None:
    pair = await enter("T", "u1")
    answers.verdicts["T"] = 401
    clock.put_forward(INTERVAL)
    await until(lambda: gateway.parts.rechecker.answers[Answer.REFUSED] == 1)
    clock.put_forward(6)
    line = await log.line("would_evict")
    assert (line["evidence"], line["cause"]) == ("refused", "token_ended")
    await pair.exchange()


async def test_auth_may_give_a_token_more_time(
    gateway: Gateway, answers: AnsweringAuth, enter: Enter, clock: Clock
) -> None:
    end = time.time() + INTERVAL + 60
    answers.valid("T", "u1", expires=end)
    pair = await enter("T", "u1")
    answers.valid("T", "u1", expires=end + INTERVAL)
    clock.put_forward(INTERVAL)
    await until(lambda: gateway.parts.rechecker.answers[Answer.VALID] == 1)
    gateway.parts.leases._ends._clock = lambda: end + 1
    gateway.parts.leases._ends.turn()
    await pair.exchange()
    gateway.parts.leases._ends._clock = lambda: end + INTERVAL + 1
    assert await pair.client.read_close() == ENDED


@pytest.mark.parametrize("settings", [{"TOKEN_END": "keep"}])
async def test_a_connection_that_is_kept_after_its_tokens_end_is_not_cut_by_a_recheck(
    gateway: Gateway, answers: AnsweringAuth, enter: Enter, clock: Clock
) -> None:
    answers.valid("T", "u1", expires=time.time() + 60)
    pair, other = await enter("T", "u1"), await enter("U", "u2")
    answers.verdicts["T"] = 401
    for _ in range(3):
        clock.put_forward(INTERVAL)
        await asyncio.sleep(0.3)
    await until(lambda: gateway.parts.rechecker.answers[Answer.VALID] >= 1)
    assert answers.asked["T"] == 1
    await pair.exchange()
    await other.exchange()


@pytest.mark.parametrize("settings", [{"AUTH_MAX_CONNECTIONS": "8"}])
async def test_new_clients_need_not_wait_for_rechecks(gateway: Gateway, enter: Enter, clock: Clock) -> None:
    for number in range(6):
        await enter(f"t{number}", f"u{number}")
    rechecker = gateway.parts.rechecker
    hold = asyncio.Event()
    ask = rechecker._ask
    most = 0

    async def held(token: str, address: str) -> object:
        nonlocal most
        most = max(most, len(rechecker._asking))
        await hold.wait()
        return await ask(token, address)

    rechecker._ask = held  # type: ignore[assignment]
    clock.put_forward(INTERVAL)
    await until(lambda: most == 2)
    rechecker._turn()
    await (await enter("new", "new")).exchange()
    hold.set()
    await until(lambda: rechecker.answers[Answer.VALID] == 6)
    assert most == 2


async def test_a_bug_does_not_end_the_rechecks_of_a_token(
    gateway: Gateway, answers: AnsweringAuth, enter: Enter, clock: Clock
) -> None:
    pair = await enter("T", "u1")
    rechecker, told = gateway.parts.rechecker, list[object]()
    loop, ask = asyncio.get_running_loop(), rechecker._ask
    loop.set_exception_handler(lambda _, context: told.append(context["message"]))

    async def fail(*_: str) -> object:
        raise RuntimeError

    rechecker._ask = fail  # type: ignore[assignment]
    clock.put_forward(INTERVAL)
    await until(lambda: rechecker.answers[Answer.NONE] == 1)
    loop.set_exception_handler(None)
    assert told == ["a token could not be rechecked"]
    rechecker._ask = ask
    clock.put_forward(INTERVAL)
    await until(lambda: rechecker.answers[Answer.VALID] == 1)
    assert answers.asked["T"] == 2
    await pair.exchange()


async def test_the_raw_token_is_kept_once_and_shows_nowhere(
    gateway: Gateway, enter: Enter, log: GatewayLog
) -> None:
    secret = "SECRET-TOKEN"
    for _ in range(3):
        await enter(secret, "u1")
    rechecker = gateway.parts.rechecker
    assert len(rechecker._tokens) == 1
    gc.collect()
    raw = [thing for thing in gc.get_objects() if isinstance(thing, RawToken)]
    kept = list(rechecker._tokens.values())
    shown = [
        repr(vars(rechecker)),
        repr(vars(gateway.parts.leases)),
        repr(gateway.parts),
        repr(kept),
        repr(raw),
    ]
    shown += [repr(session.describe()) + repr(session.info) for session in gateway.parts.sessions]
    assert secret not in "".join(shown) + log.getvalue()


@pytest.mark.parametrize("settings", [{"AUTH_RECHECK_SECONDS": "0"}])
async def test_switched_off_it_keeps_no_token_and_asks_nothing(
    gateway: Gateway, answers: AnsweringAuth, enter: Enter, clock: Clock
) -> None:
    await enter("T", "u1")
    assert gateway.parts.rechecker._tokens == {}
    clock.put_forward(7 * 86_400)
    assert gateway.parts.rechecker._timer is None
    assert answers.asked["T"] == 1


async def test_stopping_drops_the_questions_under_way(gateway: Gateway, enter: Enter, clock: Clock) -> None:
    await enter("T", "u1")
    rechecker, cancelled = gateway.parts.rechecker, list[bool]()

    async def never(*_: str) -> None:
        try:
            await asyncio.sleep(PATIENCE)
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    rechecker._ask = never  # type: ignore[assignment]
    clock.put_forward(INTERVAL)
    await until(lambda: len(rechecker._asking) == 1)
    await asyncio.sleep(0)
    assert repr(rechecker) == "<Rechecker <Rechecks 1 suspects=0 condemned=0> asking=1>"
    await rechecker.stop()
    assert (cancelled, rechecker._tokens) == ([True], {})
