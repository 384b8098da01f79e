"""The peers benchmark as a command: it measures, it tells when it could not, it leaves no process behind."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import sys
from asyncio.subprocess import PIPE
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.loadtests import scripts

pytest.importorskip("picows", reason="the load group is not installed")

from loadtests.benchmark.command import main

ROOT = Path(__file__).parents[2]
QUICK = [
    "--connections",
    "10",
    "--sizes",
    "128",
    "--rates",
    "10x20",
    "--connects",
    "10",
    "--hold",
    "20",
    "--storm",
    "30",
]
QUICK += ["--seconds", "0.3", "--rounds", "1"]


running = partial(scripts.running, "bench.py")
finished = partial(scripts.finished, "bench.py")


async def test_a_run_fills_the_tables_and_the_json(tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    code, table, progress = await finished(
        *QUICK,
        "--json",
        str(file),
        "--peers",
        "direct,gateway,websockets",
        "--keep-awake",
        "--measure",
        "round-trips,latency,connects,storm,memory,hold",
        "--html",
        str(tmp_path / "bench.html"),
    )
    assert code == 0, progress
    assert "[1/12] round 1, round-trips, 10 × 128 B, direct · about " in progress  # noqa: RUF001 - a multiplication sign
    assert "gateway ÷ peer" in table
    assert "gateway holds 20; next to run out: at " in table
    report: dict[str, Any] = json.loads(file.read_text())
    assert report["problems"] == []
    assert len(report["rows"]) == 12
    assert (tmp_path / "bench.html").read_text().startswith("<!doctype html>")
    _check_rows({(row["case"]["measurement"], row["peer"]): row["result"] for row in report["rows"]})


def _check_rows(rows: dict[tuple[str, str], Any]) -> None:
    for peer in ("direct", "gateway", "websockets"):
        assert rows["round-trips", peer]["count"] > 10
        assert rows["latency", peer]["count"] == 180  # ten connections, 20 a second of each, for 0.9 s
    assert rows["round-trips", "direct"]["window"]["gateway"] == 0
    gateway = rows["round-trips", "gateway"]["window"]
    assert 0 < gateway["gateway"] <= gateway["seconds"] * 1.1
    memory, connects, hold = (rows[name, "gateway"] for name in ("memory", "connects", "hold"))
    assert memory["rss_busy"] >= memory["rss_idle"] >= memory["rss_before"] > 0
    assert [connects[kind]["count"] for kind in ("new", "known", "mixed")] == [6, 32, 10]
    assert (
        connects["new"]["opening"]["auth"] > connects["known"]["opening"]["auth"]
    )  # it asks Auth once a token
    assert hold["connections"] == 20
    storm = rows["storm", "gateway"]
    assert storm["count"] == 30
    assert 0 < storm["back"]["gateway"] <= storm["back"]["seconds"] * 1.1
    assert storm["back"]["auth"] == 0  # every token is known


async def test_events_and_http_requests_are_measured_where_a_peer_serves_them(tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    code, table, progress = await finished(
        "--connections",
        "1",
        "--sizes",
        "128",
        "--seconds",
        "0.1",
        "--rounds",
        "1",
        "--peers",
        "gateway,websockets,gateway-plain,python-socketio",
        "--measure",
        "socketio,http",
        "--json",
        str(file),
    )
    assert code == 0, progress
    assert "CPU per event answered by one, µs" in table
    assert "cpu-per-acknowledged-event 1 × 128 B × 1 at once ÷ python-socketio must be at most 0.7" in table  # noqa: RUF001 - a multiplication sign
    report: dict[str, Any] = json.loads(file.read_text())
    rows = {(row["case"]["measurement"], row["peer"]): row["result"] for row in report["rows"]}
    peers = ("gateway", "gateway-plain", "python-socketio")
    assert rows.keys() == {("http", "gateway"), *(("socketio", peer) for peer in peers)}
    for result in rows.values():
        for exchange in result.values():
            assert exchange["count"] > 2
            assert exchange["window"]["gateway"] > 0
    assert rows["socketio", "python-socketio"]["answered"]["window"]["backend"] == 0  # it answers itself


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--peers", "gateway,nginy"], "'nginy' is not one of direct, gateway, nginx, "),
        (["--sizes", "4"], "'4' is not a whole number from 12"),
        (["--rates", "50"], "'50' is not a pair of numbers such as 1000x1"),
        (["--measure", "speed"], "'speed' is not one of round-trips, latency, "),
        (["--seconds", "0"], "'0' is not a number of seconds from 0.1"),
        (["--connections", "ten"], "'ten' is not a whole number from 1"),
        (["--json", "/no/such/folder/bench.json"], "a new file in a folder that exists"),
        (["--json", "a", "--html", "a"], "--json and --html need a file each"),
        (["--json", "/dev/null"], "a new file in a folder that exists"),
        (["--html", "/proc/bench.html"], "in which nothing can be written"),
    ],
)
def test_a_bad_argument_is_named_and_nothing_is_run(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_code:
        main(arguments)
    assert exit_code.value.code == 2
    table, complaint = capsys.readouterr()
    assert table == ""
    assert words in complaint


async def test_a_bad_argument_is_exit_code_two() -> None:
    code, table, complaint = await finished("--seconds", "never")
    assert (code, table) == (2, "")
    assert complaint.splitlines()[-1].startswith(
        "bench.py: error: argument --seconds: 'never' is not a number of seconds"
    )


async def test_a_reader_that_leaves_early_is_no_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "loadtests/bench.py", "--dry-run", cwd=ROOT, stdout=writer, stderr=PIPE
    )
    os.close(writer)
    _, words = await process.communicate()
    assert process.returncode == 0
    assert b"Traceback" not in words
    assert b"BrokenPipe" not in words
    assert b" measurements, about " in words.splitlines()[-1]


async def test_a_measurement_that_fails_is_told_and_the_others_go_on() -> None:
    too_big = ["--sizes", str((1 << 20) + 1)]  # for the gateway, whose limit is its default
    code, table, _ = await finished(*QUICK, *too_big, "--peers", "gateway,direct", "--measure", "round-trips")
    assert code == 1
    assert "FAILED round 1, round-trips, 10 × 1048577 B, gateway: connection" in table  # noqa: RUF001 - a multiplication sign
    assert "was closed with 1009" in table
    assert any(line.startswith("round trips/s ") and " direct " in line for line in table.splitlines())
    assert not any(line.startswith("CPU per round trip, ") for line in table.splitlines())


async def test_a_file_that_cannot_be_written_does_not_stop_the_run(tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    page = tmp_path / "bench.html"
    written = ["--json", str(file), "--html", str(page)]
    async with running(*QUICK, "--peers", "direct", "--measure", "round-trips,hold", *written) as process:
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (1000, 1000))
        out, err = map(bytes.decode, await process.communicate())
    assert process.returncode == 1
    assert "2 measurements, about" in err
    assert "round trips/s" in out
    assert "held and served" in out
    assert "the last lines of" not in err
    assert err.splitlines()[-2:] == [
        f"bench.py: {file} cannot be written: File too large (--json)",
        f"bench.py: {page} cannot be written: File too large (--html)",
    ]
    assert _names(tmp_path) == []


def _names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def test_an_interrupt_ends_every_process_it_started() -> None:
    options = ["--peers", "gateway", "--measure", "latency", "--seconds", "60", "--keep-awake"]
    async with running(*QUICK, *options) as process:
        assert process.stderr is not None
        while b"[1/1]" not in await process.stderr.readline():
            pass
        cores = os.sched_getaffinity(0)
        while len(awake := _keeping_awake(process.pid)) < len(cores):  # noqa: ASYNC110 - no event tells of it
            await asyncio.sleep(0.01)
        assert {core for each in awake for core in each.cpu_affinity()} == cores
        started = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGINT)
        _, words = await process.communicate()
        assert process.returncode == 130
        assert b"interrupted" in words
        assert b"Traceback" not in words
        assert len(started) >= len(cores) + 2  # Auth and the backend; the peer is next
        assert not any(child.is_running() for child in started)


def _keeping_awake(benchmark: int) -> list[psutil.Process]:
    """Return the processes of a benchmark that give way to every other."""
    children = psutil.Process(benchmark).children(recursive=True)
    return [child for child in children if os.sched_getscheduler(child.pid) == os.SCHED_IDLE]
