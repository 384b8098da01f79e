"""Whom a fault of Auth harms, and whom the fault of one client may harm: nobody else (spec §2).

Clients on loopback differ by their address: each connects from an address 127.0.0.x of its own.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

import pytest
from aiohttp import web
from tests.clock import waiting_clock
from tests.integration.no_limits import NO_LIMITS

from memmie_fake_auth import FakeAuth
from memmie_fake_base.credentials import bearer_token
from memmie_fake_base.faults import Error, Garbage, Hang, RequestFault, Reset
from memmie_fake_studio import FakeStudio
from memmie_harness.targets import ProcessTarget, Target

VALIDATE: Final = "/api/v1/auth/validate"

ATTACKER: Final = "127.0.0.66"


Metric = Callable[..., Awaitable[float]]

pytestmark = pytest.mark.memmie(target="inprocess")


@dataclass(frozen=True)
class Poison(RequestFault):
    """Strikes the questions about some tokens only."""

    name: ClassVar[str] = "poison"
    how: RequestFault
    tokens: set[str] = field(default_factory=set)

    async def strike(self, request: web.Request) -> web.StreamResponse | None:
        return await self.how.strike(request) if bearer_token(request) in self.tokens else None


@dataclass(frozen=True)
class Note(RequestFault):
    """Strikes nobody; notes when each question came, on the clock of the event loop."""

    name: ClassVar[str] = "note"
    times: list[float] = field(default_factory=list)

    async def strike(self, request: web.Request) -> None:
        del request
        self.times.append(asyncio.get_running_loop().time())


def says(**fields: object) -> Error:
    """Make an answer to all questions."""
    return Error(status=200, body=json.dumps(fields))


@dataclass(frozen=True)
class Answer:
    """The gateway's answer to a handshake."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        return str(json.loads(self.body)["code"]) if self.body else ""

    @property
    def retry_after(self) -> int:
        return int(self.headers["retry-after"])


class Clients:
    """Clients that send a handshake, and stay if they are admitted."""

    def __init__(self, gateway: Target, auth: FakeAuth) -> None:
        self._port = int(gateway.url.rpartition(":")[2])
        self._auth = auth
        self._writers: list[asyncio.StreamWriter] = []

    async def connect(self, token: str, address: str = "127.0.0.1") -> Answer:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port, local_addr=(address, 0))
        self._writers.append(writer)
        writer.write(
            b"GET /ws HTTP/1.1\r\nHost: gateway\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            b"Authorization: Bearer %b\r\n\r\n" % token.encode()
        )
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:-2])}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        return Answer(int(head[0].split(" ")[1]), headers, body)

    async def others(self, number: int, *, addresses: int) -> Counter[int]:
        """Connect so many users with good tokens that are not known yet; return how often each status came."""
        answers = await asyncio.gather(
            *(
                self.connect(self._auth.mint(f"other{index}"), f"127.0.1.{1 + index % addresses}")
                for index in range(number)
            )
        )
        return Counter(answer.status for answer in answers)

    async def each(self, tokens: Iterable[str], address: str) -> list[Answer]:
        """Connect with each token, all at the same time."""
        return await asyncio.gather(*(self.connect(token, address) for token in tokens))

    async def open_the_circuit(self, gateway: Target) -> None:
        """Ask about new tokens from five addresses until the circuit is open; Auth must fail."""
        for number in range(5):
            answer = await self.connect(self._auth.mint(f"opens{number}"), f"127.0.2.{number + 1}")
            assert answer.status == 503
        await gateway.wait_for_log(is_circuit("open"))

    def close(self) -> None:
        for writer in self._writers:
            writer.transport.abort()


@pytest.fixture
async def clients(memmie_gateway: Target, memmie_auth: FakeAuth) -> AsyncIterator[Clients]:
    clients = Clients(memmie_gateway, memmie_auth)
    yield clients
    clients.close()


def is_circuit(state: str) -> Callable[[dict[str, Any]], bool]:
    return lambda record: (record["event"], record.get("state")) == ("auth_circuit", state)


def circuit_events(gateway: Target) -> list[str]:
    return [record["state"] for record in gateway.logs() if record["event"] == "auth_circuit"]


def questions(auth: FakeAuth) -> list[dict[str, Any]]:
    return auth.log.entries("request", path=VALIDATE)


# One client harms nobody else.

POISON: Final = [
    (Error(status=500), 503),
    (Garbage(), 503),
    (Reset(), 503),
    (Error(status=200, body="[1]"), 503),
    (Error(status=403), 503),
    (Error(status=302), 503),
    (says(valid=True, user_id="x" * 1100), 502),
    (says(valid=True, user_id=42), 502),
    (says(valid="yes"), 502),
]


