"""How an operation fails. The words of each are its reason in statistics and reports: few and countable."""

from __future__ import annotations

import re
from typing import Final

_KIND: Final = re.compile(r"[a-z_]{1,20}(\.[a-z_]{1,20})?")
"""A type as Studio has them (spec §4). Nothing else is repeated: it may hold what it likes, a token say."""

NO_CLOSE_FRAME: Final = "no close frame"
"""How a connection ended that nobody has closed (RFC 6455 §7.1.5 has 1006 for it, which is never on the wire)."""


class OperationError(Exception):
    """An operation failed."""


class RefusedError(OperationError):
    """The upgrade was answered with another status.

    Attributes:
        WORD: what its words begin with.
        LIMITED: what they begin with where a limit was reached.
        status: the HTTP status.
        answer: why, in the words of the answer's body; not in the error's own, which are countable.

    Args:
        status: see above.
        code: the answer's own name for why (spec §1), such as `connect_rate_exceeded`; "" where it has none.
        answer: see above.
    """

    WORD: Final = "refused"
    LIMITED: Final = f"{WORD} 429"

    def __init__(self, status: int, code: str = "", answer: str = "") -> None:
        super().__init__(" ".join(filter(None, [self.WORD, str(status), code])))
        self.status = status
        self.answer = answer


class UnreachableError(OperationError):
    """There was no answer to the upgrade."""


class ClosedError(OperationError):
    """The connection ended before the reply.

    Attributes:
        code: the close code in digits, or `NO_CLOSE_FRAME`.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code if code == NO_CLOSE_FRAME else f"closed {code}")
        self.code = code


class SilenceError(OperationError):
    """The reply did not come in time."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"no reply within {seconds:g} s")


class UnexpectedReplyError(OperationError):
    """The reply was another one than the message has."""

    def __init__(self, kind: object) -> None:
        known = isinstance(kind, str) and _KIND.fullmatch(kind)
        super().__init__(f"answered {kind}" if known else "answered with a message of no known type")
