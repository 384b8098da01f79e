"""A leg by itself: why it is not read from, and what it says where the kernel cannot be asked."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

import pytest
from tests.net.pair import Join, until

from memmie_gateway.net.sessions import kernel
from memmie_gateway.net.sessions.leg import PEER_FULL, TOO_FAST
from memmie_harness.conformance.peers import BINARY, TEXT


async def test_a_leg_is_read_from_when_no_reason_against_it_is_left(join: Join) -> None:
    pair = await join()
    client_leg = pair.session._client
    client_leg.hold(TOO_FAST)
    client_leg.hold(PEER_FULL)
    client_leg.hold(PEER_FULL)
    pair.client.send(TEXT, "later")
    client_leg.release(PEER_FULL)
    client_leg.release(PEER_FULL)  # a second time changes nothing
    assert (client_leg.held, client_leg.transport.is_reading()) == (True, False)
    client_leg.release(TOO_FAST)
    assert (client_leg.held, client_leg.transport.is_reading()) == (False, True)
    assert await pair.studio.read_message() == (TEXT, b"later")


async def test_a_leg_that_is_closing_is_only_marked(join: Join) -> None:
    """Loops raise, or complain, if a closing transport is paused."""
    pair = await join()
    client_leg = pair.session._client
    client_leg.transport.close()
    client_leg.hold(TOO_FAST)
    client_leg.release(TOO_FAST)
    assert not client_leg.held


async def test_what_the_peer_has_not_acknowledged_is_backlog(join: Join) -> None:
    pair = await join(limit=1024, receive_buffer=4096)
    client_leg = pair.session._client
    pair.studio.write(pair.studio.frame(BINARY, bytes(1 << 20)) * 8)
    await until(lambda: pair.session._backend.held)
    assert client_leg.backlog() > client_leg.transport.get_write_buffer_size() > 0


@pytest.mark.parametrize("missing", ["fcntl", "termios"])
async def test_where_the_kernel_cannot_be_asked_nothing_is_unacknowledged(
    join: Join, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)  # importing it raises ImportError
    degraded = load_anew(kernel)
    pair = await join(limit=1024, receive_buffer=4096)
    client_leg = pair.session._client
    pair.studio.write(pair.studio.frame(BINARY, bytes(1 << 20)) * 8)
    await until(lambda: pair.session._backend.held)
    assert kernel.unacknowledged(client_leg.transport) > 0
    assert degraded.unacknowledged(client_leg.transport) == 0


async def test_a_system_that_refuses_the_question_is_no_failure(
    join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As macOS does: it knows the number of this request, but not for sockets."""
    pair = await join()
    monkeypatch.setattr(kernel, "TIOCOUTQ", 0)
    assert pair.session._client.backlog() == 0


def load_anew(module: ModuleType) -> ModuleType:
    """Load a second copy of a module, which no other code knows."""
    assert module.__file__ is not None
    spec = importlib.util.spec_from_file_location(module.__name__, module.__file__)
    assert spec is not None
    assert spec.loader is not None
    copy = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(copy)
    return copy
