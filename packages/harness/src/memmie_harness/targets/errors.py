"""The errors that targets raise."""

from __future__ import annotations


class TargetError(Exception):
    """A gateway did not do what a target must: start, become ready, log something, end.

    Attributes:
        exit_code: the exit code of the gateway's process; `None` if it has no process or still runs.
    """

    def __init__(self, message: str, *, exit_code: int | None = None) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class NotOfferedError(TargetError):
    """A test asked for something that its gateway does not offer; the message names it. The plugin skips the test."""
