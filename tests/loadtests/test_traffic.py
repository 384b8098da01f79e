"""The load notices everything that goes wrong between it and its echo: no number is made of a broken run."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import json
import mmap
import os
import re
import socket
import struct
import sys
import threading
from array import array
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any, Self

import pytest
from tests.loadtests.scripts import forked
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

pytest.importorskip("picows", reason="the load group is not installed")

from loadtests.common.supervisor import serving
from loadtests.common.usage import cpu_seconds
from loadtests.traffic.connection import Timed, Traffic
from loadtests.traffic.load import differences

Handler = Callable[[ServerConnection], Awaitable[None]]


@contextlib.asynccontextmanager
async def backend(handler: Handler, **options: Any) -> AsyncIterator[str]:
    async with serve(handler, "127.0.0.1", 0, **options) as server:
        yield f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}/ws"


TWO: Sequence[Mapping[str, str]] = ({}, {"X-Forgetful": "yes"})
OPTIONS: dict[str, dict[str, float]] = {
    "round-trips": {"size": 16, "seconds": 0.3},
    "latency": {"size": 16, "rate": 50, "seconds": 0.2},
    "connects": {},
    "memory": {"size": 16},
    "hold": {"size": 16, "rate": 5, "seconds": 0.2},
}


async def load(
    url: str,
    measurement: str = "round-trips",
    headers: Sequence[Mapping[str, str]] = TWO,
    options: Mapping[str, float] | None = None,
    **target: Any,
) -> tuple[int, dict[str, Any]]:
    pids: dict[str, list[int]] = {"gateway_pids": [], "backend_pids": [], "auth_pids": []}
    job = {
        "measurement": measurement,
        "target": {"url": url, "headers": headers, "direct_url": url, **pids, **target},
        "options": {**OPTIONS[measurement], **(options or {})},
    }
    code, out, err = await forked(
        "traffic/load.py", given=json.dumps(job), modules=["loadtests.traffic.load"]
    )
    assert out, err
    return code, json.loads(out)


async def echo(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


async def swallow_all_but_the_first(connection: ServerConnection) -> None:
    await connection.send(await connection.recv())
    await connection.wait_closed()


async def swallow_one(connection: ServerConnection) -> None:
    assert connection.request is not None
    forgetful = "X-Forgetful" in connection.request.headers
    async for message in connection:
        if not forgetful:
            await connection.send(message)


async def change_the_third(connection: ServerConnection) -> None:
    number = 0
    async for message in connection:
        number += 1
        assert isinstance(message, bytes)
        await connection.send(message if number != 3 else message[:-1] + b"?")


async def echo_as_text(connection: ServerConnection) -> None:
    async for message in connection:
        assert isinstance(message, bytes)
        await connection.send(message.decode(), text=True)


async def never_finish(connection: ServerConnection) -> None:
    async for message in connection:
        assert isinstance(message, bytes)
        connection.transport.write(bytes([0x02, len(message)]) + message)  # BINARY, without FIN


async def close_without_a_code(connection: ServerConnection) -> None:
    await connection.recv()
    connection.transport.write(b"\x88\x00")
    await connection.wait_closed()


async def close_with_a_code_of_its_own(connection: ServerConnection) -> None:
    await connection.recv()
    await connection.close(4321)


async def repeat_the_third(connection: ServerConnection) -> None:
    number = 0
    async for message in connection:
        number += 1
        for _ in range(2 if number == 3 else 1):
            await connection.send(message)


async def close_after_three(connection: ServerConnection) -> None:
    for _ in range(3):
        await connection.send(await connection.recv())
    await connection.close(1012, "gone")


async def close_after_one(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)
        await connection.close(1012, "gone")


async def break_after_three(connection: ServerConnection) -> None:
    for _ in range(3):
        await connection.send(await connection.recv())
    connection.transport.abort()


async def test_a_faithful_echo_is_counted() -> None:
    async with backend(echo) as url:
        code, answer = await load(url)
    assert code == 0
    assert answer["result"]["count"] > 10
    assert 0 < answer["result"]["latency"]["p50"] <= answer["result"]["latency"]["p99"]


@pytest.mark.parametrize(
    ("measurement", "handler", "words"),
    [
        ("round-trips", swallow_all_but_the_first, "no echo arrived in 1 s"),
        ("round-trips", swallow_one, "messages lost: 1,"),
        ("round-trips", change_the_third, "is not its echo"),
        ("round-trips", repeat_the_third, "is not its echo"),
        ("round-trips", echo_as_text, "is not its echo"),
        ("round-trips", never_finish, "is not its echo"),
        ("round-trips", close_without_a_code, "was closed with 1005 (no reason)"),
        ("round-trips", close_with_a_code_of_its_own, "was closed with 4321 (no reason)"),
        ("round-trips", close_after_three, "was closed with 1012 (gone)"),
        ("round-trips", break_after_three, "broke after message"),
        ("latency", swallow_one, "messages lost: 20,"),
        ("latency", change_the_third, "is not its echo"),
        ("latency", repeat_the_third, "is not its echo"),
        ("latency", break_after_three, "broke after message"),
        ("memory", change_the_third, "is not its echo"),
        ("hold", close_after_one, "was closed with 1012 (gone)"),
    ],
)
async def test_a_broken_echo_is_a_problem_not_a_number(
    measurement: str, handler: Handler, words: str
) -> None:
    # Only an echo that never comes is not waited for long: every other may take what the machine takes.
    options: Mapping[str, float] = {"patience": 2.0} if handler is swallow_one else {}
    if handler is swallow_all_but_the_first:
        options = {"seconds": 1}
    async with backend(handler) as url:
        code, answer = await load(url, measurement, options=options)
    assert code == 1
    assert words in answer["problem"]


CLOSE = 0x88
ANSWERED = b"\x88\x02\x03\xe8"
"""A Close frame with 1000, as it was sent."""


@contextlib.asynccontextmanager
async def ending_with(answer: bytes | None) -> AsyncIterator[str]:
    """Echo; from the second connection on, answer a Close frame with these bytes and hang up; None is a reset."""
    numbers = itertools.count(1)

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = next(numbers)
        back, forth = await asyncio.open_connection(
            "127.0.0.1", int(url.rpartition(":")[2].partition("/")[0])
        )
        downward = asyncio.create_task(pump(back, writer))
        try:
            while data := await reader.read(1 << 16):
                if data[0] == CLOSE and number > 1:
                    break
                forth.write(data)
            if answer is None and data:
                linger = struct.pack("ii", 1, 0)
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                writer.transport.abort()
            elif answer and data:
                writer.write(answer)
        finally:
            downward.cancel()
            writer.close()
            forth.close()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            writer.write(data)
        writer.close()

    async with backend(echo) as url, await asyncio.start_server(relay, "127.0.0.1", 0) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws"


@pytest.mark.parametrize("measurement", OPTIONS)
@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (None, "its Close frame was not answered with one"),
        (b"", "its Close frame was not answered with one"),
        (b"\x88\x00", "its Close frame with 1000 was answered with 1005"),
        (b"\x88\x02\x03\xe9", "its Close frame with 1000 was answered with 1001"),
        (b"\x88\x02\x00\x01", "its Close frame got an invalid answer"),
        (b"\x82\x01?" + ANSWERED, "is not its echo"),
    ],
)
async def test_a_connection_that_ends_without_a_closing_handshake_is_a_problem(
    measurement: str, answer: bytes | None, words: str
) -> None:
    if measurement == "connects":  # there are no messages, so no echoes
        words = words.replace("is not its echo", "is not a Close frame")
    async with ending_with(answer) as url:
        code, result = await load(url, measurement)
    assert code == 1, result
    assert words in result["problem"]


@pytest.mark.parametrize("measurement", OPTIONS)
async def test_a_closing_handshake_is_no_problem(measurement: str) -> None:
    async with ending_with(ANSWERED) as url:
        code, result = await load(url, measurement)
    assert code == 0, result


@pytest.mark.parametrize("measurement", ["round-trips", "connects"])
async def test_a_refused_handshake_names_the_connection_and_the_status(measurement: str) -> None:
    def refuse(connection: ServerConnection, _: Request) -> Response:
        return connection.respond(HTTPStatus.UNAUTHORIZED, "no token")

    async with backend(echo, process_request=refuse) as url:
        code, answer = await load(url, measurement)
    assert code == 1
    # Both are under way at the same time, and the first one that is refused is named.
    assert re.match(r"connection [12] (of 2 )?failed: .*401", answer["problem"]), answer


async def close_at_once(connection: ServerConnection) -> None:
    await connection.close(1013, "no room")


async def test_a_connection_that_is_closed_before_its_close_frame_is_a_problem() -> None:
    async with backend(close_at_once) as url:
        code, answer = await load(url, "connects")
    assert code == 1
    assert (
        re.match(
            r"connection 0: (was closed, or sent something,|broke) before its Close frame|connection 1 failed: HTTP/1.1 101",
            answer["problem"],
        )
        or "was answered with 1013" in answer["problem"]
    ), answer


async def test_a_gateway_that_cannot_be_reached_is_a_problem() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        code, answer = await load(f"ws://127.0.0.1:{nobody.getsockname()[1]}/ws", "connects")
    assert code == 1
    assert answer["problem"].startswith("connection 1 failed: ")
    assert "refused" in answer["problem"]


@pytest.fixture
def answering() -> Iterator[int]:
    with serving("the backend", [sys.executable, "-m", "loadtests.traffic.answering"]) as server:
        yield server.port


async def test_the_backend_of_the_connects_answers_handshakes_pings_and_close_frames(answering: int) -> None:
    async with connect(f"ws://127.0.0.1:{answering}/ws/health", proxy=None) as client:
        await asyncio.wait_for(await client.ping(b"are you there"), 10)
    assert client.close_code == 1000
    code, answer = await load(f"ws://127.0.0.1:{answering}/ws", "connects", [{}] * 200)
    assert code == 0, answer
    assert answer["result"]["known"]["count"] == 640


async def test_every_message_at_a_fixed_rate_is_counted_and_late_only_where_the_gateway_is() -> None:
    async def late(connection: ServerConnection) -> None:
        async def answer(message: str | bytes) -> None:
            await asyncio.sleep(0.1)
            await connection.send(message)

        async with asyncio.TaskGroup() as answers:
            async for message in connection:
                answers.create_task(answer(message))

    async with backend(late) as slow, backend(echo) as quick:
        code, answer = await load(slow, "latency", direct_url=quick)
    assert code == 0, answer
    result = answer["result"]
    assert result["count"] == result["latency"]["count"] == 20  # two connections, 50 a second of each, 0.2 s
    assert result["paired"]["count"] == 10  # one of the two has a companion
    assert result["latency"]["p50"] >= 0.1
    assert result["paired"]["p50"] >= 0.05  # less what the quick one takes on a busy machine


async def test_a_message_is_compared_with_its_companions_from_when_each_was_sent() -> None:
    traffic = Traffic()
    through, straight = (Timed(traffic, number, 16) for number in range(2))
    # The first one is of the warm-up. Exact in binary.
    through.latencies, through.lateness = array("d", [9.0, 1.0, 3.0]), array("d", [0.0, 0.25, 0.0])
    straight.latencies, straight.lateness = array("d", [1.0, 0.5, 4.0]), array("d", [0.0, 0.125, 2.0])
    assert list(differences([through], [straight], 1)) == [0.375, 1.0]


def test_the_cpu_time_of_several_processes_is_that_of_all() -> None:
    own = cpu_seconds([os.getpid()])
    assert own > 0
    assert cpu_seconds([os.getpid()] * 3) >= 3 * own
    assert cpu_seconds([]) == 0


def test_the_cpu_time_is_that_of_the_schedulers_statistics() -> None:
    """They count the same, in nanoseconds; the process's clock also has the threads that have ended."""

    def of_threads() -> float:
        files = Path("/proc/self/task").glob("*/schedstat")
        return sum(int(file.read_text().split()[0]) for file in files) / 1e9

    def work() -> None:
        for _ in range(100_000):
            pass

    before, threads_before = cpu_seconds([os.getpid()]), of_threads()
    work()
    alive, threads_alive = cpu_seconds([os.getpid()]) - before, of_threads() - threads_before
    assert alive == pytest.approx(threads_alive, rel=0.5, abs=2e-3)
    ending = threading.Thread(target=work)
    ending.start()
    ending.join()
    assert cpu_seconds([os.getpid()]) - before > alive


