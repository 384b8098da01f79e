"""Dispatch: choose a backend for a user, try it, and go on to the next one if it fails."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, Protocol, TypeVar

from memmie_gateway.core.backends.dialing import share
from memmie_gateway.core.http.refusals import RefusedError
from memmie_gateway.core.outcomes import Cause
from memmie_gateway.core.steps import Maybe, Steps, must_wait
from memmie_gateway.net.backends.backend import Backend
from memmie_gateway.net.backends.dialer import (
    BackendRefusedError,
    DialError,
    DialRefusedError,
    DialUnansweredError,
)
from memmie_gateway.net.backends.pool import BackendPool
from memmie_gateway.net.http1.exhaustion import ExhaustionError

T = TypeVar("T")


MAX_ATTEMPTS: Final = 3
"""Maximum number of backends tried for one client."""

_FAILURES: Final = (BackendRefusedError, DialError, ExhaustionError)
"""How an attempt fails."""


class Attempt(Protocol[T]):
    """An operation for one client that the dispatcher tries on one backend after the other."""

    def on(self, backend: Backend, seconds: float) -> Maybe[T]:
        """Try a backend for at most `seconds`. Errors are raised directly or by the awaitable.

        Raises:
            DialError: the backend failed, so the next one should be tried.
            BackendRefusedError: the backend refuses this client.
            ExhaustionError: a local resource is exhausted.
        """

    def failed(self, backend: Backend, words: str) -> None:
        """Report that a backend failed."""

    def abandon(self, result: T) -> None:
        """Discard a result, because the user was meanwhile bound to another backend."""


class Dispatcher:
    """Finds a working backend for a user.

    A user with an attempt, a request or a live session is bound to that backend, because the user's events exist only
    there (spec §4).

    Args:
        pool: the backends.
        home: returns the backend of a user's live sessions, or None.
        timeout: maximum time in seconds for all attempts of one client together.
        clock: returns the time in seconds.
    """

    def __init__(
        self,
        pool: BackendPool,
        home: Callable[[str], Backend | None],
        timeout: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pool = pool
        self._home = home
        self._timeout = timeout
        self._clock = clock
        self._under_way: dict[str, list[Backend]] = {}  # attempts and requests by user

    def __repr__(self) -> str:
        return f"<Dispatcher under_way={sum(map(len, self._under_way.values()))}>"

    def dispatch(self, user_id: str, attempt: Attempt[T], *, proves: bool = True) -> Steps[T]:
        """Return the result of the first attempt that succeeds, in steps that wait only where an attempt does.

        Args:
            user_id: the user.
            attempt: the operation.
            proves: whether its success shows that the backend works.

        Raises:
            RefusedError: no backend is available, all attempts failed, or a backend refuses this client.
        """
        attempted: list[Backend] = []
        left = self._pool.candidates(user_id, self.bound_to(user_id))[:MAX_ATTEMPTS]
        usable = bool(left) and left[0].available  # otherwise all look bad
        exhausted: str | None = None
        began = now = self._clock()
        while left:
            backend = left.pop(0)
            if not self._pool.uses(backend):
                left = self._untried(user_id, attempted)  # the set has changed meanwhile
                continue
            seconds = share(self._timeout, now - began, len(left))
            if not seconds:
                break
            attempted.append(backend)
            self.joined(user_id, backend)
            try:
                tried = attempt.on(backend, seconds)
                result = (yield tried) if must_wait(tried) else tried
                if proves:
                    backend.worked()
                home = self._home(user_id) if left else None
                if home is None or home not in left or not self._pool.uses(home):
                    return result
                attempt.abandon(result)  # meanwhile another connection of the user was established there
                left, began = [home], self._clock()
            except _FAILURES as error:
                # Perhaps only the ports for this backend are exhausted, and there are some for the next one.
                if _note_failure(attempt, backend, user_id, error) is Cause.GATEWAY_FULL:
                    exhausted = str(error)
            finally:
                self.left(user_id, backend)
            now = self._clock()
        if exhausted is not None:
            raise RefusedError(Cause.GATEWAY_FULL, internal=exhausted)
        raise RefusedError(Cause.BACKEND_FAILED if usable else Cause.NO_BACKEND)

    def dispatch_to(
        self, backend: Backend, user_id: str, attempt: Attempt[T], *, proves: bool = True
    ) -> Steps[T]:
        """Return the result of an attempt on the one backend that knows a connection of the user.

        For the arguments see `dispatch`.

        Raises:
            RefusedError: the attempt failed, or the backend refuses this client.
        """
        self.joined(user_id, backend)
        try:
            tried = attempt.on(backend, self._timeout)
            result = (yield tried) if must_wait(tried) else tried
        except _FAILURES as error:
            raise RefusedError(_note_failure(attempt, backend, user_id, error), internal=str(error)) from None
        finally:
            self.left(user_id, backend)
        if proves:
            backend.worked()
        return result

    def bound_to(self, user_id: str) -> Backend | None:
        """Return the backend for the user's next connection or request; None if any will do."""
        home = self._home(user_id)
        if home is not None:
            return home
        under_way = self._under_way.get(user_id)
        return under_way[-1] if under_way else None

    def joined(self, user_id: str, backend: Backend) -> None:
        """Count something of a user on a backend, to which the user's next connection goes, too."""
        self._under_way.setdefault(user_id, []).append(backend)
        backend.joined()

    def left(self, user_id: str, backend: Backend) -> None:
        """Stop counting what `joined` has counted."""
        backend.left()
        under_way = self._under_way[user_id]
        under_way.remove(backend)
        if not under_way:
            del self._under_way[user_id]

    def _untried(self, user_id: str, attempted: list[Backend]) -> list[Backend]:
        candidates = self._pool.candidates(user_id, self.bound_to(user_id))
        return [backend for backend in candidates if backend not in attempted][
            : MAX_ATTEMPTS - len(attempted)
        ]


def _note_failure(attempt: Attempt[T], backend: Backend, user_id: str, error: Exception) -> Cause:
    """Count a failed attempt as evidence about its backend.

    Returns:
        Why the client is refused if no other backend is tried.

    Raises:
        RefusedError: the backend refuses this client, so no other one is tried.
    """
    if isinstance(error, BackendRefusedError):
        backend.worked()
        raise RefusedError(Cause.BACKEND_REFUSED, internal=str(error), response=error.response) from None
    if isinstance(error, ExhaustionError):
        return Cause.GATEWAY_FULL
    if isinstance(error, DialRefusedError):
        backend.refused(user_id, str(error))
    elif isinstance(error, DialUnansweredError):
        backend.unanswered(user_id, str(error))
    else:
        backend.failed(str(error))
    attempt.failed(backend, str(error))
    return Cause.BACKEND_FAILED
