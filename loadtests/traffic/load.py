"""The load, a process of its own: `python -m loadtests.traffic.load`.

It makes one measurement: it reads `{"measurement": …, "target": {…}, "options": {…}}` from standard input and prints
`{"result": {…}}` or, with exit code 1, `{"problem": …}`. Each measurement raises a LoadTestError if a connection fails or
a message is lost, and if the gateway or the backend ends. Its options are `size` (bytes of a message), `rate` (messages
a second of each connection), `at_once` (messages under way at the same time, in all), `seconds` (length of the window) and
`patience` (seconds after the window until a message without an echo counts as lost).
"""

from __future__ import annotations

import gc
import itertools
import json
import logging
import sys
import time
from array import array
from collections import deque
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import psutil
import uvloop

from loadtests.common.errors import LoadTestError
from loadtests.common.usage import open_files, rss_bytes
from loadtests.traffic import results
from loadtests.traffic.connection import (
    HANDSHAKE_SECONDS,
    PATIENCE_SECONDS,
    Connection,
    Schedule,
    Timed,
    Traffic,
)
from loadtests.traffic.events import SOCKETIO_PATH, EventClient, MessageClient
from loadtests.traffic.handshakes import AT_ONCE, Wave, handshakes
from loadtests.traffic.http_clients import POST_BYTES, Clients
from loadtests.traffic.results import Meter, Percentiles, Target

LOOP_WARM_UP_SECONDS: Final = 0.5
RATE_WARM_UP_SECONDS: Final = 1.0
"""Traffic before the window, at most as long as the window itself; at a rate each connection sends at least once in it."""

COMPANIONS: Final = 10
"""One connection in so many has a companion, which sends the same straight to the backend in the next moment."""

KNOWN_PER_NEW: Final = 4  # in the mix of tokens
KNOWN_PASSES: Final = 4  # how often each known token is used
BUSY_MESSAGES: Final = 10  # that make a connection a busy one
_PORT_RANGE: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")


class _Looping(Connection):
    """Sends its next message when the echo of the last one has arrived."""

    def echoed(self, seconds: float) -> None:
        """Send the next one."""
        self._traffic.latencies.append(seconds)
        if self._traffic.going:
            self.send(time.perf_counter())


async def round_trips(
    target: Target, *, size: int, seconds: float, patience: float = PATIENCE_SECONDS
) -> results.RoundTrips:
    """Measure round trips in a closed loop."""
    loop = Traffic()
    connections = await loop.connect(target.url, target.headers, _Looping, size)
    _stop_collecting_garbage()
    window, latencies = await _closed_loop(target, loop, connections, seconds, patience)
    result = results.RoundTrips(window, len(latencies), Percentiles.of(latencies))
    await loop.close(connections)
    return result


async def socketio(
    target: Target, *, size: int, at_once: int, seconds: float, patience: float = PATIENCE_SECONDS
) -> results.SocketIo:
    """Measure events of Socket.IO with their acknowledgements, and then with events as their answers.

    A URL with another path than Socket.IO's gets the messages that the backend gets in its place.
    """
    loop = Traffic()
    kind = EventClient if urlsplit(target.url).path == SOCKETIO_PATH else MessageClient
    connections = await loop.connect(target.url, target.headers, kind, size)
    await loop.last_echoes(HANDSHAKE_SECONDS)  # of the packets that connect
    _stop_collecting_garbage()
    found = []
    for acknowledged in (True, False):
        for connection in connections:
            connection.acknowledged = acknowledged
        loop.going, loop.idle = True, deque(connections[at_once:])
        window, latencies = await _closed_loop(target, loop, connections[:at_once], seconds, patience)
        found.append(results.Exchange(window, len(latencies)))
    await loop.close(connections)
    return results.SocketIo(*found)


