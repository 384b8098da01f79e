"""At the limit of a user, a new connection takes the place of one that does not answer a ping."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from tests.net.pair import GatewayLog, Join, Pair, sessions_of, until
from tests.net.scripted_studio import ScriptedStudio, accept

from memmie_fake_auth import FakeAuth
from memmie_gateway import Gateway
from memmie_gateway.net.sessions import replacement
from memmie_gateway.net.sessions.leg import TOO_FAST
from memmie_gateway.net.sessions.session import Session
from memmie_harness.conformance.peers import BINARY, PING, PONG, TEXT, Peer, upgrade_request

pytestmark = pytest.mark.one_loop

SETTINGS = {
    "PING_INTERVAL_SECONDS": "0.2",
    "PING_TIMEOUT_SECONDS": "60",
    "MAX_CONNECTIONS_PER_USER": "1",
}
UNANSWERED = 0.3

Knock = Callable[[Gateway], Awaitable[Peer]]
Full = Callable[[Gateway], Awaitable[None]]


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five seconds pass more quickly; the real number is checked here."""
    assert replacement.UNANSWERED_SECONDS == 5
    monkeypatch.setattr(replacement, "UNANSWERED_SECONDS", UNANSWERED)


@pytest.fixture
def knock(auth: FakeAuth, dial: Callable[..., Awaitable[Peer]]) -> Knock:
    """Ask for one more connection of the user; nothing of the answer is read."""

    async def ask(gateway: Gateway) -> Peer:
        client = await dial(gateway)
        client.write(upgrade_request(auth.mint("u1")))
        return client

    return ask


@pytest.fixture
def full(knock: Knock) -> Full:
    """See that one more connection of the user is refused."""

    async def refused(gateway: Gateway) -> None:
        head = await (await knock(gateway)).read_head()
        assert (head.status, b"too_many_connections_of_user" in head.body) == (429, True)

    return refused


async def unanswered(pair: Pair, *, seconds: float = UNANSWERED) -> None:
    """Wait until the client of a pair owes the answer to a ping for so long."""
    session = session_of(pair)
    await until(lambda: session.unanswered() >= seconds)


def session_of(pair: Pair) -> Session:
    """Return the session of a pair, by the port of its client."""
    port = pair.client.writer.get_extra_info("sockname")[1]
    for session in sessions_of(pair.gateway):
        if session._client.transport.get_extra_info("peername")[1] == port:
            return session
    raise LookupError


async def test_a_new_connection_takes_the_place_of_a_dead_one(
    join: Join, knock: Knock, studio: ScriptedStudio, log: GatewayLog
) -> None:
    """Before, the user waited for the ping time-out and then for the close time-out."""
    old = await join(**SETTINGS)
    await unanswered(old)
    new = await knock(old.gateway)
    at_studio = await studio.arrival()
    accept(at_studio)
    assert (await new.read_head()).status == 101
    while (frame := await old.studio.read_frame()).opcode == PING:
        pass
    assert (int.from_bytes(frame.payload[:2], "big"), frame.payload[2:]) == (
        1001,
        b"a new connection of this user takes this place",
    )
    old.studio.leave()
    line = await log.line("closed")
    assert (line["cause"], line["by"], line["code"]) == ("replaced", "client", None)
    new.send(TEXT, "up")
    assert await at_studio.read_message() == (TEXT, b"up")


async def test_not_before_its_time(join: Join, full: Full, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replacement, "UNANSWERED_SECONDS", 5.0)
    old = await join(**SETTINGS)
    await unanswered(old, seconds=0.05)
    await full(old.gateway)
    assert old.session.closing is None


async def test_whoever_answers_is_never_replaced(join: Join, full: Full) -> None:
    old = await join(**SETTINGS)
    for _ in range(3):
        frame = await old.client.read_frame()
        assert frame.opcode == PING
        old.client.send(PONG, frame.payload)
        await full(old.gateway)
    assert old.session.closing is None


