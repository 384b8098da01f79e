"""The command line as an operator meets it: what it prints, and how it exits."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from memmie_fake_auth import FakeAuth
from memmie_fake_studio import FakeStudio
from memmie_gateway import Settings
from memmie_gateway.app.cli import main
from memmie_gateway.app.reference import rows
from memmie_harness.targets import ProcessTarget
from memmie_harness.targets.process import clean_environment


@dataclass(frozen=True)
class Ran:
    """A command that has ended."""

    exit_code: int
    out: str
    err: str


Run = Callable[..., Awaitable[Ran]]


@pytest.fixture
async def run() -> AsyncIterator[Run]:
    """Runs `memmie-gateway ARGUMENTS` with just these settings, to its end."""
    started: list[asyncio.subprocess.Process] = []

    async def run(*arguments: str, **settings: object) -> Ran:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "memmie_gateway", *arguments),
            env=clean_environment({name: str(value) for name, value in settings.items()}),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        started.append(process)
        out, err = await process.communicate()
        assert process.returncode is not None
        return Ran(process.returncode, out.decode(), err.decode())

    yield run
    for process in started:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_version_and_help(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    version = await run("version")
    assert (version.exit_code, version.out, version.err) == (0, "0.1.0\n", "")

    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    text = capsys.readouterr().out
    for command in ("serve", "check", "settings", "healthcheck", "version"):
        assert f"  {command}" in text
        with pytest.raises(SystemExit, match="0"):
            main([command, "--help"])
        assert f"memmie-gateway {command}" in capsys.readouterr().out
    assert "STUDIO_WS_URLS" in text  # what to set first


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["serve", "--port", "1"]])
def test_what_is_not_a_command_is_exit_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(arguments)

    assert "usage: memmie-gateway" in capsys.readouterr().err


def test_settings_lists_every_variable(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["settings"]) == 0
    table = capsys.readouterr().out
    assert main(["settings", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)

    assert [row["name"] for row in listed] == [row.name for row in rows()]
    assert all(row["meaning"] in table for row in listed)


async def test_a_closed_pipe_is_no_traceback() -> None:
    reader, writer = socket.socketpair()
    reader.close()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "memmie_gateway", "settings"),
        env=clean_environment({}),
        stdout=writer.fileno(),
        stderr=asyncio.subprocess.PIPE,
    )
    writer.close()
    _, err = await process.communicate()

    assert err == b""


NUMBER = "must be a number. "
WHOLE = "must be a whole number. "

# What somebody may write, and what the answer must tell them.
BAD = [
    ("PORT", "http", WHOLE),
    ("PORT", "65536", "less than or equal to 65535"),
    ("PORT", "-1", "greater than or equal to 0"),
    ("BROWSER_REFUSALS", "maybe", "true or false"),
    ("HTTP_ROUTES", "/api", "is not a route such as /api=studio:/api"),
    ("HTTP_ROUTES", "/mine=http://127.0.0.1:9000/x", "the service is studio or auth"),
    ("HTTP_ROUTES", "/api=studio:/api,/api/=auth:/x", "two routes have the prefix /api"),
    ("HTTP_MAX_BODY_BYTES", "-1", "greater than or equal to 0"),
    ("HTTP_BODY_SECONDS", "0", "greater than 0"),
    ("HTTP_IDLE_SECONDS", "0", "greater than 0"),
    ("HTTP_TOTAL_SECONDS", "0", "greater than 0"),
    ("HTTP_LIVE_SECONDS", "0", "greater than 0"),
    ("HTTP_CONNECTIONS_PER_IP", "-1", "greater than or equal to 0"),
    ("HTTP_RATE_PER_IP", "-1", "greater than or equal to 0"),
    ("HTTP_BURST_PER_IP", "0", "greater than or equal to 1"),
    ("HTTP_RATE_PER_USER", "-1", "greater than or equal to 0"),
    ("HTTP_BURST_PER_USER", "0", "greater than or equal to 1"),
    ("HTTP_OPEN_RATE_PER_IP", "-1", "greater than or equal to 0"),
    ("HTTP_OPEN_BURST_PER_IP", "0", "greater than or equal to 1"),
    ("WEBSOCKET_ENABLED", "maybe", "true or false"),
    ("MAX_CONNECTIONS", "0", "greater than or equal to 1"),
    ("MAX_HEAD_BYTES", "100", "greater than or equal to 1024"),
    ("MAX_HEADERS", "0", "greater than or equal to 1"),
    ("HEAD_SECONDS", "0", "greater than 0"),
    (
        "TRUSTED_PROXIES",
        "10.0.0.1/8",
        "'10.0.0.1/8' is not a network: 10.0.0.1 is not the first address of 10.0.0.0/8. Did you mean 10.0.0.0/8?",
    ),
    ("TRUSTED_PROXIES", "192.168.7.9/16", "Did you mean 192.168.0.0/16? Meaning of TRUSTED_PROXIES: "),
    ("TRUSTED_PROXIES", "10.0.0.0/8,proxy", "'proxy' is not a network such as 10.0.0.0/8. "),
    ("ALLOWED_ORIGINS", "app.example.com", "an origin such as https://app.example.com"),
    ("AUTH_URL", "auth:8001", "a URL such as http://auth:8001"),
    (
        "AUTH_URL",
        "http://auth:port",
        "a URL such as http://auth:8001: the port must be a number from 0 to 65535. ",
    ),
    ("AUTH_URL", "http://auth:8001/a\u00e4", "must be percent-encoded"),
    ("STUDIO_WS_URLS", "ws://studio:8010/w s", "must be percent-encoded"),
    ("AUTH_TIMEOUT_SECONDS", "5s", NUMBER),
    ("AUTH_CACHE_SECONDS", "-1", "greater than or equal to 0"),
    ("AUTH_REFUSAL_CACHE_SECONDS", "inf", "less than or equal to"),
    ("AUTH_CACHE_SIZE", "0", "greater than or equal to 1"),
    ("AUTH_MAX_CONNECTIONS", "0", "greater than or equal to 1"),
    ("AUTH_BREAKER_FAILURES", "-1", "greater than or equal to 0"),
    ("AUTH_BREAKER_SECONDS", "0", "greater than 0"),
    ("AUTH_STALE_SECONDS", "-1", "greater than or equal to 0"),
    ("AUTH_RECHECK_SECONDS", "-1", "greater than or equal to 0"),
    ("AUTH_KEEPALIVE", "2", "true or false"),
    ("MAX_TOKEN_BYTES", "0", "greater than or equal to 1"),
    ("TOKEN_END", "never", "'close' or 'keep'"),
    ("TOKEN_LEEWAY_SECONDS", "-1", "greater than or equal to 0"),
    ("FIRST_MESSAGE_AUTH", "2", "true or false"),
    ("FIRST_MESSAGE_SECONDS", "", None),  # empty is not set
    ("FIRST_MESSAGE_SECONDS", "0", "greater than 0"),
    ("STUDIO_WS_URLS", "http://studio:8010/ws", "a URL such as ws://studio:8010/ws"),
    ("STUDIO_WS_URLS", "ws://studio:80100/ws", "a URL such as ws://studio:8010/ws"),
    ("STUDIO_WS_URLS", ",", "at least one URL is needed"),
    ("STUDIO_WS_URLS", "ws://a/ws,ws://b/ws,ws://a/ws", "a URL is listed twice, as number 1 and 3."),
    ("LB_STRATEGY", "best", "'sticky', 'round_robin' or 'least_connections'"),
    ("DIAL_TIMEOUT_SECONDS", "0", "greater than 0"),
    ("HEALTH_INTERVAL_SECONDS", "0", "greater than 0"),
    ("HEALTH_RECOVERY_SECONDS", "0", "greater than 0"),
    ("HEALTH_TIMEOUT_SECONDS", "0", "greater than 0"),
    ("HEALTH_RISE", "0", "greater than or equal to 1"),
    ("HEALTH_FALL", "1.5", WHOLE),
    ("HEALTH_CHECK", "grpc", "'ws', 'http', 'tcp' or 'off'"),
    ("HEALTH_PATH", "healthz", "'healthz' is not a path such as /healthz"),
    ("HEALTH_PATH", "/a b", "'/a b' is not a path such as /healthz"),
    ("HEALTH_PATH", "/a#b", "'/a#b' is not a path such as /healthz"),  # a fragment is never sent
    ("UNHEALTHY_SESSIONS", "end", "'close' or 'keep'"),
    ("OUTLIER_EJECTION", "2", "true or false"),
    ("SLOW_START_SECONDS", "-1", "greater than or equal to 0"),
    ("REBALANCE", "on", "'split', 'home' or 'off'"),
    ("REBALANCE_AFTER_SECONDS", "-1", "greater than or equal to 0"),
    ("MAX_CONNECTIONS_PER_IP", "ten", WHOLE),
    ("MAX_CONNECTIONS_PER_USER", "-5", "greater than or equal to 0"),
    ("CONNECT_RATE_PER_IP", "-1", "greater than or equal to 0"),
    ("CONNECT_RATE_PER_IP", "inf", "finite number"),
    ("CONNECT_BURST_PER_IP", "0", "greater than or equal to 1"),
    ("MESSAGE_RATE_PER_USER", "nan", "finite number"),
    ("MESSAGE_BURST_PER_USER", "0", "greater than or equal to 1"),
    ("MESSAGE_RATE_MAX_DELAY_SECONDS", "0", "greater than 0"),
    ("MAX_MESSAGE_BYTES", "1MiB", WHOLE),
    ("WS_TIMEOUT_SECONDS", "-1", "greater than or equal to 0"),
    ("PING_INTERVAL_SECONDS", "nan", "less than or equal to 604800"),
    ("PING_TIMEOUT_SECONDS", "0", "greater than 0"),
    ("CLOSE_TIMEOUT_SECONDS", "0", "greater than 0"),
    ("WRITE_BUFFER_BYTES", "1", "greater than or equal to 1024"),
    ("EVICTIONS", "on", "'act', 'observe' or 'off'"),
    ("SOCKETIO", "on", "'translate', 'passthrough' or 'off'"),
    ("POLLING", "2", "true or false"),
    ("EVICT_PER_SECOND", "-1", "greater than or equal to 0"),
    ("DRAIN_SECONDS", "1e9", "less than or equal to 604800"),
    ("METRICS_CACHE_SECONDS", "-1", "greater than or equal to 0"),
    ("LOG_FORMAT", "xml", "'auto', 'json' or 'console'"),
    ("LOG_LEVEL", "loud", "'debug', 'info', 'warning' or 'error'"),
]


@pytest.mark.parametrize(("name", "value", "allowed"), [bad for bad in BAD if bad[2]])
def test_a_bad_setting_is_one_line_and_exit_2(
    name: str, value: str, allowed: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(SystemExit, match="2"):
        main(["check"])
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"memmie-gateway: {name}={value!r}: ")
    assert allowed in line
    meaning = next(row.meaning for row in rows() if row.name == name)
    assert f"Meaning of {name}: {meaning.partition(' One of `')[0]}" in line


@pytest.mark.parametrize("level", ["INFO", "Warning"])
def test_a_log_level_may_be_written_in_capitals(level: str) -> None:
    assert Settings.from_env({"LOG_LEVEL": level}).log_level == level.lower()


async def test_a_misspelt_setting_is_pointed_out(run: Run) -> None:
    ran = await run("check", MAX_CONNECTION_PER_IP=3, LB_STRATEGI="x", MY_OWN_PORT=1)

    assert ran.err.splitlines() == [
        "memmie-gateway: note: MAX_CONNECTION_PER_IP is not a setting. Did you mean MAX_CONNECTIONS_PER_IP?",
        "memmie-gateway: note: LB_STRATEGI is not a setting. Did you mean LB_STRATEGY?",
    ]


@pytest.mark.parametrize("who", ["me:hunter2", ":hunter2", "me"])
def test_credentials_in_a_url_are_refused_and_not_repeated(
    who: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AUTH_URL", f"http://{who}@auth:8001")

    with pytest.raises(SystemExit, match="2"):
        main(["check"])
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(
        "memmie-gateway: AUTH_URL='http://***@auth:8001': a URL must not contain credentials"
    )


def test_every_setting_that_can_be_bad_is_tried() -> None:
    # A host is whatever the resolver takes; see below.
    assert {name for name, _, _ in BAD} == {row.name for row in rows()} - {"HOST"}, (
        "add an invalid value of each new setting to BAD, and remove old settings from it"
    )


async def test_serving_with_bad_settings_names_each_of_them(run: Run) -> None:
    ran = await run("serve", PORT="x", LB_STRATEGY="y")

    assert ran.exit_code == 2
    assert sorted(line.split("=")[0] for line in ran.err.splitlines()) == [
        "memmie-gateway: LB_STRATEGY",
        "memmie-gateway: PORT",
    ]
    assert ran.out == ""


async def test_an_address_that_cannot_be_had_is_one_line_and_exit_2(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ran = await run("serve", HOST="127.0.0.1", PORT=port, LOG_FORMAT="json")

    assert ran.exit_code == 2
    assert ran.err.startswith(f"memmie-gateway: cannot listen on 127.0.0.1 port {port}: ")
    assert ran.err.endswith(": Address already in use. The settings HOST and PORT choose the address.\n")
    assert (ran.out, ran.err.count("\n")) == ("", 1)


async def test_a_host_that_is_no_name_is_one_line_and_exit_2(run: Run) -> None:
    ran = await run("serve", HOST="a..b", LOG_FORMAT="json")

    assert ran.exit_code == 2
    assert ran.err.startswith(
        "memmie-gateway: cannot listen on a..b port 8000: this is not a valid host name. "
    )
    assert (ran.out, ran.err.count("\n")) == ("", 1)


async def test_check_tries_auth_and_every_studio(
    run: Run, memmie_auth: FakeAuth, memmie_studios: list[FakeStudio]
) -> None:
    first, second = memmie_studios
    settings = {"AUTH_URL": memmie_auth.url, "STUDIO_WS_URLS": f"{first.ws_url},{second.ws_url}"}
    well = await run("check", **settings)
    assert well.exit_code == 0
    assert [line.split()[:3] for line in well.out.splitlines()] == [
        ["ok", "auth", memmie_auth.url],
        ["ok", "studio", first.ws_url],
        ["ok", "studio", second.ws_url],
    ]

    await first.stop()
    memmie_auth.script("html")
    ill = await run("check", "--json", **settings)
    assert ill.exit_code == 1
    answer: dict[str, Any] = json.loads(ill.out)
    assert answer["ok"] is False
    assert [(each["name"], each["target"], each["ok"]) for each in answer["checks"]] == [
        ("auth", memmie_auth.url, False),
        ("studio", first.ws_url, False),
        ("studio", second.ws_url, True),
    ]
    assert answer["checks"][0]["detail"] == "Auth answered with something that is not JSON"
    assert answer["checks"][1]["detail"] == (
        f"the health check of {first.ws_url}/health failed (Connection refused). "
        "HEALTH_CHECK and HEALTH_PATH choose another check"
    )


async def test_check_distrusts_an_auth_that_accepts_anything(
    run: Run, memmie_auth: FakeAuth, memmie_studios: list[FakeStudio]
) -> None:
    memmie_auth.script("error", status=200, body='{"valid": true, "user_id": "u1"}')
    ran = await run("check", AUTH_URL=memmie_auth.url, STUDIO_WS_URLS=memmie_studios[0].ws_url)

    assert ran.exit_code == 1
    assert "Auth accepts an invalid token" in ran.out


async def test_serving_takes_all_the_open_files_there_are(http: aiohttp.ClientSession) -> None:
    """Many a default is 1024, of which a connection needs two; without one, every Studio would seem to be gone."""
    process = await asyncio.create_subprocess_exec(
        *("prlimit", "--nofile=64:512", sys.executable, "-m", "memmie_gateway", "serve"),
        env=clean_environment({"HOST": "127.0.0.1", "PORT": "0", "LOG_FORMAT": "json"}),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(30):
            listening = json.loads(await process.stdout.readline())
        async with http.get(f"{listening['url']}/metrics") as answer:
            assert "process_max_fds 512.0" in await answer.text()
    finally:
        process.terminate()
        await process.communicate()


async def test_it_serves_on_the_fast_event_loop() -> None:
    gateway = ProcessTarget({"HOST": "127.0.0.1", "PORT": "0", "LOG_FORMAT": "json"})
    await gateway.start(until_ready=False)
    await gateway.stop()
    (listening,) = (line for line in gateway.logs() if line["event"] == "listening")
    assert listening["loop"] == "uvloop"


@pytest.mark.parametrize("command", ["version", "serve"])
async def test_a_command_without_standard_output_does_not_mind(command: str) -> None:
    """`memmie-gateway serve >&-`: what is opened next must not take its place."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        *("sh", "-c", f"exec {sys.executable} -m memmie_gateway {command} >&-"),
        env=clean_environment({"PORT": str(port), "HOST": "127.0.0.1"}),
        stderr=asyncio.subprocess.PIPE,
    )
    if command == "serve":
        async with asyncio.timeout(10), aiohttp.ClientSession() as http:
            while True:  # there is no line that says that it listens
                with contextlib.suppress(aiohttp.ClientConnectorError):
                    async with http.get(f"http://127.0.0.1:{port}/health") as response:
                        assert response.status == 200
                        break
                await asyncio.sleep(0.02)
        process.terminate()
    _, errors = await process.communicate()
    assert (process.returncode, errors) == (0, b"")
