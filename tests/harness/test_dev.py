"""`memmie dev`: with signals as a process of its own, otherwise in this one, which is quicker."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import psutil
import pytest

from memmie_harness import cli
from memmie_harness.client import connect, heartbeat
from memmie_harness.dev.command import _signals_cancel_this_task
from memmie_harness.dev.ports import Ports
from memmie_harness.dev.report import client_lines
from memmie_harness.dev.stack import Plan, PortError, Running, running_stack

ANYWHERE = Ports(gateway=0, auth=0, studios=(0,))


@pytest.fixture(autouse=True)
def state_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder of its own for each test, because `memmie dev` keeps its key there."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "memmie"


@contextlib.asynccontextmanager
async def program(*command: str) -> AsyncIterator[Process]:
    """A program, killed if a test leaves it running."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate(b"")


def memmie_dev(*options: str) -> contextlib.AbstractAsyncContextManager[Process]:
    return program(sys.executable, "-m", "memmie_harness", "dev", "--port-base", "0", *options)


async def read_until(stream: asyncio.StreamReader | None, words: str) -> str:
    assert stream is not None
    text = ""
    while words not in text:
        line = await stream.readline()
        assert line, f"ended before {words!r}: {text}"
        text += line.decode()
    return text


async def stopped_by(process: Process, signum: signal.Signals) -> tuple[str, str]:
    """What the command still writes after a signal, on standard output and on standard error."""
    process.send_signal(signum)
    async with asyncio.timeout(10):
        out, err = await process.communicate()
    return out.decode(), err.decode()


def listening_ports() -> set[int]:
    """Where this process listens."""
    return {
        connection.laddr.port
        for connection in psutil.Process().net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    }


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        yield taken.getsockname()[1]


async def test_json_is_all_of_standard_output_and_describes_a_stack_that_works() -> None:
    async with memmie_dev("--json", "--studios", "3") as process:
        assert process.stdout is not None
        told = json.loads(await process.stdout.readline())

        assert len(told["studios"]) == 3
        assert told["round_trip_ms"] > 0
        async with await connect(told["websocket"], told["token"]) as client:
            await heartbeat(client)
        listening = [
            connection.laddr
            for connection in psutil.Process(process.pid).net_connections(kind="inet")
            if connection.status == psutil.CONN_LISTEN
        ]
        assert {address.ip for address in listening} == {"127.0.0.1"}
        assert len(listening) == 5

        out, err = await stopped_by(process, signal.SIGINT)

    assert process.returncode == 0
    assert out == ""
    assert err.endswith("stopped\n")
    assert "Traceback" not in err
    assert told["token"] not in err


async def test_text_has_lines_that_work_and_no_colour_where_there_is_no_terminal() -> None:
    async with memmie_dev() as process:
        text = await read_until(process.stdout, "Press Ctrl-C to stop the stack.\n")
        variables, line = text.splitlines()[1:3]
        assert " -m websockets " in line
        async with program("sh", "-c", f"{variables.strip()}; exec {line.strip()}") as client:
            assert client.stdin is not None
            client.stdin.write(b'{"id":"1","type":"heartbeat"}\n')
            await read_until(client.stdout, "ack")
            [curl] = re.findall("^  (curl .*)", text, re.MULTILINE)
            async with program("sh", "-c", f"{variables.strip()}; exec {curl} -sS") as poster:
                assert await read_until(poster.stdout, '"schema_id": "s1"')
            await read_until(client.stdout, "blob.created")
        [auth] = re.findall(r"auth +(http://\S+)", text)
        origin = {"Origin": "http://localhost:5173"}
        async with aiohttp.ClientSession() as http, http.get(f"{auth}/health", headers=origin):
            await read_until(
                process.stderr, "memmie dev: note: the browser blocks pages of 'http://localhost:5173'"
            )

        out, err = await stopped_by(process, signal.SIGTERM)

    assert "ready in " in text
    assert "\x1b" not in text + out + err
    assert out == "stopped\n"
    assert "Traceback" not in err
    assert process.returncode == 0


async def test_ctrl_c_before_the_check_is_over_ends_it_with_130() -> None:
    # No probe succeeds in so short a time: the gateway does not become ready, however slow this test is.
    async with memmie_dev("--env", "HEALTH_TIMEOUT_SECONDS=1e-9") as process:
        await read_until(process.stderr, "listening")
        out, err = await stopped_by(process, signal.SIGINT)

    assert process.returncode == 130
    assert out == "stopped\n"
    assert "Traceback" not in err


