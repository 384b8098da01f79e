"""A token's end ends what it opened (spec §2): when, which connections, and what is kept of it."""

from __future__ import annotations

import asyncio
import time
from unittest.mock import patch

import pytest
from tests.net.answering_auth import AnsweringAuth
from tests.net.pair import Dial, Enter, GatewayLog, Pair, StartGateway, later, nobody_is_left, until
from tests.net.scripted_studio import ScriptedStudio, accept

from memmie_gateway import Gateway
from memmie_gateway.core.auth.lease import Revocations
from memmie_gateway.net.sessions import wheel
from memmie_gateway.net.sessions.wheel import AT_ONCE
from memmie_harness.conformance.peers import TEXT, upgrade_request

pytestmark = pytest.mark.one_loop

ENDED = (4401, "the token expired or was revoked")
HOUR = 3600.0


@pytest.fixture
def start(start_gateway: StartGateway, answers: AnsweringAuth) -> StartGateway:
    async def started(**settings: str) -> Gateway:
        return await start_gateway(AUTH_URL=answers.url, **settings)

    return started


async def ended(*pairs: Pair) -> None:
    """See both sides of each told that the token has ended."""
    for pair in pairs:
        assert await pair.client.read_close() == ENDED
        assert await pair.studio.read_close() == (1001, ENDED[1])


def leave(*pairs: Pair) -> None:
    for pair in pairs:
        pair.client.leave()
        pair.studio.leave()


def soon(seconds: float = HOUR) -> float:
    return time.time() + seconds


async def test_every_connection_of_a_token_ends_with_it_and_no_other(
    start: StartGateway, answers: AnsweringAuth, enter: Enter, log: GatewayLog
) -> None:
    gateway = await start()
    short, long = answers.valid("S", "u1", expires=soon()), answers.valid("L", "u1", expires=soon(2 * HOUR))
    first, second, other = [await enter(gateway, token) for token in (short, short, long)]
    later(gateway, HOUR - 1)
    for pair in (first, second, other):
        await pair.exchange()
    later(gateway, HOUR + 1)
    await ended(first, second)
    await other.exchange()
    leave(first, second)
    await until(lambda: len(log.lines("closed")) == 2)
    assert {(line["cause"], line["by"], line["code"]) for line in log.lines("closed")} == {
        ("token_ended", "auth", 4401)
    }


async def test_a_token_of_a_second_ends_within_a_second(
    start: StartGateway, answers: AnsweringAuth, enter: Enter
) -> None:
    gateway = await start()
    end = soon(1)
    pair = await enter(gateway, answers.valid("T", "u1", expires=end))
    await ended(pair)
    assert 0 <= time.time() - end < 1


@pytest.mark.parametrize(
    "expires", [None, 0, 253_402_300_799, 1e300, float("inf"), 1.79e15], ids=lambda value: f"expires={value}"
)
async def test_a_token_without_an_end_and_a_far_date_end_nothing(
    start: StartGateway, answers: AnsweringAuth, enter: Enter, expires: float | None, log: GatewayLog
) -> None:
    gateway = await start()
    pair = await enter(gateway, answers.valid("T", "u1", expires=expires))
    unnamed = await enter(gateway, answers.valid("U", "u2"))
    later(gateway, 100 * 365 * 86_400)
    gateway.parts.leases._ends.turn()
    await pair.exchange()
    await unnamed.exchange()
    assert log.lines("expires_in_milliseconds") == []


async def test_milliseconds_are_understood_and_warned_of_once(
    start: StartGateway, answers: AnsweringAuth, enter: Enter, log: GatewayLog
) -> None:
    gateway = await start()
    pairs = [
        await enter(gateway, answers.valid(token, token, expires=int(soon() * 1000))) for token in ("a", "b")
    ]
    assert (await log.line("expires_in_milliseconds"))["level"] == "warning"
    later(gateway, HOUR - 1)
    gateway.parts.leases._ends.turn()
    await pairs[0].exchange()
    later(gateway, HOUR + 1)
    await ended(*pairs)


async def test_the_leeway_lets_a_token_in_and_lets_it_stay(
    start: StartGateway, answers: AnsweringAuth, enter: Enter
) -> None:
    gateway = await start(TOKEN_LEEWAY_SECONDS="60")
    pair = await enter(gateway, answers.valid("T", "u1", expires=soon(-30)))
    later(gateway, 29)
    gateway.parts.leases._ends.turn()
    await pair.exchange()
    later(gateway, 31)
    await ended(pair)


async def test_token_end_keep(start: StartGateway, answers: AnsweringAuth, enter: Enter) -> None:
    gateway = await start(TOKEN_END="keep")
    pair = await enter(gateway, answers.valid("T", "u1", expires=soon()))
    gateway.parts.leases.extend(pair.session.info.identity)
    later(gateway, 2 * HOUR)
    assert (len(gateway.parts.leases._ends), gateway.parts.leases._ends._timer) == (0, None)
    await pair.exchange()


