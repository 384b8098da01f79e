"""The load scenarios as a command: what it shows, what it leaves, and that nothing of it stays behind."""

from __future__ import annotations

import asyncio
import csv
import importlib.util
import json
import signal
import subprocess
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.loadtests import scripts
from tests.loadtests.scripts import ROOT

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("locust") is None, reason="the load group is not installed"
)

LAX = """
[[steady]]
metric = "lost"
operator = "=="
limit = 0
words = "nothing may be lost"
"""


DECLARED = """
import importlib, json
from loadtests.runs.thresholds import SCENARIOS
print(json.dumps({name: importlib.import_module(f"loadtests.{name}").SCENARIO.metrics for name in SCENARIOS}))
"""

running = partial(scripts.running, "load.py")
finished = partial(scripts.finished, "load.py")


async def test_a_steady_run_leaves_its_numbers_and_a_report(
    metrics: dict[str, list[str]], tmp_path: Path
) -> None:
    thresholds = tmp_path / "lax.toml"
    thresholds.write_text(LAX)
    out = tmp_path / "out"
    code, printed, told = await finished(
        "steady", "--connections", "20", "--seconds", "2", "--every", "0.2",
        "--thresholds", str(thresholds), "--out", str(out), "--json",
    )  # fmt: skip
    assert code == 0, told
    run: dict[str, Any] = json.loads((out / "run.json").read_text())
    assert json.loads(printed) == run
    assert run["passed"] is True
    assert run["failures"] == []
    assert {"gateway", "direct", "overhead"} == run["latencies"].keys()
    assert 100 < run["latencies"]["gateway"]["count"] <= 220
    assert 0 < run["latencies"]["overhead"]["count"] <= 22
    assert 0 < run["latencies"]["gateway"]["p50"] < run["latencies"]["gateway"]["max"] < 10
    assert run["measured"] == "the 2 s after the ramp"
    assert max(second["connections"] for second in run["timeline"]) == run["most_connections"] == 20
    assert run["events"][-1]["what"] == "the end: all users leave"
    assert any(second["gateway_rss"] for second in run["timeline"])
    assert sum(run["studios"].values()) == 20
    assert run["settings"]["connections"] == 20
    assert run["settings"]["pin"] is True
    assert "memmie-gateway" in run["versions"]
    assert {figure["name"] for figure in run["figures"]} <= set(metrics["steady"])
    with (out / "requests.csv").open() as file:
        rows = {row["name"]: row for row in csv.DictReader(file)}
    assert rows["connect via gateway"]["count"] == "20"
    assert rows["heartbeat directly"]["failures"] == "0"
    assert "<html" in (out / "report.html").read_text()
    assert "eyJ" not in "".join(file.read_text() for file in out.iterdir() if file.suffix != ".html")


async def test_a_broken_threshold_is_named_and_fails_the_run(tmp_path: Path) -> None:
    thresholds = tmp_path / "strict.toml"
    thresholds.write_text(LAX.replace('"lost"', '"answered"'))
    code, table, complaint = await finished(
        "steady", "--connections", "3", "--seconds", "0.5", "--every", "0.1",
        "--thresholds", str(thresholds), "--out", str(tmp_path / "out"),
    )  # fmt: skip
    assert code == 1
    assert "BROKEN" in table
    assert "and must be == 0: nothing may be lost" in complaint


async def test_a_short_soak_counts_every_message(tmp_path: Path) -> None:
    code, printed, told = await finished("soak", "--messages", "2001", "--out", str(tmp_path), "--json")
    assert code == 0, told
    run = json.loads(printed)
    assert run["measured"] == "the whole run"
    assert 0 < run["most_connections"] <= 20  # the first may have gone before the last has come
    assert run["events"][-1]["what"] == "all are answered"
    figures = {figure["name"]: figure["value"] for figure in run["figures"]}
    assert figures["messages each way"] == 2001
    assert figures["lost"] == figures["duplicated"] == figures["reordered"] == figures["damaged"] == 0


@pytest.fixture(scope="module")
def metrics() -> dict[str, list[str]]:
    """What each scenario says that it measures; asked in another process, as Locust patches the one it is in."""
    asked = subprocess.run([sys.executable, "-c", DECLARED], cwd=ROOT, check=True, capture_output=True)  # noqa: S603 - ours
    found: dict[str, list[str]] = json.loads(asked.stdout)
    return found


