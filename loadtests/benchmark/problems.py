"""What can go wrong in a benchmark."""

from __future__ import annotations


class BenchError(Exception):
    """There is no result: of one measurement, or of any. The message says what, where and what to do."""


class UsageError(BenchError):
    """What was asked for cannot be done, and nothing was measured."""
