"""What must hold whatever happens, judged from records alone: no sockets, no clock.

Each function returns the violations in words, and an empty list if the invariant holds. Times are `time.monotonic`
seconds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from memmie_harness.numbered import Life, Refusal

MOVED: Final = (1012, "moving to another Studio, reconnect")
"""How the gateway closes a connection that it moves (docs/closing.md)."""

GRACE_SECONDS: Final = 6.0
"""How long after the end of a fault its effects may be seen: pings, health checks and circuit breakers run on."""

REFUSAL_GRACE_SECONDS: Final = 12.0
"""The same for an attempt to connect, which may have begun during the fault and has 10 seconds."""

LATE_SECONDS: Final = 4.0
"""A client that waits longer than this for an acknowledgement has noticed something."""

AGAIN_SECONDS: Final = 600.0
"""A user is moved at most once in this time (spec §3)."""

MORE_DESCRIPTORS: Final = 4
"""How many descriptors more than before the crowd a gateway may have: kept connections to Auth, health checks."""

MORE_TASKS: Final = 6
"""The same for tasks."""

MORE_MEMORY: Final = 25 * 1024 * 1024
"""How many bytes a gateway may grow after the crowd was connected for the first time."""


@dataclass
class Spell:
    """The time of one fault and what it may cost.

    Attributes:
        name: the fault and its target.
        began: when it began.
        ended: when it ended; infinite while it lasts.
        ends: whether connections may end in its reach.
        late: whether acknowledgements may be late in its reach.
        refused: whether clients may be refused, wherever they connect.
        studios: the Studios in its reach.
        gateways: the gateways in its reach, by their WebSocket address.
        pairs: connections between a gateway and a Studio in its reach.
    """

    name: str
    began: float
    ended: float = float("inf")
    ends: bool = False
    late: bool = False
    refused: bool = False
    studios: Collection[str] = ()
    gateways: Collection[str] = ()
    pairs: Collection[tuple[str, str]] = ()

    def lasts(self, at: float, grace: float = GRACE_SECONDS) -> bool:
        """Whether its effects may be seen at this time."""
        return self.began <= at <= self.ended + grace

    def reaches(self, gateway: str, studio: str) -> bool:
        """Whether a connection is in its reach; one without a Studio yet is, if any of that gateway may be."""
        if gateway in self.gateways or studio in self.studios or (gateway, studio) in self.pairs:
            return True
        return not studio and bool(self.studios or self.pairs)


@dataclass
class Watch:
    """One connection of a witness.

    Attributes:
        life: its opening, its end, its gateway and its Studio; nothing is numbered on it.
        sequence: the sequences of the events, in the order they came.
        pushed: what Studio said it had sent, with the number of events that had come by then.
        left: whether the witness itself closed it.
    """

    life: Life
    sequence: list[int] = field(default_factory=list)
    pushed: list[tuple[int, int]] = field(default_factory=list)
    left: bool = False


@dataclass(frozen=True)
class Usage:
    """What a gateway's process holds."""

    connections: float
    pending: float
    descriptors: int
    tasks: int
    memory: int


def delivered(user: str, lives: Sequence[Life], journal: Iterable[tuple[str, int]]) -> list[str]:
    """Nothing acknowledged is missing at the witness, and nothing is there twice.

    A message that was not acknowledged on one connection is sent again on the next. So it may be there once for each
    connection on which it was sent.

    Args:
        user: the user's id.
        lives: the user's connections.
        journal: each message at the Studios, as connection and number, in the order it arrived.
    """
    found = []
    by_connection: dict[str, list[int]] = {}
    for connection, number in journal:
        by_connection.setdefault(connection, []).append(number)
    arrived = Counter(number for numbers in by_connection.values() for number in numbers)
    sent = Counter(number for life in lives for number in life.sent)
    acknowledged = Counter(number for life in lives for number in life.acknowledged)
    found += [
        f"{user}: {number} was acknowledged, but is missing" for number in acknowledged if not arrived[number]
    ]
    found += [
        f"{user}: {number} is there {count} times, but was sent {sent[number]} times"
        for number, count in arrived.items()
        if count > sent[number]
    ]
    for connection, numbers in by_connection.items():
        if not any(numbers == life.sent[: len(numbers)] for life in lives):
            found.append(f"{user}: {connection} got {numbers[:20]}, which no connection sent in this order")
    return found


def acknowledged_or_ended(user: str, lives: Sequence[Life]) -> list[str]:
    """Every message without acknowledgement was sent on a connection whose end its client saw; acks are in order."""
    found = []
    for index, life in enumerate(lives, start=1):
        if life.acknowledged != life.sent[: len(life.acknowledged)]:
            found.append(f"{user}: connection {index} sent {life.sent} and got acks for {life.acknowledged}")
        elif life.ended is None and len(life.acknowledged) < len(life.sent):
            missing = life.sent[len(life.acknowledged) :]
            found.append(f"{user}: connection {index} lives, and {missing} were not acknowledged")
    return found


