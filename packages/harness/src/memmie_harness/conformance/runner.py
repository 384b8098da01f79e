"""Running tests against one gateway: several at a time, and each with the setup that it needs."""

from __future__ import annotations

import asyncio
import contextlib
import time
import traceback
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Final

from memmie_harness.conformance import installed, template
from memmie_harness.conformance.known import with_note
from memmie_harness.conformance.lab import Lab
from memmie_harness.conformance.model import (
    ConformanceTest,
    Evidence,
    Outcome,
    Report,
    Result,
    Violation,
)
from memmie_harness.conformance.profile import Profile, Setup
from memmie_harness.conformance.rounds import Rounds, unstarted
from memmie_harness.conformance.stack import Launch, Stack
from memmie_harness.targets.command import find_program, search_path
from memmie_harness.targets.errors import TargetError
from memmie_harness.targets.process import PIPE_SECONDS, clean_environment, kill_group

AT_A_TIME: Final = 8
"""How many tests run at the same time against one gateway; most of them wait for sockets."""

ONE_AT_A_TIME_GATEWAYS: Final = 4
"""How many gateways run side by side if each can run one test at a time."""

GATEWAYS_AT_A_TIME: Final = 2
"""How many tests with a gateway of their own run at the same time."""

VERSION_SECONDS: Final = 20.0
"""How long the version command may take."""

USUAL_PATIENCE: Final = 5.0
"""The patience in seconds for which the tests' own times are meant."""

OnResult = Callable[[Result], None]
"""Called with each result as soon as it is there."""


async def run(
    profile: Profile,
    tests: Sequence[ConformanceTest],
    *,
    versions: Mapping[str, str] | None = None,
    launch: Launch | None = None,
    on_result: OnResult = lambda _: None,
) -> Report:
    """Run tests against the gateway of a profile.

    Args:
        profile: the gateway.
        tests: the tests to run.
        versions: what the report says about versions.
        launch: makes the gateways, by default by the commands of the profile.
        on_result: called with each result; not in the order of the tests.

    Returns:
        the results, in the order of the tests.
    """
    results: dict[str, Result] = {}

    def note(result: Result) -> None:
        result = with_note(profile, result)
        results[result.test.id] = result
        on_result(result)

    chosen: dict[str, list[ConformanceTest]] = {setup.name: [] for setup in profile.setups}
    for test in tests:
        planned = plan(profile, test)
        if isinstance(planned, Result):
            note(planned)
        else:
            chosen[planned.name].append(test)
    for setup in profile.setups:
        shared = [test for test in chosen[setup.name] if not test.own_gateway]
        own = [test for test in chosen[setup.name] if test.own_gateway]
        await _run_shared(setup, shared, launch, note)
        await _run_own(setup, own, launch, note)
    return Report(profile.name, dict(versions or {}), [results[test.id] for test in tests])


def plan(profile: Profile, test: ConformanceTest) -> Setup | Result:
    """Return the setup that a test runs with, or its result if the gateway does not claim to pass it."""
    setup = profile.setup_for(test.needs)
    if setup is None:
        missing = sorted(need for need in test.needs if not profile.main.offers_all([need]))
        why = f"the profile does not offer {', '.join(missing)}"
    elif test.own_gateway and setup.start.url:
        why = "the kit cannot start a gateway of its own"
    else:
        return setup
    return Result(test, Outcome.NOT_OFFERED, Evidence(seen=why))


async def _run_shared(
    setup: Setup, tests: Sequence[ConformanceTest], launch: Launch | None, note: OnResult
) -> None:
    """Run tests that share a gateway; where a gateway can run one at a time, run several gateways."""
    rounds = Rounds(tests, lambda: running(setup, launch), run_test, note)
    if setup.start.one_at_a_time and not setup.start.url:
        await _all(rounds.serve(1) for _ in range(min(len(tests), ONE_AT_A_TIME_GATEWAYS)))
    elif tests:
        await rounds.serve(1 if setup.start.one_at_a_time else AT_A_TIME)


