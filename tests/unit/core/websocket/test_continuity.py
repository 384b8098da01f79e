"""What the failure of a leg means for its session."""

from __future__ import annotations

import pytest

from memmie_gateway.core.outcomes import Cause, Side
from memmie_gateway.core.websocket.continuity import on_leg_dead, on_leg_lost


@pytest.mark.parametrize(
    ("side", "lost", "dead"),
    [
        (Side.CLIENT, Cause.CLIENT_GONE, Cause.CLIENT_SILENT),
        (Side.BACKEND, Cause.BACKEND_GONE, Cause.BACKEND_SILENT),
    ],
)
def test_a_leg_that_fails_ends_the_session(side: Side, lost: Cause, dead: Cause) -> None:
    assert (lost, dead) == (on_leg_lost(side), on_leg_dead(side))
