"""What must hold whatever happens, judged from records alone: no sockets, no clock.

Each function returns the violations, and an empty list if the invariant holds. Times are `time.monotonic` seconds. A
limit in seconds is longer by the pauses of the run in its time (see `pauses.py`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from tests.chaos.pauses import NO_PAUSES, Pauses
from tests.chaos.records import Call, Spell, Usage, Violation, Watch

from memmie_gateway.core.outcomes import Cause
from memmie_harness.life import NO_CLOSE_FRAME
from memmie_harness.numbered import Life, Refusal

MOVED: Final = (1012, "moving to another Studio, reconnect")
"""How the gateway closes a connection that it moves (docs/closing.md)."""

DRAINED: Final = (1001, "the gateway is shutting down")
"""How the gateway closes a connection when it is told to end (docs/closing.md)."""

LEFT: Final = 1000
"""The code with which clients leave."""

GRACE_SECONDS: Final = 6.0
"""How long after the end of a fault its effects may be seen: pings, health checks and circuit breakers run on."""

REFUSAL_GRACE_SECONDS: Final = 12.0
"""The same for an attempt to connect, which may have begun during the fault and has 10 seconds."""

CLOSE_TIMEOUT_SECONDS: Final = 4.0
"""How long a client may take to answer a Close frame; the gateways have this setting."""

LATE_SECONDS: Final = 4.0
"""A client that waits longer than this for an acknowledgement has noticed something."""

HTTP_TOTAL_SECONDS: Final = 8.0
"""How long an HTTP request and its answer may take; the gateways have this setting."""

CALL_SECONDS: Final = HTTP_TOTAL_SECONDS + LATE_SECONDS
"""A caller that waits longer than this for an answer has noticed something."""

REFUSALS: Final = frozenset(
    (cause.ending.status, cause.ending.code) for cause in Cause if cause.ending.status
)
"""Status and code of every refusal in docs/closing.md."""

AGAIN_SECONDS: Final = 30.0
"""A gateway of a run moves a user at most once in this time; it is ten minutes otherwise (spec §3)."""

MORE_DESCRIPTORS: Final = 2
"""How many descriptors more than before the crowd a gateway may have: a scrape and a health check under way."""

MORE_TASKS: Final = 3
"""The same for tasks."""

MORE_MEMORY: Final = 25 * 1024 * 1024
"""How many bytes a gateway may grow after the crowd was connected for the first time."""

Journal = Sequence[tuple[str, int]]
"""What the Studios got from one user: connection and number, in the order in which they arrived."""


def delivered(user: str, lives: Sequence[Life], journal: Journal) -> list[Violation]:
    """Nothing acknowledged is missing at the Studios, and nothing is there twice.

    A message that was not acknowledged on one connection is sent again on the next. So it may be there once for each
    connection on which it was sent.
    """
    found = []
    by_connection = _by_connection(journal)
    arrived = Counter(number for numbers in by_connection.values() for number in numbers)
    sent = Counter(number for life in lives for number in life.sent)
    for life in lives:
        missing = [number for number in life.acknowledged if not arrived[number]]
        if missing:
            words = f"{user}: {missing} were acknowledged on {_name(life)}, but no Studio has them"
            found.append(Violation(words, life.ended))
    found += [
        Violation(f"{user}: {number} is there {count} times, but was sent {sent[number]} times")
        for number, count in arrived.items()
        if count > sent[number]
    ]
    for connection, numbers in by_connection.items():
        if not any(numbers == life.sent[: len(numbers)] for life in lives):
            words = f"{user}: {connection} got {numbers[:20]}, which no connection sent in this order"
            found.append(Violation(words))
    return found


def acknowledged_or_ended(user: str, lives: Sequence[Life]) -> list[Violation]:
    """Every message without acknowledgement was sent on a connection whose end its client saw; acks are in order."""
    found = []
    for life in lives:
        if life.acknowledged != life.sent[: len(life.acknowledged)]:
            words = f"{user}: {_name(life)} {_difference(life.acknowledged, life.sent)}"
            found.append(Violation(words, life.ended))
        elif life.ended is None and len(life.acknowledged) < len(life.sent):
            missing = life.sent[len(life.acknowledged) :]
            found.append(Violation(f"{user}: {_name(life)} lives, and {missing} were not acknowledged"))
    return found


def forwarded(
    user: str, lives: Sequence[Life], journal: Journal, spells: Sequence[Spell], pauses: Pauses = NO_PAUSES
) -> list[Violation]:
    """Whatever a client sent before it left, or before a gateway told it to go, is at its Studio, acknowledged or not.

    This holds for a drain and a move, and also for what the gateway held back because of the message rate (spec §8). It
    does not hold if the Studio, or the way to it, was in the reach of a fault. And the client must have answered in time,
    so the run must not have paused for half of this time.
    """
    connections = list(_by_connection(journal).values())
    found = []
    for life in lives:
        in_order = life.close in (MOVED, DRAINED) or (life.left and life.code == LEFT)
        if life.ended is None or not in_order or not life.sent:
            continue
        paused = pauses.within(life.ended - CLOSE_TIMEOUT_SECONDS, life.ended)
        if paused > CLOSE_TIMEOUT_SECONDS / 2 or any(
            spell.lasts(life.ended, GRACE_SECONDS, pauses) and spell.reaches_studio(life.url, life.studio)
            for spell in spells
        ):
            continue
        least = len(life.sent) - life.unsure
        got = max(
            (len(numbers) for numbers in connections if numbers == life.sent[: len(numbers)]), default=0
        )
        if got < least:
            words = f"{user}: {_name(life)} was closed in order, but {life.sent[got:least]} are at no Studio"
            found.append(Violation(words, life.ended))
    return found


def watched(user: str, watches: Sequence[Watch]) -> list[Violation]:
    """A witness gets each event of its connection once and in order, without a gap."""
    found = []
    for watch in watches:
        name = f"{user}: the witness' {_name(watch.life)}"
        whole = list(range(1, len(watch.sequence) + 1))
        if watch.sequence != whole:
            found.append(Violation(f"{name} {_difference(watch.sequence, whole)}", watch.life.ended))
        found += [
            Violation(f"{name} had {had} events when Studio had sent {pushed}", watch.life.ended)
            for pushed, had in watch.pushed
            if pushed != had
        ]
    return found


def unnoticed(
    user: str, lives: Iterable[Life], spells: Sequence[Spell], pauses: Pauses = NO_PAUSES
) -> list[Violation]:
    """A connection ends only in the reach of a fault that may end it, or by a move."""
    return [
        Violation(f"{user}: {_name(life)} ended outside the reach of every fault", life.ended)
        for life in lives
        if life.ended is not None
        and life.close != MOVED
        and not any(spell.ends for spell in _reaching(life, life.ended, spells, pauses))
    ]


def told(
    user: str, lives: Iterable[Life], spells: Sequence[Spell], pauses: Pauses = NO_PAUSES
) -> list[Violation]:
    """A client learns why its connection ends, unless its gateway is ended."""
    return [
        Violation(f"{user}: {_name(life)} ended without a word", life.ended)
        for life in lives
        if life.ended is not None
        and life.code == NO_CLOSE_FRAME
        and not any(
            spell.ends and life.url in spell.gateways and spell.lasts(life.ended, GRACE_SECONDS, pauses)
            for spell in spells
        )
    ]


def late(
    user: str,
    waits: float,
    life: Life,
    spells: Sequence[Spell],
    now: float,
    *,
    bound: float = LATE_SECONDS,
    pauses: Pauses = NO_PAUSES,
) -> list[Violation]:
    """An acknowledgement is late only in the reach of a fault that may delay it.

    Args:
        user: the user's id.
        waits: seconds for which the client has waited.
        life: its connection.
        spells: the faults so far.
        now: the time.
        bound: seconds for which it may wait.
        pauses: the pauses of the run.
    """
    if waits <= bound + pauses.within(now - waits, now) or any(
        spell.late or spell.ends for spell in _reaching(life, now, spells, pauses)
    ):
        return []
    return [Violation(f"{user}: no ack for {waits:.1f} s on {_name(life)}", now)]


def refused(
    user: str, refusals: Iterable[Refusal], spells: Sequence[Spell], pauses: Pauses = NO_PAUSES
) -> list[Violation]:
    """A client is refused only during a fault that may cost this."""
    return [
        Violation(f"{user}: refused with {refusal.status} {refusal.words[:120]}", refusal.at)
        for refusal in refusals
        if not any(
            spell.refused and spell.lasts(refusal.at, REFUSAL_GRACE_SECONDS, pauses) for spell in spells
        )
    ]


def answered(
    user: str, calls: Iterable[Call], spells: Sequence[Spell], over: float, pauses: Pauses = NO_PAUSES
) -> list[Violation]:
    """An HTTP request gets an answer in time: Studio's, or a refusal of docs/closing.md if a fault may cost this.

    Only a gateway that is ended does not answer, and only one that is frozen may be late.

    Args:
        user: the user's id.
        calls: the user's requests.
        spells: the faults.
        over: the end of the run.
        pauses: the pauses of the run.
    """
    found = []
    for call in calls:
        ended = over if call.ended is None else call.ended
        name = f"{user}: {call.method} number {call.number} through {call.url}"
        around = [
            spell
            for spell in spells
            if spell.began <= ended and spell.lasts(max(call.began, spell.began), GRACE_SECONDS, pauses)
        ]
        here = [spell for spell in around if call.url in spell.gateways]
        waited = ended - call.began - pauses.within(call.began, ended)
        if waited > CALL_SECONDS and not any(spell.late or spell.ends for spell in here):
            found.append(Violation(f"{name} had no answer for {waited:.1f} s {call.words}", ended))
        if call.ended is None or call.status == (201 if call.method == "POST" else 200):
            continue
        how = f"{call.status} {call.words}"
        if not call.status:
            if not any(spell.ends for spell in here):
                found.append(Violation(f"{name} got no answer: {call.words}", ended))
        elif (call.status, call.words) not in REFUSALS:
            found.append(Violation(f"{name} got {how}, which is not in docs/closing.md", ended))
        elif not any(spell.ends or spell.late or spell.refused for spell in around):
            found.append(Violation(f"{name} got {how} outside of every fault", ended))
    return found


def posted(user: str, calls: Iterable[Call], journal: Journal) -> list[Violation]:
    """A POST reaches a Studio at most once, and exactly once if the answer says so."""
    arrived = Counter(number for _, number in journal)
    found = []
    for call in calls:
        count = arrived[call.number]
        if call.method == "POST" and (count > 1 or (call.status == 201 and not count)):
            words = f"{user}: POST number {call.number} got {call.status} and reached Studios {count} times"
            found.append(Violation(words, call.ended))
    return found


def moves_counted(seen: int, counted: float) -> list[Violation]:
    """Every move that a client saw is counted in `gateway_evictions_total{evidence="move"}`."""
    return [] if seen <= counted else [Violation(f"clients saw {seen} moves, the metric counted {counted:g}")]


def leaks(gateway: str, before: Usage, crowded: Usage, after: Usage) -> list[Violation]:
    """Without clients, a gateway holds what it held before the first one came.

    Args:
        gateway: its name.
        before: what it held before the crowd came.
        crowded: what it held with the crowd; only memory is taken from it, because Python keeps what it has got.
        after: what it holds after the last client has left.
    """
    held = {
        "connections of clients": (after.connections, 0),
        "pending connections": (after.pending, 1),  # the one that asks
        "connections to Auth": (after.to_auth, 0),
        "connections to Studios": (after.to_studios, 0),
        "descriptors": (after.descriptors, before.descriptors + MORE_DESCRIPTORS),
        "tasks": (after.tasks, before.tasks + MORE_TASKS),
        "places of users and addresses": (after.places, 0),
        "objects of Socket.IO": (after.socketio, 0),
        "bytes of memory": (after.memory, max(before.memory, crowded.memory) + MORE_MEMORY),
    }
    return [
        Violation(f"{gateway}: {value:g} {what} are left, at most {most:g} are allowed")
        for what, (value, most) in held.items()
        if value > most
    ]


def _by_connection(journal: Journal) -> dict[str, list[int]]:
    by_connection: dict[str, list[int]] = {}
    for connection, number in journal:
        by_connection.setdefault(connection, []).append(number)
    return by_connection


def _reaching(life: Life, at: float, spells: Sequence[Spell], pauses: Pauses) -> list[Spell]:
    """Return the faults that had a connection in their reach at a time."""
    return [
        spell
        for spell in spells
        if spell.lasts(at, GRACE_SECONDS, pauses) and spell.reaches(life.url, life.studio)
    ]


def _name(life: Life) -> str:
    how = "" if life.ended is None else f" (closed with {life.code} {life.reason!r})"
    return f"the connection through {life.url} to {life.studio or 'no Studio yet'}{how}"


def _difference(got: Sequence[int], expected: Sequence[int]) -> str:
    """Say where two sequences differ first."""
    pairs = enumerate(zip(got, expected, strict=False))
    at = next((index for index, (one, other) in pairs if one != other), min(len(got), len(expected)))
    return (
        f"got {list(got[at : at + 5])} instead of {list(expected[at : at + 5])}, after {at} that were right"
    )
