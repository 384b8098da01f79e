"""Local resource exhaustion (descriptors, ports, buffers), which must not count against a peer."""

from __future__ import annotations

import errno
from typing import Final

_ERRNOS: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL})


class ExhaustionError(Exception):
    """The gateway itself has no open files, ports or buffers left for a connection; the message says which."""


def raise_exhaustion(error: OSError) -> None:
    """Raise an `ExhaustionError` if that is what an error means; otherwise do nothing.

    Raises:
        ExhaustionError: the gateway itself has run out of a resource.
    """
    if error.errno in _ERRNOS:
        raise ExhaustionError(f"the gateway has run out of something: {error.strerror}") from None
