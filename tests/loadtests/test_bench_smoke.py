"""The peers benchmark as a command: it measures, it tells when it could not, it leaves no process behind."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil
import pytest

pytest.importorskip("picows", reason="the load group is not installed")

ROOT = Path(__file__).parents[2]
QUICK = ["--connections", "10", "--connects", "20", "--seconds", "0.3", "--rounds", "1"]


@contextlib.asynccontextmanager
async def bench(*arguments: str) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "loadtests/bench.py", *arguments, cwd=ROOT, stdout=PIPE, stderr=PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def finished(*arguments: str) -> tuple[int, str, str]:
    async with bench(*arguments) as process:
        out, err = await process.communicate()
        assert process.returncode is not None
        return process.returncode, out.decode(), err.decode()


async def test_a_second_of_ten_connections_fills_the_table(tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    code, table, progress = await finished(*QUICK, "--json", str(file))
    assert code == 0, progress
    assert "gateway ÷ websockets, 10 connections" in table
    report: dict[str, Any] = json.loads(file.read_text())
    assert report["problems"] == []
    rows = {row["peer"]: row for row in report["round_trips"]}
    assert set(rows) == {"direct", "gateway", "websockets"}
    assert all(row["connections"] == 10 and row["size"] == 128 and row["count"] > 10 for row in rows.values())
    assert rows["direct"]["gateway_cpu_seconds"] == 0
    assert 0 < rows["gateway"]["gateway_cpu_seconds"] <= rows["gateway"]["seconds"] * 1.1
    for row in report["connections"]:
        assert row["idle"]["connections"] == 10
        assert row["idle"]["rss_after"] >= row["idle"]["rss_before"] > 0
        assert row["new"]["count"] == row["known"]["count"] == 20


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--peers", "gateway,nginy"], "'nginy' given, direct, gateway, websockets allowed"),
        (["--size", "4"], "'4' given, a whole number from 12"),
        (["--seconds", "0"], "'0' given, seconds from 0.1"),
        (["--connections", "ten"], "'ten' given, a whole number from 1"),
        (["--json", "/no/such/folder/bench.json"], "a file in a folder that exists"),
    ],
)
async def test_a_bad_argument_is_named_and_nothing_is_run(arguments: list[str], words: str) -> None:
    code, table, complaint = await finished(*arguments)
    assert code == 2
    assert table == ""
    assert words in complaint


async def test_a_measurement_that_fails_is_told_and_the_others_go_on() -> None:
    too_big = str((1 << 20) + 1)  # for the gateway, whose limit is its default
    code, table, _ = await finished(*QUICK, "--peers", "gateway,direct", "--size", too_big, "--connects", "0")
    assert code == 1
    assert "FAILED round 1/1, gateway, 10 connections: connection" in table
    assert "was closed with 1009" in table
    [direct] = [line for line in table.splitlines() if line.startswith("10 ") and "direct" in line]
    assert "…" in direct


async def test_an_interrupt_ends_every_process_it_started() -> None:
    async with bench(
        "--peers", "gateway", "--seconds", "60", "--rounds", "1", "--connections", "2"
    ) as process:
        assert process.stderr is not None
        while b"running" not in await process.stderr.readline():
            pass
        started = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGINT)
        _, words = await process.communicate()
        assert process.returncode == 130
        assert b"interrupted" in words
        assert b"Traceback" not in words
        assert len(started) >= 2  # Auth and the backend; the peer is next
        assert not any(child.is_running() for child in started)
