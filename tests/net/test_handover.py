"""A connection between two owners: nothing that came meanwhile is lost, nothing grows, and its end is noticed once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, cast

import pytest
from tests.net.certificate import client_side, make_certificate, server_side
from tests.net.pair import until
from tests.net.wire import MASK, PATIENCE, Peer
from tests.steps import settle

from memmie_gateway.core.limits import SlotCounts
from memmie_gateway.core.steps import Maybe, Steps, run
from memmie_gateway.net import clock
from memmie_gateway.net import handover as module
from memmie_gateway.net.handover import MAX_EARLY, Handover

READ_AT_ONCE = 256 * 1024
"""Bytes that a loop hands over at once, at most."""


@dataclass
class Counting:
    """Counts what a holder is notified of."""

    takes: int = 0
    losses: int = 0

    def taken(self) -> None:
        self.takes += 1

    def lost(self) -> None:
        self.losses += 1


@dataclass
class Owner(asyncio.Protocol):
    """Keeps what it receives; `gone` when it has lost the connection."""

    received: bytes = b""
    gone: bool = False

    def data_received(self, data: bytes) -> None:
        self.received += data

    def connection_lost(self, _: Exception | None) -> None:
        self.gone = True


@dataclass
class Borrower(Owner):
    """Reads until it gives the connection back; a loss meanwhile is the handover's to know."""

    handover: Handover | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        assert self.handover is not None
        self.handover.connection_lost(exc)


class Held(NamedTuple):
    """A connection that a handover holds, and its other end."""

    handover: Handover
    peer: Peer
    holder: Counting

    @property
    def transport(self) -> asyncio.Transport:
        return self.handover.transport

    async def early(self, size: int) -> None:
        """Wait until so much has come."""
        await until(lambda: len(self.handover._early) >= size)

    async def lost(self) -> None:
        """Wait until the handover has noticed that the connection is gone."""
        await until(lambda: self.holder.losses > 0)


Hold = Callable[..., Awaitable[Held]]
"""`held = await hold(early=b"…")`; over TLS with `certificate=`."""


@dataclass
class Accepting(asyncio.Protocol):
    """Holds a connection as soon as it is accepted."""

    accepted: asyncio.Future[Handover]
    holder: Counting
    early: bytes

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.accepted.set_result(Handover(cast("asyncio.Transport", transport), self.early, self.holder))


@pytest.fixture
async def hold() -> AsyncIterator[Hold]:
    servers: list[asyncio.Server] = []
    made: list[Held] = []

    async def connect(early: bytes = b"", certificate: Path | None = None) -> Held:
        loop = asyncio.get_running_loop()
        accepted: asyncio.Future[Handover] = loop.create_future()
        holder = Counting()
        tls = None if certificate is None else server_side(certificate)
        server = await loop.create_server(lambda: Accepting(accepted, holder, early), "127.0.0.1", 0, ssl=tls)
        servers.append(server)
        port = server.sockets[0].getsockname()[1]
        if certificate is None:
            peer = await Peer.connect(port)
        else:
            streams = await asyncio.open_connection("127.0.0.1", port, ssl=client_side(certificate))
            peer = Peer(*streams, mask=MASK)
        async with asyncio.timeout(PATIENCE):
            made.append(Held(await accepted, peer, holder))
        return made[-1]

    yield connect
    for held in made:
        held.transport.abort()
        held.peer.writer.transport.abort()
    for server in servers:
        server.close()
        await server.wait_closed()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("tls"))


# What comes early.


async def test_the_next_owner_finds_what_came_early(hold: Hold) -> None:
    held = await hold(early=b"with the head, ")
    held.peer.write(b"behind it, ")
    await held.early(26)
    owner = Owner()
    assert held.handover.take(owner) == b"with the head, behind it, "
    assert owner.received == b""
    held.peer.write(b"and later")
    await until(lambda: owner.received == b"and later")


async def test_nothing_came_early(hold: Hold) -> None:
    held = await hold()
    assert repr(held.handover) == "<Handover early=0>"
    assert held.handover.take(Owner()) == b""


async def test_as_much_as_allowed_may_come_early(hold: Hold) -> None:
    held = await hold(early=bytes(MAX_EARLY))
    assert held.transport.is_reading()


