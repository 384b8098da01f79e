"""The cached authenticator: what is known at once, what is asked, who shares an answer, and what clients are told."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.net.scripted_auth import Asked, ScriptedAuth

from memmie_gateway.core.auth.circuit import AuthHealth
from memmie_gateway.core.auth.identity import MAX_CLAIMS_BYTES, Authenticator, Identity
from memmie_gateway.core.auth.verdicts import REFUSED, AuthUnavailableError, VerdictCache
from memmie_gateway.core.http.refusals import RefusedError
from memmie_gateway.core.outcomes import Cause
from memmie_gateway.core.steps import ready
from memmie_gateway.net.auth.authenticator import MAX_TOKEN_BYTES, CachedAuthenticator
from memmie_gateway.net.http1.resolver import Resolver
from memmie_harness.conformance.peers import PATIENCE

ADDRESS = "192.0.2.1"


class Clock:
    """The unix time, as the cache sees it."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def auth() -> AsyncIterator[ScriptedAuth]:
    async with ScriptedAuth() as auth:
        yield auth


@pytest.fixture
async def authenticator(auth: ScriptedAuth, clock: Clock) -> AsyncIterator[CachedAuthenticator]:
    """With a circuit that three failures open, and no probe while a test goes on."""
    authenticator = CachedAuthenticator(
        auth.url,
        cache=VerdictCache(
            size=10, ttl=60, refusal_ttl=60, stale_seconds=600, clock=clock, elapsed=clock, secret=b"s"
        ),
        health=AuthHealth(failures=3, probe_seconds=60),
        resolver=Resolver(),
        timeout=PATIENCE,
        max_connections=10,
        rng=random.SystemRandom(),
    )
    yield authenticator
    await authenticator.stop()


def answer(asked: Asked, status: int = 200, **fields: object) -> None:
    body = json.dumps(fields).encode()
    asked.line.write(b"HTTP/1.1 %d x\r\nContent-Length: %d\r\n\r\n" % (status, len(body)) + body)


async def ask(
    authenticator: Authenticator,
    auth: ScriptedAuth,
    token: str,
    status: int = 200,
    *,
    address: str = ADDRESS,
    **fields: object,
) -> Identity:
    """Authenticate a token that is not known yet, with this answer of Auth."""
    waiting = asyncio.create_task(ready(authenticator.authenticate(token, address)))
    asked = await auth.asked()
    assert asked.token == token
    answer(asked, status, **fields)
    return await waiting


async def test_an_identity_is_asked_for_once_and_then_known_at_once(
    authenticator: CachedAuthenticator, auth: ScriptedAuth
) -> None:
    identity = await ask(authenticator, auth, "T", valid=True, user_id="u1", role="admin")
    assert (identity.user_id, identity.claims) == ("u1", {"role": "admin"})
    assert len(identity.digest) == 16
    assert authenticator.authenticate("T", ADDRESS) is identity
    assert (auth.questions, authenticator.hits, authenticator.cached) == (1, 1, 1)
    assert authenticator.asked == {"valid": 1}
    assert repr(authenticator) == "<CachedAuthenticator closed asking=0>"


async def test_a_refusal_is_asked_for_once_and_then_known_at_once(
    authenticator: CachedAuthenticator, auth: ScriptedAuth
) -> None:
    with pytest.raises(RefusedError) as asked:
        await ask(authenticator, auth, "T", 401)
    with pytest.raises(RefusedError) as known:
        authenticator.authenticate("T", ADDRESS)
    assert [each.value.cause for each in (asked, known)] == [Cause.TOKEN_REFUSED] * 2
    assert asked.value is not known.value
    assert (auth.questions, authenticator.hits, dict(authenticator.asked)) == (1, 1, {"refused": 1})


@pytest.mark.parametrize("token", ["", "a b", "a\r\nx-evil: 1", "ü", "\ud800", "a\x00"])
async def test_what_is_no_token_is_refused_and_not_asked_about(
    authenticator: CachedAuthenticator, auth: ScriptedAuth, token: str
) -> None:
    with pytest.raises(RefusedError) as raised:
        authenticator.authenticate(token, ADDRESS)
    assert raised.value.cause is Cause.TOKEN_REFUSED
    assert auth.lines == []
    assert authenticator.cached == 0


async def test_a_token_that_is_too_long_has_a_cause_of_its_own(
    authenticator: CachedAuthenticator, auth: ScriptedAuth
) -> None:
    with pytest.raises(RefusedError) as raised:
        authenticator.authenticate("x" * (MAX_TOKEN_BYTES + 1), ADDRESS)
    assert raised.value.cause is Cause.TOKEN_TOO_LONG
    assert auth.lines == []
    assert authenticator.digest("x" * (MAX_TOKEN_BYTES + 1)) is None
    assert authenticator.digest("x" * MAX_TOKEN_BYTES) is not None


