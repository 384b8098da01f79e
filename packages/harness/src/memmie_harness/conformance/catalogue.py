"""Every test of the kit, in the order of the groups."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import ModuleType
from typing import Final

from memmie_harness.conformance.group import Group
from memmie_harness.conformance.model import ConformanceTest
from memmie_harness.conformance.tests import (
    around_handshake,
    auth,
    auth_answers,
    auth_memory,
    backend_answers,
    balancing,
    closes,
    data,
    first_message,
    forwarding,
    handshake,
    hostile,
    hostile_heads,
    http_bodies,
    http_heads,
    http_limits,
    http_pages,
    http_routes,
    hygiene,
    identity,
    keepalive,
    limits,
    operation,
    pressure,
    refusals,
    renewal,
    restart,
    socketio,
    tls,
    violations,
)

GROUPS: Final[Sequence[Group]] = (
    handshake.GROUP,
    refusals.GROUP,
    forwarding.GROUP,
    identity.GROUP,
    auth.GROUP,
    first_message.GROUP,
    renewal.GROUP,
    data.GROUP,
    violations.GROUP,
    closes.GROUP,
    keepalive.GROUP,
    pressure.GROUP,
    limits.GROUP,
    balancing.GROUP,
    operation.GROUP,
    hostile.GROUP,
    tls.GROUP,
    socketio.GROUP,
    http_routes.GROUP,
)
"""The groups, in the order of reports."""

FURTHER: Final[Sequence[ModuleType]] = (
    around_handshake,
    auth_answers,
    auth_memory,
    backend_answers,
    hostile_heads,
    http_heads,
    http_bodies,
    http_pages,
    http_limits,
    hygiene,
    restart,
)
"""Modules that add tests to a group of another module; to import them is enough."""


def all_tests() -> list[ConformanceTest]:
    """Return every test."""
    return [test for group in GROUPS for test in group.tests]


def choose(parts: Iterable[str]) -> list[ConformanceTest]:
    """Return the tests with an id that contains one of these parts; without parts, every test."""
    wanted = list(parts)
    return [test for test in all_tests() if not wanted or any(part in test.id for part in wanted)]
