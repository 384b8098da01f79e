"""Attacks a gateway with default settings, beside 100 good clients that must not notice.

    nox -s attack                        all attacks, one after the other; some minutes
    nox -s attack -- --together          most at the same time, each with a small share; half a minute, as in CI
    nox -s attack -- --only slowloris    one attack, or several
    nox -s attack -- --list              what they do, and what protects the others

The gateway, Auth and two Studios are processes of their own on loopback. Each good client has a user and an address of
its own, and sends a numbered message every 0.2 to 0.3 seconds: 60 over a plain WebSocket, 30 over Socket.IO with all its
transports; 10 send HTTP requests. Beside several attacks at the same time all of them have plain WebSockets, because a
request needs a new connection, and waits behind those of all attacks. Each attack makes at most 500 connects in a second and has
at most 500 open connections; it runs in another process, with a lower priority. An attack holds if

- no good client is refused or closed, and no message of it is lost, doubled or out of order,
- newcomers, ten in a second, connect and get an answer during the attack,
- `/health` and `/ready` are answered, the circuit breaker stays closed and the Studios stay healthy,
- nothing happens that the control against this attack should prevent; each attack says what that is,
- the log has no error, and at most eleven lines a second about the refusals of one address,
- after it, the gateway is at rest: connections, descriptors and all `gateway_*` gauges are as before the first client,
- 99 of 100 round trips of the good clients of each protocol take less than 50 ms more than those of clients that talk to
  the Studios themselves, without a gateway, at the same time: an attack that is admitted is work for the Studios, too.

Before each attack, the same clients are measured without it for a moment. If the p99 of a protocol is more than 5 ms then,
the machine is slow or busy with other work, and the limit is ten times this p99 instead of 50 ms. If it is more than 25 ms
(50 ms for Socket.IO, where the gateway answers at most 50 polls of a client in a second), the machine is too busy: the p99
is shown, but not judged. An attack that fails only by its p99, or that had no time to take place, is
done once more, and the second result counts.

It needs Linux, for addresses below 127.0.0.0/8. The exit code is 0 if all attacks hold, and 1 otherwise.
"""

from __future__ import annotations

import argparse
import asyncio
import inspect
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final

from tests.attack.attacks import ATTACKS
from tests.attack.enemy import REST, Damage
from tests.attack.good import DIRECT, KINDS, Neighbours, Stopwatch, watching
from tests.attack.stage import STEADY, Stage

from loadtests.common.distribution import quantile

CALM_SECONDS: Final = 1.5
"""How long the good clients are measured without an attack."""

JOIN_SECONDS: Final = 60.0
"""How long the good clients may take to connect on a busy machine."""

SETTLE_SECONDS: Final = 0.5
"""Until they have settled after their handshakes."""

LIMIT: Final = 0.05
BUSY: Final = 10
"""The limit of the p99 in seconds, and as a multiple of the p99 without an attack."""

TOO_BUSY: Final = {"WebSocket": 0.025, "Socket.IO": 0.05, "HTTP": 0.025}
"""With a higher p99 without an attack, the machine is too busy to judge the p99 of these clients."""

LEAST: Final = 5
"""An attack with fewer connects or messages has not taken place."""

FINISH_SECONDS: Final = 10.0
SHOWN: Final = 8


@dataclass(frozen=True)
class Times:
    """The round trips of the good clients of one protocol, in seconds.

    Attributes:
        kind: the protocol.
        calm: the p99 without the attack.
        attacked: the p99 during the attack.
        direct: the p99 of clients without a gateway during the attack.
    """

    kind: str
    calm: float
    attacked: float
    direct: float = 0.0

    def __str__(self) -> str:
        busy = ", too busy" * self.busy
        calm, direct = 1000 * self.calm, 1000 * self.direct
        return f"{self.kind} {1000 * self.attacked:.0f} ms (calm {calm:.0f}, direct {direct:.0f}{busy})"

    @property
    def limit(self) -> float:
        """The limit of the p99 on this machine, beside this attack."""
        return max(LIMIT, BUSY * self.calm) + self.direct

    @property
    def busy(self) -> bool:
        """Whether the machine is too busy to judge the p99."""
        return self.calm > TOO_BUSY[self.kind]

    @property
    def late(self) -> bool:
        """Whether the p99 is over its limit."""
        return not self.busy and self.attacked > self.limit


@dataclass
class Verdict:
    """What an attack has done to the good clients.

    Attributes:
        reached: the attack's rates, in words.
        problems: in words, what must not happen.
        times: the round trips by protocol.
        newcomers: how many newcomers were served.
        slowest: the longest time until one of them was served, in seconds.
        cpu: the gateway's CPU seconds in a second of the attack.
        idle: in words, attacks that did not take place.
    """

    reached: str
    problems: list[str] = field(default_factory=list)
    times: Sequence[Times] = ()
    newcomers: int = 0
    slowest: float = 0.0
    cpu: float = 0.0
    idle: list[str] = field(default_factory=list)

    @property
    def late(self) -> bool:
        """Whether a p99 is over its limit."""
        return any(each.late for each in self.times)

    @property
    def holds(self) -> bool:
        """Whether the gateway has held."""
        return not self.problems and not self.late and not self.idle

    def line(self, name: str) -> str:
        """Return a line of the report."""
        return (
            f"{name:<34} {'holds' if self.holds else 'FAILS':<5}  failures {len(self.problems)}, "
            f"p99 {', '.join(map(str, self.times))}, "
            f"{self.newcomers} newcomers <= {1000 * self.slowest:.0f} ms, CPU {100 * self.cpu:.0f} %; {self.reached}"
        )


