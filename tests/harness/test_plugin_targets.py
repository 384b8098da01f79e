"""Gateways that are not ours under the plugin: started by a command, described by a profile, or already running.

The gateway is that of the tutorial docs/tutorials/gateway-in-ci.md.
"""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path

import pytest
from tests.harness.strict import STRICT

from memmie_fake_auth import FakeAuth
from memmie_fake_studio import FakeStudio
from memmie_harness.targets.command import CommandTarget, free_port

pytest_plugins = ["pytester"]

PAGE = Path(__file__).parents[2] / "docs" / "tutorials" / "gateway-in-ci.md"
[GATEWAY] = re.findall(
    r"<!-- file gw.py -->\n```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL
)

ARGUMENTS = "--auth {AUTH_URL} --backends {STUDIO_WS_URLS} --port {PORT}"

ODD_GATEWAY = GATEWAY.replace(
    'request.headers.get("Authorization", "")', '"Bearer " + request.query["token"]'
)
ODD_GATEWAY = ODD_GATEWAY.replace('"/ws"', '"/chat"')
"""It takes the token from the query, and has another path."""


USES_A_COMMAND = """
    import os
    import pytest
    from memmie_harness.client import heartbeat

    async def test_it_has_the_fakes_of_the_test(memmie_gateway, memmie_connect, memmie_auth, memmie_studios):
        assert memmie_gateway.url.startswith("http://127.0.0.1:")
        await heartbeat(await memmie_connect("u1"))
        assert len(memmie_auth.log.entries("request", path="/api/v1/auth/validate")) == 1
        assert len(memmie_studios) == 2

    @pytest.mark.memmie(env={"MY_SETTING": "1"})
    async def test_fails_and_shows_the_log(memmie_gateway):
        assert os.path.exists(f"/proc/{memmie_gateway.pid}")
        with open(f"/proc/{memmie_gateway.pid}/environ") as environment:
            assert "MY_SETTING=1" in environment.read().split("\\0")
        assert False

    @pytest.mark.memmie(needs=["drain"])
    async def test_needs_what_no_profile_offers(memmie_gateway):
        raise NotImplementedError
"""


def test_a_command_starts_the_gateway_of_each_test(pytester: pytest.Pytester) -> None:
    pytester.makefile(".py", gw=GATEWAY)
    pytester.makefile(".conf", gw="{AUTH_URL} {{PORT}")
    pytester.makepyfile(USES_A_COMMAND)
    check = 'test "$(cat {CONFIG})" = "$3 {{PORT}" && exec "$0" "$@"'
    result = pytester.runpytest_inprocess(
        *STRICT,
        "-rs",
        "--memmie-target=command",
        f"--memmie-command=sh -c '{check}' {sys.executable} gw.py {ARGUMENTS}",
        "--memmie-config-template=gw.conf",
        "--memmie-ready=port",
        "--memmie-ready=log=Running on http://.*:(?P<port>[0-9]+)",
    )
    result.assert_outcomes(passed=1, failed=1, skipped=1)
    result.stdout.fnmatch_lines(
        [
            "*memmie gateway log, teardown included: <CommandTarget pid=*",
            "*Running on http://127.0.0.1:*",
            "SKIPPED *not offered: drain; no profile says that the gateway of the command offers it; write one for --memmie-profile",
        ]
    )


PROFILE = f"""
name = "odd"
[start]
command = "{sys.executable} gw.py --auth {{AUTH_URL}} --backends ws://{{STUDIO_ADDRESS_1}}/ws --port {{PORT}}"
start_seconds = 60
[offers]
auth = true
token_query = "token"
path = "/chat"
"""

USES_A_PROFILE = """
    import pytest
    from memmie_harness.client import heartbeat

    async def test_the_client_knows_path_and_token(memmie_gateway, memmie_connect, memmie_studios):
        assert memmie_gateway.ws_url.endswith("/chat")
        await heartbeat(await memmie_connect("u1"))
        assert len(memmie_studios) == 1

    @pytest.mark.memmie(needs=["auth", "sticky"])
    async def test_needs_more(memmie_connect):
        raise NotImplementedError

    @pytest.mark.memmie(studios=2)
    async def test_needs_more_studios(memmie_connect):
        raise NotImplementedError

    @pytest.mark.asyncio(loop_scope="module")
    async def test_a_shared_stack_is_of_the_profile(memmie_module_stack):
        await heartbeat(await memmie_module_stack.connect("u1"))
"""


def test_a_profile_says_how_clients_talk_to_it_and_what_it_offers(pytester: pytest.Pytester) -> None:
    pytester.makefile(".py", gw=ODD_GATEWAY)
    pytester.makefile(".toml", gw=PROFILE)
    pytester.makepyfile(USES_A_PROFILE)
    result = pytester.runpytest_inprocess(*STRICT, "-rs", "--memmie-profile=./gw.toml")
    result.assert_outcomes(passed=2, skipped=2)
    result.stdout.fnmatch_lines(
        [
            "SKIPPED *not offered: sticky; the profile odd says so",
            "SKIPPED *not offered: studios=2; the profile odd says so",
        ]
    )


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "gw.py"
    path.write_text(GATEWAY)
    return path


def started(program: Path, auth_url: str, backends: list[str]) -> CommandTarget:
    """The gateway, not yet started."""
    port = free_port()
    command = [sys.executable, str(program), "--auth", auth_url, "--backends", ",".join(backends)]
    return CommandTarget([*command, "--port", str(port)], port=port, start_seconds=60)


