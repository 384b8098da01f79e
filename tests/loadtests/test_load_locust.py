"""The scenarios as locustfiles: with Locust's own command line, and distributed over a master and two workers."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import importlib.util
import json
import re
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.loadtests.scripts import ROOT, forked

from loadtests.stack import System, own_stack

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("locust") is None, reason="the load group is not installed"),
    pytest.mark.timeout(120),  # three Pythons with Locust start one after the other
]

LAX = """
[[steady]]
metric = "lost"
operator = "=="
limit = 0
words = "nothing may be lost"
"""


@contextlib.asynccontextmanager
async def locust(scenario: str, *arguments: str) -> AsyncIterator[Process]:
    """Run Locust with a scenario's locustfile, both its outputs in one pipe."""
    command = [sys.executable, "-m", "locust", "-f", f"loadtests/{scenario}.py", *arguments]
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=PIPE, stderr=STDOUT)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


@pytest.fixture(scope="module")
def system() -> Iterator[System]:
    """Start what a run with --gateway loads."""
    with own_stack(100, pinned_gateways=False) as system:
        yield system


async def run_distributed(
    scenario: str, system: System, out: Path, *arguments: str
) -> tuple[int, str, dict[str, Any]]:
    """Run a scenario with a real master and two real workers; return the master's exit code, words and run.json."""
    options = [
        "--headless", "--master", "--expect-workers", "2", "--master-bind-host", "127.0.0.1", "--master-bind-port", "0",
        "--gateway", system.gateways[0], "--auth-url", system.auth_url, "--out", str(out), *arguments,
    ]  # fmt: skip
    async with locust(scenario, *options) as master:
        assert master.stdout is not None
        said = ""
        while (found := re.search("--master-port ([0-9]+)", said)) is None:
            line = (await master.stdout.readline()).decode()
            assert line, said
            said += line
        worker = ["--worker", "--master-host", "127.0.0.1", "--master-port", found[1]]
        async with locust(scenario, *worker) as one, locust(scenario, *worker) as other:
            more, _ = await master.communicate()
            said += more.decode()
            for each in (one, other):
                await asyncio.wait_for(each.communicate(), 10)
    assert master.returncode is not None
    assert (out / "run.json").exists(), said
    return master.returncode, said, json.loads((out / "run.json").read_text())


def figures_of(run: dict[str, Any]) -> dict[str, float]:
    return {figure["name"]: figure["value"] for figure in run["figures"]}


async def test_a_master_judges_what_two_workers_have_measured(system: System, tmp_path: Path) -> None:
    thresholds = tmp_path / "lax.toml"
    thresholds.write_text(LAX)
    out = tmp_path / "out"
    direct = [part for studio in system.studios for part in ("--direct", studio)]
    code, said, run = await run_distributed(
        "steady", system, out, *direct, "-u", "60", "-r", "60", "--seconds", "2", "--every", "0.2",
        "--thresholds", str(thresholds),
    )  # fmt: skip
    assert code == 0, said
    assert run["passed"] is True
    assert run["failures"] == []
    assert run["most_connections"] == max(second["connections"] for second in run["timeline"]) == 60
    assert 500 < run["latencies"]["gateway"]["count"] <= 660  # 60 users, 5 a second for 2 s
    assert 40 < run["latencies"]["overhead"]["count"] <= 66  # one in ten of each worker's is paired
    assert 0 < run["latencies"]["gateway"]["p50"] < run["latencies"]["gateway"]["max"] < 10
    assert len(run["latencies"]["gateway"]["quantiles"]) > 1000
    assert figures_of(run)["answered"] > 600
    assert figures_of(run)["client CPU"] > 0  # the workers'
    with (out / "requests.csv").open() as file:
        rows = {row["name"]: row for row in csv.DictReader(file)}
    assert rows["connect via gateway"]["count"] == "60"
    assert rows["connect directly"]["count"] == "6"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scenario", "arguments", "expected"),
    [
        ("soak", ["-u", "10", "--messages", "1001"], {"messages each way": 1001, "lost": 0, "reordered": 0}),
        (
            "storm",
            ["-u", "20", "--seconds", "3", "--every", "0.2"],
            {"were away": 20, "lost": 0, "closed": 0},
        ),
        (
            "fanout",
            ["-u", "20", "--group", "5", "--seconds", "2", "--every", "0.2"],
            {"lost": 0, "duplicated": 0},
        ),
    ],
)
async def test_orders_reach_the_users_of_every_worker(
    scenario: str, arguments: list[str], expected: dict[str, float], system: System, tmp_path: Path
) -> None:
    _, said, run = await run_distributed(scenario, system, tmp_path, *arguments)
    assert run["stopped"] == "", said
    figures = figures_of(run)
    assert {name: figures[name] for name in expected} == expected
    if scenario == "storm":
        assert 0 < figures["back after"] < 10
    if scenario == "fanout":
        assert figures["deliveries"] == 4 * figures["events"] > 100  # four of five receive


async def test_locusts_own_options_work(tmp_path: Path) -> None:
    async with locust(
        "steady", "--headless", "-u", "20", "-r", "40", "-t", "4s", "--every", "0.2", "--csv", str(tmp_path / "csv"),
        "--html", str(tmp_path / "locust.html"), "--only-summary",
    ) as process:  # fmt: skip
        out, _ = await process.communicate()
    said = out.decode()
    assert process.returncode in {0, 1, 3}, said  # a busy machine may break a threshold
    assert "from the 1.5 s after the ramp only" in said  # 4 s less a ramp of half a second and 2 s to settle
    assert "heartbeat via gateway" in (tmp_path / "csv_stats.csv").read_text()
    assert "<html" in (tmp_path / "locust.html").read_text()


async def test_a_scenario_that_ends_processes_refuses_to_be_a_worker_in_one_sentence() -> None:
    async with locust("failover", "--worker") as process:
        out, _ = await process.communicate()
    assert process.returncode == 2
    [line] = out.decode().splitlines()
    assert line == (
        "locust: failover cannot be distributed: it starts or ends processes on this machine; "
        "run it without --master, --worker and --processes"
    )


async def test_the_help_of_each_scenario_teaches() -> None:
    code, told, _ = await forked("load.py", "limits", "--help")
    assert code == 0
    assert "MESSAGE_RATE_MAX_DELAY_SECONDS   --message-delay" in told
    assert "--gateway URL" in told