async def test_a_pause_is_seen_by_all_messages_that_were_due_in_it() -> None:
    async def pause(connection: ServerConnection) -> None:
        async for message in connection:
            assert isinstance(message, bytes)
            if int.from_bytes(message[4:12]) == 51:  # after a warm-up of 40, the 11th of 40
                await asyncio.sleep(0.3)
            await connection.send(message)

    async with backend(pause) as slow, backend(echo) as quick:
        code, answer = await load(slow, "latency", [{}], {"seconds": 0.8}, direct_url=quick)
    assert code == 0, answer
    latency = answer["result"]["latency"]
    assert latency["max"] >= 0.3
    assert (
        latency["p90"] >= 0.2
    )  # a closed loop would have waited with the pause: one message in 40 would show it


async def test_connects_use_new_tokens_then_known_ones_then_a_mix() -> None:
    users: list[str] = []

    async def count(connection: ServerConnection) -> None:
        assert connection.request is not None
        users.append(connection.request.headers["X-User"])
        await connection.wait_closed()

    headers = [{"X-User": str(number)} for number in range(10)]
    async with backend(count) as url:
        code, answer = await load(url, "connects", headers)
    assert code == 0, answer
    assert [answer["result"][kind]["count"] for kind in ("new", "known", "mixed")] == [6, 32, 10]
    first, new, known, mixed = set(users[:2]), set(users[2:8]), set(users[8:40]), set(users[40:])
    assert len(new - first) == 6
    assert known == first | new
    assert len(mixed) == 10
    assert len(mixed - known) == 2


