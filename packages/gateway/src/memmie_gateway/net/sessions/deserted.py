"""Tells the clients of a dead backend, which would otherwise wait for the time-outs of their sessions."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final
from weakref import WeakKeyDictionary

from memmie_gateway.core.outcomes import Cause, Side
from memmie_gateway.core.sessions.evictions import Evidence
from memmie_gateway.core.sessions.silence import LOOKS, Silence
from memmie_gateway.net import clock
from memmie_gateway.net.backends.backend import Backend
from memmie_gateway.net.sessions.evictor import Evictor
from memmie_gateway.net.sessions.registry import SessionRegistry

PINGED: Final = 10
"""Maximum number of sessions of a doubted backend that are pinged."""

_TRIED: Final = 4 * PINGED
"""Maximum number of sessions that are tried; inside a frame no ping can be sent."""


class DesertedSessions:
    """Ends the sessions of a backend that is unhealthy and silent, if another backend is healthy.

    At the first evidence against a backend, some of its sessions are pinged. At its first failed health check, the health
    of the others is checked, too: if they cannot be reached either, the gateway's own network is probably down, and to
    reconnect would not help.

    Args:
        sessions: the live sessions.
        evictor: ends sessions.
        active: returns the backends in use.
        seconds: seconds of silence, with at least one ping, after which a backend is silent.
        rng: selects the sessions to ping.
    """

    def __init__(
        self,
        sessions: SessionRegistry,
        evictor: Evictor,
        active: Callable[[], Iterable[Backend]],
        seconds: float,
        rng: random.Random,
    ) -> None:
        self._sessions = sessions
        self._evictor = evictor
        self._active = active
        self._seconds = seconds
        self._rng = rng
        self._silences: dict[Backend, Silence] = {}
        # When a health check failed first, and when sessions were pinged.
        self._failing: WeakKeyDictionary[Backend, float] = WeakKeyDictionary()
        self._asked: WeakKeyDictionary[Backend, float] = WeakKeyDictionary()
        self._timer: asyncio.TimerHandle | None = None
        self._pauses = 0

    def __repr__(self) -> str:
        return f"<DesertedSessions {self._silences!r}>"

    def stop(self) -> None:
        """Stop watching."""
        self._silences.clear()
        self._stop_timer()

    def doubt(self, backend: Backend) -> None:
        """Ping some sessions of a backend before its health check fails, because a dial or a connection has failed.

        A client can make its own connections fail again and again, so this happens at most once in some seconds.
        """
        last = self._asked.get(backend)
        if backend not in self._silences and (
            last is None or asyncio.get_running_loop().time() - last >= self._seconds
        ):
            self._ask(backend)

    def checked(self, backend: Backend) -> None:
        """Take note of a health check of a backend."""
        if not backend.probed.reason:
            self._failing.pop(backend, None)
        elif backend not in self._failing:
            self._failing[backend] = asyncio.get_running_loop().time()
            for other in self._active():
                if other is not backend:
                    other.on_doubt()  # checks its health at once
        if not backend.tracker.reason:
            self._silences.pop(backend, None)
        elif (silence := self._silences.get(backend)) is None or not silence.lasts(self._heard(backend)):
            self._ask(backend)
        self._judge()

    def _ask(self, backend: Backend) -> None:
        """Ping some sessions of a backend, which begins a new silence."""
        self._silences.pop(backend, None)
        self._asked[backend] = asyncio.get_running_loop().time()
        sessions = self._sessions.on_backend(backend)
        heard = self._heard(backend)
        pinged = 0
        for session in self._rng.sample(sessions, min(len(sessions), _TRIED)):
            pinged += session.ping_backend()
            if pinged == PINGED:
                break
        if pinged:
            self._silences[backend] = Silence(heard)
            if self._timer is None:
                self._start_timer()

    def _heard(self, backend: Backend) -> int:
        """Return the number of bytes that all sessions have ever received from a backend."""
        live = sum(session.traffic().bytes_from_backend for session in self._sessions.on_backend(backend))
        return backend.traffic.bytes_from_backend + live

    def _judge(self) -> None:
        for backend, silence in list(self._silences.items()):
            if silence.long_enough and self._unhealthy(backend) and silence.lasts(self._heard(backend)):
                self._end_sessions(backend, silence)

    def _unhealthy(self, backend: Backend) -> bool:
        """Tell whether a backend is unhealthy by its health checks, and another one is healthy."""
        since = self._failing.get(backend)
        if since is None or backend.available:
            return False
        return any(other.healthy and other.passed_at > since for other in self._active())

    def _end_sessions(self, backend: Backend, silence: Silence) -> None:
        def holds() -> bool:
            return self._silences.get(backend) is silence and not silence.broken and self._unhealthy(backend)

        for session in self._sessions.on_backend(backend):
            if session.closing is None:
                end = partial(session.drop, Side.BACKEND, Cause.BACKEND_UNHEALTHY)
                self._evictor.submit(session, Evidence.UNHEALTHY, Cause.BACKEND_UNHEALTHY, end, holds=holds)

    # The timer, which runs only while a backend is doubted.

    def _start_timer(self) -> None:
        self._pauses = clock.pauses()
        self._timer = asyncio.get_running_loop().call_later(self._seconds / LOOKS, self._look)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        if self._pauses != (pauses := clock.pauses()):
            self._pauses = pauses
            for backend in list(self._silences):
                self._ask(backend)  # the gateway itself was stopped, so this says nothing about the backend
        for backend, silence in list(self._silences.items()):
            silence.look()
            if not backend.connections:
                del self._silences[backend]
        self._judge()
        self._timer = None
        if self._silences:
            self._start_timer()
