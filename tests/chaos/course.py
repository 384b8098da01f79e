"""The course of a chaos run: the people connect, faults come one at a time, everything calms down, and is judged."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Final

from tests.chaos import invariants
from tests.chaos.faults import PAUSE_SECONDS
from tests.chaos.faults.base import Fault
from tests.chaos.invariants import AGAIN_SECONDS, GRACE_SECONDS, LATE_SECONDS, MOVED
from tests.chaos.pauses import Pauses
from tests.chaos.people import People
from tests.chaos.records import Spell, Violation
from tests.chaos.splits import Splits
from tests.chaos.stage import REBALANCE_AFTER_SECONDS, Stage
from tests.chaos.witness import read_journals

from memmie_harness.numbered import Life

LOOK_SECONDS: Final = 0.5
"""Between two looks at what must hold while it runs."""

CONNECT_SECONDS: Final = 60.0
"""How long the crowd may take to connect on a busy machine."""

FINISH_SECONDS: Final = 20.0
"""How long the last acknowledgements may take."""

EMPTY_SECONDS: Final = 25.0
"""How long a gateway may keep what it needs no more: unused connections to Auth stay open for 15 seconds."""

SPLIT_SECONDS: Final = REBALANCE_AFTER_SECONDS + 30.0
"""Spec §3: the home must be calm for REBALANCE_AFTER_SECONDS, then 20 connections a second are moved."""

TOLERANCE: Final = 1.1
"""How much longer than planned the faults may take."""

STALL_SECONDS: Final = 1.5
STALL_WITHIN_SECONDS: Final = 5.0
"""If the run paused for so long in so many seconds, time-outs of the gateway may have passed that say nothing about it:
its pings and health checks may take 3 seconds, and all dials of a client 5."""

VERDICTS: Final = (
    "delivered", "acked", "forwarded", "witnessed", "unnoticed", "told", "refused", "answered", "moves", "splits", "leaks",
    "stopped",
)  # fmt: skip

Say = Callable[[str], None]


class Course:
    """One run.

    Args:
        stage: what is broken.
        people: who must not notice.
        say: prints what happens.

    Attributes:
        spells: the faults so far.
        violations: what was found, by verdict.
        unjudged: what would be violations, if the run had not paused at that time.
        splits: the splits of users.
        pauses: the pauses of the run.
    """

    def __init__(self, stage: Stage, people: People, say: Say) -> None:
        self.spells: list[Spell] = []
        self.violations: dict[str, list[Violation]] = {name: [] for name in VERDICTS}
        self.unjudged: list[Violation] = []
        self.pauses = Pauses()
        self.splits = Splits(SPLIT_SECONDS, pauses=self.pauses)
        self._stage = stage
        self._people = people
        self._say = say
        self._over = float("inf")
        self._late: set[int] = set()

    async def go(self, faults: Sequence[Fault], seconds: float) -> None:
        """Connect the crowd, let the faults come, and judge.

        Args:
            faults: what happens, in this order.
            seconds: how long it may take, about; what is left of the faults on a slow machine does not come.
        """
        background = [
            asyncio.create_task(each)
            for each in (self.pauses.watch(), self._people.come_and_go(), self._look_on())
        ]
        try:
            async with self._people.crowd.running(CONNECT_SECONDS):
                async with asyncio.timeout(CONNECT_SECONDS):
                    while not self._people.all_came:  # noqa: ASYNC110 - it has no event
                        await asyncio.sleep(LOOK_SECONDS)
                self._say("every client and every witness is connected")
                for gateway in self._stage.gateways:
                    gateway.usage_crowded = await gateway.usage(self._stage.http)
                until = time.monotonic() + TOLERANCE * seconds
                for number, fault in enumerate(faults, start=1):
                    if time.monotonic() > until:
                        self._say(f"the time is over: {len(faults) - number + 1} faults are left out")
                        break
                    await self._suffer(fault, f"{number}/{len(faults)}")
                    await asyncio.sleep(PAUSE_SECONDS)
                await self._settle()
        finally:
            for task in background:
                task.cancel()
            done = await asyncio.gather(*background, return_exceptions=True)
        for failed in done:
            if isinstance(failed, Exception):
                raise failed  # a witness that fails, or this program, is no verdict
        self._say("everybody has left: waiting until the gateways hold nothing any more")
        await self._count()
        self._judge()

    async def _suffer(self, fault: Fault, number: str) -> None:
        spell = fault.spell()
        self.spells.append(spell)
        self._say(f"{number} {fault}, for {fault.lasts:.1f} s")
        before = self._counts()
        await fault.begin()
        await asyncio.sleep(fault.lasts)
        await fault.end()
        spell.ended = time.monotonic()
        ends, moves, acks = (now - then for now, then in zip(self._counts(), before, strict=True))
        self._say(
            f"  over: {acks} messages acknowledged, {ends} connections ended, {moves} of them by a move"
        )

    def _counts(self) -> tuple[int, int, int]:
        return self._people.ends, self._people.moves, self._people.acknowledged

    async def _settle(self) -> None:
        """Wait until nobody is split, or for the time in which this must happen, then until all is acknowledged."""
        self._say("calm: waiting until everybody is connected and nobody is split")
        self._people.stay()
        deadline = time.monotonic() + GRACE_SECONDS + AGAIN_SECONDS + SPLIT_SECONDS + 2
        while not self._people.together and time.monotonic() < deadline:  # noqa: ASYNC110 - moves have no event
            await asyncio.sleep(LOOK_SECONDS)
        try:
            await self._people.crowd.finish(FINISH_SECONDS)
        except TimeoutError as error:
            self._violate("acked", [Violation(str(error))])
        for client in self._people.crowd:
            self._violate("acked", invariants.acknowledged_or_ended(client.user_id, client.lives))
        self._over = time.monotonic()  # what ends from here on is ended by the run

    async def _look_on(self) -> None:
        """See what no record shows later: who waits, and who is split."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            now = time.monotonic()
            for person in self._people:
                client = person.client
                if not client.served or id(client.life) in self._late:
                    continue
                found = invariants.late(
                    client.user_id, client.waits, client.life, self.spells, now,
                    bound=LATE_SECONDS + person.may_wait, pauses=self.pauses,
                )  # fmt: skip
                if found:
                    self._late.add(id(client.life))
                    self._violate("unnoticed", found)
            calm = not any(spell.lasts(now, GRACE_SECONDS, self.pauses) for spell in self.spells)
            self._violate("splits", self.splits.see(now, self._people.split, self._people.moved, calm=calm))

    async def _count(self) -> None:
        """Ask the gateways what they hold now that all clients have left."""
        for gateway in self._stage.gateways:
            deadline = time.monotonic() + EMPTY_SECONDS
            while True:
                after = await gateway.usage(self._stage.http)
                before, crowded = gateway.usage_before, gateway.usage_crowded
                assert before is not None
                found = invariants.leaks(gateway.name, before, crowded or before, after)
                if not found or time.monotonic() > deadline:
                    break
                await asyncio.sleep(LOOK_SECONDS)
            self._say(f"{gateway.name} before: {before}")
            self._say(f"{gateway.name} now:    {after}")
            self._violate("leaks", found)
            gateway.moves += await gateway.count_moves(self._stage.http)

    def _judge(self) -> None:
        journals = read_journals(self._stage.folder)
        moves = 0
        for person in self._people:
            user, lives, journal = person.user, person.client.lives, journals.get(person.user, [])
            ended = [life for life in person.lives if (life.ended or self._over) < self._over]
            moves += sum(life.close == MOVED and not self._ended_with_its_gateway(life) for life in ended)
            self._violate("delivered", invariants.delivered(user, lives, journal))
            self._violate("delivered", [Violation(problem) for problem in person.client.problems()])
            self._violate("witnessed", invariants.watched(user, person.witness.watches))
            self._violate("forwarded", invariants.forwarded(user, lives, journal, self.spells, self.pauses))
            self._violate_unless_stalled(
                "unnoticed", invariants.unnoticed(user, ended, self.spells, self.pauses)
            )
            self._violate_unless_stalled("told", invariants.told(user, ended, self.spells, self.pauses))
            self._violate_unless_stalled(
                "refused", invariants.refused(user, person.refusals, self.spells, self.pauses)
            )
        for caller in self._people.callers:
            user, calls = caller.user_id, caller.calls
            self._violate_unless_stalled(
                "answered", invariants.answered(user, calls, self.spells, self._over, self.pauses)
            )
            self._violate("answered", invariants.posted(user, calls, journals.get(user, [])))
        counted = sum(gateway.moves for gateway in self._stage.gateways)
        self._violate("moves", invariants.moves_counted(moves, counted))

    def _ended_with_its_gateway(self, life: Life) -> bool:
        """Tell whether a gateway was ended about when it ended this connection, perhaps after it was asked for its moves."""
        assert life.ended is not None
        return any(
            spell.ends and life.url in spell.gateways and spell.lasts(life.ended, GRACE_SECONDS, self.pauses)
            for spell in self.spells
        )

    def _violate(self, verdict: str, found: Sequence[Violation]) -> None:
        self.violations[verdict] += found

    def _violate_unless_stalled(self, verdict: str, found: Sequence[Violation]) -> None:
        for violation in found:
            at = violation.at
            if at is not None and self.pauses.within(at - STALL_WITHIN_SECONDS, at) >= STALL_SECONDS:
                self.unjudged.append(violation)
            else:
                self._violate(verdict, [violation])
