"""Every test of the kit, in the order of the groups."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from memmie_harness.conformance.group import Group
from memmie_harness.conformance.model import ConformanceTest
from memmie_harness.conformance.tests import (
    auth,
    balancing,
    closes,
    data,
    forwarding,
    handshake,
    hostile,
    identity,
    keepalive,
    limits,
    operation,
    pressure,
    refusals,
    violations,
)

GROUPS: Final[Sequence[Group]] = (
    handshake.GROUP,
    refusals.GROUP,
    forwarding.GROUP,
    identity.GROUP,
    auth.GROUP,
    data.GROUP,
    violations.GROUP,
    closes.GROUP,
    keepalive.GROUP,
    pressure.GROUP,
    limits.GROUP,
    balancing.GROUP,
    operation.GROUP,
    hostile.GROUP,
)
"""The groups, in the order of reports."""


def all_tests() -> list[ConformanceTest]:
    """Return every test."""
    return [test for group in GROUPS for test in group.tests]


def choose(parts: Iterable[str]) -> list[ConformanceTest]:
    """Return the tests with an id that contains one of these parts; without parts, every test."""
    wanted = list(parts)
    return [test for test in all_tests() if not wanted or any(part in test.id for part in wanted)]
