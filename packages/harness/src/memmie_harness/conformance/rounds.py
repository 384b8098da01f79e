"""Running tests that share a gateway: if it ends meanwhile, the guilty test is found, and it is started again for the rest."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Final

from memmie_harness.conformance.model import ConformanceTest, Evidence, Outcome, Result
from memmie_harness.conformance.stack import Stack

SETTLE_SECONDS: Final = 0.5
"""The end of a process is known within this time; until then, the result of a test does not count."""

CRASHES_AT_MOST: Final = 5
"""After so many crashes, the tests that are left run one at a time, because each crash costs a rerun of those that ran."""

Start = Callable[[], AbstractAsyncContextManager[Stack | str]]
"""Starts a stack, or says why it does not start."""

RunOne = Callable[[ConformanceTest, Stack], Awaitable[Result]]
"""Runs one test with a running stack."""

Note = Callable[[Result], None]
"""Takes a result."""


def unstarted(test: ConformanceTest, problem: str) -> Result:
    """Return the result of a test without a running gateway."""
    return Result(test, Outcome.ERROR, Evidence(seen=problem))


class Rounds:
    """Runs tests in rounds, each with one gateway; a round ends when no test waits, or when the gateway has ended.

    Args:
        tests: the tests.
        start: starts the gateway of a round.
        run_one: runs one test.
        note: called with each result.
    """

    def __init__(self, tests: Iterable[ConformanceTest], start: Start, run_one: RunOne, note: Note) -> None:
        self._waiting = deque(tests)
        self._start = start
        self._run_one = run_one
        self._note = note
        self._crashes = 0

    async def serve(self, at_a_time: int) -> None:
        """Run what waits, so many tests at the same time; several calls can share the tests."""
        while self._waiting and self._crashes < CRASHES_AT_MOST:
            async with self._start() as stack:
                if isinstance(stack, str):
                    break
                a_round = _Round(stack, self._waiting, self._run_one, self._note)
                ending = await a_round.run(at_a_time)
            if ending is not None:
                self._crashes += 1
                await self._judge(a_round.held, ending)
        await alone(self._waiting, self._start, self._run_one, lambda result, _: self._note(result))

    async def _judge(self, held: Sequence[Result], ending: str) -> None:
        """Find out which of the tests that ran at the end of the gateway ends it, by running each alone."""
        disturbed = [result.test for result in held if result.outcome is not Outcome.PASSED]
        unsuspicious = [result for result in held if result.outcome is Outcome.PASSED]
        again, is_guilty = await self._alone(disturbed)
        if not is_guilty:
            passed_again, is_guilty = await self._alone([result.test for result in unsuspicious])
            if not disturbed:
                again, passed_again = passed_again, []
            unsuspicious = passed_again
        for result in again:
            if not is_guilty and result.outcome is not Outcome.ERROR:
                result = replace(result, outcome=Outcome.ERROR, evidence=_open(again, ending))  # noqa: PLW2901
            self._note(result)
        for result in unsuspicious:
            self._note(result)

    async def _alone(self, tests: Sequence[ConformanceTest]) -> tuple[list[Result], bool]:
        """Run tests alone; return their results, and whether one of them ends the gateway."""
        results: list[Result] = []
        crashes: list[bool] = []

        def keep(result: Result, is_guilty: bool) -> None:  # noqa: FBT001 - a callback
            results.append(result)
            crashes.append(is_guilty)

        await alone(deque(tests), self._start, self._run_one, keep)
        return results, any(crashes)


class _Round:
    """Tests at the same time with one gateway.

    Args:
        stack: the gateway.
        waiting: the tests; those that are begun are taken away.
        run_one: runs one test.
        note: called with each result that counts, because the gateway still ran a moment later.
    """

    def __init__(self, stack: Stack, waiting: deque[ConformanceTest], run_one: RunOne, note: Note) -> None:
        self._stack = stack
        self._waiting = waiting
        self._run_one = run_one
        self._note = note
        self._held: deque[tuple[float, Result]] = deque()

    @property
    def held(self) -> list[Result]:
        """The results that do not count, because the gateway ended during these tests or right behind them."""
        return [result for _, result in self._held]

    async def run(self, at_a_time: int) -> str | None:
        """Run tests; return how the gateway ended, or None if it still runs."""
        async with asyncio.TaskGroup() as group:
            for _ in range(at_a_time):
                group.create_task(self._work())
        ending = await self._stack.survey()
        if ending is None:
            self._count(asyncio.get_running_loop().time())
        return ending

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting and not self._stack.has_ended:
            result = await self._run_one(self._waiting.popleft(), self._stack)
            self._held.append((loop.time(), result))
            if result.outcome is not Outcome.PASSED:
                # A connection ends before the process has: the next test must not meet a gateway that is gone.
                await self._stack.survey()
            if not self._stack.has_ended:
                self._count(loop.time() - SETTLE_SECONDS)

    def _count(self, before: float) -> None:
        """Note the results of the tests that ended before this time of the loop."""
        while self._held and self._held[0][0] <= before:
            self._note(self._held.popleft()[1])


async def alone(
    waiting: deque[ConformanceTest],
    start: Start,
    run_one: RunOne,
    note: Callable[[Result, bool], None],
) -> None:
    """Run tests one at a time, and start the gateway again behind each that ends it.

    Args:
        waiting: the tests; none is left.
        start: starts a gateway.
        run_one: runs one test.
        note: called with each result, and whether the test has ended the gateway.
    """
    while waiting:
        async with start() as stack:
            ending: str | None = None
            while waiting and ending is None:
                test = waiting.popleft()
                if isinstance(stack, str):
                    note(unstarted(test, stack), False)  # noqa: FBT003 - a callback
                    continue
                result = await run_one(test, stack)
                ending = await stack.survey()
                note(result if ending is None else _guilty(result, ending), ending is not None)


def _guilty(result: Result, ending: str) -> Result:
    """Return the result of a test that ends the gateway."""
    evidence = result.evidence
    if result.outcome is Outcome.PASSED:  # its rule was kept, so this is no failure of it
        seen = f"the test passed, but the gateway did not survive the end of its connections, which are reset; {ending}"
        return replace(result, outcome=Outcome.ERROR, evidence=Evidence(evidence.exchange, seen=seen))
    seen = f"{ending}\n(the test expected: {evidence.expected}; it saw: {evidence.seen})"
    return replace(
        result,
        outcome=Outcome.FAILED,
        evidence=Evidence(evidence.exchange, "the gateway keeps running", seen),
    )


def _open(results: Sequence[Result], ending: str) -> Evidence:
    """Return the evidence of tests of which none ends the gateway when it runs alone."""
    names = ", ".join(result.test.id for result in results)
    what, _, lines = ending.partition("\n")
    return Evidence(
        seen=f"the gateway ended while these tests ran, and none of them ends it alone: {names}; {what}\n{lines}"
    )


async def judged(test: ConformanceTest, start: Start, run_one: RunOne, ending: str, *, before: str) -> Result:
    """Run a test again, alone, because the gateway ended during it, or behind the test before it.

    Args:
        test: the test.
        start: starts a gateway.
        run_one: runs the test.
        ending: how the gateway ended.
        before: the id of the test before it; empty if there is none.
    """
    results: list[tuple[Result, bool]] = []
    await alone(deque([test]), start, run_one, lambda *result: results.append(result))
    [(result, is_guilty)] = results
    if is_guilty:
        return result
    where = f"during this test or behind {before}" if before else "during this test"
    seen = f"the gateway ended {where}, and this test does not end it alone; {ending}"
    return replace(result, outcome=Outcome.ERROR, evidence=Evidence(seen=seen))
