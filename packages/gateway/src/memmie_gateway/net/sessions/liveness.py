"""The look at one leg of a session: whether its side is alive or needs a ping (see `core.websocket.keepalive`)."""

from __future__ import annotations

import random
from functools import partial

from memmie_gateway.core.outcomes import Side
from memmie_gateway.core.websocket import control_frames
from memmie_gateway.core.websocket.keepalive import Advice, Signs
from memmie_gateway.net.sessions.kernel import quiet_seconds, unacknowledged
from memmie_gateway.net.sessions.leg import Leg


def look(leg: Leg, source: Leg, now: float, rng: random.Random) -> Advice:
    """Compare the counters of a leg with the last look, and ping its side if this is due.

    Args:
        leg: the leg.
        source: the opposite leg, from which the side gets its bytes.
        now: seconds.
        rng: creates payloads and masking keys.
    """
    usual = not leg.held and not leg.transport.get_write_buffer_size()
    if usual and leg.keepalive.glance(now, leg.scanner.received):
        return Advice.NOTHING
    return _look_closely(leg, _signs(leg, source), now, rng)


def ping(leg: Leg, source: Leg, now: float, rng: random.Random) -> bool:
    """Ping a side now, unless it already owes an answer; the arguments are those of `look`.

    Returns:
        Whether it now has to answer a ping, or to take what waits for it; False if its answer would not be read, or if
        keepalive is off: perhaps the side does not answer pings at all.
    """
    signs = _signs(leg, source)
    _look_closely(leg, signs, now, rng)
    if signs.deaf:
        return False
    if leg.keepalive.pinged or signs.waiting:
        return True
    may_ping = signs.may_ping and leg.keepalive.on
    if may_ping:
        _ping(leg, signs, rng)
    return may_ping


def inside_frame(leg: Leg) -> bool:
    """Tell whether the last frame from a side is incomplete."""
    return bool(leg.scanner.remaining or leg.scanner.held_back)


def _look_closely(leg: Leg, signs: Signs, now: float, rng: random.Random) -> Advice:
    advice = leg.keepalive.look(now, signs)
    if advice is Advice.PING:
        _ping(leg, signs, rng)
    return advice


def _signs(leg: Leg, source: Leg) -> Signs:
    scanner, arriving = leg.scanner, source.scanner
    written = arriving.received - arriving.cut_bytes - arriving.held_back + leg.own_bytes
    buffered = leg.transport.get_write_buffer_size()
    return Signs(
        heard=scanner.received,
        answers=scanner.cut_bytes,
        inside_frame=inside_frame(leg),
        written=written,
        taken=written - buffered - unacknowledged(leg.transport),
        waiting=buffered > 0,
        deaf=leg.held,
        may_ping=not arriving.remaining,
        quiet=partial(quiet_seconds, leg.transport),
    )


def _ping(leg: Leg, signs: Signs, rng: random.Random) -> None:
    payload = rng.randbytes(8)
    frame = control_frames.control_frame(control_frames.PING, payload, key=key(leg.side, rng))
    leg.scanner.expect_pong(payload)
    leg.transport.write(frame)
    leg.own_bytes += len(frame)
    leg.keepalive.ping_sent(signs.written)


def key(side: Side, rng: random.Random) -> bytes | None:
    """Return a masking key for a frame to `side`, or None if frames to it are not masked."""
    return rng.randbytes(4) if side is Side.BACKEND else None
