"""The end of an answer: whether its connection has ended before its body did.

This is imported only by `upstream`, as it needs aiohttp.
"""

from __future__ import annotations

import ssl

import aiohttp
from aiohttp.client_proto import ResponseHandler


class AnswerProtocol(ResponseHandler):
    """Breaks an answer of which the connection ends before its body does.

    aiohttp itself takes a reset, and an end without a closure alert of TLS, for the end of a body without a known length, so
    that half an answer looks complete. And it does not tell the reader of a body that what came next is not a valid chunk,
    so that the reader waits for ever.
    """

    _alerted = False  # the service has ended TLS with a closure alert

    def eof_received(self) -> None:
        """Note whether the service has ended TLS in good order; uvloop does not call this if it has not."""
        super().eof_received()
        tls = self.transport.get_extra_info("ssl_object") if self.transport is not None else None
        self._alerted = tls is not None and _has_closure_alert(tls)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Break the body if it is not complete."""
        body, transport = self._payload, self.transport
        if exc is not None:
            _break(body, f"the connection was lost: {exc}")
        elif transport is not None and transport.get_extra_info("ssl_object") and not self._alerted:
            _break(body, "the connection has ended without a closure alert of TLS")
        super().connection_lost(exc)
        _break(body, "the connection has ended before the body, or the body is invalid")


def _break(body: aiohttp.StreamReader | None, words: str) -> None:
    if body is not None and not body.is_eof() and body.exception() is None:
        body.set_exception(aiohttp.ClientPayloadError(words))


def _has_closure_alert(tls: ssl.SSLObject) -> bool:
    """Tell whether the end of a connection came with a closure alert.

    Without one, anybody on the way may have cut the connection, so a body without a length is not complete (RFC 9112 §9.8).
    asyncio tells of an end in the same way with and without an alert, but all that came before it has been read.
    """
    try:
        return tls.read(1) == b""
    except ssl.SSLZeroReturnError:
        return True
    except ssl.SSLError:
        return False
