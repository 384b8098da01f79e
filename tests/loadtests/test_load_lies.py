"""A gateway that does not do what it should: the load test notices, says what it was, and repeats nothing of it."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.loadtests import scripts
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("locust") is None, reason="the load group is not installed"
)

forked = partial(scripts.forked, "load.py")
finished = partial(scripts.finished, "load.py")

TOKEN = "not-to-be-told-to-anybody"
AT = 25
"""The how-manieth message is answered with a lie."""

EVERY = range(1, 1_000_000)
"""All of them are."""

Answer = Callable[[ServerConnection, str, str], Awaitable[None]]


async def honestly(client: ServerConnection, _: str, ack: str) -> None:
    await client.send(ack)


async def twice(client: ServerConnection, _: str, ack: str) -> None:
    await client.send(ack)
    await client.send(ack)


async def with_another_type(client: ServerConnection, message_id: str, _: str) -> None:
    await client.send(json.dumps({"id": message_id, "type": f"Bearer {TOKEN}\x1b[31m"}))


async def with_no_json(client: ServerConnection, _: str, ack: str) -> None:
    await client.send(f"{{{TOKEN}")
    await client.send(ack)


async def with_a_list(client: ServerConnection, _: str, ack: str) -> None:
    await client.send(f'["{TOKEN}"]')
    await client.send(ack)


async def to_nobody(client: ServerConnection, _: str, ack: str) -> None:
    await client.send(json.dumps({"id": ["odd"], "type": "ack"}))
    await client.send(ack)


async def late(client: ServerConnection, _: str, ack: str) -> None:
    await asyncio.sleep(2)  # it is what is tested
    await client.send(ack)


SLOW_SECONDS = 0.3
"""Far more than an honest answer takes on a busy machine."""


async def slowly(client: ServerConnection, _: str, ack: str) -> None:
    await asyncio.sleep(SLOW_SECONDS)  # it is what is tested
    await client.send(ack)


MIDDLE_SECONDS = 3.5
"""From a run's first message to the middle of the three seconds that count: it lets its ramp pass for two before."""


def from_the_middle_on(lie: Answer) -> Answer:
    """Answer honestly until then. Messages cannot be counted for it: how many come by then is the machine's affair."""
    began: float | None = None

    async def answer(client: ServerConnection, message_id: str, ack: str) -> None:
        nonlocal began
        now = asyncio.get_running_loop().time()
        began = began or now
        await (lie if now - began > MIDDLE_SECONDS else honestly)(client, message_id, ack)

    return answer


@contextlib.asynccontextmanager
async def gateway(lie: Answer, at: range = range(AT, AT + 1)) -> AsyncIterator[str]:
    count = 0

    async def answer(client: ServerConnection) -> None:
        nonlocal count
        async for message in client:
            count += 1
            message_id = json.loads(message)["id"]
            ack = json.dumps({"id": message_id, "type": "ack"})
            with contextlib.suppress(ConnectionClosed):
                await (lie if count in at else honestly)(client, message_id, ack)

    async with serve(answer, "127.0.0.1", 0) as server:
        yield f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}/ws"


async def run_steady(
    lie: Answer,
    tmp_path: Path,
    *,
    at: range = range(AT, AT + 1),
    seconds: int = 1,
    connections: int = 10,
    direct: Answer = honestly,
    run: Callable[..., Awaitable[tuple[int, str, str]]] = forked,
) -> tuple[int, str, dict[str, Any]]:
    tokens, out = tmp_path / "tokens.txt", tmp_path / "out"
    tokens.write_text(f"{TOKEN}\n")
    async with gateway(lie, at) as liar, gateway(direct, EVERY) as studio:
        code, printed, told = await run(
            "steady", "--connections", str(connections), "--seconds", str(seconds), "--every", "0.1", "--out", str(out),
            "--gateway", liar, "--direct", studio, "--token-file", str(tokens),
        )  # fmt: skip
    said = printed + told
    assert "Traceback" not in said
    assert "\x1b" not in said
    for text in (said, *(file.read_text() for file in out.iterdir())):
        assert TOKEN not in text
    return code, said, json.loads((out / "run.json").read_text())


def reasons(run: dict[str, Any]) -> set[str]:
    return {failure["reason"] for failure in run["failures"]}


UNKNOWN = "answered with a message of no known type"