async def test_a_second_signal_ends_the_command_at_once() -> None:
    task = asyncio.current_task()
    assert task is not None
    with _signals_cancel_this_task():
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(asyncio.CancelledError):
            await asyncio.get_running_loop().create_future()
        task.uncancel()

        # From here on a signal does what it does to any Python program.
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_once_ends_after_the_check(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["dev", "--once", "--json", "--port-base", "0"]) == 0
    out, err = capsys.readouterr()

    told = json.loads(out)
    assert out.count("\n") == 1
    assert err == "stopped\n"
    # Of this process: another may have taken the port by now.
    assert int(told["gateway"].rpartition(":")[2]) not in listening_ports()


def test_a_failed_heartbeat_fails_the_check(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["dev", "--once", "--port-base", "0", "--env", "WEBSOCKET_ENABLED=false"]) == 1
    out, err = capsys.readouterr()

    assert out == ""
    assert "is ready, but a heartbeat failed: the gateway answered " in err


def test_a_setting_that_the_gateway_refuses_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["dev", "--once", "--port-base", "0", "--env", "MAX_CONNECTIONS_PER_IP=many"]) == 2
    out, err = capsys.readouterr()

    assert out == ""
    assert err.startswith("memmie dev: the gateway refuses its settings: MAX_CONNECTIONS_PER_IP")
    assert err.count("\n") == 1


def test_a_port_in_use_is_one_clear_line(taken_port: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["dev", "--once", "--port-base", str(taken_port - 1)]) == 2
    out, err = capsys.readouterr()

    assert out == ""
    assert err == (
        f"memmie dev: port {taken_port} (for Auth) is in use. Stop the program that listens on it, "
        "or choose other ports with --port-base (0 = any free ports)\n"
    )


@pytest.mark.parametrize(
    ("service", "ports"),
    [
        ("Auth", lambda taken: Ports(gateway=0, auth=taken, studios=(0, 0))),
        ("Studio 1", lambda taken: Ports(gateway=0, auth=0, studios=(taken, 0))),
        ("Studio 2", lambda taken: Ports(gateway=0, auth=0, studios=(0, taken))),
        ("the gateway", lambda taken: Ports(gateway=taken, auth=0, studios=(0, 0))),
    ],
)
async def test_a_port_in_use_leaves_nothing_listening(service: str, ports: object, taken_port: int) -> None:
    assert callable(ports)
    before = listening_ports()
    with pytest.raises(PortError, match=rf"port {taken_port} \(for {service}\) is in use"):
        async with running_stack(Plan(ports=ports(taken_port), gateway_settings={}), lambda _: None):
            pass

    assert listening_ports() == before


async def test_log_lines_are_passed_on_as_they_come() -> None:
    lines: list[str] = []
    closed = asyncio.Event()

    def take(line: str) -> None:
        lines.append(line)
        if '"closed"' in line and '"dev"' in line:
            closed.set()

    plan = Plan(ports=ANYWHERE, gateway_settings={"LOG_FORMAT": "json"})
    async with running_stack(plan, on_log_line=take) as running:
        assert isinstance(running, Running)
        assert running.token is not None
        assert set(client_lines()) == {"websocat", "wscat", "python"}
        async with asyncio.timeout(10):
            await closed.wait()
    assert not any(running.token in line for line in lines)


@pytest.mark.parametrize("options", ["--json", ""])
async def test_a_stack_ends_quietly_when_the_reader_of_its_output_is_gone(options: str) -> None:
    dev = f'"$0" -m memmie_harness dev {options} --port-base 0'
    command = f"exec 3>&1; {{ {dev} 2>&3; echo code $? >&3; }} | head -1 >&2"
    async with program("sh", "-c", command, sys.executable) as shell, asyncio.timeout(50):
        out, err = await shell.communicate()

    assert len(err.splitlines()) == 1
    if options:
        assert json.loads(err)["gateway"].startswith("http://127.0.0.1:")
    assert out.decode().endswith("code 0\n")
    assert b"Traceback" not in out
    assert b"Broken pipe" not in out


def test_a_setting_that_the_gateway_does_not_know_is_pointed_out(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["dev", "--once", "--port-base", "0"]
    for setting in ("FOO=1", "ping_interval=3", "log_level=error"):
        words += ["--env", setting]
    assert cli.main(words) == 0
    assert capsys.readouterr().err.splitlines() == [
        "memmie dev: note: FOO is not a setting of the gateway. `memmie-gateway settings` lists them.",
        "memmie dev: note: PING_INTERVAL is not a setting of the gateway. Did you mean PING_INTERVAL_SECONDS?",
    ]


def test_the_check_alone_leaves_no_key(state_folder: Path) -> None:
    assert cli.main(["dev", "--once", "--json", "--port-base", "0"]) == 0
    assert not state_folder.exists()