async def _run_own(
    setup: Setup, tests: Sequence[ConformanceTest], launch: Launch | None, note: OnResult
) -> None:
    """Run tests that need a gateway each."""
    turns = asyncio.Semaphore(GATEWAYS_AT_A_TIME)

    async def one(test: ConformanceTest) -> None:
        async with turns, running(setup, launch) as stack:
            if isinstance(stack, str):
                note(unstarted(test, stack))
            else:
                note(await with_crash(await run_test(test, stack), stack))

    await _all(one(test) for test in tests)


async def with_crash(result: Result, stack: Stack) -> Result:
    """Return the result of a test with a gateway of its own; if this gateway has crashed, a failure says so."""
    if result.outcome is not Outcome.FAILED:
        return result
    ending = await stack.survey()
    if ending is None or stack.was_stopped:
        return result
    return replace(result, evidence=replace(result.evidence, seen=f"{result.evidence.seen}; {ending}"))


async def _all(coroutines: Iterable[object]) -> None:
    """Run coroutines at the same time; the first exception ends all of them."""
    try:
        async with asyncio.TaskGroup() as group:
            for coroutine in coroutines:
                assert asyncio.iscoroutine(coroutine)
                group.create_task(coroutine)
    except BaseExceptionGroup as errors:
        raise errors.exceptions[
            0
        ] from None  # such as a `BrokenPipeError` of the output, which the others have, too


@asynccontextmanager
async def running(setup: Setup, launch: Launch | None) -> AsyncIterator[Stack | str]:
    """Start a stack, or yield why it does not start."""
    async with AsyncExitStack() as resources:
        stack: Stack | str
        try:
            stack = await resources.enter_async_context(Stack(setup, launch))
        except (TargetError, OSError) as error:
            stack = f"the gateway could not be started with the setup {setup.name!r}: {error}"
        yield stack


async def run_test(test: ConformanceTest, stack: Stack) -> Result:
    """Run one test with a running stack, and return its result; only a cancellation is raised."""
    started = time.monotonic()
    outcome, evidence = Outcome.PASSED, Evidence()
    async with Lab(stack) as lab:
        # Who waits longer for single bytes gives the whole test more time, too.
        seconds = test.seconds * max(1.0, lab.patience / USUAL_PATIENCE)
        try:
            async with asyncio.timeout(seconds):
                await test.body(lab)
            evidence = lab.evidence()
        except Violation as violation:
            outcome, evidence = Outcome.FAILED, lab.evidence(violation.expected, violation.seen)
        except TimeoutError:
            outcome = Outcome.FAILED
            evidence = lab.evidence(f"the test ends within {seconds:g} s", "it did not end")
        except ConnectionError as error:
            outcome = Outcome.FAILED
            evidence = lab.evidence("the gateway keeps the connection", str(error))
        except Exception:  # noqa: BLE001 - a defect of a test must not end the run
            outcome, evidence = Outcome.ERROR, lab.evidence(seen=traceback.format_exc())
    return Result(test, outcome, evidence, time.monotonic() - started)


async def version_of(profile: Profile) -> str:
    """Return the first line that the version command of a profile writes, or its image; empty if there is none.

    The command may write to standard output or to standard error.
    """
    if profile.main.start.runs_image:  # the command would run the program of this machine
        return f"image {profile.main.start.image}"
    if not profile.version:
        return ""
    environment = clean_environment({"PATH": search_path()})
    try:
        values = installed.values(profile.main.start)
        program, *arguments = [template.render(word, values) for word in profile.version]
        process = await asyncio.create_subprocess_exec(
            str(find_program(program, environment["PATH"], profile.main.start.folder)),
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=environment,
            cwd=profile.main.start.folder,
            start_new_session=True,
        )
    except (TargetError, OSError):
        return ""
    assert process.stdout is not None
    try:
        async with asyncio.timeout(VERSION_SECONDS):
            # A program need not end, and a child of it may keep the pipe open.
            line = b""
            while not line.strip() and (line := await process.stdout.readline()):
                pass
    except (TimeoutError, ValueError):  # nothing, or a line that is longer than a version
        return ""
    finally:
        kill_group(process.pid)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PIPE_SECONDS):
                await process.wait()
    return line.decode("utf-8", "replace").strip()
