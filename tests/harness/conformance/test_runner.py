"""The runner, with a gateway that is nothing but a listener, and with tests that are made for it."""

from __future__ import annotations

import asyncio

import pytest

from memmie_harness.conformance.checks import equal
from memmie_harness.conformance.lab import Lab
from memmie_harness.conformance.model import ConformanceTest, Level, Outcome, Result, Violation
from memmie_harness.conformance.profile import Profile, Setup, Start
from memmie_harness.conformance.runner import run
from memmie_harness.conformance.stack import Stack
from memmie_harness.targets import TargetError

PROFILE = Profile(
    "gw",
    "gw",
    [Setup("main", Start(patience_seconds=1), {}), Setup("other", Start(patience_seconds=1), {"auth": True})],
)


class Listener:
    """A gateway that answers nothing."""

    made: list[Listener]
    starts = True

    def __init__(self, setup: Setup, stack: Stack) -> None:
        self.setup = setup
        self.stack = stack
        self.url = "http://127.0.0.1:1"
        self.runs = False
        self.made.append(self)

    async def start(self) -> None:
        if not self.starts:
            raise TargetError("it has no wheels")
        self.runs = True

    async def stop(self) -> None:
        self.runs = False

    def log_tail(self, lines: int = 50) -> str:
        return "line\n" * lines


def fresh() -> type[Listener]:
    return type("Fresh", (Listener,), {"made": []})


def case(
    name: str, body: object, *needs: str, own_gateway: bool = False, seconds: float = 5
) -> ConformanceTest:
    assert callable(body)
    return ConformanceTest(
        f"group/{name}",
        name,
        "RFC 1 §1",
        Level.MUST,
        frozenset(needs),
        body,
        own_gateway=own_gateway,
        seconds=seconds,
    )


async def passes(lab: Lab) -> None:
    assert lab.token


async def test_each_outcome() -> None:
    async def fails(lab: Lab) -> None:
        raise Violation("an answer", f"the token {lab.token}")

    async def breaks(lab: Lab) -> None:
        raise LookupError(f"oh {lab.token}")

    async def hangs(_: Lab) -> None:
        await asyncio.get_running_loop().create_future()

    seen: list[str] = []
    report = await run(
        PROFILE,
        [
            case("passes", passes),
            case("fails", fails),
            case("breaks", breaks),
            case("hangs", hangs, seconds=0.05),
            case("wings", passes, "sticky"),
        ],
        launch=fresh(),
        on_result=lambda result: seen.append(result.test.id),
    )

    outcomes = [str(result.outcome) for result in report.results]
    assert outcomes == ["passed", "failed", "error", "failed", "not_offered"]
    assert sorted(seen) == sorted(result.test.id for result in report.results)
    failed, broken, hung, wings = (result.evidence for result in report.results[1:])
    assert failed.expected == "an answer"
    assert failed.seen.startswith("the token [token ")
    assert "LookupError: oh [token " in broken.seen
    assert hung.expected == "the test ends within 0.05 s"
    assert wings.seen == "the profile does not offer sticky"


async def test_tests_share_a_gateway_unless_they_need_their_own() -> None:
    gateways = fresh()
    tests = [
        case("a", passes),
        case("b", passes),
        case("c", passes, "auth"),
        case("d", passes, own_gateway=True),
    ]

    report = await run(PROFILE, tests, launch=gateways)

    assert report.conforms
    assert [gateway.setup.name for gateway in gateways.made] == ["main", "main", "other"]
    assert not any(gateway.runs for gateway in gateways.made)


async def test_a_gateway_that_does_not_start_is_an_error_of_each_test() -> None:
    gateways = fresh()
    gateways.starts = False

    report = await run(PROFILE, [case("a", passes), case("b", passes, own_gateway=True)], launch=gateways)

    assert [result.outcome for result in report.results] == [Outcome.ERROR, Outcome.ERROR]
    assert "with the setup 'main': it has no wheels" in report.results[0].evidence.seen


async def test_a_cancelled_run_stops_the_gateway() -> None:
    gateways = fresh()
    begun = asyncio.Event()

    async def hangs(_: Lab) -> None:
        begun.set()
        await asyncio.get_running_loop().create_future()

    running = asyncio.create_task(run(PROFILE, [case("hangs", hangs)], launch=gateways))
    await begun.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

    assert running.cancelled()
    assert [gateway.runs for gateway in gateways.made] == [False]


async def test_two_tests_have_two_users_and_two_tokens() -> None:
    users: list[str] = []

    async def notes(lab: Lab) -> None:
        users.extend([lab.user, lab.token, lab.marker])
        equal("the path", lab.path, "/ws")

    report = await run(PROFILE, [case("a", notes), case("b", notes)], launch=fresh())

    assert report.conforms
    assert len(set(users)) == 6


async def test_an_output_that_is_closed_ends_the_run_by_its_own_error() -> None:
    def closed(_: Result) -> None:
        raise BrokenPipeError

    gateways = fresh()
    with pytest.raises(BrokenPipeError):  # not a group, because `memmie` ends quietly then
        await run(PROFILE, [case("a", passes), case("b", passes)], launch=gateways, on_result=closed)
    assert [gateway.runs for gateway in gateways.made] == [False]


async def test_a_gateway_that_does_not_start_again_is_an_error_of_the_tests_that_ran() -> None:
    class Process(Listener):
        made: list[Listener] = []  # noqa: RUF012 - as in `fresh`
        exit_code: int | None = None

        async def wait_ended(self, within: float = 5.0) -> int:
            if self.exit_code is None:
                raise TargetError(f"it still runs after {within} s")
            return self.exit_code

    async def crashes(lab: Lab) -> None:
        Process.starts = False
        lab.stack.gateway.exit_code = 1  # type: ignore[attr-defined]
        raise Violation("an answer", "none")

    report = await run(PROFILE, [case("crashes", crashes), case("after", passes)], launch=Process)

    assert [result.outcome for result in report.results] == [Outcome.ERROR, Outcome.ERROR]
    assert all("with the setup 'main': it has no wheels" in each.evidence.seen for each in report.results)
