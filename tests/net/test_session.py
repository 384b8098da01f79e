"""What a session tells of itself, and to which backend it books what passed."""

from __future__ import annotations

import asyncio
from typing import cast

from tests.clock import loop_clock
from tests.net.pair import Join, nobody_is_left, until
from tests.net.scripted_studio import ScriptedStudio

from memmie_gateway.core.backends.health import HealthTracker
from memmie_gateway.core.websocket.acceptance import Acceptance
from memmie_gateway.net.backends.backend import Backend, BackendLink, BackendUrl, Traffic
from memmie_gateway.net.handover import Handover
from memmie_harness.conformance.peers import PATIENCE, TEXT

FIELDS = [
    "request_id",
    "user_id",
    "address",
    "path",
    "protocol",
    "backend",
    "by",
    "cause",
    "code",
    "reason",
    "error",
    "seconds",
    "messages_from_client",
    "messages_from_studio",
    "bytes_from_client",
    "bytes_from_studio",
]


async def test_a_live_session_describes_itself(join: Join, studio: ScriptedStudio) -> None:
    pair = await join(user="u1", extra=("X-Request-ID: r1",))
    await pair.exchange()
    pair.studio.send(TEXT, "more")
    assert await pair.client.read_message() == (TEXT, b"more")
    session = pair.session
    with loop_clock() as loop:
        loop.put_forward(100)
        description = session.describe()
    assert list(description) == FIELDS
    seconds = cast("float", description.pop("seconds"))
    assert 100 <= seconds < 100 + PATIENCE
    assert seconds == round(seconds, 3)
    assert description == {
        "request_id": "r1",
        "user_id": "u1",
        "address": "127.0.0.1",
        "path": "/ws",
        "protocol": "websocket",
        "backend": studio.url,
        "by": None,
        "cause": None,
        "code": None,
        "reason": None,
        "error": None,
        "messages_from_client": 1,
        "messages_from_studio": 2,
        "bytes_from_client": len(pair.client.frame(TEXT, "up")),
        "bytes_from_studio": len(pair.studio.frame(TEXT, "down") + pair.studio.frame(TEXT, "more")),
    }


async def test_a_session_that_is_ending_says_why(join: Join) -> None:
    pair = await join()
    pair.client.send_close(4242, "had enough")
    await pair.studio.read_close()
    description = pair.session.describe()
    assert [description[name] for name in ("by", "cause", "code", "reason")] == [
        "client",
        "client_closed",
        4242,
        "had enough",
    ]


async def test_what_passed_is_booked_to_the_backend_when_all_is_over(join: Join) -> None:
    pair = await join()
    await pair.exchange()
    (backend,) = pair.gateway.parts.pool.active
    up, down = len(pair.client.frame(TEXT, "up")), len(pair.studio.frame(TEXT, "down"))
    assert (backend.connections, backend.traffic) == (1, Traffic())
    assert pair.session.traffic() == Traffic(1, 1, up, down)
    pair.client.leave()
    pair.studio.leave()
    await until(lambda: nobody_is_left(pair.gateway))
    assert backend.connections == 0
    assert backend.traffic == Traffic(1, 1, up, down)


async def test_a_session_may_be_joined_to_a_second_backend(join: Join) -> None:
    """Nothing does that yet. Each backend is booked what passed while the client was joined to it."""
    pair = await join()
    await pair.exchange()
    session, first = pair.session, pair.session.backend
    up, down = len(pair.client.frame(TEXT, "up")), len(pair.studio.frame(TEXT, "down"))

    session._backend.transport.set_protocol(asyncio.Protocol())  # its loss is not the session's end
    pair.studio.leave()
    session._detach()
    assert (first.connections, first.traffic) == (0, Traffic(1, 1, up, down))
    assert session.traffic() == Traffic()

    async with asyncio.timeout(PATIENCE), ScriptedStudio() as other:
        second = Backend(BackendUrl.parse(other.url), HealthTracker(rise=1, fall=1))
        transport, _ = await asyncio.get_running_loop().create_connection(
            asyncio.Protocol, "127.0.0.1", second.where.port
        )
        handover = Handover(transport)
        handover.data_received(pair.studio.frame(TEXT, "early"))
        session.attach(BackendLink(second, handover, Acceptance("", frozenset(), 0, b"", b"")))
        session.start()
        assert await pair.client.read_message() == (TEXT, b"early")
        early = len(pair.studio.frame(TEXT, "early"))
        pair.client.send(TEXT, "again")
        again = len(pair.client.frame(TEXT, "again"))
        await until(lambda: session.traffic().messages_from_client == 1)
        assert (session.backend, second.connections) == (second, 1)
        assert session.traffic() == Traffic(1, 1, again, early)
        description = session.describe()
        assert (description["backend"], description["messages_from_studio"]) == (second.url, 2)
        assert (description["bytes_from_client"], description["bytes_from_studio"]) == (
            up + again,
            down + early,
        )

        pair.client.reset()
        transport.abort()
        await until(lambda: nobody_is_left(pair.gateway))
    assert (second.connections, second.traffic) == (0, Traffic(1, 1, again, early))
    assert first.traffic == Traffic(1, 1, up, down)
