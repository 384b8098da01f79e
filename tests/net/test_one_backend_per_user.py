"""All connections of a user are on one Studio, as the user's events live there."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

from tests.net.pair import Dial, StartGateway
from tests.net.scripted_studio import ScriptedStudio, accept
from tests.net.wire import upgrade_request

from memmie_fake_auth import FakeAuth
from memmie_gateway.core.balancer import Balancer, Strategy
from memmie_gateway.net.sessions.registry import Registry


async def test_a_connection_follows_one_that_was_faster(
    start_gateway: StartGateway, dial: Dial, auth: FakeAuth, studio: ScriptedStudio
) -> None:
    """Both begin at the same Studio; the first is dropped there and lives at the other, before the second is answered."""
    async with ScriptedStudio() as other:
        gateway = await start_gateway(STUDIO_WS_URLS=f"{studio.url},{other.url}", LB_STRATEGY="round_robin")
        first, second = await dial(gateway), await dial(gateway)
        first.write(upgrade_request(auth.mint("u1")))
        dropped = await studio.arrival()
        second.write(upgrade_request(auth.mint("u1")))
        slow = await studio.arrival()

        dropped.reset()
        accept(await other.arrival())
        assert (await first.read_head()).status == 101

        accept(slow)
        accept(await other.arrival())
        assert (await second.read_head()).status == 101
        homes = {session.info.backend.url for session in gateway.parts.sessions}
        assert homes == {other.url}


class NoStudio(SimpleNamespace):
    """As much of a Studio as the registry asks for."""

    available = healthy = True
    connections = 0


def studios(*names: str) -> list[Any]:
    return [NoStudio(url=name) for name in names]


def first_choice(registry: Registry) -> str:
    return registry.preferred("u1")[0].url


class AsGiven(Balancer):
    """Keeps the order, but for the Studio that the user is bound to."""

    def prefer(self, available: Any, user_id: str, bound_to: Any = None) -> Any:
        del user_id
        return sorted(available, key=lambda studio: studio is not bound_to)


def registry_of(backends: list[Any]) -> Registry:
    return Registry(backends, AsGiven(Strategy.STICKY, random.SystemRandom()))


def test_the_last_dial_under_way_binds() -> None:
    a, b, c = studios("a", "b", "c")
    registry = registry_of([a, b, c])
    registry.begin_dial("u1", b)
    registry.begin_dial("u1", c)
    assert first_choice(registry) == "c"
    registry.end_dial("u1", b)
    assert first_choice(registry) == "c"
    registry.end_dial("u1", c)
    assert first_choice(registry) == "a"
    assert registry._dialing == {}
    assert [s.connections for s in (a, b, c)] == [0, 0, 0]


def test_a_session_that_is_ending_does_not_bind() -> None:
    a, b = studios("a", "b")
    registry = registry_of([a, b])

    def session(studio: Any, closing: object) -> Any:
        return SimpleNamespace(
            info=SimpleNamespace(backend=studio, identity=SimpleNamespace(user_id="u1")), closing=closing
        )

    live, ending = session(b, None), session(a, object())
    registry._by_user["u1"] = [live, ending]
    assert registry.home("u1") is b
    registry._by_user["u1"] = [ending]
    assert registry.home("u1") is None
