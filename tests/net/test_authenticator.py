"""The cached authenticator: what is known at once, what is asked, who shares an answer, and what clients are told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from tests.net.scripted_auth import Asked, ScriptedAuth
from tests.net.wire import PATIENCE

from memmie_gateway.core.breaker import Breaker
from memmie_gateway.core.credentials import MAX_TOKEN_LENGTH
from memmie_gateway.core.identity import MAX_CLAIMS_BYTES, Authenticator, Identity
from memmie_gateway.core.outcomes import Cause
from memmie_gateway.core.refusals import RefusedError
from memmie_gateway.core.steps import ready
from memmie_gateway.core.verdicts import VerdictCache
from memmie_gateway.net.auth.authenticator import CachedAuthenticator
from memmie_gateway.net.http1.resolver import Resolver

OPEN_SECONDS = 60.0


@pytest.fixture
async def auth() -> AsyncIterator[ScriptedAuth]:
    async with ScriptedAuth() as auth:
        yield auth


@pytest.fixture
async def authenticator(auth: ScriptedAuth) -> AsyncIterator[CachedAuthenticator]:
    """With a circuit that two failures open."""
    authenticator = CachedAuthenticator(
        auth.url,
        cache=VerdictCache(size=10, ttl=60, refusal_ttl=60, clock=lambda: 1000.0, secret=b"s"),
        breaker=Breaker(failures=2, open_seconds=OPEN_SECONDS),
        resolver=Resolver(),
        timeout=PATIENCE,
        max_connections=10,
    )
    yield authenticator
    await authenticator.stop()


def answer(asked: Asked, status: int = 200, **fields: object) -> None:
    body = json.dumps(fields).encode()
    asked.line.write(b"HTTP/1.1 %d x\r\nContent-Length: %d\r\n\r\n" % (status, len(body)) + body)


async def ask(
    authenticator: Authenticator, auth: ScriptedAuth, token: str, status: int = 200, **fields: object
) -> Identity:
    """Authenticate a token that is not known yet, with this answer of Auth."""
    waiting = asyncio.create_task(ready(authenticator.authenticate(token)))
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
    assert authenticator.authenticate("T") is identity
    assert (auth.questions, authenticator.hits, authenticator.cached) == (1, 1, 1)
    assert authenticator.asked == {"valid": 1}
    assert repr(authenticator) == "<CachedAuthenticator closed asking=0>"


async def test_a_refusal_is_asked_for_once_and_then_known_at_once(
    authenticator: CachedAuthenticator, auth: ScriptedAuth
) -> None:
    with pytest.raises(RefusedError) as asked:
        await ask(authenticator, auth, "T", 401)
    with pytest.raises(RefusedError) as known:
        authenticator.authenticate("T")
    assert [each.value.cause for each in (asked, known)] == [Cause.TOKEN_REFUSED] * 2
    assert asked.value is not known.value
    assert (auth.questions, authenticator.hits, dict(authenticator.asked)) == (1, 1, {"refused": 1})


@pytest.mark.parametrize("token", ["", "a b", "a\r\nx-evil: 1", "ü", "a\x00", "x" * (MAX_TOKEN_LENGTH + 1)])
async def test_what_is_no_token_is_refused_and_not_asked_about(
    authenticator: CachedAuthenticator, auth: ScriptedAuth, token: str
) -> None:
    with pytest.raises(RefusedError) as raised:
        authenticator.authenticate(token)
    assert raised.value.cause is Cause.TOKEN_REFUSED
    assert auth.lines == []
    assert authenticator.cached == 0


async def test_all_who_wait_share_one_question_and_whoever_leaves_does_not_end_it(
    authenticator: CachedAuthenticator, auth: ScriptedAuth
) -> None:
    waiting = [asyncio.create_task(ready(authenticator.authenticate("T"))) for _ in range(5)]
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
    waiting = [asyncio.create_task(ready(authenticator.authenticate("T"))) for _ in range(2)]
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
    waiting = asyncio.create_task(ready(authenticator.authenticate("T")))
    asked = await auth.asked()
    waiting.cancel()
    await asyncio.wait([waiting])
    answer(asked, 500)
    while authenticator._asking:  # noqa: ASYNC110 - no event tells of it
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert complaints == []


async def test_an_auth_that_keeps_failing_is_left_alone(
    authenticator: CachedAuthenticator, auth: ScriptedAuth
) -> None:
    told: list[str] = []
    authenticator.on_circuit = told.append
    for token, retry_after in (("a", 0), ("b", OPEN_SECONDS)):
        with pytest.raises(RefusedError, match=r"^Auth answered with status 500$") as raised:
            await ask(authenticator, auth, token, 500)
        assert raised.value.cause is Cause.AUTH_UNAVAILABLE
        assert raised.value.retry_after == pytest.approx(retry_after, abs=PATIENCE)
        assert raised.value.reason == "Auth cannot answer now, retry later"  # the words are for the log
    assert (authenticator.circuit, told) == ("open", ["Auth answered with status 500"])

    with pytest.raises(
        RefusedError, match=r"^the circuit breaker of Auth is open after repeated failures$"
    ) as raised:
        await ready(authenticator.authenticate("c"))
    assert raised.value.retry_after == pytest.approx(OPEN_SECONDS, abs=PATIENCE)
    assert auth.questions == 2
    assert authenticator.asked == {"unavailable": 3}


async def test_an_auth_that_answers_again_closes_the_circuit(
    authenticator: CachedAuthenticator, auth: ScriptedAuth
) -> None:
    told: list[str] = []
    authenticator.on_circuit = told.append
    authenticator._breaker._open_seconds = 0
    for token in ("a", "b"):
        with pytest.raises(RefusedError):
            await ask(authenticator, auth, token, 500)
    await ask(authenticator, auth, "c", valid=True, user_id="u1")
    assert (authenticator.circuit, told) == ("closed", ["Auth answered with status 500", ""])


async def test_a_token_that_auth_fails_on_does_not_open_the_circuit(
    authenticator: CachedAuthenticator, auth: ScriptedAuth
) -> None:
    for token in ("a", "b", "c"):
        with pytest.raises(RefusedError, match=r"^Auth answered with status 400$"):
            await ask(authenticator, auth, token, 400)
    assert authenticator.circuit == "closed"


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


async def test_stopping_drops_the_questions_under_way(
    authenticator: CachedAuthenticator, auth: ScriptedAuth
) -> None:
    waiting = asyncio.create_task(ready(authenticator.authenticate("T")))
    line = (await auth.asked()).line
    await authenticator.stop()
    await asyncio.wait([waiting])
    assert waiting.cancelled()
    await line.end()
