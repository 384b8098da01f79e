"""Processes of the load tests start in a known environment, are quoted when they fail, and all end."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys

import psutil
import pytest

from loadtests.common import supervisor
from loadtests.common.errors import LoadTestError, ProcessGoneError
from loadtests.common.supervisor import announced_port, answer_of, awake, end_children, serving
from loadtests.common.usage import cpu_seconds, family, open_files, rss_bytes

ANNOUNCE = "import json, time; print(json.dumps({'event': 'listening', 'port': 4711}), flush=True); "
SLEEP = "time.sleep(600)"

ORPHANING = """
import json, subprocess, sys, time
command = [sys.executable, "-c", "import time; time.sleep(600)"]
child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(json.dumps({"event": "listening", "port": child.pid}), flush=True)
time.sleep(600)
"""

KILLED_AWAKE = """
import psutil, time
from loadtests.common.supervisor import awake
with awake([{core}]):
    (program,) = psutil.Process().children()
    print(program.pid, flush=True)
    time.sleep(600)
"""


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def gone(process: psutil.Process) -> bool:
    """Whether a process has ended; nobody may be there to collect it."""
    finished, alive = psutil.wait_procs([process], timeout=5)
    return bool(finished) or [process.status() for process in alive] == [psutil.STATUS_ZOMBIE]


def test_a_server_runs_for_the_length_of_the_block_on_its_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "1")
    show = f"import os, json; print(json.dumps({{'event': 'started', **os.environ}})); {ANNOUNCE}{SLEEP}"
    before = os.sched_getaffinity(0)
    core = frozenset([max(before)])
    with serving("a server", python(show), cores=core, environment={"OWN": "1"}) as server:
        process = psutil.Process(server.pid)
        assert server.port == 4711
        assert set(process.cpu_affinity()) == core
        assert process.environ()["OWN"] == "1"
        assert "PORT" not in process.environ()  # only what it was given, and what every program needs
    assert not process.is_running()
    assert os.sched_getaffinity(0) == before


def test_a_worker_that_outlives_its_master_is_ended() -> None:
    with serving("orphaning", python(ORPHANING)) as server:
        child = psutil.Process(server.port)
        assert child.ppid() == server.pid
        assert set(family(server.pid)) == {server.pid, child.pid}
    assert gone(child)


def test_a_core_that_is_kept_awake_runs_a_program_that_gives_way() -> None:
    core = max(os.sched_getaffinity(0))
    with awake([core]):
        (program,) = psutil.Process().children()
        assert program.cpu_affinity() == [core]
        while (program.status(), os.sched_getscheduler(program.pid)) != (
            psutil.STATUS_RUNNING,
            os.SCHED_IDLE,
        ):
            assert program.status() != psutil.STATUS_ZOMBIE
    assert not program.is_running()


def test_a_core_that_may_have_slept_is_told() -> None:
    core = max(os.sched_getaffinity(0))
    block = contextlib.ExitStack()
    block.enter_context(awake([core]))
    (program,) = psutil.Process().children()
    program.kill()
    os.waitid(os.P_PID, program.pid, os.WEXITED | os.WNOWAIT)
    with pytest.raises(LoadTestError, match=f"keeps core {core} awake ended with exit code -9"):
        block.close()


def test_a_program_that_keeps_a_core_awake_ends_with_the_process_that_started_it() -> None:
    core = max(os.sched_getaffinity(0))
    command = python(KILLED_AWAKE.format(core=core))
    with subprocess.Popen(command, cwd=supervisor.ROOT, stdout=subprocess.PIPE) as starting:  # noqa: S603 - our own script
        assert starting.stdout is not None
        program = psutil.Process(int(starting.stdout.readline()))
        starting.kill()
    try:
        program.wait(30)
    finally:
        with contextlib.suppress(psutil.NoSuchProcess):
            program.kill()


def test_a_server_that_ignores_sigterm_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "END_SECONDS", 0.1)
    stubborn = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {ANNOUNCE}{SLEEP}"
    with serving("a stubborn server", python(stubborn)) as server:
        process = psutil.Process(server.pid)
    assert not process.is_running()


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import sys; print('no luck'); sys.exit(3)", "ended with exit code 3 instead of listening"),
        ("import time; print('no luck', flush=True); time.sleep(600)", "did not listen within 1 s"),
    ],
)
def test_a_server_that_does_not_start_is_quoted(
    code: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "START_SECONDS", 1.0)
    with pytest.raises(LoadTestError, match=words) as error, serving("a server", python(code)):
        pass
    assert error.value.__notes__ == ["the last lines of a server:\nno luck"]


def test_a_program_that_is_not_there_is_named() -> None:
    with pytest.raises(LoadTestError, match=r"it cannot be started \(/no/such/program: No such file"):
        answer_of("it", ["/no/such/program"], {}, cores=None, seconds=1)


def test_a_question_gets_the_last_line_as_its_answer() -> None:
    code = "import json, sys; print('about to answer'); print(json.dumps({'got': json.load(sys.stdin)}))"
    assert answer_of("it", python(code), [1, 2], cores=None, seconds=10) == {"got": [1, 2]}


@pytest.mark.parametrize(
    ("code", "seconds", "words"),
    [
        ("import sys; print('[]'); sys.exit(4)", 10, "it ended with exit code 4 and no answer"),
        ("raise ValueError('oh')", 10, "exit code 1 and no answer:\n(.|\n)*ValueError: oh"),
        ("import time; time.sleep(600)", 0.2, r"it did not finish within 0\.2 s"),
    ],
)
def test_a_question_without_an_answer_says_why(code: str, seconds: float, words: str) -> None:
    with pytest.raises(LoadTestError, match=words):
        answer_of("it", python(code), {}, cores=None, seconds=seconds)


@pytest.mark.parametrize("output", ["", "listening", "[]", '{"event": "listening"}', '{"event": "list'])
def test_a_port_is_not_announced_yet(output: str) -> None:
    assert announced_port(output) is None


def test_what_an_interrupt_leaves_is_ended() -> None:
    with serving("a server", python(ANNOUNCE + SLEEP)) as server:
        process = psutil.Process(server.pid)
        end_children()
        assert gone(process)


def test_the_usage_of_a_process_can_be_read_until_it_has_ended() -> None:
    with serving("a server", python(ANNOUNCE + SLEEP)) as server:
        pids = family(server.pid)
        assert pids == (server.pid,)
        assert 0 < cpu_seconds(pids) < 10
        assert rss_bytes(pids) > 1 << 20
        files, limit = open_files(pids)
        assert 3 <= files < limit
        os.kill(server.pid, signal.SIGKILL)
        psutil.wait_procs([psutil.Process(server.pid)], timeout=5)
        for read in (cpu_seconds, rss_bytes):
            with pytest.raises(ProcessGoneError, match=f"process {server.pid} ended while it was measured"):
                read([server.pid])
