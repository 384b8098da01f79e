from __future__ import annotations

import asyncio
import itertools
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import aiohttp
import psutil
import pytest
from tests.clock import loop_clock

from memmie_harness.targets import ProcessTarget, TargetError
from memmie_harness.targets.process import PASSED_ON, clean_environment

ODD_GATEWAY = Path(__file__).with_name("odd_gateway.py")


class MakeTarget:
    """Makes targets that run the odd gateway, and kills what a failed test left."""

    def __init__(self) -> None:
        self.made: list[ProcessTarget] = []

    def __call__(
        self,
        habit: str = "none",
        *,
        environment: Mapping[str, str] | None = None,
        start_seconds: float = 10,
        stop_seconds: float = 5,
    ) -> ProcessTarget:
        target = ProcessTarget(
            environment or {},
            command=[sys.executable, "-S", str(ODD_GATEWAY), habit],
            start_seconds=start_seconds,
            stop_seconds=stop_seconds,
        )
        self.made.append(target)
        return target


@pytest.fixture
async def make_target() -> AsyncIterator[MakeTarget]:
    make = MakeTarget()
    yield make
    for target in make.made:
        await target.kill()


def is_event(name: str) -> Callable[[Mapping[str, object]], bool]:
    return lambda record: record.get("event") == name


async def test_starts_waits_until_ready_and_stops(make_target: MakeTarget) -> None:
    target = make_target()
    await target.start()

    assert psutil.pid_exists(target.pid)
    assert target.url.startswith("http://127.0.0.1:")
    assert target.ws_url == target.url.replace("http://", "ws://") + "/ws"

    await target.stop()

    assert target.exit_code == 0
    assert target.logs()[-1] == {"event": "stopped"}
    assert not psutil.pid_exists(target.pid)


async def test_stop_is_harmless_before_the_start_and_twice(make_target: MakeTarget) -> None:
    target = make_target()
    await target.stop()
    await target.start()
    await target.stop()
    await target.stop()


async def test_one_target_is_one_process(make_target: MakeTarget) -> None:
    target = make_target()
    await target.start()
    with pytest.raises(TargetError, match="already started"):
        await target.start()
    await target.stop()


def test_knows_no_address_and_no_process_before_the_start(make_target: MakeTarget) -> None:
    target = make_target()
    with pytest.raises(TargetError, match=r"Call `await target\.start\(\)` first"):
        _ = target.url
    with pytest.raises(TargetError, match=r"Call `await target\.start\(\)` first"):
        _ = target.pid


async def test_waits_for_log_lines_to_come(make_target: MakeTarget) -> None:
    target = make_target()
    await target.start()
    async with aiohttp.ClientSession() as session, session.get(f"{target.url}/say/hello"):
        assert await target.wait_for_log(is_event("hello")) == {"event": "hello"}

    with pytest.raises(TargetError, match=r"did not come within 0\.01 seconds"):
        await target.wait_for_log(is_event("never"), 0.01)
    await target.stop()
    with pytest.raises(TargetError, match="exit code 0"):
        await target.wait_for_log(is_event("never"))


