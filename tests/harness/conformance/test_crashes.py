"""A gateway that ends during a run: the test that ends it fails, and the others are not accused."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from memmie_harness.conformance.lab import Lab
from memmie_harness.conformance.model import ConformanceTest, Level, Outcome, Report, Violation
from memmie_harness.conformance.profile import Profile, Setup, Start
from memmie_harness.conformance.runner import run
from memmie_harness.conformance.session import Session

GATEWAY = """
import os, socket, sys
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
said = b""
while True:
    client = server.accept()[0]
    line = client.makefile("rb").readline()
    if line.startswith(b"remember "):
        print(line.decode(), flush=True)
    if line.startswith((b"die", b"twice")):
        if line.startswith(b"die") or said == line:
            print("\\x1b[31mcannot go on", flush=True)
            os._exit(3)
        said = line
    client.sendall(line)
    client.close()
"""
"""Sends a line back; ends at the line `die`, and at the line `twice` if it was the line before, too."""


@pytest.fixture
def profile(tmp_path: Path) -> Profile:
    script = tmp_path / "gw.py"
    script.write_text(GATEWAY)
    command = [sys.executable, "-S", str(script), "{PORT}"]
    return Profile(
        "gw", "gw", [Setup("main", Start(command=command, folder=tmp_path, patience_seconds=5), {})]
    )


def case(name: str, *lines: str, own_gateway: bool = False) -> ConformanceTest:
    async def body(lab: Lab) -> None:
        for line in lines:
            client = await lab.dial()
            client.write(f"{line.format(token=lab.token)}\n".encode())
            if await client.next_bytes() == b"":
                raise Violation("an echo", "the end of the connection")

    return ConformanceTest(
        f"group/{name}", name, "RFC 1 §1", Level.MUST, frozenset(), body, own_gateway=own_gateway
    )


def outcomes(report: Report) -> list[str]:
    return [str(result.outcome) for result in report.results]


@pytest.mark.parametrize("one_at_a_time", [False, True])
async def test_the_test_that_ends_the_gateway_fails_and_the_others_pass(
    profile: Profile, *, one_at_a_time: bool
) -> None:
    if one_at_a_time:
        profile = one_gateway_each(profile)
    tests = [case(f"a{number}", "hello") for number in range(9)]
    tests.insert(4, case("deadly", "remember {token}", "die"))

    report = await run(profile, tests)

    assert outcomes(report) == ["passed"] * 4 + ["failed"] + ["passed"] * 5
    evidence = report.results[4].evidence
    assert evidence.expected == "the gateway keeps running"
    assert evidence.seen.startswith("the gateway ended with exit code 3; its last lines:\n")
    assert "\nremember [token " in evidence.seen
    assert "\n\\x1b[31mcannot go on\n" in evidence.seen
    assert evidence.exchange


def one_gateway_each(profile: Profile) -> Profile:
    [setup] = profile.setups
    return Profile(
        "gw",
        "gw",
        [
            Setup(
                "main", Start(command=setup.start.command, folder=setup.start.folder, one_at_a_time=True), {}
            )
        ],
    )


async def test_a_crash_that_no_test_causes_alone_is_an_error_of_those_that_ran(profile: Profile) -> None:
    report = await run(profile, [case("one", "twice"), case("two", "twice")])

    assert Outcome.ERROR in {result.outcome for result in report.results}
    [seen] = {result.evidence.seen for result in report.results if result.outcome is Outcome.ERROR}
    assert seen.startswith("the gateway ended while these tests ran, and none of them ends it alone: ")
    assert "the gateway ended with exit code 3; its last lines:\n" in seen
    assert not report.conforms


async def test_a_gateway_that_ends_again_and_again_is_started_for_each_test(profile: Profile) -> None:
    tests = [case(f"{number}", "die" if number % 2 else "hello") for number in range(14)]

    report = await run(profile, tests)

    assert outcomes(report) == ["passed", "failed"] * 7


async def test_a_gateway_of_a_single_test_that_crashes_is_named(profile: Profile) -> None:
    report = await run(profile, [case("own", "die", own_gateway=True)])

    assert outcomes(report) == ["failed"]
    assert "; the gateway ended with exit code 3; its last lines:\n" in report.results[0].evidence.seen


def test_with_pytest_the_gateway_is_started_again_too(profile: Profile) -> None:
    with Session(profile) as session:
        results = [
            session.run(case(str(number), line))
            for number, line in enumerate(["a", "die", "twice", "twice", "b"])
        ]

    assert [str(result.outcome) for result in results] == ["passed", "failed", "passed", "error", "passed"]
    assert (
        "during this test or behind group/2, and this test does not end it alone" in results[3].evidence.seen
    )
