"""The words of errors: the system's own, without an address."""

from __future__ import annotations

import errno
import socket
import ssl

import pytest

from memmie_gateway.net.http1.system_errors import words_of


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ECONNREFUSED, "Connect call failed ('127.0.0.1', 9)"), "Connection refused"),
        (OSError(errno.EADDRINUSE, "error while attempting to bind"), "Address already in use"),
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "Name or service not known"),
        (ssl.SSLCertVerificationError(1, "certificate verify failed"), "certificate verify failed"),
        (OSError("no address could be tried"), "no address could be tried"),
    ],
)
def test_the_words_are_those_of_the_system(error: OSError, words: str) -> None:
    assert words_of(error) == words