@pytest.mark.memmie(studios=1, env={**NO_LIMITS, "AUTH_TIMEOUT_SECONDS": 0.6})
async def test_one_poisoned_token_refuses_nobody_else(
    memmie_gateway: Target, memmie_auth: FakeAuth, clients: Clients
) -> None:
    for kind, (how, status) in enumerate([*POISON, (Hang(), 503)]):
        token = memmie_auth.mint(f"poisoned{kind}")
        scripted = memmie_auth.script(Poison(how, {token}), route=VALIDATE)
        statuses = {(await clients.connect(token, ATTACKER)).status for _ in range(6)}
        assert statuses == {status}, how
        assert await clients.others(10, addresses=1) == {101: 10}, how
        memmie_auth.unscript(scripted.id)
    assert circuit_events(memmie_gateway) == []


@pytest.mark.slow
@pytest.mark.memmie(studios=1, env=NO_LIMITS)
async def test_one_poisoned_token_again_and_again_while_a_hundred_others_come(
    memmie_gateway: Target, memmie_auth: FakeAuth, clients: Clients, metric: Metric
) -> None:
    token = memmie_auth.mint("poisoned")
    memmie_auth.script(Poison(Error(status=500), {token}), route=VALIDATE)
    statuses: Counter[int] = Counter()

    async def attack() -> None:
        while True:
            statuses[(await clients.connect(token, ATTACKER)).status] += 1
            await asyncio.sleep(0.02)

    attacker = asyncio.create_task(attack())
    for number in range(25):  # so slowly that the attacker fails several times between two of them
        await asyncio.sleep(0.12)
        answers = await clients.each([memmie_auth.mint(f"other{number}")] * 4, f"127.0.1.{1 + number % 3}")
        assert {answer.status for answer in answers} == {101}
    attacker.cancel()
    assert statuses.keys() == {503}
    assert statuses[503] >= 10
    assert await metric(memmie_gateway, "gateway_auth_circuit_open") == 0
    assert circuit_events(memmie_gateway) == []


@pytest.mark.memmie(studios=1, env={**NO_LIMITS, "AUTH_TIMEOUT_SECONDS": 2})
@pytest.mark.parametrize("how", [Error(status=500), Hang()], ids=["500", "hangs"])
async def test_a_hundred_poisoned_tokens_of_one_address_refuse_nobody_else(
    memmie_gateway: Target, memmie_auth: FakeAuth, clients: Clients, how: RequestFault
) -> None:
    tokens = [memmie_auth.mint(f"poisoned{number}") for number in range(100)]
    memmie_auth.script(Poison(how, set(tokens)), route=VALIDATE)
    alone = await clients.each(tokens, ATTACKER)  # nobody else asks meanwhile
    assert {answer.status for answer in alone} == {503}
    attack = asyncio.create_task(clients.each(tokens, ATTACKER))
    assert await clients.others(100, addresses=20) == {101: 100}
    assert {answer.status for answer in await attack} == {503}
    assert circuit_events(memmie_gateway) == []


@pytest.mark.memmie(studios=1, env={**NO_LIMITS, "AUTH_TIMEOUT_SECONDS": 30, "AUTH_MAX_CONNECTIONS": 4})
async def test_one_address_has_at_most_half_of_the_connections_to_auth(
    memmie_auth: FakeAuth, clients: Clients
) -> None:
    tokens = [memmie_auth.mint(f"hangs{number}") for number in range(20)]
    memmie_auth.script(Poison(Hang(), set(tokens)), route=VALIDATE)
    attack = asyncio.create_task(clients.each(tokens, ATTACKER))
    await memmie_auth.log.wait_for("request", count=2, path=VALIDATE)
    async with asyncio.timeout(5):
        assert await clients.others(20, addresses=5) == {101: 20}
    assert len(questions(memmie_auth)) == 2 + 20
    attack.cancel()


@pytest.mark.memmie(studios=1, env={**NO_LIMITS, "AUTH_CACHE_SIZE": 10})
async def test_a_spray_of_junk_evicts_no_valid_verdict(memmie_auth: FakeAuth, clients: Clients) -> None:
    tokens = [memmie_auth.mint(f"known{number}") for number in range(10)]
    assert {answer.status for answer in await clients.each(tokens, "127.0.0.1")} == {101}
    junk = [f"junk{number}" for number in range(100)]
    assert {answer.status for answer in await clients.each(junk, ATTACKER)} == {401}
    memmie_auth.log.clear()
    assert {answer.status for answer in await clients.each(tokens, "127.0.0.1")} == {101}
    assert questions(memmie_auth) == []