async def test_a_failed_dial_evicts_nobody(
    join: Join, knock: Knock, studio: ScriptedStudio, full: Full
) -> None:
    old = await join(**SETTINGS)
    await unanswered(old)
    new = await knock(old.gateway)
    at_studio = await studio.arrival()
    at_studio.write(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n")
    assert (await new.read_head()).status == 403
    assert old.session.closing is None
    assert old.session.slots.held
    while (frame := await old.client.read_frame()).opcode == PING:
        old.client.send(PONG, frame.payload)
        if old.session.unanswered() < UNANSWERED:
            break
    await full(old.gateway)  # and the extra place is given back


async def test_a_client_that_leaves_meanwhile_evicts_nobody(
    join: Join, knock: Knock, studio: ScriptedStudio
) -> None:
    old = await join(**SETTINGS)
    await unanswered(old)
    new = await knock(old.gateway)
    await studio.arrival()
    new.reset()
    await until(lambda: not old.gateway.parts.listener.pending)
    assert old.session.closing is None
    again = await knock(old.gateway)  # no replacement is under way any more
    accept(await studio.arrival())
    assert (await again.read_head()).status == 101


async def test_one_that_answers_during_the_dial_lives(
    join: Join, knock: Knock, studio: ScriptedStudio
) -> None:
    old = await join(**SETTINGS)
    ping = await old.client.read_frame()
    await unanswered(old)
    new = await knock(old.gateway)
    at_studio = await studio.arrival()
    old.client.send(PONG, ping.payload)
    await until(lambda: old.session.unanswered() < UNANSWERED)
    accept(at_studio)
    assert (await new.read_head()).status == 429
    assert old.session.closing is None
    assert await at_studio.read_rest() == b""


async def test_one_that_leaves_during_the_dial_makes_room(
    join: Join, knock: Knock, studio: ScriptedStudio
) -> None:
    old = await join(**SETTINGS)
    await unanswered(old)
    new = await knock(old.gateway)
    at_studio = await studio.arrival()
    session = old.session
    old.client.reset()
    await until(lambda: session.closing is not None)
    accept(at_studio)
    assert (await new.read_head()).status == 101
    assert old.gateway.parts.evictor.evicted.total() == 0


async def test_one_replacement_of_a_user_at_a_time_and_the_longest_silent_first(
    join: Join, knock: Knock, studio: ScriptedStudio, full: Full
) -> None:
    first = await join(**{**SETTINGS, "MAX_CONNECTIONS_PER_USER": "2"})
    await unanswered(first, seconds=0.1)
    second = await join(first.gateway)
    await unanswered(second)
    new = await knock(first.gateway)
    at_studio = await studio.arrival()
    await full(first.gateway)
    old, other = session_of(first), session_of(second)
    accept(at_studio)
    assert (await new.read_head()).status == 101
    assert old.closing is not None
    assert other.closing is None


async def test_one_inside_a_frame_is_not_replaced(join: Join, full: Full) -> None:
    old = await join(**SETTINGS)
    await unanswered(old)
    old.client.write(old.client.frame(BINARY, bytes(100))[:50])
    await old.studio.read(50)
    await full(old.gateway)
    assert old.session.closing is None


async def test_one_that_the_gateway_does_not_read_is_not_replaced(join: Join, full: Full) -> None:
    old = await join(**SETTINGS)
    await unanswered(old)
    old.session._client.hold(TOO_FAST)
    await full(old.gateway)
    assert old.session.closing is None


@pytest.mark.parametrize("mode", ["observe", "off"])
async def test_nobody_is_replaced_if_evictions_do_not_act(join: Join, full: Full, mode: str) -> None:
    old = await join(EVICTIONS=mode, **SETTINGS)
    await unanswered(old)
    await full(old.gateway)
    assert old.session.closing is None


async def test_without_pings_nobody_is_replaced(join: Join, full: Full) -> None:
    old = await join(**{**SETTINGS, "PING_INTERVAL_SECONDS": "0"})
    await full(old.gateway)
    assert old.session.unanswered() == 0


async def test_it_says_how_many_are_under_way(join: Join) -> None:
    old = await join(**SETTINGS)
    await unanswered(old)
    replacements = replacement.Replacements(old.gateway.parts.sessions, old.gateway.parts.evictor)
    begun = replacements.begin("u1")
    assert begun is not None
    assert (repr(replacements), replacements.begin("u1")) == ("<Replacements under_way=1>", None)
    begun.release()
    begun.release()
    assert repr(replacements) == "<Replacements under_way=0>"
