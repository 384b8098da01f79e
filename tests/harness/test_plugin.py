"""The plugin as its users have it: in a pytest of their own, in a process of its own."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import Sequence

import psutil
import pytest
from tests.harness.strict import STRICT

from memmie_fake_auth import FakeAuth
from memmie_fake_studio import FakeStudio
from memmie_harness.targets import ProcessTarget
from memmie_harness.wiring import FOR_TESTS, gateway_environment

pytest_plugins = ["pytester"]


@pytest.fixture
def run_pytest(pytester: pytest.Pytester) -> RunPytest:
    return RunPytest(pytester)


class RunPytest:
    """Runs a test file as a user would, warnings being errors.

    What starts processes does it in a pytest process of its own; the rest is quicker inside this one.
    """

    def __init__(self, pytester: pytest.Pytester) -> None:
        self._pytester = pytester

    def __call__(self, source: str, options: Sequence[str] = (), *, inside: bool = False) -> pytest.RunResult:
        self._pytester.makepyfile(source)
        run = self._pytester.runpytest_inprocess if inside else self._pytester.runpytest_subprocess
        return run(*STRICT, *options)


USES_EVERYTHING = """
    import json
    import os

    import psutil
    import pytest
    from websockets.exceptions import InvalidStatus

    pids = []

    async def test_a_client_talks_to_studio_through_the_gateway(
        memmie_gateway, memmie_connect, memmie_socketio, memmie_studios, memmie_auth
    ):
        pids.append(getattr(memmie_gateway, "pid", None))
        assert len(memmie_studios) == 2
        first, second = await memmie_connect(), await memmie_connect("u1")
        await first.send(json.dumps({"id": "1", "type": "heartbeat"}))
        assert json.loads(await first.recv())["type"] == "ack"
        assert sum(len(studio.connections) for studio in memmie_studios) == 2

        third = await memmie_socketio("u1", transports=["websocket"])
        assert (await third.call("heartbeat"))["type"] == "ack"

        await second.close()
        ended = await memmie_gateway.wait_for_log(lambda record: record["event"] == "closed")
        assert ended["user_id"] == "u1"

        for user_id, token in ((None, None), ("u1", "nonsense"), ("u1", memmie_auth.mint("u1", kind="expired"))):
            with pytest.raises(InvalidStatus) as refused:
                await memmie_connect(user_id, token=token)
            assert refused.value.response.status_code == 401

    def test_a_gateway_ends_with_its_test(pytestconfig):
        [pid] = pids
        assert (pid is None) == (pytestconfig.getoption("memmie_target") == "inprocess")
        if pid is not None:
            assert pid != os.getpid()
            assert not psutil.pid_exists(pid)
        assert psutil.Process().children() == []

    @pytest.mark.memmie(studios=1, env={"MAX_CONNECTIONS_PER_USER": 1})
    class TestMark:
        async def test_a_mark_sets_the_stack(self, memmie_connect, memmie_studios):
            assert len(memmie_studios) == 1
            await memmie_connect("u1")
            with pytest.raises(InvalidStatus) as refused:
                await memmie_connect("u1")
            assert refused.value.response.status_code == 429
            await memmie_connect("u2")

    @pytest.mark.memmie(studios=0, env={"STUDIO_WS_URLS": "ws://127.0.0.1:9/ws"})
    async def test_more_gateways_with_settings_of_their_own(
        memmie_start_gateway, memmie_studios, memmie_token, request
    ):
        from memmie_harness.client import connect, heartbeat
        from memmie_fake_studio import FakeStudio

        idle = await memmie_start_gateway(until_ready=False)
        async with FakeStudio(port=0) as studio:
            busy = await memmie_start_gateway({"STUDIO_WS_URLS": studio.ws_url})
            assert busy.url != idle.url
            async with await connect(busy.ws_url, memmie_token("u9")) as client:
                await heartbeat(client)