# An answer that cannot be used.


@pytest.mark.memmie(studios=1, env={**NO_LIMITS, "AUTH_REFUSAL_CACHE_SECONDS": 0.5})
async def test_an_answer_that_cannot_be_used_is_502_and_remembered_for_that_token(
    memmie_gateway: Target, memmie_auth: FakeAuth, clients: Clients, metric: Metric
) -> None:
    token = memmie_auth.mint("u1")
    scripted = memmie_auth.script(Poison(says(valid=True, user_id=42), {token}), route=VALIDATE)
    answer = await clients.connect(token)
    assert (answer.status, answer.code) == (502, "auth_answer_unusable")
    assert "retry-after" not in answer.headers
    for _ in range(3):
        assert (await clients.connect(token)).status == 502
    assert len(questions(memmie_auth)) == 1
    line = await memmie_gateway.wait_for_log(lambda record: record["event"] == "refused")
    assert line["detail"] == "Auth answered that the token is valid, but without a usable `user_id`"
    assert await metric(memmie_gateway, "gateway_auth_verdicts_total", source="auth", outcome="unusable") == 1

    memmie_auth.unscript(scripted.id)
    while (await clients.connect(token)).status != 101:
        pass
    assert len(questions(memmie_auth)) == 2


@pytest.mark.memmie(studios=1, env=NO_LIMITS)
async def test_user_ids_are_any_text_of_up_to_1024_bytes(
    memmie_auth: FakeAuth, memmie_studios: list[FakeStudio], clients: Clients
) -> None:
    good = ["x" * 1024, "é" * 512, "a b", "名前", "a\u00a0\u2028b", " ", "🙂"]
    bad = ["", "x" * 1025, "é" * 512 + "x", "a\nb", "a\x7f", "a\x9f", "\ud800", 42, 1.5, True, None, ["a"]]
    for number, user_id in enumerate([*good, *bad]):
        token = f"token{number}"
        memmie_auth.script(Poison(says(valid=True, user_id=user_id), {token}), route=VALIDATE)
        expected = 101 if user_id in good else 502
        assert (await clients.connect(token)).status == expected, user_id
    assert [each.user_id for each in memmie_studios[0].connections] == good


# The circuit.

BREAKER: Final = {**NO_LIMITS, "AUTH_TIMEOUT_SECONDS": 0.3}


@pytest.mark.memmie(studios=1, env=BREAKER)
@pytest.mark.parametrize("how", [Error(status=500), Hang()], ids=["500", "hangs"])
async def test_it_opens_when_three_addresses_fail_and_tells_when_to_come_back(
    memmie_gateway: Target, memmie_auth: FakeAuth, clients: Clients, metric: Metric, how: RequestFault
) -> None:
    memmie_auth.script(how, route="*")
    for address, status in (("127.0.0.2", 503), ("127.0.0.3", 503)):
        token = memmie_auth.mint(address)
        assert [(await clients.connect(token, address)).status for _ in range(3)] == [status] * 3
    assert circuit_events(memmie_gateway) == []  # a token counts once for each address
    await clients.open_the_circuit(memmie_gateway)
    assert await metric(memmie_gateway, "gateway_auth_circuit_open") == 1

    asked = len(questions(memmie_auth))
    answers = await clients.each([memmie_auth.mint(f"new{number}") for number in range(60)], "127.0.0.9")
    assert {(answer.status, answer.code) for answer in answers} == {(503, "auth_unavailable")}
    assert {answer.retry_after for answer in answers} == {1, 2}
    assert len(questions(memmie_auth)) == asked


@pytest.mark.memmie(studios=1, env=BREAKER)
@pytest.mark.parametrize("healthy", [True, False])
async def test_with_fewer_addresses_the_gateways_own_probe_decides(
    memmie_gateway: Target, memmie_auth: FakeAuth, clients: Clients, *, healthy: bool
) -> None:
    memmie_auth.script("error", route=VALIDATE)
    if not healthy:
        memmie_auth.script("error", route="/health")
    for number in range(8):
        address = f"127.0.0.{2 + number % 2}"
        assert (await clients.connect(memmie_auth.mint(f"u{number}"), address)).status == 503
    await memmie_auth.log.wait_for("request", path="/health")
    if healthy:
        assert len(questions(memmie_auth)) == 8
        assert circuit_events(memmie_gateway) == []
    else:
        await memmie_gateway.wait_for_log(is_circuit("open"))


