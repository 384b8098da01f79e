"""How an operation fails. An error's words are its reason in statistics and reports: few and countable."""

from __future__ import annotations

import re
from typing import Final

NO_CLOSE_FRAME: Final = "no close frame"
"""How a connection ended without a Close frame (RFC 6455 §7.1.5 has 1006 for it, which is never on the wire)."""

_TYPE: Final = re.compile(r"[a-z_]{1,20}(\.[a-z_]{1,20})?")
"""A message type as Studio has them (spec §4). Nothing else is repeated: it may hold anything, such as a token."""


class OperationError(Exception):
    """An operation failed: there was no answer or reply, or the connection ended."""

    def __repr__(self) -> str:
        """Return the words alone, which Locust's own statistics show."""
        return str(self)


class RefusedError(OperationError):
    """The upgrade was answered with another status than 101.

    Args:
        status: the HTTP status.
        code: the response's own name for the reason (spec §1), such as `connect_rate_exceeded`; "" without one.
        answer: the reason in the words of the response's body, which are not countable and not part of the error's.
    """

    LIMITED: Final = "refused 429"
    """How the words begin if a limit was reached."""

    def __init__(self, status: int, code: str, answer: str) -> None:
        super().__init__(f"refused {status} {code}".rstrip())
        self.status = status
        self.answer = answer


class ClosedError(OperationError):
    """The connection ended, with a close code in digits or `NO_CLOSE_FRAME`."""

    def __init__(self, code: str | None) -> None:
        super().__init__(f"closed {code}" if code and code != NO_CLOSE_FRAME else NO_CLOSE_FRAME)


class UnexpectedReplyError(OperationError):
    """A message has another type than the one that was expected."""

    def __init__(self, kind: object) -> None:
        known = isinstance(kind, str) and _TYPE.fullmatch(kind)
        super().__init__(f"answered {kind}" if known else "answered with a message of no known type")
