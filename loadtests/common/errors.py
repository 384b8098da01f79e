"""What can go wrong in a load test."""

from __future__ import annotations


class LoadTestError(Exception):
    """There is no result: of one measurement, or of the whole run. The message says what failed, where, and what to do."""


class UsageError(LoadTestError):
    """What was asked for is not possible; nothing was measured."""


class ProcessGoneError(LoadTestError):
    """A process ended while it was being measured."""