@pytest.mark.parametrize("scenario", ["slow", "limits"])
async def test_rules_can_be_about_all_that_a_scenario_measures(
    scenario: str, metrics: dict[str, list[str]], tmp_path: Path
) -> None:
    code, printed, told = await finished(
        scenario, "--connections", "10", "--seconds", "0.5", "--out", str(tmp_path / "out"), "--json"
    )
    assert code in {0, 1}, told  # so short a run need not hold every threshold
    run = json.loads(printed)
    assert {figure["name"] for figure in run["figures"]} <= set(metrics[scenario])
    assert {f"{path} p50" for path in run["latencies"]} <= set(metrics[scenario])


@pytest.mark.parametrize(
    ("scenario", "codes", "measured"),
    [
        ("storm", [], "the 1 s before the cut"),
        ("failover", ["1012"], "the 1 s before the kill"),
        ("drain", ["1001"], "the 1 s before SIGTERM"),
    ],
)
async def test_users_come_back_and_lose_nothing(
    scenario: str, codes: list[str], measured: str, metrics: dict[str, list[str]], tmp_path: Path
) -> None:
    code, printed, told = await finished(
        scenario, "--connections", "20", "--seconds", "3", "--every", "0.2", "--out", str(tmp_path), "--json"
    )
    assert code == 0, told
    run = json.loads(printed)
    figures = {figure["name"]: figure["value"] for figure in run["figures"]}
    assert figures.keys() <= set(metrics[scenario])
    assert run["measured"] == measured
    assert figures["lost"] == 0
    assert figures["were away"] == figures.get("on the killed Studio", 20)
    assert list(run["closes"]) == codes  # the cuts of a storm are the load's own
    assert all(
        failure["reason"] in {"closed 1012", "closed 1001", "no close frame"} for failure in run["failures"]
    )


async def test_an_event_reaches_every_connection_of_its_user(tmp_path: Path) -> None:
    code, printed, told = await finished(
        "fanout", "--connections", "25", "--group", "10", "--seconds", "2", "--every", "0.2",
        "--out", str(tmp_path), "--json",
    )  # fmt: skip
    assert code == 0, told
    figures = {figure["name"]: figure["value"] for figure in json.loads(printed)["figures"]}
    assert figures["events"] >= 24
    assert figures["lost"] == 0
    assert figures["deliveries"] > 7 * figures["events"]


MEASURED = [
    ("steady", "latencies are measured all the time"),
    ("storm", "latencies are measured only in the third before the cut"),
    ("slow", "latencies are measured only in the half after some stop reading"),
]
"""What the help of a scenario says."""

REFUSED = [
    (["steady", "--connections", "0"], "0 users given, a whole number from 1"),
    (["steady", "-t", "2s"], "-t 2s leaves nothing to measure: the ramp takes 4 s, and settling 2 s"),
    (["drain", "--master"], "drain cannot be distributed: it starts or ends processes on this machine"),
    (["slow", "--worker"], "slow cannot be distributed: it starts or ends processes on this machine"),
    (
        ["steady", "--master"],
        "can only be distributed against a system that runs already: give --gateway",
    ),
    (["soak", "--processes", "2"], "can only be distributed against a system that runs already"),
    (["steady", "--gateway", "ws://gw/ws?token=x"], "without a user, a query"),
    (["steady", "--gateway", "ws://gw/ws", "--auth-url", "http://auth"], "steady needs --direct"),
    (["failover", "--gateway", "ws://gw/ws", "--auth-url", "http://auth"], "--studio-pid"),
    (["drain", "--gateway", "ws://gw/ws", "--auth-url", "http://auth"], "--gateway a second time"),
    (["steady", "--out", "/proc/x"], "/proc/x cannot be created: No such file or directory (--out)"),
    (
        ["storm", "--gateway", "ws://gw/ws", "--token-file", "/dev/null"],
        "/dev/null has no token, one a line is expected (--token-file)",
    ),
    (
        ["storm", "--gateway", "ws://gw/ws", "--auth-url", "http://127.0.0.1:9"],
        "the Auth at http://127.0.0.1:9 did not answer: [Errno 111] Connection refused (--auth-url",
    ),
    (["steady", "--direct", "ws://studio/ws"], "--direct works only with --gateway, which is not given"),
    (["slow", "--gateway", "ws://gw/ws", "--auth-url", "http://auth"], "slow needs --gateway-pid"),
    (
        ["storm", "--gateway", "ws://gw/ws"],
        "storm needs tokens: give --auth-url http://… (a fake Auth) or --token-file FILE",
    ),
    (
        ["storm", "--gateway", "ws://gw/ws", "--auth-url", "http://auth", "--token-file", "tokens"],
        "--auth-url and --token-file are both given: tokens come from one of them only",
    ),
    (
        ["storm", "--gateway", "ws://gw/ws", "--auth-url", "http://auth", "--gateway-pid", "4194304"],
        "there is no process 4194304 on this machine (--gateway-pid)",
    ),
    (["steady", "--thresholds", "/no/such/file"], "/no/such/file cannot be read"),
    (
        ["steady", "--thresholds", "/dev/null"],
        "/dev/null has no rule for steady, so nothing would be judged: begin a rule with [[steady]]",
    ),
]
"""Arguments that cannot be used, and what is said about them."""