async def test_the_latest_word_of_auth_counts(
    start: StartGateway, answers: AnsweringAuth, enter: Enter
) -> None:
    """An Auth may prolong a token whenever it is asked about it."""
    gateway = await start(AUTH_CACHE_SECONDS="0")
    first = await enter(gateway, answers.valid("T", "u1", expires=soon()))
    second = await enter(gateway, answers.valid("T", "u1", expires=soon(2 * HOUR)))
    later(gateway, HOUR + 1)
    gateway.parts.leases._ends.turn()
    await first.exchange()
    later(gateway, 2 * HOUR + 1)
    await ended(first, second)

    later(gateway, 0)  # otherwise a turn in between would end the next one at once
    third = await enter(gateway, answers.valid("V", "u2", expires=soon()))
    await enter(gateway, answers.valid("V", "u2"))
    later(gateway, 5 * HOUR)
    gateway.parts.leases._ends.turn()
    await third.exchange()


async def test_a_token_that_ends_while_studio_is_dialled_opens_nothing_that_stays(
    start: StartGateway, answers: AnsweringAuth, dial: Dial, studio: ScriptedStudio
) -> None:
    gateway = await start()
    client = await dial(gateway)
    client.write(upgrade_request(answers.valid("T", "u1", expires=soon())))
    studio_end = await studio.arrival()
    later(gateway, HOUR + 1)
    accept(studio_end)
    assert (await client.read_head()).status == 101
    await ended(Pair(gateway, client, studio_end))


async def test_tokens_that_end_at_once_do_so_in_several_turns(
    start: StartGateway, answers: AnsweringAuth, enter: Enter
) -> None:
    gateway = await start()
    end = soon()
    pairs = [await enter(gateway, answers.valid(f"t{n}", f"u{n}", expires=end)) for n in range(AT_ONCE + 1)]
    later(gateway, HOUR + 1)
    with patch.object(wheel, "TURN_SECONDS", 0):
        gateway.parts.leases._ends.turn()
    assert sum(session.closing is not None for session in gateway.parts.sessions) == AT_ONCE
    await ended(*pairs)


async def test_nothing_is_kept_of_a_token_after_its_last_connection(
    start: StartGateway, answers: AnsweringAuth, enter: Enter
) -> None:
    gateway = await start(AUTH_RECHECK_SECONDS="600")
    leases, rechecker = gateway.parts.leases, gateway.parts.rechecker
    answers.valid("T", "u1", expires=soon())
    first, second = await enter(gateway, "T"), await enter(gateway, "T")
    leave(first)
    await until(lambda: len(gateway.parts.sessions) == 1)
    assert (len(leases._ends), len(rechecker._tokens), len(rechecker._rechecks)) == (1, 1, 1)
    identity = second.session.info.identity
    leave(second)
    await until(lambda: nobody_is_left(gateway))
    leases.extend(identity)  # Auth's answer to a recheck that was under way
    assert (len(leases._ends), len(rechecker._tokens), len(rechecker._rechecks)) == (0, 0, 0)
    await until(lambda: leases._ends._timer is rechecker._timer is None)
    assert repr(leases) == "<Leases <TimerWheel 0>>"


async def test_revocation_by_call_ends_the_connections_of_a_token(
    start: StartGateway, answers: AnsweringAuth, enter: Enter
) -> None:
    gateway = await start()
    revocations: Revocations = gateway.parts.leases
    first, second = [await enter(gateway, answers.valid("T", "u1")) for _ in range(2)]
    other = await enter(gateway, answers.valid("U", "u1"))
    digest = gateway.parts.authenticator.digest("T")
    assert digest is not None
    assert revocations.revoke(digest) == 2
    assert revocations.revoke(digest) == 0
    assert revocations.revoke(b"unknown") == 0
    await ended(first, second)
    await other.exchange()


async def test_a_message_under_way_is_finished_first(
    start: StartGateway, answers: AnsweringAuth, enter: Enter
) -> None:
    gateway = await start()
    pair = await enter(gateway, answers.valid("T", "u1", expires=soon()))
    frame = pair.studio.frame(TEXT, "x" * 100)
    pair.studio.write(frame[:50])
    assert await pair.client.read(50) == frame[:50]
    later(gateway, HOUR + 1)
    assert await pair.studio.read_close() == (1001, ENDED[1])
    pair.studio.write(frame[50:])
    assert await pair.client.read(len(frame) - 50) == frame[50:]
    assert await pair.client.read_close() == ENDED


async def test_stopping_ends_the_timer(start: StartGateway, answers: AnsweringAuth, enter: Enter) -> None:
    gateway = await start(AUTH_RECHECK_SECONDS="600", CLOSE_TIMEOUT_SECONDS="0.05")
    await enter(gateway, answers.valid("T", "u1", expires=soon()))
    leases, rechecker = gateway.parts.leases, gateway.parts.rechecker
    assert leases._ends._timer is not None
    async with asyncio.timeout(5):
        await gateway.stop()
    assert leases._ends._timer is rechecker._timer is None


async def test_a_token_of_the_first_message_ends_too(
    start: StartGateway, answers: AnsweringAuth, dial: Dial, studio: ScriptedStudio
) -> None:
    gateway = await start(FIRST_MESSAGE_AUTH="true", AUTH_RECHECK_SECONDS="600")
    answers.valid("T", "u1", expires=soon())
    client = await dial(gateway)
    client.write(upgrade_request())
    assert (await client.read_head()).status == 101
    client.send(TEXT, '{"type":"auth","data":{"token":"T"}}')
    studio_end = await studio.arrival()
    accept(studio_end)
    pair = Pair(gateway, client, studio_end)
    await pair.exchange()
    (raw,) = gateway.parts.rechecker._tokens.values()
    assert raw.reveal() == "T"
    later(gateway, HOUR + 1)
    await ended(pair)