async def _closed_loop(
    target: Target, loop: Traffic, first: Sequence[Connection], seconds: float, patience: float
) -> tuple[results.Span, array[float]]:
    """Let the first connections begin, and return what the window costs, and the latencies in it."""
    for connection in first:
        connection.send(time.perf_counter())
    await loop.run(min(LOOP_WARM_UP_SECONDS, seconds))
    meter = Meter(target)
    loop.latencies = array("d")
    await loop.run(seconds)
    window, latencies = meter.lap(), loop.latencies
    loop.latencies, loop.going = array("d"), False
    if not latencies:
        raise LoadTestError(f"no echo arrived in {seconds:g} s (on a busy machine, --seconds must be longer)")
    await loop.last_echoes(patience)
    return window, latencies


async def http(target: Target, *, seconds: float, patience: float = PATIENCE_SECONDS) -> results.Http:
    """Measure requests without a body and with one, then requests on a new connection each."""
    _stop_collecting_garbage()
    found = []
    with Clients(target.url, target.headers) as clients:
        for method, body_bytes, close in (("GET", 0, False), ("POST", POST_BYTES, False), ("GET", 0, True)):
            clients.begin(method, body_bytes, close=close)
            clients.run(min(LOOP_WARM_UP_SECONDS, seconds))
            meter = Meter(target)
            count = clients.run(seconds)
            window = meter.lap()
            if not count:
                raise LoadTestError(f"no {method} was answered in {seconds:g} s")
            clients.last_answers(patience)
            found.append(results.Exchange(window, count))
    return results.Http(*found)