@pytest.mark.parametrize(
    ("lie", "reason"),
    [
        (twice, "answered ack"),
        (with_another_type, UNKNOWN),
        (with_no_json, UNKNOWN),
        (with_a_list, UNKNOWN),
        (to_nobody, "answered ack"),
    ],
)
async def test_a_wrong_answer_is_noticed_and_not_repeated(lie: Answer, reason: str, tmp_path: Path) -> None:
    code, said, run = await run_steady(lie, tmp_path)

    assert code == 1, said
    assert reasons(run) == {reason}
    assert "failures is 1, and must be == 0" in said
    assert run["closes"] == {}


async def test_an_answer_that_comes_when_the_time_is_over_counts(tmp_path: Path) -> None:
    """A gateway stands still in the middle of the three seconds that count, until they are over."""
    code, said, run = await run_steady(from_the_middle_on(late), tmp_path, at=EVERY, seconds=3)

    assert code == 1, said
    assert run["latencies"]["gateway"]["max"] > 1.9
    assert run["failures"] == []
    assert "overhead p99 is" in said


async def test_a_client_that_stands_still_says_so_itself(tmp_path: Path) -> None:
    """Else the gateway would pass for slow, or for quick, as nothing was sent in the meantime."""

    stood_still = False

    async def suspend_the_client_once(client: ServerConnection, _: str, ack: str) -> None:
        nonlocal stood_still
        if not stood_still:
            stood_still = True
            children = psutil.Process().children()
            [load] = [child for child in children if "loadtests/load.py" in child.cmdline()]
            load.suspend()
            await asyncio.sleep(1.5)  # it is what is tested
            load.resume()
        await client.send(ack)

    suspending = from_the_middle_on(suspend_the_client_once)
    _, said, run = await run_steady(suspending, tmp_path, at=EVERY, seconds=3, run=finished)

    (late_by,) = [figure["value"] for figure in run["figures"] if figure["name"] == "client delay, maximum"]
    assert late_by > 0.4  # the look that was due in the meantime came up to a second after its beginning
    assert "note: the client was up to " in said


async def test_of_a_pair_each_is_asked_first_in_turn(tmp_path: Path) -> None:
    """Whoever is always asked first pays for waking up what has slept since the last heartbeat."""
    asked: list[str] = []

    def noting(where: str) -> Answer:
        async def answer(client: ServerConnection, _: str, ack: str) -> None:
            asked.append(where)
            await client.send(ack)

        return answer

    await run_steady(noting("gateway"), tmp_path, at=EVERY, connections=1, direct=noting("direct"))

    pairs = list(zip(asked[::2], asked[1::2], strict=False))
    assert len(pairs) > 5
    assert all(set(pair) == {"gateway", "direct"} for pair in pairs)
    assert all(one != other for one, other in itertools.pairwise(pairs))


async def test_what_a_gateway_adds_is_what_it_takes_longer_than_studio(tmp_path: Path) -> None:
    _, said, run = await run_steady(slowly, tmp_path, at=EVERY, seconds=2)

    assert run["latencies"]["overhead"]["p50"] > 0.75 * SLOW_SECONDS, said
    assert run["latencies"]["direct"]["p50"] < 0.75 * SLOW_SECONDS


SLOWER_SECONDS = 2 * SLOW_SECONDS


async def more_slowly(client: ServerConnection, _: str, ack: str) -> None:
    await asyncio.sleep(SLOWER_SECONDS)  # it is what is tested
    await client.send(ack)


async def test_a_machine_that_is_slow_without_the_gateway_is_not_judged(tmp_path: Path) -> None:
    code, said, run = await run_steady(more_slowly, tmp_path, at=EVERY, seconds=2, direct=slowly)

    assert code == 3, said
    assert run["latencies"]["overhead"]["p99"] > 0.01
    assert run["passed"] is None
    assert run["not_judged"].startswith("this machine was too busy: without any gateway, p50 was ")
    verdicts = {verdict["name"]: verdict["passed"] for verdict in run["thresholds"]}
    assert verdicts == {
        "failures": True,
        "lost": True,
        "overhead p50": None,
        "overhead p99": None,
        "closed": True,
    }
    assert "not judged  overhead p99 < 10 ms" in said
    assert "the gateway adds too much" not in said


async def test_what_is_broken_on_a_slow_machine_is_broken(tmp_path: Path) -> None:
    code, said, run = await run_steady(twice, tmp_path, at=range(3, 4), seconds=1, direct=slowly)

    assert code == 1, said
    assert run["passed"] is False
