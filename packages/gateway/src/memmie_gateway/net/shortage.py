"""Running out of what the system grants this process: nobody else's fault, and to be counted against nobody else."""

from __future__ import annotations

import errno
from typing import Final

_ERRNOS: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL})


class ShortageError(Exception):
    """There are no open files, ports or buffers left for a connection; the message says which."""


def raise_shortage(*errors: OSError) -> None:
    """Raise a `ShortageError` where that is what all of these errors mean.

    One alone may mean something else: an IPv6 address "cannot be assigned" where IPv6 is switched off.

    Raises:
        ShortageError: the gateway itself has run out of something.
    """
    if errors and all(error.errno in _ERRNOS for error in errors):
        raise ShortageError(f"the gateway has run out of something: {errors[-1].strerror}") from None