async def suffer(stage: Stage, names: Sequence[str], seconds: float, rest: float) -> Verdict:
    """Let attacks happen at the same time, and judge."""
    neighbours = Neighbours(stage.ws_url, stage.studio_ws_urls, mixed=len(names) == 1)
    position = stage.log_position()
    async with neighbours.running(JOIN_SECONDS):
        await asyncio.sleep(SETTLE_SECONDS)
        watch = Stopwatch(neighbours)
        await asyncio.sleep(CALM_SECONDS)
        calm = watch.lap()
        used = stage.cpu_seconds()
        async with watching(stage, STEADY) as seen:
            attacking = asyncio.create_task(stage.attack(names, seconds))
            await asyncio.wait({attacking}, timeout=seconds)
            attacked, used = watch.lap(), stage.cpu_seconds() - used
            damage = await attacking  # it looks at what it has done, which costs the Studios time
        verdict = Verdict(
            reached="; ".join(map(str, damage.values())) if len(names) == 1 else total(damage),
            problems=[f"{name}: {words}" for name, each in damage.items() for words in each.failed],
            times=[
                Times(kind, p99(calm[kind]), p99(attacked[kind]), p99(direct_times(kind, attacked)))
                for kind in KINDS
                if calm[kind]
            ],
            newcomers=seen.newcomers,
            slowest=seen.slowest,
            cpu=used / seconds,
        )
        verdict.problems += seen.problems
        if not seen.newcomers:
            verdict.problems.append("no newcomer was served")
        verdict.idle = [f"{name} did not take place: {each}" for name, each in damage.items() if idle(each)]
        try:
            await neighbours.crowd.finish(FINISH_SECONDS)
        except TimeoutError as error:
            verdict.problems.append(str(error))
        verdict.problems += neighbours.harm()
    verdict.problems += await stage.at_rest(rest)
    lasted = max(each.seconds for each in damage.values())
    verdict.problems += stage.logged_since(position, lasted)
    return verdict


def direct_times(kind: str, times: Mapping[str, list[float]]) -> list[float]:
    """Return the times of clients without a gateway that are like those of a protocol; polls are requests, too."""
    of_requests = kind != "WebSocket"
    return times[DIRECT["HTTP" if of_requests else "WebSocket"]]


def p99(times: list[float]) -> float:
    """Return the time that 99 of 100 do not exceed."""
    return quantile(times, 0.99)


def idle(damage: Damage) -> bool:
    """Tell whether an attack had no time to take place, on a machine that is too busy."""
    return damage.connects + damage.sent < LEAST


def total(damage: dict[str, Damage]) -> str:
    """Return the rates of several attacks together, in words."""
    connects = sum(each.connects / max(each.seconds, 0.1) for each in damage.values())
    return (
        f"{len(damage)} attacks, {connects:.0f} connects/s, {sum(x.most_open for x in damage.values())} open"
    )


async def perform(names: Sequence[str], seconds: float, *, together: bool) -> bool:
    """Perform attacks on one stage for each set of settings; return whether all hold."""
    held = True
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(
        signal.SIGTERM, task.cancel
    )  # so that no process is left behind

    def show(name: str, verdict: Verdict) -> None:
        nonlocal held
        held = held and verdict.holds
        print(verdict.line(name), flush=True)
        for words in (verdict.problems + verdict.idle)[:SHOWN]:
            print(f"    {words}")

    names = sorted(names, key=lambda name: sorted(ATTACKS[name].settings.items()))
    for settings, of_stage in groupby(names, key=lambda name: ATTACKS[name].settings):
        group = list(of_stage)
        async with Stage(settings) as stage:
            for name, of_name in (
                [("all together", group)] if together else [(name, [name]) for name in group]
            ):
                lasts = seconds if together else max(seconds, ATTACKS[name].seconds)
                rest = max(ATTACKS[each].rest for each in of_name)
                verdict = await suffer(stage, of_name, lasts, rest)
                if not verdict.problems and not verdict.holds:
                    print(verdict.line(name), "(again)", flush=True)
                    verdict = await suffer(stage, of_name, lasts, rest)
                show(name, verdict)
    return held


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(
        prog="nox -s attack --", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=sorted(ATTACKS), metavar="ATTACK", help="these attacks")
    parser.add_argument("--seconds", type=float, help="how long an attack lasts (default: 4, together 10)")
    parser.add_argument("--together", action="store_true", help="the attacks at the same time")
    parser.add_argument("--list", action="store_true", help="print what the attacks do")
    options = parser.parse_args(arguments)
    # What is held back after a flood takes its time, which is not worth it in CI; tests/net/test_held.py has it, too.
    names = options.only or [n for n in ATTACKS if ATTACKS[n].rest <= REST or not options.together]
    if options.list:
        for name in names:
            print(f"{name}\n    {inspect.getdoc(ATTACKS[name].act)}\n    Threat: {ATTACKS[name].threat}\n")
        return 0
    seconds = options.seconds or (10.0 if options.together else 4.0)
    try:
        return 0 if asyncio.run(perform(names, seconds, together=options.together)) else 1
    except (asyncio.CancelledError, KeyboardInterrupt):
        print("interrupted; every process was ended", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