class Room:
    """Memory of this process's own, given back with the block: what was freed before is not used again for it."""

    def __init__(self) -> None:
        self._maps: list[mmap.mmap] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for each in self._maps:
            each.close()

    def take(self, mebibytes: int) -> None:
        memory = mmap.mmap(-1, mebibytes << 20)
        for page in range(0, len(memory), mmap.PAGESIZE):
            memory[page] = 1
        self._maps.append(memory)


async def test_memory_is_told_apart_by_idle_and_busy() -> None:
    async def hungry(connection: ServerConnection) -> None:
        room.take(4)
        async for message in connection:
            room.take(1)
            await connection.send(message)

    gc.collect()  # the garbage of other tests must not be given back in the meantime
    with Room() as room:
        async with backend(hungry) as url:
            code, answer = await load(url, "memory", [{}] * 5, gateway_pids=[os.getpid()])
    assert code == 0, answer
    result = answer["result"]
    assert result["connections"] == 5
    # The last one may be let in before it takes its room.
    assert result["rss_idle"] - result["rss_before"] >= 4 * 4 * 0.9 * (1 << 20)
    assert result["rss_busy"] - result["rss_idle"] >= 5 * 10 * 0.9 * (1 << 20)  # ten messages each


async def test_held_connections_are_all_open_and_all_served() -> None:
    opened = most = 0

    async def count(connection: ServerConnection) -> None:
        nonlocal opened, most
        opened += 1
        most = max(most, opened)
        await echo(connection)
        opened -= 1

    async with backend(count) as url:
        code, answer = await load(url, "hold", [{}] * 40, gateway_pids=[os.getpid()])
    assert code == 0, answer
    result = answer["result"]
    assert most == result["connections"] == result["count"] == 40
    assert 40 <= result["open_files"] < result["open_files_limit"]
    assert result["window"]["gateway"] > 0


async def test_a_gateway_that_has_ended_is_told() -> None:
    ended = await asyncio.create_subprocess_exec(sys.executable, "-c", "")
    await ended.wait()
    async with backend(echo) as url:
        code, answer = await load(url, gateway_pids=[ended.pid])
    assert code == 1
    assert answer["problem"] == f"process {ended.pid} ended while it was measured"