USES_A_URL = """
    import pytest
    from memmie_harness.client import heartbeat

    @pytest.mark.parametrize("number", range(3))
    async def test_talks_to_it(memmie_connect, number):
        await heartbeat(await memmie_connect("u1"))

    async def test_counts_calls_of_auth(memmie_connect, memmie_auth):
        raise NotImplementedError

    async def test_kills_a_studio(memmie_connect, memmie_studios):
        raise NotImplementedError

    async def test_starts_another(memmie_start_gateway):
        raise NotImplementedError

    @pytest.mark.memmie(env={"MAX_CONNECTIONS_PER_USER": 1})
    async def test_has_settings(memmie_connect):
        raise NotImplementedError

    @pytest.mark.memmie(needs=["drain"])
    async def test_needs_an_offer(memmie_connect):
        raise NotImplementedError

    async def test_reads_the_log(memmie_gateway):
        await memmie_gateway.wait_for_log(lambda record: True)
        raise NotImplementedError
"""


async def test_a_url_needs_no_ready_and_names_what_it_does_not_offer(
    pytester: pytest.Pytester, program: Path
) -> None:
    async with FakeAuth() as auth, FakeStudio(auth_url=auth.url) as studio:
        running = started(program, auth.url, [studio.ws_url])
        await running.start()
        pytester.makepyfile(USES_A_URL)
        options = (*STRICT, "-rs", f"--memmie-target={running.ws_url}", f"--memmie-auth-url={auth.url}")
        # The fakes run on this loop, so the other pytest must not block it.
        result = await asyncio.to_thread(pytester.runpytest_subprocess, *options)
        await running.stop()

    result.assert_outcomes(passed=3, skipped=6)
    for name in (
        "memmie_auth",
        "memmie_studios",
        "memmie_start_gateway",
        "MAX_CONNECTIONS_PER_USER=1",
        "drain",
    ):
        result.stdout.fnmatch_lines([f"SKIPPED *not offered: {name}; the gateway at ws://* already runs, *"])
    result.stdout.fnmatch_lines(["SKIPPED *the log of http://127.0.0.1:* cannot be read, because*"])


NOT_THERE = """
    name = "gone"
    [start]
    command = "gone {PORT}"
    start_seconds = 0.1
"""

COUNTS = """
    import memmie_harness.targets.running as running

    started = []
    start = running.UrlTarget.start

    async def counted(self):
        started.append(self)
        await start(self)

    running.UrlTarget.start = counted

    def pytest_unconfigure():
        running.UrlTarget.start = start
        print("waited", len(started), "times")
"""


def test_a_gateway_that_is_not_there_is_waited_for_once(pytester: pytest.Pytester) -> None:
    pytester.makefile(".toml", gw=NOT_THERE)
    pytester.makeconftest(COUNTS)
    pytester.makepyfile("async def test_one(memmie_gateway): ...\nasync def test_two(memmie_gateway): ...")
    result = pytester.runpytest_inprocess(
        *STRICT, "--memmie-target=http://127.0.0.1:9", "--memmie-profile=./gw.toml", "--memmie-ready=/health"
    )
    result.assert_outcomes(errors=2)
    missing = "*TargetError: the gateway at http://127.0.0.1:9: *; missing was an answer from /health"
    result.stdout.fnmatch_lines([missing, missing, "*waited 1 times*"])


AT_FIXED_PORTS = """
    name = "gw"
    [start]
    url = "URL"
    auth_port = AUTH
    studio_ports = STUDIOS
    [offers]
    auth = true
    token_header = true
    studios = 2
"""

USES_FIXED_PORTS = """
    import pytest
    from memmie_harness.client import heartbeat
    from websockets.exceptions import InvalidStatus

    async def test_calls_of_auth_are_counted(memmie_connect, memmie_auth):
        with pytest.raises(InvalidStatus):
            await memmie_connect(token="no such token")
        assert len(memmie_auth.log.entries("request", path="/api/v1/auth/validate")) == 1

    async def test_a_studio_is_killed(memmie_connect, memmie_studios):
        await heartbeat(await memmie_connect("u1"))
        await memmie_studios[0].stop()
        await heartbeat(await memmie_connect("u1"))
        assert memmie_studios[1].connections

    async def test_starts_another(memmie_start_gateway):
        raise NotImplementedError
"""


async def test_a_running_gateway_can_have_the_fakes_of_the_test(
    pytester: pytest.Pytester, program: Path
) -> None:
    auth, *studios = free_port(), free_port(), free_port()
    running = started(program, f"http://127.0.0.1:{auth}", [f"ws://127.0.0.1:{port}/ws" for port in studios])
    await running.start()
    profile = AT_FIXED_PORTS.replace("URL", running.url).replace("AUTH", str(auth))
    pytester.makefile(".toml", gw=profile.replace("STUDIOS", str(studios)))
    pytester.makepyfile(USES_FIXED_PORTS)
    result = await asyncio.to_thread(
        pytester.runpytest_subprocess, *STRICT, "-rs", "--memmie-profile=./gw.toml"
    )
    await running.stop()

    result.assert_outcomes(passed=2, skipped=1)
    result.stdout.fnmatch_lines(
        ["SKIPPED *not offered: memmie_start_gateway; the gateway at http://127.0.0.1:*"]
    )