def watched(user: str, watches: Sequence[Watch]) -> list[str]:
    """A witness gets each event of its connection once and in order, without a gap."""
    found = []
    for index, watch in enumerate(watches, start=1):
        if watch.sequence != list(range(1, len(watch.sequence) + 1)):
            found.append(f"{user}: witness connection {index} got {watch.sequence[-20:]}")
        found += [
            f"{user}: witness connection {index} had {had} events when Studio had sent {pushed}"
            for pushed, had in watch.pushed
            if pushed != had
        ]
    return found


def unnoticed(user: str, lives: Iterable[Life], spells: Sequence[Spell]) -> list[str]:
    """A connection ends only in the reach of a fault that may end it, or by a move."""
    return [
        f"{user}: the connection through {life.url} to {life.studio or 'no Studio yet'} ended at {life.ended:.1f}"
        f" with {life.code} {life.reason!r}, outside the reach of every fault"
        for life in lives
        if life.ended is not None
        and life.close != MOVED
        and not any(
            spell.ends and spell.lasts(life.ended) and spell.reaches(life.url, life.studio)
            for spell in spells
        )
    ]


def late(
    user: str, waits: float, life: Life, spells: Sequence[Spell], now: float, bound: float = LATE_SECONDS
) -> list[str]:
    """An acknowledgement is late only in the reach of a fault that may delay it."""
    if waits <= bound or any(
        (spell.late or spell.ends) and spell.lasts(now) and spell.reaches(life.url, life.studio)
        for spell in spells
    ):
        return []
    return [f"{user}: no ack for {waits:.1f} s through {life.url} from {life.studio}, at {now:.1f}"]


def refused(user: str, refusals: Iterable[Refusal], spells: Sequence[Spell]) -> list[str]:
    """A client is refused only during a fault that may cost this."""
    return [
        f"{user}: refused at {refusal.at:.1f} with {refusal.status} {refusal.words[:120]}"
        for refusal in refusals
        if not any(spell.refused and spell.lasts(refusal.at, REFUSAL_GRACE_SECONDS) for spell in spells)
    ]


def moves_counted(seen: int, counted: float) -> list[str]:
    """Every move that a client saw is counted in `gateway_evictions_total{evidence="move"}`."""
    return [] if seen <= counted else [f"clients saw {seen} moves, the metric counted {counted:g}"]


def leaks(gateway: str, before: Usage, crowded: Usage, after: Usage) -> list[str]:
    """Without clients, a gateway holds what it held before the first one came.

    Args:
        gateway: its name.
        before: what it held before the crowd came.
        crowded: what it held with the crowd; only memory is taken from it, because Python keeps what it has got.
        after: what it holds after the last client has left.
    """
    held = {
        "connections": (after.connections, 0),
        "pending connections": (after.pending, 1),  # the one that asks
        "descriptors": (after.descriptors, before.descriptors + MORE_DESCRIPTORS),
        "tasks": (after.tasks, before.tasks + MORE_TASKS),
        "bytes of memory": (after.memory, max(before.memory, crowded.memory) + MORE_MEMORY),
    }
    return [
        f"{gateway}: {value:g} {what} are left, at most {most:g} are allowed"
        for what, (value, most) in held.items()
        if value > most
    ]


class Splits:
    """How long users are split while there is no fault.

    A user is moved at most once in ten minutes (spec §3), so a user who was moved lately may stay split for longer.

    Args:
        bound: seconds of calm after which a user must not be split any more.
        again: seconds in which a user is moved at most once.
    """

    def __init__(self, bound: float, again: float = AGAIN_SECONDS) -> None:
        self.longest = 0.0
        self.exempt: set[str] = set()
        self._bound = bound
        self._again = again
        self._since: dict[str, float] = {}
        self._reported: set[str] = set()

    def see(
        self, now: float, split: Collection[str], moved: Mapping[str, float], *, calm: bool = True
    ) -> list[str]:
        """Take what is seen now.

        Args:
            now: the time.
            split: the users who are connected to more than one Studio.
            moved: when each user was last moved.
            calm: whether no fault is under way.
        """
        self._since = {user: self._since.get(user, now) for user in split} if calm else {}
        found = []
        for user, since in self._since.items():
            if now - moved.get(user, float("-inf")) < self._again:
                self.exempt.add(user)
                continue
            self.longest = max(self.longest, now - since)
            if now - since > self._bound and user not in self._reported:
                self._reported.add(user)
                found.append(f"{user}: split for {now - since:.1f} s without a fault")
        return found
