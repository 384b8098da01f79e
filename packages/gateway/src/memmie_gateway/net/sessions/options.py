"""The limits of sessions, what all of them share, and the data that identify one."""

from __future__ import annotations

import random
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from memmie_gateway.core.auth.identity import Identity
from memmie_gateway.core.http.client_address import Client
from memmie_gateway.core.outcomes import Side
from memmie_gateway.core.record import record
from memmie_gateway.core.websocket.keepalive import Advice, Idleness, Keepalive, Times
from memmie_gateway.net.clock import Clock
from memmie_gateway.net.sessions.wheel import Wheel
from memmie_gateway.net.timeouts import Timeouts

S = TypeVar("S", bound=Hashable)

LOOK_TICKS: Final = 20
"""Number of ticks until the first look at a session, unless the bounds of the tick forbid it."""

FINEST_TICK, COARSEST_TICK = 0.01, 0.25
"""Bounds of the tick, in seconds."""


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """The limits and time-outs of sessions.

    Attributes:
        max_message_bytes: maximum size of a message over all fragments.
        write_buffer_bytes: bytes buffered for a slow side before the gateway stops reading from the other side.
        idle_seconds: maximum time in seconds without data in either direction; 0 for no limit.
        keepalive: when a side is pinged, and when it is dead.
        close_timeout: maximum time in seconds for a closing handshake.
        rate_max_delay: maximum time in seconds for which what was read from a client may wait for its message rate. If it
            would have to wait longer, the session ends with 1008.
        first_look: seconds from the start of a session to the first look at its sides; infinity for none.
        look_tick: maximum seconds by which a look may be late.
    """

    max_message_bytes: int
    write_buffer_bytes: int
    idle_seconds: float
    keepalive: Times
    close_timeout: float
    rate_max_delay: float
    first_look: float = field(init=False)
    look_tick: float = field(init=False)

    def __post_init__(self) -> None:
        """Compute what is the same for every session."""
        looks = (
            Keepalive(self.keepalive, 0).next_look(0),
            Idleness(seconds=self.idle_seconds, now=0).next_look(0),
        )
        object.__setattr__(self, "first_look", min(looks))
        tick = min(max(self.first_look / LOOK_TICKS, FINEST_TICK), COARSEST_TICK)
        object.__setattr__(self, "look_tick", tick)


@dataclass(frozen=True, slots=True)
class Shared(Generic[S]):
    """What all sessions share.

    Attributes:
        rng: creates masking keys and ping payloads.
        clock: tells the time for keepalive and the idle time-out.
        looks: calls `Session.look` when it is time, on the loop's clock.
        closings: the time-outs of closing handshakes; they call `Session.expire`.
        on_dead: called at every look at which a side is dead, with the session, the side and the advice.
        on_end: called once for each session, when both connections have ended.
    """

    rng: random.Random
    clock: Clock
    looks: Wheel[S]
    closings: Timeouts[S]
    on_dead: Callable[[S, Side, Advice], None]
    on_end: Callable[[S], None]


@record
class SessionInfo:
    """The data of a session; only its identity is replaced, when its token is renewed.

    Attributes:
        id: the request id, the same in the log, at the backend and in the answer to the client. A client may choose
            it, so it need not be unique.
        path: the path of the request.
        client: the client's address.
        identity: the authenticated user.
        protocol: what the client speaks, `websocket` or `socketio`.
    """

    id: str
    path: str
    client: Client
    identity: Identity
    protocol: str = "websocket"