@pytest.mark.parametrize("with_the_head", [0, MAX_EARLY + 1])
async def test_reading_is_paused_where_too_much_comes_early(hold: Hold, with_the_head: int) -> None:
    """The rest waits where it is, until the next owner wants it."""
    held = await hold(early=bytes(with_the_head))
    sent = bytes(range(256)) * (16 * 1024)  # 4 MiB: more than the sockets take
    held.peer.write(sent)
    await until(lambda: not held.transport.is_reading())
    assert len(held.handover._early) <= MAX_EARLY + READ_AT_ONCE

    owner = Owner()
    early = held.handover.take(owner)
    assert not held.transport.is_reading(), "the owner decides when it is ready"
    held.transport.resume_reading()
    await until(lambda: len(early) + len(owner.received) == with_the_head + len(sent))
    assert early + owner.received == bytes(with_the_head) + sent


# Lending.


async def test_what_a_borrower_does_not_need_goes_to_the_next_owner(hold: Hold) -> None:
    held = await hold(early=b"one,")
    borrower = Borrower(handover=held.handover)
    assert held.handover.lend(borrower) == b"one,"
    assert repr(held.handover) == "<Handover early=0>"
    held.peer.write(b"two,three,")
    await until(lambda: borrower.received == b"two,three,")

    held.handover.give_back(b"three,")
    held.peer.write(b"four")
    await held.early(10)
    assert held.handover.take(Owner()) == b"three,four"
    assert (held.holder.takes, held.holder.losses) == (1, 0)


async def test_a_borrower_may_give_back_nothing(hold: Hold) -> None:
    held = await hold()
    held.handover.lend(Borrower(handover=held.handover))
    held.handover.give_back(b"")
    assert held.transport.get_protocol() is held.handover
    assert held.handover.take(Owner()) == b""


async def test_reading_is_paused_where_too_much_is_given_back(hold: Hold) -> None:
    held = await hold()
    held.handover.lend(Borrower(handover=held.handover))
    held.handover.give_back(bytes(MAX_EARLY + 1))
    assert not held.transport.is_reading()
    assert held.handover.take(Owner()) == bytes(MAX_EARLY + 1)


async def test_it_may_be_given_back_after_it_was_lost(hold: Hold) -> None:
    """A borrower that has just found what it wanted gives the rest back before it learns of the loss."""
    held = await hold()
    held.handover.lend(Borrower(handover=held.handover))
    held.peer.reset()
    await held.lost()
    held.handover.give_back(bytes(MAX_EARLY + 1))
    assert held.handover.take(Owner()) == bytes(MAX_EARLY + 1)


# Being lost, and being taken.


@dataclass
class Waiting:
    """Waits for an answer that a test gives; notes what became of it."""

    answer: asyncio.Future[str] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    outcome: str = ""

    async def wait(self) -> None:
        try:
            self.outcome = await self.answer
        except asyncio.CancelledError:
            self.outcome = "cancelled"
            raise


async def begun(handover: Handover) -> Waiting:
    """Start a task that waits, and let it begin."""
    waiting = Waiting()
    handover.start(waiting.wait())
    await asyncio.sleep(0)
    return waiting


@pytest.mark.parametrize("how", ["finish", "leave", "reset"])
@pytest.mark.parametrize("lent", [False, True])
async def test_a_loss_cancels_the_task_and_notifies_the_holder_once(
    hold: Hold,
    how: str,
    lent: bool,  # noqa: FBT001 - a column of the table
) -> None:
    held = await hold()
    waiting = await begun(held.handover)
    if lent:
        held.handover.lend(Borrower(handover=held.handover))
    getattr(held.peer, how)()
    await held.lost()
    await until(lambda: waiting.outcome == "cancelled")
    held.handover.connection_lost(None)
    assert (held.holder.takes, held.holder.losses) == (0, 1)


async def test_a_loss_without_task_and_holder(hold: Hold) -> None:
    held = await hold()
    handover = Handover(held.transport)
    handover.cancel()
    held.peer.reset()
    await until(held.transport.is_closing)
    assert handover.take(Owner()) == b""


