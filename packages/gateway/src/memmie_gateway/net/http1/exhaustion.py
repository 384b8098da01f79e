"""Local resource exhaustion (descriptors, ports, buffers), which must not count against a peer."""

from __future__ import annotations

import errno
from typing import Final

_ERRNOS: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL})


class ExhaustionError(Exception):
    """The gateway has no free descriptors, ports or buffers for a connection; the message has the system's reason."""


def raise_exhaustion(error: OSError) -> None:
    """Raise an `ExhaustionError` if an error means local resource exhaustion; otherwise do nothing.

    Raises:
        ExhaustionError: the error means that a local resource is exhausted.
    """
    if error.errno in _ERRNOS:
        raise ExhaustionError(
            f"the gateway has no free descriptors, ports or buffers: {error.strerror}"
        ) from None