@pytest.mark.memmie(studios=1, env=BREAKER)
async def test_refusals_of_junk_do_not_keep_it_closed_while_real_questions_hang(
    memmie_gateway: Target, memmie_auth: FakeAuth, clients: Clients
) -> None:
    tokens = {f"127.0.0.{number}": memmie_auth.mint(f"u{number}") for number in range(2, 10)}
    memmie_auth.script(Poison(Hang(), set(tokens.values())), route=VALIDATE)
    waiting = []
    for number, (address, token) in enumerate(tokens.items()):
        waiting.append(asyncio.create_task(clients.connect(token, address)))
        await asyncio.sleep(0.1)
        assert (await clients.connect(f"junk{number}", ATTACKER)).status in {401, 503}
    await asyncio.gather(*waiting)
    await memmie_gateway.wait_for_log(is_circuit("open"))


@pytest.mark.memmie(studios=1, env=BREAKER)
async def test_an_auth_without_the_route_of_the_probe_is_alive(
    memmie_gateway: Target, memmie_auth: FakeAuth, clients: Clients
) -> None:
    memmie_auth.script("error", route="/health", status=404)
    fault = memmie_auth.script("error", route=VALIDATE)
    await clients.open_the_circuit(memmie_gateway)
    memmie_auth.unscript(fault.id)
    await memmie_auth.log.wait_for("request", path="/health")
    assert (await clients.connect(memmie_auth.mint("new"))).status == 101
    await memmie_gateway.wait_for_log(is_circuit("closed"))


@pytest.mark.memmie(studios=1, env=BREAKER)
async def test_a_no_closes_it_as_well(
    memmie_gateway: Target, memmie_auth: FakeAuth, clients: Clients
) -> None:
    fault = memmie_auth.script("error", route=VALIDATE)
    await clients.open_the_circuit(memmie_gateway)
    memmie_auth.unscript(fault.id)
    await memmie_auth.log.wait_for("request", path="/health")
    assert (await clients.connect("junk")).status == 401
    await memmie_gateway.wait_for_log(is_circuit("closed"))


@pytest.mark.memmie(studios=1, env={**NO_LIMITS, "AUTH_TIMEOUT_SECONDS": 5})
async def test_poisoned_tokens_do_not_keep_it_open(
    memmie_gateway: Target, memmie_auth: FakeAuth, clients: Clients
) -> None:
    tokens = [memmie_auth.mint(f"poisoned{number}") for number in range(100)]
    memmie_auth.script(Poison(Hang(), set(tokens)), route=VALIDATE)
    fault = memmie_auth.script("error", route=VALIDATE)
    await clients.open_the_circuit(memmie_gateway)
    memmie_auth.unscript(fault.id)

    async def attack() -> None:
        async with asyncio.TaskGroup() as group:
            for token in tokens:
                group.create_task(clients.connect(token, ATTACKER))
                await asyncio.sleep(0.02)

    async def come_back(number: int) -> None:
        token = memmie_auth.mint(f"victim{number}")
        while (answer := await clients.connect(token, f"127.0.3.{number}")).status != 101:  # noqa: ASYNC110 - as told
            await asyncio.sleep(answer.retry_after)

    attacker = asyncio.create_task(attack())
    async with asyncio.timeout(6), asyncio.TaskGroup() as group:
        for number in range(1, 6):
            group.create_task(come_back(number))
    attacker.cancel()
    await memmie_gateway.wait_for_log(is_circuit("closed"))


@pytest.mark.memmie(studios=1, env=NO_LIMITS)
async def test_two_hundred_clients_come_when_auth_returns(
    memmie_gateway: Target, memmie_auth: FakeAuth, clients: Clients
) -> None:
    """All times are times of waiting: a busy machine makes nobody late."""
    tokens = {f"127.0.3.{number}": memmie_auth.mint(f"u{number}") for number in range(1, 201)}
    loop, returned = asyncio.get_running_loop(), asyncio.Event()
    note = Note()
    memmie_auth.script(note, route=VALIDATE)
    await memmie_auth.stop()
    await clients.open_the_circuit(memmie_gateway)
    statuses: Counter[int] = Counter()
    times: list[float] = []

    async def come(address: str, token: str) -> None:
        while (answer := await clients.connect(token, address)).status != 101:
            statuses[answer.status] += 1
            if statuses[503] >= 200:
                returned.set()
            await asyncio.sleep(answer.retry_after)
        times.append(loop.time())

    with waiting_clock():
        async with asyncio.TaskGroup() as group:
            for address, token in tokens.items():
                group.create_task(come(address, token))
            await returned.wait()
            await memmie_auth.start()
            started = loop.time()
    assert max(times) - started < 3
    assert statuses.keys() == {503}
    assert len(note.times) == len(questions(memmie_auth)) == 200  # each token once
    assert max(sum(begin <= time < begin + 0.1 for time in note.times) for begin in note.times) <= 50