async def test_a_loss_prevails_over_an_answer_that_comes_in_the_same_turn(hold: Hold) -> None:
    """The task must not go on for a client that has left: what it would make then nobody would ever end."""
    held = await hold()
    waiting = await begun(held.handover)
    waiting.answer.set_result("an answer")
    held.handover.connection_lost(None)
    await until(lambda: bool(waiting.outcome))
    assert waiting.outcome == "cancelled"


async def test_a_task_that_is_cancelled_before_its_first_step_gives_back_what_was_taken(hold: Hold) -> None:
    counts = SlotCounts()
    never: Maybe[None] = asyncio.get_running_loop().create_future()

    def steps() -> Steps[None]:
        counts.acquire("a", 1)
        try:
            yield from settle(never)
        finally:
            counts.release("a")

    held = await hold()
    rest = run(steps())
    assert rest is not None
    assert counts.held("a") == 1
    held.handover.start(rest)
    held.handover.connection_lost(None)
    assert held.handover.task is not None
    await asyncio.wait([held.handover.task])
    assert held.handover.task.cancelled()
    assert counts.held("a") == 0


async def test_a_task_that_is_done_cannot_be_cancelled(hold: Hold) -> None:
    held = await hold()
    waiting = await begun(held.handover)
    waiting.answer.set_result("an answer")
    await until(lambda: bool(waiting.outcome))
    held.handover.cancel()
    await asyncio.sleep(0)
    assert waiting.outcome == "an answer"


async def test_the_next_owner_takes_it_for_good(hold: Hold) -> None:
    """From then on, its loss is the owner's to notice, and cancels nothing."""
    held = await hold()
    waiting = await begun(held.handover)
    task = held.handover.task
    owner = Owner()
    held.handover.take(owner)
    assert held.holder.takes == 1
    held.peer.reset()
    await until(lambda: owner.gone)
    held.handover.cancel()
    await asyncio.sleep(0)
    assert (held.holder.takes, held.holder.losses, waiting.outcome) == (1, 0, "")
    assert task is not None
    task.cancel()


# Ending it.


async def test_last_words(hold: Hold) -> None:
    held = await hold(early=b"nobody's")
    held.handover.end(b"goodbye")
    assert await held.peer.read_rest() == b"goodbye"
    await held.lost()
    assert repr(held.handover) == "<Handover early=0 ended>"


async def test_last_words_while_it_is_lent(hold: Hold) -> None:
    held = await hold()
    borrower = Borrower(handover=held.handover)
    held.handover.lend(borrower)
    held.handover.end(b"goodbye", linger=True)
    held.peer.write(b"more")
    assert await held.peer.read_rest() == b"goodbye"
    held.peer.leave()
    await held.lost()
    assert (borrower.received, borrower.gone) == (b"", False)


async def test_a_peer_that_is_still_sending_reads_the_last_words(hold: Hold) -> None:
    """Closed at once, with bytes unread, the socket would be reset and the words lost (RFC 9112 §9.6)."""
    held = await hold()
    held.peer.write(bytes(200_000))
    held.handover.end(b"goodbye", linger=True)
    held.peer.write(bytes(200_000))
    assert await held.peer.read_rest() == b"goodbye"
    assert held.holder.losses == 0, "the socket waits for the peer"
    assert held.handover._early == b""
    held.peer.leave()
    await held.lost()