async def latency(
    target: Target, *, size: int, rate: float, seconds: float, patience: float = PATIENCE_SECONDS
) -> results.FixedRate:
    """Measure latency at a fixed rate: of the gateway and, message by message, of the backend alone."""
    traffic = Traffic()
    first, companions_count = len(target.headers), -(-len(target.headers) // COMPANIONS)
    companions = await traffic.connect(target.direct_url, [{}] * companions_count, Timed, size, first)
    connections = await traffic.connect(target.url, target.headers, Timed, size)
    _stop_collecting_garbage()
    turns = list(connections)
    for number, companion in enumerate(companions):
        turns.insert(number * (COMPANIONS + 1) + 1, companion)
    schedule = Schedule(turns, rate)
    warm_up = max(1, round(rate * min(RATE_WARM_UP_SECONDS, seconds)))
    await schedule.run(warm_up, traffic)
    meter = Meter(target)
    await schedule.run(max(1, round(rate * seconds)), traffic)
    await traffic.last_echoes(patience)
    window = meter.lap()
    latencies = Percentiles.of(latency for each in connections for latency in each.latencies[warm_up:])
    result = results.FixedRate(
        window=window,
        count=latencies.count,
        latency=latencies,
        paired=Percentiles.of(differences(connections[::COMPANIONS], companions, warm_up)),
        lateness=Percentiles.of(late for each in connections for late in each.lateness[warm_up:]),
    )
    await traffic.close([*connections, *companions])
    return result


def differences(through: Sequence[Timed], straight: Sequence[Timed], warm_up: int) -> Iterator[float]:
    """Return how much longer each message took through the gateway, from when it was sent."""
    for pair in zip(through, straight, strict=True):
        own, other = (
            [latency - late for latency, late in zip(each.latencies, each.lateness, strict=True)]
            for each in pair
        )
        yield from (mine - its for mine, its in zip(own[warm_up:], other[warm_up:], strict=True))


async def connects(target: Target) -> results.Connects:
    """Measure connecting and closing with new tokens, with known ones, and with a mix.

    One in five of the target's tokens is kept for the mix, as its new ones. As many are used up first, so that what a
    gateway loads and opens for its first clients is not counted. Known tokens cost the least, so there are more of these
    connects.
    """
    fifth = max(1, len(target.headers) // (KNOWN_PER_NEW + 1))
    known, fresh = target.headers[:-fifth], target.headers[-fifth:]
    again = iter(known)
    mix = [header for new in fresh for header in (new, *itertools.islice(again, KNOWN_PER_NEW))]
    _stop_collecting_garbage()
    _connecting(target, known[:fifth])
    return results.Connects(
        new=_connecting(target, known[fifth:]),
        known=_connecting(target, known * KNOWN_PASSES),
        mixed=_connecting(target, mix),
    )


def _connecting(target: Target, headers: Sequence[dict[str, str]]) -> results.Connecting:
    """Open and close connections in waves.

    A gateway reuses the memory of the last wave. If all connections were open at once, each would also cost the kernel's
    work for pages that no process has used before.
    """
    requests = handshakes(target.url, headers)
    opening, closing = [], []
    meter = Meter(target)
    for first in range(0, len(requests), AT_ONCE):
        wave = Wave(target.url, requests[first : first + AT_ONCE], first)
        wave.open()
        opening.append(meter.lap())
        wave.close()
        closing.append(meter.lap())
    return results.Connecting(len(requests), results.total(opening), results.total(closing))


async def storm(target: Target) -> results.Storm:
    """Break all connections at once, and open them again at once."""
    requests = handshakes(target.url, target.headers)
    waves = [
        Wave(target.url, requests[first : first + AT_ONCE], first)
        for first in range(0, len(requests), AT_ONCE)
    ]
    for wave in waves:
        wave.open()
    again = Wave(target.url, requests, 0)
    _stop_collecting_garbage()
    meter = Meter(target)
    for wave in waves:
        wave.reset()
    again.open()
    back = meter.lap()
    again.close()
    return results.Storm(len(requests), back)


async def memory(target: Target, *, size: int) -> results.Memory:
    """Measure the gateway's memory before and after connecting, and after messages on every connection."""
    before = _rss_before(target)
    traffic = Traffic()
    connections = await traffic.connect(target.url, target.headers, Connection, size)
    idle = rss_bytes(target.gateway_pids)
    for _ in range(BUSY_MESSAGES):
        for connection in connections:
            connection.send(time.perf_counter())
        await traffic.last_echoes()
    busy = rss_bytes(target.gateway_pids)
    await traffic.close(connections)
    return results.Memory(connections=len(connections), rss_before=before, rss_idle=idle, rss_busy=busy)


async def hold(target: Target, *, size: int, seconds: float, rate: float = 1) -> results.Hold:
    """Hold all connections at once, each sending at least one message."""
    before = _rss_before(target)
    traffic = Traffic()
    meter = Meter(target)
    connections = await traffic.connect(target.url, target.headers, Timed, size)
    opening = meter.lap()
    await Schedule(connections, rate).run(max(1, round(rate * seconds)), traffic)
    await traffic.last_echoes()
    window = meter.lap()
    latencies = Percentiles.of(latency for each in connections for latency in each.latencies)
    files, files_limit = open_files(target.gateway_pids)
    first_port, last_port = map(int, _PORT_RANGE.read_text().split())
    result = results.Hold(
        connections=len(connections),
        opening=opening,
        window=window,
        count=latencies.count,
        latency=latencies,
        rss_before=before,
        rss_held=rss_bytes(target.gateway_pids),
        open_files=files,
        open_files_limit=files_limit,
        memory_available=psutil.virtual_memory().available,
        ports=last_port - first_port + 1,
    )
    await traffic.close(connections)
    return result


def _rss_before(target: Target) -> int:
    """Return the gateway's resident memory after one connection: what is loaded on first use is there."""
    _connecting(target, target.headers[:1])
    return rss_bytes(target.gateway_pids)


def _stop_collecting_garbage() -> None:
    """Collect garbage now and not in the window: the load must not pause on its own account."""
    gc.collect()
    gc.disable()


MEASUREMENTS: Final[dict[str, Callable[..., Coroutine[Any, Any, Any]]]] = {
    "round-trips": round_trips,
    "latency": latency,
    "connects": connects,
    "storm": storm,
    "memory": memory,
    "hold": hold,
    "socketio": socketio,
    "http": http,
}


def main() -> int:
    """Make the measurement that standard input names; return the exit code."""
    logging.getLogger("picows").setLevel(logging.CRITICAL)  # what goes wrong is in the answer
    job = json.load(sys.stdin)
    try:
        result = uvloop.run(MEASUREMENTS[job["measurement"]](Target(**job["target"]), **job["options"]))
    except LoadTestError as error:
        print(json.dumps({"problem": str(error)}))
        return 1
    print(json.dumps({"result": asdict(result)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
