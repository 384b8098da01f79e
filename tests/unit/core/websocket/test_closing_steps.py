"""The steps of the closing handshake: each side gets the close code that is meant for it."""

from __future__ import annotations

import pytest

from memmie_gateway.core.outcomes import Cause, Side
from memmie_gateway.core.websocket.closing_steps import Say


@pytest.mark.parametrize(("side", "code"), [(Side.CLIENT, 1008), (Side.BACKEND, 1001)])
def test_a_new_close_frame_has_the_code_for_its_side(side: Side, code: int) -> None:
    assert Say.new(side, Cause.MESSAGE_RATE, "too fast") == Say(side, code, "too fast", forward=False)
