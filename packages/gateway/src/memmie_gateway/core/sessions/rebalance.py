"""Rebalancing: where the connections of a user belong, and which of them are moved there (spec §3).

A user's events exist only in one backend. A fault can leave a user with connections to two of them, or with connections
to another backend than `home`, where every other gateway would connect the same user. Such a user is moved: the gateway
closes connections, and the clients reconnect. A move costs the user a moment, so it must not be in vain: a user is moved
only to a backend that nothing speaks against, and not again for a while.
"""

from __future__ import annotations

import enum
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final, Generic, NamedTuple, TypeVar

B = TypeVar("B")


class Rebalance(enum.Enum):
    """Which users are moved: `REBALANCE`."""

    SPLIT = "split"
    """Those with connections to several backends."""
    HOME = "home"
    """Also those with connections to another backend than their home."""
    OFF = "off"


class Standing(enum.IntEnum):
    """What speaks against moving users to a backend; the higher, the less."""

    AWAY = 0
    """It is dead or ejected, or it is not used any more."""
    DOUBTED = 1
    """It will probably get users again, but there was evidence against it a moment ago."""
    CALM = 2
    """Users with connections to several backends may be moved to it."""
    SETTLED = 3
    """Its own users may be moved back to it."""


CALM_SECONDS: Final = 3.0
"""Seconds after the last evidence against a backend until it is calm."""

PATIENCE_SECONDS: Final = 6.0
"""Seconds for which a user with connections to several backends waits until the best one of them is calm."""

HOME_PATIENCE_SECONDS: Final = 30.0
"""The same for the home, because a user who is moved elsewhere cannot be moved home soon after that."""

AGAIN_SECONDS: Final = 600.0
"""Seconds after the begin of a move of a user until the next one."""

FINISH_SECONDS: Final = 30.0
"""Seconds in which a move has to end; some connections may be within a message, and the pace is limited."""


def standing(*, away: bool, good_for: float, back_for: float, after: float, slow_start: float) -> Standing:
    """Return the standing of a backend.

    Args:
        away: whether it is dead or ejected, or is not used any more.
        good_for: seconds since there was evidence against it.
        back_for: seconds since it was taken back into use.
        after: seconds for which it must be good until its own users may be moved back to it.
        slow_start: length of its slow start in seconds.
    """
    if away:
        return Standing.AWAY
    if good_for < min(CALM_SECONDS, after) or back_for < min(slow_start, after):
        return Standing.DOUBTED
    return Standing.SETTLED if good_for >= after else Standing.CALM


def destination(
    mode: Rebalance,
    places: Sequence[B],
    home: B | None,
    standing_of: Callable[[B], Standing],
    newest_for: float,
) -> B | None:
    """Return the backend to which all connections of a user should be moved; None if they stay where they are for now.

    Args:
        mode: which users are moved.
        places: the backend of each of the user's connections, the oldest connection first.
        home: the user's home; None if there is none.
        standing_of: returns the standing of a backend.
        newest_for: seconds since the newest connection began.
    """
    split = len(set(places)) > 1
    if mode is Rebalance.HOME and home is not None and (split or home not in places):
        known = standing_of(home)
        if known is Standing.SETTLED or (split and known is Standing.CALM):
            return home
        if known is Standing.DOUBTED and newest_for < HOME_PATIENCE_SECONDS:
            return None
    if mode is Rebalance.OFF or not split:
        return None
    # The fewest moves; if several places need the same number, the newest connection shows what works.
    newest_first = tuple(reversed(places))
    for place in sorted(newest_first, key=places.count, reverse=True):
        known = standing_of(place)
        if known >= Standing.CALM:
            return place
        better = places.count(place) > places.count(places[-1])
        if known is Standing.DOUBTED and better and newest_for < PATIENCE_SECONDS:
            return None
    return None


class Move(NamedTuple, Generic[B]):
    """The last move of a user.

    Attributes:
        to: the backend to which the user was moved.
        at: the time in seconds at which the first connection was ended.
    """

    to: B
    at: float


class Moves(Generic[B]):
    """Remembers who was moved when, so that each user is moved at most once in `AGAIN_SECONDS`."""

    def __init__(self) -> None:
        self._moves: OrderedDict[str, Move[B]] = OrderedDict()

    def __repr__(self) -> str:
        return f"<Moves {len(self._moves)}>"

    def may_end(self, user_id: str, began: float, to: B, now: float) -> bool:
        """Tell whether one of a user's connections may be ended, so that it moves to `to`.

        Args:
            user_id: the user.
            began: the time in seconds at which the connection began.
            to: the destination.
            now: the time in seconds.
        """
        move = self._moves.get(user_id)
        if move is None or now - move.at >= AGAIN_SECONDS:
            return True
        return move.to is to and began <= move.at and now - move.at < FINISH_SECONDS

    def ended(self, user_id: str, to: B, now: float) -> None:
        """Note that a connection of a user is ended, so that it moves to `to`."""
        while self._moves and now - next(iter(self._moves.values())).at >= AGAIN_SECONDS:
            self._moves.popitem(last=False)
        self._moves.setdefault(user_id, Move(to, now))

    def under_way(self, user_id: str, newest: float, now: Callable[[], float]) -> B | None:
        """Return the destination of a user who is moving and whose next connection must go there; None for other users.

        Args:
            user_id: the user.
            newest: the time in seconds at which the newest connection of the user began.
            now: returns the time in seconds.
        """
        move = self._moves.get(user_id)
        if move is None or newest > move.at or now() - move.at >= FINISH_SECONDS:
            return None
        return move.to
