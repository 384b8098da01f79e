"""The machine: which core is whose, how many files may be open, and what it is."""

from __future__ import annotations

import contextlib
import os
import platform
import resource
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from loadtests.common.errors import UsageError

SPARE_FILES = 200
"""Open files of a process besides its connections."""


@dataclass(frozen=True, slots=True)
class Cores:
    """Who runs where.

    Attributes:
        gateway: the core of the gateway under test, for itself; None where nothing is pinned.
        load: the cores of everything else.
    """

    gateway: frozenset[int] | None
    load: frozenset[int] | None

    @classmethod
    def share_out(cls) -> Cores:
        """Give the last core to the gateway and the others to the rest; nothing to pin on one core."""
        cores = sorted(os.sched_getaffinity(0))
        if len(cores) == 1:
            return cls(None, None)
        return cls(frozenset(cores[-1:]), frozenset(cores[:-1]))

    def __str__(self) -> str:
        """Say who runs where."""
        if self.gateway is None or self.load is None:
            return "one core only: nothing is pinned, the gateway shares it with its load"
        return f"gateway on core {_listed(self.gateway)}, echo backend and load on {_listed(self.load)}"


def _listed(cores: frozenset[int]) -> str:
    return ", ".join(map(str, sorted(cores)))


@contextlib.contextmanager
def pinned(cores: frozenset[int] | None) -> Iterator[None]:
    """Have processes that are started inside the block, and all of theirs, run on `cores` from their first moment."""
    if cores is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def raise_open_files(connections: int) -> None:
    """Let this process and those it starts hold that many connections, each with two sides.

    Raises:
        UsageError: the hard limit is lower, and may not be raised.
    """
    needed = 2 * connections + SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        new_hard = hard if hard == resource.RLIM_INFINITY or hard >= needed else needed
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (needed, new_hard))
        except (ValueError, OSError):
            raise UsageError(
                f"{connections} connections need {needed} open files, and the limit is {hard}: "
                f"raise it (`ulimit -Hn {needed}` as root, LimitNOFILE= in systemd) or use fewer connections"
            ) from None


def describe() -> dict[str, str | int]:
    """Return what numbers from this machine should be read with."""
    libraries = ("uvloop", "picows", "websockets")
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "python": platform.python_version(),
        **{library: version(library) for library in libraries},
    }


def _cpu_model() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()
