"""Dispatch: choose a backend for a user, try it, and go on to the next one if it fails."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol, TypeVar

from memmie_gateway.core.outcomes import Cause
from memmie_gateway.core.refusals import RefusedError
from memmie_gateway.core.steps import Maybe, Steps, run, settle
from memmie_gateway.net.backends.backend import Backend
from memmie_gateway.net.backends.dialer import BackendRefusedError, DialError
from memmie_gateway.net.backends.pool import BackendPool
from memmie_gateway.net.http1.exhaustion import ExhaustionError

T = TypeVar("T")


MAX_ATTEMPTS: Final = 3
"""Backends tried for one client, so that it is answered even where many hang."""


class Attempt(Protocol[T]):
    """What is tried on one backend after the other, for one client."""

    def on(self, backend: Backend) -> Maybe[T]:
        """Try a backend.

        Raises:
            DialError: it failed, another may not. Also raised by what is awaited, like the others.
            BackendRefusedError: it refuses this client.
            ExhaustionError: the gateway itself cannot connect to it.
        """

    def failed(self, backend: Backend, words: str) -> None:
        """Note that a backend failed."""

    def abandon(self, result: T) -> None:
        """Give a result up, because meanwhile the user was bound to another backend."""


class Dispatcher:
    """Finds a backend that works.

    While an attempt is under way, and while it has a live session, a user is bound to one backend, because the user's
    events live there (spec §4).

    Args:
        pool: the backends.
        home: returns the backend of a user's live sessions, or None.
    """

    def __init__(self, pool: BackendPool, home: Callable[[str], Backend | None]) -> None:
        self._pool = pool
        self._home = home
        self._under_way: dict[str, list[Backend]] = {}  # attempts by user

    def __repr__(self) -> str:
        return f"<Dispatcher under_way={sum(map(len, self._under_way.values()))}>"

    def dispatch(self, user_id: str, attempt: Attempt[T]) -> Maybe[T]:
        """Return the result of the first attempt that succeeds.

        Raises:
            RefusedError: no backend is available, none works, or one refuses this client. Also raised by what is
                awaited.
        """
        return run(self._dispatch(user_id, attempt))

    def _dispatch(self, user_id: str, attempt: Attempt[T]) -> Steps[T]:
        left = self._pool.candidates(user_id, self._bound_to(user_id))[:MAX_ATTEMPTS]
        failure = RefusedError(Cause.BACKEND_FAILED if left else Cause.NO_BACKEND)
        while left:
            backend = left.pop(0)
            if not self._pool.uses(backend):
                continue  # it was taken out meanwhile
            self._begin(user_id, backend)
            try:
                result = yield from settle(attempt.on(backend))
                backend.worked()
                home = self._home(user_id)
                if home is None or home not in left or not self._pool.uses(home):
                    return result
                attempt.abandon(result)  # meanwhile another connection of the user went there
                left = [home]
            except BackendRefusedError as error:
                backend.worked()
                raise RefusedError(
                    Cause.BACKEND_REFUSED, internal=str(error), response=error.response
                ) from None
            except ExhaustionError as error:
                # Of ports towards this backend, perhaps; there may be some towards the next.
                failure = RefusedError(Cause.GATEWAY_FULL, internal=str(error))
            except DialError as error:
                backend.failed(str(error))
                attempt.failed(backend, str(error))
            finally:
                self._end(user_id, backend)
        raise failure

    def _bound_to(self, user_id: str) -> Backend | None:
        home = self._home(user_id)
        if home is not None:
            return home
        under_way = self._under_way.get(user_id)
        return under_way[-1] if under_way else None

    def _begin(self, user_id: str, backend: Backend) -> None:
        self._under_way.setdefault(user_id, []).append(backend)
        backend.joined()

    def _end(self, user_id: str, backend: Backend) -> None:
        backend.left()
        under_way = self._under_way[user_id]
        under_way.remove(backend)
        if not under_way:
            del self._under_way[user_id]