async def test_gets_nothing_of_the_callers_environment_but_the_essentials(
    make_target: MakeTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAX_CONNECTIONS_PER_IP", "1")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    target = make_target(environment={"PORT": "0"})
    await target.start()
    record = await target.wait_for_log(is_event("environment"))
    await target.stop()

    # An interpreter in the C locale sets LC_CTYPE itself (PEP 538).
    assert set(record["names"]) <= {*PASSED_ON, "LC_CTYPE", "PORT", "PYTHONUNBUFFERED"}
    assert {"PORT", "PATH"} <= set(record["names"])


def test_given_settings_win_over_what_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    assert clean_environment({"TZ": "UTC"})["TZ"] == "UTC"


async def test_a_ctrl_c_at_the_terminal_does_not_reach_it(make_target: MakeTarget) -> None:
    target = make_target()
    await target.start()
    record = await target.wait_for_log(is_event("environment"))
    await target.stop()

    assert record["session"] == record["pid"] != os.getsid(0)


async def test_bad_settings_are_reported_with_the_exit_code_and_the_line(make_target: MakeTarget) -> None:
    target = make_target("bad-settings")
    with pytest.raises(TargetError, match="allowed: 0 to 65535") as caught:
        await target.start()

    assert caught.value.exit_code == 2
    assert "ended with exit code 2 before it listened" in str(caught.value)


async def test_a_gateway_that_does_not_listen_in_time_is_reported_and_killed(make_target: MakeTarget) -> None:
    target = make_target("never-listens", start_seconds=0.5)
    with pytest.raises(TargetError, match=r"did not listen within 0\.5 s") as caught:
        await target.start()

    assert caught.value.exit_code is None
    assert target.exit_code == -signal.SIGKILL


async def test_a_gateway_that_is_not_ready_in_time_is_reported_and_killed(make_target: MakeTarget) -> None:
    target = make_target("never-ready", start_seconds=30)
    asked = itertools.count(1)
    with loop_clock() as clock:
        starting = asyncio.create_task(target.start())
        # A second request shows that the first answer was read; the time must not be over before that.
        await target.wait_for_log(lambda record: record["event"] == "asked" and next(asked) == 2, 30)
        clock.put_forward(30)
        with pytest.raises(
            TargetError, match=r"/ready did not answer 200 within 30 s; the last result: 503 .*none healthy"
        ) as caught:
            await starting

    assert caught.value.exit_code is None
    assert target.exit_code == -signal.SIGKILL


async def test_an_end_before_ready_is_seen_at_once(make_target: MakeTarget) -> None:
    target = make_target("dies-before-ready", start_seconds=30)
    async with asyncio.timeout(10):
        with pytest.raises(TargetError, match="exit code 7 before it was ready") as caught:
            await target.start()
    assert caught.value.exit_code == 7


async def test_start_need_not_wait_until_ready(make_target: MakeTarget) -> None:
    target = make_target("never-ready")
    await target.start(until_ready=False)
    await target.stop()


async def test_a_cancelled_start_leaves_no_process(make_target: MakeTarget) -> None:
    target = make_target("never-listens")
    starting = asyncio.create_task(target.start())
    await target.wait_for_log(is_event("started"))
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting

    assert target.exit_code == -signal.SIGKILL


async def test_a_gateway_that_ignores_sigterm_is_killed_and_reported(make_target: MakeTarget) -> None:
    target = make_target("ignores-term", stop_seconds=0.3)
    await target.start()
    with pytest.raises(TargetError, match=r"was killed, because it did not end within 0\.3 s after SIGTERM"):
        await target.stop()

    assert target.exit_code == -signal.SIGKILL


async def test_an_error_while_stopping_is_reported(make_target: MakeTarget) -> None:
    target = make_target("fails-on-term")
    await target.start()
    with pytest.raises(TargetError, match="exit code 3 after SIGTERM") as caught:
        await target.stop()
    assert caught.value.exit_code == 3


async def test_a_child_that_is_left_is_killed(make_target: MakeTarget) -> None:
    target = make_target("leaves-a-child")
    await target.start()
    stopping = asyncio.create_task(target.stop())
    child = psutil.Process((await target.wait_for_log(is_event("child")))["pid"])
    await stopping

    assert await asyncio.to_thread(psutil.wait_procs, [child], 5) == ([child], [])


async def test_a_cancelled_stop_leaves_no_process(make_target: MakeTarget) -> None:
    target = make_target("ignores-term")
    await target.start()
    stopping = asyncio.create_task(target.stop())
    await asyncio.sleep(0)
    stopping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopping

    assert target.exit_code == -signal.SIGKILL


async def test_a_child_that_holds_its_pipes_is_not_waited_for(make_target: MakeTarget) -> None:
    target = make_target("leaves-a-daemon")
    await target.start()
    stopping = asyncio.create_task(target.stop())
    child = psutil.Process((await target.wait_for_log(is_event("child")))["pid"])
    try:
        await stopping
        assert child.is_running()
        assert target.exit_code == 0
    finally:
        child.kill()


async def test_a_test_may_end_the_process_itself(make_target: MakeTarget) -> None:
    target = make_target()
    await target.start()
    with pytest.raises(TargetError, match=r"still runs after 0\.01 s"):
        await target.wait_ended(0.01)

    target.send_signal(signal.SIGKILL)
    assert await target.wait_ended() == -signal.SIGKILL
    target.send_signal(signal.SIGTERM)  # nothing there any more
    await target.stop()


async def test_odd_output_is_kept(make_target: MakeTarget) -> None:
    target = make_target("odd-output")
    await target.start()
    await target.stop()

    assert [record["event"] for record in target.logs()] == ["started", "environment", "listening", "stopped"]
    assert target.log_tail().splitlines()[1:5] == ["plain text", "{broken json", "[1, 2]", ""]
    assert "a line of more than 1048576 bytes was dropped here" in target.log_tail()
    assert r"not \xff utf-8" in target.log_tail()


async def test_a_flood_of_lines_is_read_and_bounded(make_target: MakeTarget) -> None:
    target = make_target("floods")
    await target.start()
    await target.wait_for_log(lambda record: record.get("number") == 19_999)

    assert len(target.logs()) <= 10_000
    await target.stop()


async def test_without_a_gateway_installed_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memmie_harness.targets.process.GATEWAY_MODULE", "memmie_gateway_that_is_not_there")
    with pytest.raises(TargetError, match="pip install --find-links DIR memmie-gateway"):
        await ProcessTarget({}).start()


async def test_its_repr_holds_no_settings(make_target: MakeTarget) -> None:
    target = make_target(environment={"SECRET": "hunter2"})
    assert "hunter2" not in repr(target)
    await target.start()
    assert str(target.pid) in repr(target)
    await target.stop()


async def test_a_signal_leaves_the_exit_code_to_asyncio(
    make_target: MakeTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`Popen.poll` reaps a process that has just ended; then asyncio logs `Unknown child process`, and reports 255."""

    def poll(_: object) -> None:
        raise AssertionError("polled")

    target = make_target()
    await target.start()
    with monkeypatch.context() as patch:
        patch.setattr(subprocess.Popen, "poll", poll)
        target.send_signal(signal.SIGTERM)
        target.send_signal(signal.SIGTERM)

    assert await target.wait_ended() in {0, -signal.SIGTERM}