async def test_a_lingering_peer_is_dropped(hold: Hold, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LINGER_SECONDS", 0.05)
    held = await hold()
    held.handover.end(b"goodbye", linger=True)
    assert await held.peer.read_rest() == b"goodbye"
    await held.lost()


@pytest.mark.parametrize("linger", [False, True])
async def test_a_peer_that_does_not_take_its_last_words_is_dropped(
    hold: Hold,
    monkeypatch: pytest.MonkeyPatch,
    linger: bool,  # noqa: FBT001 - a column of the table
) -> None:
    monkeypatch.setattr(module, "LINGER_SECONDS", 0.05)
    monkeypatch.setattr(module, "ANSWER_SECONDS", 0.2)
    held = await hold()
    held.peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
    held.handover.end(bytes(16 << 20), linger=linger)
    await held.lost()


async def test_a_pause_of_the_gateway_is_not_the_fault_of_the_peer(
    hold: Hold, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LINGER_SECONDS", 0.01)
    pauses = iter([0, 1, 1, 1, 1, 1])
    monkeypatch.setattr(clock, "pauses", lambda: next(pauses))
    held = await hold()
    held.handover.end(b"goodbye", linger=True)
    first = held.handover._timer
    assert first is not None
    await until(lambda: held.handover._timer is not first)
    assert held.holder.losses == 0
    await held.lost()


@pytest.mark.parametrize("answers", [False, True])
async def test_a_half_closed_peer_may_get_its_answer(
    hold: Hold,
    answers: bool,  # noqa: FBT001 - a column of the table
) -> None:
    held = await hold()
    held.handover.answers_half_closed = answers
    held.peer.finish()
    await until(lambda: held.handover._half_closed)
    if not answers:
        await held.lost()
        return
    held.handover.end(b"goodbye", linger=True)
    assert await held.peer.read_rest() == b"goodbye"
    await held.lost()


async def test_a_peer_that_leaves_in_time_leaves_no_timer(hold: Hold) -> None:
    held = await hold()
    held.handover.end(b"goodbye", linger=True)
    timer = held.handover._timer
    assert timer is not None
    held.peer.leave()
    await held.lost()
    assert timer.cancelled()


@pytest.mark.parametrize("linger", [False, True])
async def test_last_words_to_a_peer_that_is_gone(
    hold: Hold,
    linger: bool,  # noqa: FBT001 - a column of the table
) -> None:
    held = await hold()
    held.peer.reset()
    await held.lost()
    held.handover.end(b"goodbye", linger=linger)
    assert held.handover._timer is None
    assert held.holder.losses == 1


async def test_last_words_to_a_peer_that_has_left_unnoticed(hold: Hold) -> None:
    """asyncio notices it only when it writes, and then has no connection to half-close."""
    held = await hold()
    held.transport.pause_reading()
    held.peer.leave()
    await held.peer.writer.wait_closed()
    held.handover.end(b"goodbye", linger=True)
    await held.lost()


async def test_last_words_of_a_task_do_not_cancel_it(hold: Hold) -> None:
    held = await hold()
    done: list[str] = []

    async def refuse() -> None:
        await asyncio.sleep(0)
        held.handover.end(b"goodbye")
        done.append("told")

    held.handover.start(refuse())
    assert await held.peer.read_rest() == b"goodbye"
    await held.lost()
    assert held.handover.task is not None
    assert not held.handover.task.cancelled()
    assert done == ["told"]


# Over TLS, which has no half-closed connections.


async def test_over_tls_what_comes_early_is_kept(hold: Hold, certificate: Path) -> None:
    held = await hold(early=b"one,", certificate=certificate)
    held.peer.write(b"two,")
    await held.early(8)
    borrower = Borrower(handover=held.handover)
    assert held.handover.lend(borrower) == b"one,two,"
    held.peer.write(b"three,four,")
    await until(lambda: borrower.received == b"three,four,")
    held.handover.give_back(b"four,")
    owner = Owner()
    assert held.handover.take(owner) == b"four,"
    held.peer.write(b"five")
    await until(lambda: owner.received == b"five")


@pytest.mark.parametrize("linger", [False, True])
async def test_over_tls_last_words_are_read_and_no_eof_is_asked_for(
    hold: Hold,
    certificate: Path,
    linger: bool,  # noqa: FBT001 - a column of the table
) -> None:
    held = await hold(certificate=certificate)
    assert not held.transport.can_write_eof()
    held.handover.end(b"goodbye", linger=linger)  # a transport that cannot write it would raise an error
    assert await held.peer.read(7) == b"goodbye"
    held.peer.leave()
    await held.lost()


async def test_over_tls_a_lingering_peer_is_dropped(
    hold: Hold, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LINGER_SECONDS", 0.05)
    held = await hold(certificate=certificate)
    held.handover.end(b"goodbye", linger=True)
    assert await held.peer.read(7) == b"goodbye"
    await held.lost()


async def test_over_tls_a_loss_cancels_the_task(hold: Hold, certificate: Path) -> None:
    held = await hold(certificate=certificate)
    waiting = await begun(held.handover)
    held.peer.leave()
    await held.lost()
    await until(lambda: waiting.outcome == "cancelled")
    assert held.holder.losses == 1