EACH_IN_A_FORK = """
import json, os, runpy, sys
fork, waitpid = os.fork, os.waitpid  # before Locust replaces them by gevent's
import locust.main, loadtests.scenarios.play

codes, folder = [], sys.argv[2]
for number, arguments in enumerate(json.loads(sys.argv[1])):
    child = fork()
    if not child:
        for stream in (1, 2):
            os.dup2(os.open(f"{folder}/{number}.{stream}", os.O_CREAT | os.O_WRONLY), stream)
        sys.argv = ["load.py", *arguments]
        runpy.run_path("loadtests/load.py", run_name="__main__")
        sys.exit(0)
    codes.append(os.waitstatus_to_exitcode(waitpid(child, 0)[1]))
print(json.dumps(codes))
"""
"""Runs the command with each of several lists of arguments; Locust, which takes seconds, is imported once."""

Said = Callable[[list[str]], tuple[int, str, str]]


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> Said:
    """What the command answers to arguments of `MEASURED` and `REFUSED`: exit code, standard output and error."""
    folder = tmp_path_factory.mktemp("said")
    asked = [*([scenario, "--help"] for scenario, _ in MEASURED), *(arguments for arguments, _ in REFUSED)]
    script = [sys.executable, "-c", EACH_IN_A_FORK, json.dumps(asked), str(folder)]
    codes = json.loads(subprocess.run(script, cwd=ROOT, check=True, capture_output=True).stdout)  # noqa: S603 - ours

    def answer(arguments: list[str]) -> tuple[int, str, str]:
        number = asked.index(arguments)
        out, err = ((folder / f"{number}.{stream}").read_text() for stream in (1, 2))
        return codes[number], out, err

    return answer


@pytest.mark.parametrize(("scenario", "words"), MEASURED)
def test_the_help_says_what_the_seconds_are_of(scenario: str, words: str, said: Said) -> None:
    code, told, _ = said([scenario, "--help"])
    assert code == 0
    assert words in " ".join(told.split())


@pytest.mark.parametrize(("arguments", "words"), REFUSED)
def test_what_cannot_be_used_is_said_before_anything_runs(
    arguments: list[str], words: str, said: Said
) -> None:
    code, table, complaint = said(arguments)
    assert code == 2
    assert table == ""
    assert words in complaint


FEW_FILES = """
import resource, runpy, sys

def refuse(_, limits):
    if limits[1] > 400:
        raise ValueError

resource.getrlimit = lambda _: (400, 400)
resource.setrlimit = refuse
sys.argv = sys.argv[1:]
runpy.run_path(f"loadtests/{sys.argv[0]}", run_name="__main__")
"""


@pytest.mark.parametrize("arguments", [["load.py", "steady"], ["bench.py", "--peers", "direct"]])
async def test_too_few_open_files_are_told_before_anything_is_started(arguments: list[str]) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", FEW_FILES, *arguments, cwd=ROOT, stdout=PIPE, stderr=PIPE
    )
    out, words = await process.communicate()
    assert process.returncode == 2
    assert out == b""
    assert b"open files, and the limit is 400: raise it" in words
    assert b"starting" not in words


@pytest.mark.parametrize("times", [1, 2])
async def test_an_interrupt_ends_every_process_it_started(times: int, tmp_path: Path) -> None:
    out = tmp_path / "out"
    async with running(
        "steady", "--connections", "20", "--seconds", "60", "--out", str(tmp_path / "out")
    ) as process:
        started = await children_when_all_run(process)
        [auth] = [child for child in started if "memmie_fake_auth.cli" in child.cmdline()]
        auth.suspend()  # the last to be ended: until it goes on, the load is not over
        process.send_signal(signal.SIGINT)
        await asyncio.to_thread(started[-1].wait)  # the first to be ended
        for _ in range(times - 1):
            process.send_signal(signal.SIGINT)
        auth.resume()
        _, words = await process.communicate()
        assert process.returncode == 130
        assert b"interrupted; everything it started has ended, and no results were written" in words
        assert b"Traceback" not in words
        assert len(started) == 4  # Auth, two Studios, the gateway
        assert not any(child.is_running() for child in started)
        assert not out.exists()


async def children_when_all_run(process: Process) -> list[psutil.Process]:
    """Wait for the line that follows the start of everything."""
    assert process.stderr is not None
    while b"minting" not in await process.stderr.readline():
        pass
    return psutil.Process(process.pid).children(recursive=True)
