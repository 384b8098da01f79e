"""The list of mutants, and how they are added to it."""

from __future__ import annotations

from collections.abc import Callable

from tests.mutants.joint import Joint
from tests.mutants.socket_io import SocketJoint
from tests.mutants.toy import Toy

from memmie_harness.conformance.profile import Setup
from memmie_harness.conformance.stack import Stack

MUTANTS: dict[str, tuple[Callable[[Setup, Stack], Toy], tuple[str, ...]]] = {}
"""Each mutant by name, and the tests that must fail for it."""


def mutant(*caught_by: str) -> Callable[[type[Toy]], type[Toy]]:
    """Add a wrong gateway."""

    def add(kind: type[Toy]) -> type[Toy]:
        MUTANTS[kind.__name__] = (kind, caught_by)
        return kind

    return add


def joint_mutant(*caught_by: str) -> Callable[[type[Joint]], type[Joint]]:
    """Add a gateway that forwards frames in a wrong way."""

    def add(kind: type[Joint]) -> type[Joint]:
        MUTANTS[kind.__name__] = (type(kind.__name__, (Toy,), {"joint_kind": kind}), caught_by)
        return kind

    return add


def socket_mutant(*caught_by: str) -> Callable[[type[SocketJoint]], type[SocketJoint]]:
    """Add a gateway that translates Socket.IO in a wrong way."""

    def add(kind: type[SocketJoint]) -> type[SocketJoint]:
        MUTANTS[kind.__name__] = (type(kind.__name__, (Toy,), {"socket_joint_kind": kind}), caught_by)
        return kind

    return add