"""


@pytest.mark.parametrize("kind", ["process", "inprocess"])
def test_every_fixture_works_without_a_warning(run_pytest: RunPytest, kind: str) -> None:
    result = run_pytest(USES_EVERYTHING, [f"--memmie-target={kind}"])
    result.assert_outcomes(passed=4)


def test_works_where_asyncio_mode_is_strict(run_pytest: RunPytest) -> None:
    result = run_pytest(
        """
        import pytest

        @pytest.mark.asyncio
        async def test_connects(memmie_connect):
            await memmie_connect()
        """,
        ["--asyncio-mode=strict", "--memmie-target=inprocess"],
        inside=True,
    )
    result.assert_outcomes(passed=1)


def test_failures_are_explained(run_pytest: RunPytest) -> None:
    result = run_pytest(
        """
        import pytest

        async def test_fails(memmie_gateway, memmie_connect):
            await memmie_connect("somebody")
            assert False

        async def test_passes(memmie_gateway):
            pass

        @pytest.mark.memmie(env={"MAX_CONNECTIONS_PER_IP": "many"})
        async def test_has_a_gateway_that_does_not_start(memmie_gateway):
            raise NotImplementedError

        @pytest.mark.memmie(studio=3)
        async def test_has_a_mark_that_means_nothing(memmie_gateway):
            raise NotImplementedError
        """
    )
    result.assert_outcomes(passed=1, failed=1, errors=2)
    result.stdout.fnmatch_lines(
        [
            "*TargetError: the gateway did not start: *exit code 2*",
            "*MAX_CONNECTIONS_PER_IP*",
            "mark memmie has no argument 'studio'; allowed: studios, env, target, needs",
            "*memmie gateway log, teardown included: <ProcessTarget pid=*",
            '{*"event":"listening"*',
            "*somebody*",
        ],
    )
    # Not for the test that passed; a gateway that did not start has its log in the error.
    assert result.stdout.str().count("memmie gateway log") == 1


WAITS = """
    import asyncio

    async def test_waits(memmie_gateway):
        print("pid", memmie_gateway.pid, flush=True)
        await asyncio.Event().wait()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_interrupted_leaves_no_gateway(
    pytester: pytest.Pytester, number: signal.Signals
) -> None:
    pytester.makepyfile(WAITS)
    command = ["env", "--default-signal=INT", sys.executable, "-m", "pytest", "-s", *STRICT]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as run:  # noqa: S603 - this test's own program
        assert run.stdout is not None
        pid = next(int(line.split()[-1]) for line in run.stdout if "pid " in line)
        assert psutil.pid_exists(pid)
        run.send_signal(number)
        rest = run.stdout.read()

    assert run.returncode == pytest.ExitCode.INTERRUPTED
    assert "KeyboardInterrupt" in rest
    assert not psutil.pid_exists(pid)


def test_an_unknown_target_is_refused(run_pytest: RunPytest) -> None:
    result = run_pytest("", ["--memmie-target=docker"], inside=True)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        [
            "ERROR: --memmie-target: 'docker' is not a target. Choose process, inprocess, command, container or *"
        ]
    )


def test_help_lists_the_options(pytester: pytest.Pytester) -> None:
    help_text = pytester.runpytest_inprocess(*STRICT, "--help").stdout.str()

    assert "--memmie-target=process|inprocess|command|container|URL" in help_text
    assert "--memmie-auth-url=URL" in help_text


def test_the_mark_is_registered(pytestconfig: pytest.Config) -> None:
    assert any(
        line.startswith("memmie(studios=2, env={}, target='process', needs=[]): ")
        for line in pytestconfig.getini("markers")
    )


def test_costs_nothing_in_runs_that_do_not_use_it() -> None:
    # A plain run must not load the servers and clients behind the fixtures.
    program = (
        "import sys, memmie_harness.plugin\n"
        "print(*sorted({'aiohttp', 'websockets', 'memmie_fake_auth', 'memmie_gateway'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - this test's own program
    assert done.stdout.split() == []


USES_A_RUNNING_STACK = """
    import pytest

    async def test_talks_to_it(memmie_gateway, memmie_connect):
        from memmie_harness.client import heartbeat

        assert not memmie_gateway.sees_logs
        await heartbeat(await memmie_connect("u7"))

    async def test_scripts_its_auth(memmie_auth):
        raise NotImplementedError

    async def test_starts_another(memmie_start_gateway):
        raise NotImplementedError

    @pytest.mark.memmie(env={"MAX_CONNECTIONS_PER_USER": 1})
    async def test_has_settings(memmie_gateway):
        raise NotImplementedError
"""


async def test_a_running_gateway_serves_the_tests_that_need_no_stack_of_their_own(
    pytester: pytest.Pytester,
) -> None:
    async with FakeAuth(port=0) as auth, FakeStudio(port=0, auth_url=auth.url) as studio:
        running = ProcessTarget(
            gateway_environment(auth_url=auth.url, studio_ws_urls=[studio.ws_url], extra=FOR_TESTS)
        )
        await running.start()
        pytester.makepyfile(USES_A_RUNNING_STACK)
        options = (*STRICT, f"--memmie-target={running.url}", f"--memmie-auth-url={auth.url}")
        # The Auth runs on this loop, so the other pytest must not block it.
        result = await asyncio.to_thread(pytester.runpytest_subprocess, *options)
        await running.stop()

    result.assert_outcomes(passed=1, skipped=3)


def test_a_token_of_a_running_stack_needs_its_auth(run_pytest: RunPytest) -> None:
    result = run_pytest(
        "def test_token(memmie_token): memmie_token()", ["--memmie-target=http://127.0.0.1:9"], inside=True
    )
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["a test that needs a token needs --memmie-auth-url=URL, because*"])