async def test_all_who_wait_share_one_question_and_whoever_leaves_does_not_end_it(
    authenticator: CachedAuthenticator, auth: ScriptedAuth
) -> None:
    waiting = [asyncio.create_task(ready(authenticator.authenticate("T", ADDRESS))) for _ in range(5)]
    asked = await auth.asked()
    assert repr(authenticator) == "<CachedAuthenticator closed asking=1>"
    for leaving in waiting[:4]:
        leaving.cancel()
    await asyncio.wait(waiting[:4])
    answer(asked, valid=True, user_id="u1")
    assert (await waiting[4]).user_id == "u1"
    assert (auth.questions, authenticator.shared) == (1, 4)


async def test_each_who_waits_gets_an_error_of_its_own(
    authenticator: CachedAuthenticator, auth: ScriptedAuth
) -> None:
    """The route notes on it which user and which backend it was about."""
    waiting = [asyncio.create_task(ready(authenticator.authenticate("T", ADDRESS))) for _ in range(2)]
    answer(await auth.asked(), 500)
    one, two = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(one, RefusedError)
    assert isinstance(two, RefusedError)
    assert one is not two
    assert one.cause is two.cause is Cause.AUTH_UNAVAILABLE


async def test_a_failure_that_nothing_waits_for_is_no_surprise(
    authenticator: CachedAuthenticator, auth: ScriptedAuth
) -> None:
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    waiting = asyncio.create_task(ready(authenticator.authenticate("T", ADDRESS)))
    asked = await auth.asked()
    waiting.cancel()
    await asyncio.wait([waiting])
    answer(asked, 500)
    while authenticator._asking:  # noqa: ASYNC110 - no event tells of it
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert complaints == []


async def open_the_circuit(authenticator: CachedAuthenticator, auth: ScriptedAuth) -> None:
    for number in range(3):
        with pytest.raises(RefusedError, match=r"^Auth answered with status 500$") as raised:
            await ask(authenticator, auth, f"fails{number}", 500, address=f"192.0.2.{number}")
        assert raised.value.cause is Cause.AUTH_UNAVAILABLE
        assert raised.value.reason == "Auth cannot answer now, retry later"  # the words are for the log


async def test_an_auth_that_keeps_failing_is_left_alone(
    authenticator: CachedAuthenticator, auth: ScriptedAuth
) -> None:
    told: list[str] = []
    authenticator.on_circuit = told.append
    assert authenticator.on_circuit == told.append
    await open_the_circuit(authenticator, auth)
    assert (authenticator.circuit, told) == ("open", ["Auth answered with status 500"])

    with pytest.raises(
        RefusedError, match=r"^the circuit breaker of Auth is open after repeated failures$"
    ) as raised:
        authenticator.authenticate("c", ADDRESS)
    assert 0 < raised.value.retry_after < 120
    assert auth.questions == 3
    assert authenticator.asked == {"unavailable": 4}


async def test_a_token_that_auth_does_not_answer_about_does_not_open_the_circuit(
    authenticator: CachedAuthenticator, auth: ScriptedAuth
) -> None:
    for number, status in enumerate((400, 403, 404, 429, 302)):
        with pytest.raises(RefusedError, match=rf"^Auth answered with status {status}$"):
            await ask(authenticator, auth, f"T{number}", status, address=f"192.0.2.{number}")
    assert authenticator.circuit == "closed"


async def test_an_answer_that_cannot_be_used_is_remembered_and_says_nothing_about_auth(
    authenticator: CachedAuthenticator, auth: ScriptedAuth
) -> None:
    for number in range(5):
        with pytest.raises(RefusedError) as raised:
            await ask(authenticator, auth, f"T{number}", address=f"192.0.2.{number}", valid=True, user_id=42)
        assert raised.value.cause is Cause.AUTH_UNUSABLE
        assert str(raised.value) == "Auth answered that the token is valid, but without a usable `user_id`"
    with pytest.raises(RefusedError) as known:
        authenticator.authenticate("T0", ADDRESS)
    assert known.value.cause is Cause.AUTH_UNUSABLE
    assert (auth.questions, authenticator.asked, authenticator.circuit) == (5, {"unusable": 5}, "closed")


# Identities past their TTL.


async def test_an_identity_is_used_past_its_ttl_while_auth_does_not_answer(
    authenticator: CachedAuthenticator, auth: ScriptedAuth, clock: Clock
) -> None:
    known = await ask(authenticator, auth, "T", valid=True, user_id="u1")
    clock.now += 600
    for count, status in enumerate((500, 429, 302), 1):
        assert await ask(authenticator, auth, "T", status) is known
        assert authenticator.stale == count
    newer = await ask(authenticator, auth, "T", valid=True, user_id="u1")  # asked again each time
    assert newer is not known
    assert authenticator.authenticate("T", ADDRESS) is newer
    assert authenticator.asked == {"valid": 2, "unavailable": 3}
    clock.now += 660
    with pytest.raises(RefusedError):
        await ask(authenticator, auth, "T", 500)