@pytest.mark.memmie(studios=1, env={**NO_LIMITS, "AUTH_TIMEOUT_SECONDS": 0.3, "AUTH_MAX_CONNECTIONS": 2})
async def test_time_waited_for_a_connection_to_auth_is_no_failure_of_auth(
    memmie_gateway: Target, memmie_auth: FakeAuth, clients: Clients
) -> None:
    """Two hang, the others wait for their turn in vain: that is two failures and not eight."""
    memmie_auth.script("hang", route=VALIDATE, times=2)
    answers = await asyncio.gather(
        *(clients.connect(memmie_auth.mint(f"u{number}"), f"127.0.0.{number}") for number in range(2, 10))
    )
    assert {answer.status for answer in answers} <= {101, 503}
    assert circuit_events(memmie_gateway) == []


@pytest.mark.memmie(studios=1, env={**NO_LIMITS, "AUTH_TIMEOUT_SECONDS": 30}, target="process")
async def test_questions_given_up_at_shutdown_are_no_failure_of_auth(
    memmie_gateway: ProcessTarget, memmie_auth: FakeAuth, clients: Clients
) -> None:
    memmie_auth.script("hang", route=VALIDATE)
    waiting = [
        asyncio.create_task(clients.connect(memmie_auth.mint(f"u{number}"), f"127.0.0.{number}"))
        for number in range(2, 12)
    ]
    await memmie_auth.log.wait_for("request", count=10, path=VALIDATE)
    await memmie_gateway.stop()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert memmie_gateway.logs()[-1]["event"] == "stopped"
    assert circuit_events(memmie_gateway) == []


# Known users while Auth is away.


@pytest.mark.memmie(studios=1, env={**BREAKER, "AUTH_CACHE_SECONDS": 0.2})
async def test_no_known_user_is_refused_while_auth_is_away(
    memmie_gateway: Target, memmie_auth: FakeAuth, clients: Clients, metric: Metric
) -> None:
    tokens = {f"127.0.0.{number}": memmie_auth.mint(f"u{number}") for number in range(2, 12)}

    async def all_connect() -> set[int]:
        answers = await asyncio.gather(
            *(clients.connect(token, address) for address, token in tokens.items())
        )
        return {answer.status for answer in answers}

    async def all_connect_past_the_ttl() -> None:
        for _ in range(3):
            await asyncio.sleep(0.25)
            assert await all_connect() == {101}
        assert (await clients.connect(memmie_auth.mint("new"))).status == 503

    assert await all_connect() == {101}
    for how in (Error(status=429), Hang(), Error(status=500)):
        fault = memmie_auth.script(how)
        await all_connect_past_the_ttl()
        memmie_auth.unscript(fault.id)
    await memmie_auth.stop()
    await all_connect_past_the_ttl()
    assert await metric(memmie_gateway, "gateway_auth_verdicts_total", source="stale") >= 100


@pytest.mark.memmie(studios=1, env={**BREAKER, "AUTH_CACHE_SECONDS": 0.1})
async def test_a_token_that_has_ended_or_was_refused_is_not_served_while_auth_is_away(
    memmie_auth: FakeAuth, clients: Clients
) -> None:
    ends, revoked = memmie_auth.mint("ends", ttl_seconds=1), memmie_auth.mint("revoked")
    assert {answer.status for answer in await clients.each([ends, revoked], "127.0.0.1")} == {101}
    memmie_auth.script(Poison(Error(status=401), {revoked}), route=VALIDATE)
    while (await clients.connect(revoked)).status != 401:
        pass
    await memmie_auth.stop()
    async with asyncio.timeout(5):
        while (await clients.connect(ends)).status == 101:
            pass
    assert (await clients.connect(ends)).status == 503
    assert (await clients.connect(revoked)).status in {401, 503}


@pytest.mark.memmie(studios=1, env={**BREAKER, "AUTH_CACHE_SECONDS": 0.1, "AUTH_STALE_SECONDS": 0})
async def test_zero_switches_it_off(memmie_auth: FakeAuth, clients: Clients) -> None:
    known = memmie_auth.mint("known")
    assert (await clients.connect(known)).status == 101
    await memmie_auth.stop()
    async with asyncio.timeout(5):
        while (await clients.connect(known)).status == 101:
            pass
