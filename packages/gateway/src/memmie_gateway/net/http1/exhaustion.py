"""Running out of what the system grants this process: nobody else's fault, and to be counted against nobody else."""

from __future__ import annotations

import errno
from typing import Final

_ERRNOS: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL})


class ExhaustionError(Exception):
    """There are no open files, ports or buffers left for a connection; the message says which."""


def raise_exhaustion(error: OSError) -> None:
    """Raise a `ExhaustionError` where that is what an error means.

    Raises:
        ExhaustionError: the gateway itself has run out of something.
    """
    if error.errno in _ERRNOS:
        raise ExhaustionError(f"the gateway has run out of something: {error.strerror}") from None
