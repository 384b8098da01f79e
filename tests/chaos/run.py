"""Breaks Studios, Auth, names and gateways under 200 clients, and judges whether anything was lost, doubled or leaked.

    nox -s chaos                         two minutes, as in CI
    nox -s chaos -- --minutes 10         longer: each kind of fault comes several times
    nox -s chaos -- --seed 7             the run with this seed again
    nox -s chaos -- --only GatewayFrozen --minutes 1     one kind of fault only
    nox -s chaos -- --list               all kinds of faults

200 users have two connections each, through two gateways to three or four Studios. One sends numbered messages; the
other, the witness, gets an event for each of them, and leaves and comes back now and then. Everything runs on loopback
as processes of its own. Faults come one at a time. The seed decides order, targets and durations; it is printed first,
together with the schedule. But processes and sockets have their own timing, so two runs with one seed are alike, not
equal.

The verdicts at the end:

    delivered   nothing acknowledged is missing in the Studios' journals, and nothing is there twice
    acked       each message without acknowledgement was sent on a connection whose end its client saw
    witnessed   a witness gets each event of its connection once, in order, without a gap
    unnoticed   a connection ends, or is late, only in the reach of a fault that may cost this, or by a move
    refused     a client is refused only during a fault that may cost this
    moves       every move that a client saw is counted in the metric
    splits      no user is split for longer than documented, when there is no fault
    leaks       without clients, the gateways hold no connection, descriptor, task or memory more than before
    stopped     a gateway that is told to end does so in time, with exit code 0

`faults.py` has the faults and what each may cost, `stage.py` the processes, `link.py` the relays that cut connections,
`witness.py` the witnesses, and `invariants.py` the verdicts. It needs Linux. The exit code is 0 if all verdicts hold,
1 if not, and 2 for an invalid argument. The journals and logs are kept if a verdict does not hold; the last line says
where.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import aiohttp
from tests.chaos import invariants
from tests.chaos.faults import FAULTS, PAUSE_SECONDS, Fault, StudioAdded, StudioRemoved, schedule
from tests.chaos.invariants import AGAIN_SECONDS, GRACE_SECONDS, MOVED, Spell, Splits
from tests.chaos.stage import REBALANCE_AFTER_SECONDS, Stage, StageError
from tests.chaos.witness import Witness, read_journals

from memmie_harness.numbered import Crowd, NumberedClient
from memmie_harness.targets.errors import TargetError

CLIENTS: Final = 200
EVERY_SECONDS: Final = 1.0
"""Between two messages of a client."""

LOOK_SECONDS: Final = 0.5
"""Between two looks at what must hold while it runs."""

CONNECT_SECONDS: Final = 60.0
"""How long the crowd may take to connect on a busy machine."""

FINISH_SECONDS: Final = 20.0
"""How long the last acknowledgements may take."""

EMPTY_SECONDS: Final = 25.0
"""How long a gateway may keep what it needs no more: unused connections to Auth stay open for 15 seconds."""

LAG_SECONDS: Final = 1.0
"""A run whose own event loop was late by this much says so, because the machine was too busy for its verdicts."""

SPLIT_SECONDS: Final = REBALANCE_AFTER_SECONDS + 30.0
"""Spec §3: the home must be calm for REBALANCE_AFTER_SECONDS, then 20 connections a second are moved."""

VERDICTS: Final = (
    "delivered", "acked", "witnessed", "unnoticed", "refused", "moves", "splits", "leaks", "stopped",
)  # fmt: skip

SHOWN: Final = 5
"""How many violations of one kind are printed."""


class Run:
    """One run.

    Args:
        stage: what is broken.
        rng: decides everything that is not timing.
    """

    def __init__(self, stage: Stage, rng: random.Random) -> None:
        self.stage = stage
        self.spells: list[Spell] = []
        self.violations: dict[str, list[str]] = {name: [] for name in VERDICTS}
        self.splits = Splits(SPLIT_SECONDS)
        self.lag = 0.0
        self.began = time.monotonic()
        self._over = float("inf")
        self._late: set[int] = set()
        self._crowd = Crowd([])
        self._witnesses: list[Witness] = []
        self._rng = rng

    def people(self) -> None:
        """Make the clients and their witnesses; each begins at another gateway than the other."""
        clients = []
        for index in range(CLIENTS):
            user, token = f"user-{index}", self.stage.token(f"user-{index}")
            clients.append(NumberedClient(user, token, self._rotation(index), every=EVERY_SECONDS))
            seed = random.Random(self._rng.random())  # noqa: S311 - no secret depends on it
            self._witnesses.append(Witness(user, token, self._rotation(index + 1), seed))
        self._crowd = Crowd(clients)

    def _rotation(self, first: int) -> Callable[[], str]:
        attempts = iter(range(first, sys.maxsize))
        return lambda: self.stage.gateways[next(attempts) % len(self.stage.gateways)].ws_url

    async def go(self, faults: Sequence[Fault]) -> None:
        """Connect the crowd, let the faults come, and judge."""
        self.people()
        watching = [asyncio.create_task(witness.run()) for witness in self._witnesses]
        looking = asyncio.create_task(self._look_on())
        try:
            async with self._crowd.running(CONNECT_SECONDS):
                self._say(f"{CLIENTS} clients and {CLIENTS} witnesses are connected")
                for gateway in self.stage.gateways:
                    gateway.usage_crowded = await gateway.usage(self.stage.http)
                for fault in faults:
                    await self._suffer(fault)
                    await asyncio.sleep(PAUSE_SECONDS)
                await self._settle()
            looking.cancel()
        finally:
            for task in (*watching, looking):
                task.cancel()
            await asyncio.gather(*watching, looking, return_exceptions=True)
        await self._count()
        self._judge()

    async def _suffer(self, fault: Fault) -> None:
        spell = fault.spell()
        self.spells.append(spell)
        self._say(f"{fault}, for {fault.lasts:.1f} s")
        lives, acks = self._ends(), self._acknowledged()
        await fault.begin()
        await asyncio.sleep(fault.lasts)
        await fault.end()
        spell.ended = time.monotonic()
        self._say(f"  over: {self._ends() - lives} connections ended, {self._acknowledged() - acks} acks")

    async def _settle(self) -> None:
        """Wait until nobody is split, or for the time in which this must happen, then until all is acknowledged."""
        self._say("calm: waiting until no user is split")
        for witness in self._witnesses:
            witness.stay()
        deadline = time.monotonic() + GRACE_SECONDS + SPLIT_SECONDS + 2
        while self._may_be_moved() and time.monotonic() < deadline:  # noqa: ASYNC110 - moves have no event
            await asyncio.sleep(LOOK_SECONDS)
        try:
            await self._crowd.finish(FINISH_SECONDS)
        except TimeoutError as error:
            self.violations["acked"].append(str(error))
        for client in self._crowd:
            self._violate("acked", invariants.acknowledged_or_ended(client.user_id, client.lives))
        self._over = time.monotonic()  # what ends from here on is ended by the run

    async def _look_on(self) -> None:
        while True:
            slept = time.monotonic()
            await asyncio.sleep(LOOK_SECONDS)
            now = time.monotonic()
            self.lag = max(self.lag, now - slept - LOOK_SECONDS)
            for client in self._crowd:
                if client.served and id(client.life) not in self._late:
                    found = invariants.late(client.user_id, client.waits, client.life, self.spells, now)
                    if found:
                        self._late.add(id(client.life))
                        self._violate("unnoticed", found)
            calm = not any(spell.lasts(now) for spell in self.spells)
            self._violate("splits", self.splits.see(now, self._split(), self._moved(), calm=calm))

    def _split(self) -> set[str]:
        """The users whose two connections are on two Studios now."""
        split = set()
        for client, witness in zip(self._crowd, self._witnesses, strict=True):
            life = witness.life
            if client.served and life is not None and life.studio and life.studio != client.life.studio:
                split.add(client.user_id)
        return split

    def _may_be_moved(self) -> set[str]:
        """The users who are split, and were not moved in the last ten minutes."""
        moved, since = self._moved(), time.monotonic() - AGAIN_SECONDS
        return {user for user in self._split() if moved.get(user, since) <= since}

    def _moved(self) -> dict[str, float]:
        moved: dict[str, float] = {}
        for client, witness in zip(self._crowd, self._witnesses, strict=True):
            for life in (*client.lives, *witness.noticed):
                if life.ended is not None and life.close == MOVED:
                    moved[client.user_id] = max(moved.get(client.user_id, 0.0), life.ended)
        return moved

    async def _count(self) -> None:
        """Ask the gateways what they hold now that all clients have left."""
        for gateway in self.stage.gateways:
            deadline = time.monotonic() + EMPTY_SECONDS
            while True:
                after = await gateway.usage(self.stage.http)
                before, crowded = gateway.usage_before, gateway.usage_crowded
                assert before is not None
                found = invariants.leaks(gateway.name, before, crowded or before, after)
                if not found or time.monotonic() > deadline:
                    break
                await asyncio.sleep(LOOK_SECONDS)
            self._violate("leaks", found)
            gateway.moves += await gateway.count_moves(self.stage.http)

    def _judge(self) -> None:
        journals = read_journals(self.stage.folder)
        moves = 0
        for client, witness in zip(self._crowd, self._witnesses, strict=True):
            user, lives = client.user_id, client.lives
            ended = [life for life in (*lives, *witness.noticed) if (life.ended or self._over) < self._over]
            moves += sum(life.close == MOVED for life in ended)
            self._violate("delivered", invariants.delivered(user, lives, journals.get(user, [])))
            self._violate("delivered", client.problems())
            self._violate("witnessed", invariants.watched(user, witness.watches))
            self._violate("unnoticed", invariants.unnoticed(user, ended, self.spells))
            self._violate("refused", invariants.refused(user, client.refusals, self.spells))
            self._violate("refused", invariants.refused(user, witness.refusals, self.spells))
        counted = sum(gateway.moves for gateway in self.stage.gateways)
        self._violate("moves", invariants.moves_counted(moves, counted))

    def report(self) -> bool:
        """Print the verdicts; return whether all hold."""
        self._violate("stopped", self.stage.problems)
        lives = [life for client in self._crowd for life in client.lives]
        events = sum(len(watch.sequence) for witness in self._witnesses for watch in witness.watches)
        print(
            f"\n{sum(len(life.sent) for life in lives)} messages sent, {self._acknowledged()} acknowledged, "
            f"{events} events witnessed; {len(lives)} connections of clients, "
            f"{sum(len(witness.watches) for witness in self._witnesses)} of witnesses; "
            f"longest split {self.splits.longest:.1f} s; own event loop late by {self.lag:.2f} s at most\n"
        )
        for name, found in self.violations.items():
            print(f"{name:<10} {'holds' if not found else f'VIOLATED {len(found)} times'}")
            for line in found[:SHOWN]:
                print(f"           {self._in_words(line)}")
        if self.splits.exempt:
            print(
                f"not judged: {len(self.splits.exempt)} users were split after a move; the next move is due after 10 minutes"
            )
        if self.lag > LAG_SECONDS:
            print("the machine was busy: late acknowledgements and refusals may be its fault")
        return not any(self.violations.values())

    def _in_words(self, line: str) -> str:
        """Replace addresses by names, and times by seconds since the start."""
        for gateway in self.stage.gateways:
            line = line.replace(gateway.ws_url, gateway.name)
        return re.sub(r" at (\d+\.\d)", lambda at: f" at {float(at[1]) - self.began:.1f} s", line)

    def _violate(self, verdict: str, found: Sequence[str]) -> None:
        self.violations[verdict] += found

    def _ends(self) -> int:
        lives = [life for client in self._crowd for life in client.lives]
        lives += [life for witness in self._witnesses for life in witness.noticed]
        return sum(life.ended is not None for life in lives)

    def _acknowledged(self) -> int:
        return sum(client.acknowledged for client in self._crowd)

    def _say(self, words: str) -> None:
        print(f"{time.monotonic() - self.began:6.1f} s  {words}", flush=True)


def _already_ending() -> None:
    """Take a second Ctrl-C, so that no process is left behind."""
    print("every process is being ended, wait", file=sys.stderr)


async def perform(folder: Path, seed: int, seconds: float, only: str | None) -> bool:
    """Run once; return whether all verdicts hold."""
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    rng = random.Random(seed)  # noqa: S311 - no secret depends on it
    stage = Stage(folder)
    faults = schedule(stage, rng, seconds, only)
    print(f"seed {seed}, {len(faults)} faults:")
    for fault in faults:
        print(f"  {fault}, {fault.lasts:.1f} s")
    run = Run(stage, rng)
    try:
        await stage.start()
        run.began = time.monotonic()
        await run.go(faults)
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, _already_ending)
        await stage.stop()
    return run.report()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(
        prog="nox -s chaos --", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = {kind.__name__: kind for kind in (*FAULTS, StudioAdded, StudioRemoved)}
    parser.add_argument("--minutes", type=float, default=2.0, help="how long faults come (default: 2)")
    parser.add_argument("--seed", type=int, help="repeat the run with this seed (default: a new one)")
    parser.add_argument("--only", choices=sorted(names), metavar="FAULT", help="only this kind of fault")
    parser.add_argument("--list", action="store_true", help="print all kinds of faults")
    options = parser.parse_args(arguments)
    if options.list:
        for name, kind in names.items():
            costs = [cost for cost in ("ends", "late", "refused") if getattr(kind, cost)]
            print(
                f"{name:<18} {(kind.__doc__ or '').splitlines()[0]} May cost: {', '.join(costs) or 'nothing'}."
            )
        return 0
    if options.minutes <= 0:
        parser.error("--minutes must be more than 0")
    seed = random.SystemRandom().randrange(10_000) if options.seed is None else options.seed
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    held = False
    try:
        held = asyncio.run(perform(folder, seed, 60 * options.minutes, options.only))
    except (StageError, TargetError, aiohttp.ClientError, TimeoutError) as error:
        print(f"the run could not go on: {error!r}", file=sys.stderr)
    except asyncio.CancelledError:
        print("interrupted; everything was ended", file=sys.stderr)
        shutil.rmtree(folder)
        return 130
    if held:
        shutil.rmtree(folder)
    else:
        print(
            f"repeat: nox -s chaos -- --seed {seed} --minutes {options.minutes:g}; journals and logs: {folder}"
        )
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