async def test_all_who_wait_for_a_question_that_fails_are_served_if_they_are_known(
    authenticator: CachedAuthenticator, auth: ScriptedAuth, clock: Clock
) -> None:
    known = await ask(authenticator, auth, "T", valid=True, user_id="u1")
    clock.now += 100
    waiting = [asyncio.create_task(ready(authenticator.authenticate("T", ADDRESS))) for _ in range(3)]
    answer(await auth.asked(), 500)
    assert await asyncio.gather(*waiting) == [known] * 3
    assert authenticator.stale == 3


async def test_while_the_circuit_is_open_it_is_used_at_once(
    authenticator: CachedAuthenticator, auth: ScriptedAuth, clock: Clock
) -> None:
    known = await ask(authenticator, auth, "T", valid=True, user_id="u1")
    await open_the_circuit(authenticator, auth)
    clock.now += 600
    assert authenticator.authenticate("T", ADDRESS) is known
    assert auth.questions == 4


@pytest.mark.parametrize(
    ("status", "fields", "cause"),
    [(401, {}, Cause.TOKEN_REFUSED), (200, {"valid": True}, Cause.AUTH_UNUSABLE)],
    ids=["refused", "unusable"],
)
async def test_after_another_verdict_it_is_not_used(
    authenticator: CachedAuthenticator,
    auth: ScriptedAuth,
    clock: Clock,
    status: int,
    fields: dict[str, Any],
    cause: Cause,
) -> None:
    await ask(authenticator, auth, "T", valid=True, user_id="u1")
    clock.now += 100
    with pytest.raises(RefusedError) as raised:
        await ask(authenticator, auth, "T", status, **fields)
    assert raised.value.cause is cause
    clock.now += 100
    with pytest.raises(RefusedError) as raised:
        await ask(authenticator, auth, "T", 500)
    assert raised.value.cause is Cause.AUTH_UNAVAILABLE


async def test_in_a_trial_a_known_token_is_asked_about_and_its_client_does_not_wait(
    authenticator: CachedAuthenticator, auth: ScriptedAuth, clock: Clock
) -> None:
    """If all clients are known, the circuit would stay open for as long as they are, otherwise."""
    known = await ask(authenticator, auth, "T", valid=True, user_id="u1")
    await open_the_circuit(authenticator, auth)
    clock.now += 100
    authenticator._guard._health.probed(0, alive=True)
    for _ in range(2):
        assert authenticator.authenticate("T", ADDRESS) is known
    answer(await auth.asked(), valid=True, user_id="u1")
    while authenticator._asking:  # noqa: ASYNC110 - no event tells of it
        await asyncio.sleep(0)
    assert (authenticator.circuit, auth.questions, authenticator.stale) == ("closed", 5, 2)


# Asking again.


async def test_asking_again_replaces_what_is_cached(
    authenticator: CachedAuthenticator, auth: ScriptedAuth
) -> None:
    await ask(authenticator, auth, "T", valid=True, user_id="u1")
    asking = [asyncio.create_task(authenticator.ask_again("T", ADDRESS)) for _ in range(2)]
    answer(await auth.asked(), 401)
    assert await asyncio.gather(*asking) == [REFUSED] * 2
    with pytest.raises(RefusedError):
        authenticator.authenticate("T", ADDRESS)
    assert auth.questions == 2


async def test_asking_again_has_no_answer_while_the_circuit_is_open(
    authenticator: CachedAuthenticator, auth: ScriptedAuth
) -> None:
    await open_the_circuit(authenticator, auth)
    with pytest.raises(AuthUnavailableError):
        await authenticator.ask_again("T", ADDRESS)
    assert auth.questions == 3


async def test_claims_that_are_too_large_are_dropped_and_reported_once(
    authenticator: CachedAuthenticator, auth: ScriptedAuth
) -> None:
    sizes: list[int] = []
    authenticator.on_claims_dropped = sizes.append
    for user_id in ("u1", "u2"):
        identity = await ask(
            authenticator, auth, user_id, valid=True, user_id=user_id, a="x" * MAX_CLAIMS_BYTES
        )
        assert (identity.user_id, identity.claims_json) == (user_id, b"")
    assert sizes == [MAX_CLAIMS_BYTES + len('{"a":""}')]


async def test_stopping_drops_the_questions_under_way_and_blames_nobody(
    authenticator: CachedAuthenticator, auth: ScriptedAuth
) -> None:
    told: list[str] = []
    authenticator.on_circuit = told.append
    others = [
        asyncio.create_task(ready(authenticator.authenticate(f"T{number}", f"192.0.2.{number}")))
        for number in range(5)
    ]
    for _ in others:
        await auth.asked()
    waiting = asyncio.create_task(ready(authenticator.authenticate("T", ADDRESS)))
    line = (await auth.asked()).line
    await authenticator.stop()
    await asyncio.wait([waiting])
    assert waiting.cancelled()
    await line.end()
    await asyncio.wait(others)
    assert (authenticator.circuit, told) == ("closed", [])
