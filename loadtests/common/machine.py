"""The machine: its cores, its limit of open files, and its description."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import resource
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from loadtests.common.errors import UsageError

SPARE_FILES = 200  # of a process, besides its connections


@dataclass(frozen=True, slots=True)
class Cores:
    """The core of the gateway under test, for itself, and the cores of everything else; None if nothing is pinned."""

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
        if self.gateway is None or self.load is None:
            return "one core only: nothing is pinned, the gateway shares it with its load"
        gateway, load = (", ".join(map(str, sorted(cores))) for cores in (self.gateway, self.load))
        return f"gateway on core {gateway}, echo backend and load on {load}"


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
    """Let this process and those it starts hold that many connections, each with two sides; else a UsageError."""
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
    model = re.search(r"^model name\s*: (.*)", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return {
        "cpu": model[1] if model else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "python": platform.python_version(),
        **{library: version(library) for library in ("uvloop", "picows", "websockets")},
    }
