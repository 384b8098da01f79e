"""The words of an operating system's error, without Python's additions."""

from __future__ import annotations

import os
import socket
import ssl


def words_of(error: OSError) -> str:
    """Return the system's words for an error, such as "Connection refused".

    An event loop adds the address to these words, and often as a Python tuple. Our messages name the address already.
    """
    # TLS and look-ups have numbers of their own, and their own words.
    if error.errno and not isinstance(error, ssl.SSLError | socket.gaierror):
        return os.strerror(error.errno)
    return error.strerror or str(error)
