"""The causes of refusals and ends: one table of HTTP statuses, close codes, words and metrics.

Each row is a `Cause`. It defines what a client gets before the upgrade (HTTP status and `code`) and after it (close code
and reason), what the backend gets, and what appears in logs and metrics. `docs/generate.py` makes the tables of
`docs/closing.md` from this one, and a test compares them.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final


class Side(enum.Enum):
    """The two ends of a connection, as seen from the gateway."""

    CLIENT = "client"
    BACKEND = "studio"

    __hash__ = object.__hash__  # by identity; that of Enum hashes the name, in Python

    other: Side
    """The opposite end."""


Side.CLIENT.other, Side.BACKEND.other = Side.BACKEND, Side.CLIENT


class Blame(enum.Enum):
    """The party that caused a refusal or an end: `by` in logs and metrics."""

    CLIENT = "client"
    BACKEND = "studio"
    GATEWAY = "gateway"
    AUTH = "auth"


@dataclass(frozen=True, slots=True)
class Ending:
    """One row of the table.

    Attributes:
        code: the stable, machine-readable name: `code` in the JSON body, `cause` in logs, `reason` or `type` in metrics.
        words: the text for people: `error` in the JSON body, and the reason of the Close frame.
        by: the party that caused it.
        status: the HTTP status before the upgrade; 0 if this can happen only after the upgrade.
        to_client: the close code for the client; 0 if it gets the code of the backend's Close frame, or is gone or dead, or if
            the code is 4000 + `status`.
        to_backend: the close code for the backend; 0 if it gets the code of the client's Close frame, or is dead.
        error: whether it counts in `gateway_websocket_errors_total`.
        retry: whether it may help to try again soon; the HTTP answer of a refusal then has `Retry-After`.
    """

    code: str
    words: str
    by: Blame
    status: int = 0
    to_client: int = 0
    to_backend: int = 1001
    error: bool = True
    retry: bool = False


_CLIENT, _BACKEND, _GATEWAY, _AUTH = Blame.CLIENT, Blame.BACKEND, Blame.GATEWAY, Blame.AUTH


class Cause(enum.Enum):
    """Every cause of a refusal or of the end of a connection.

    Attributes:
        ending: the row of the table.
        by: the party that caused the end, as a word for logs and metrics.
        close_code: the close code for a client after the upgrade: that of the row, or 4000 + the HTTP status.
    """

    ending: Ending
    by: str
    close_code: int

    def __init__(self, ending: Ending) -> None:
        self.ending = ending
        self.by = ending.by.value  # an Enum looks it up with a function call
        self.close_code = ending.to_client or 4000 + ending.status

    # Refusals before the upgrade. With first-message auth some of them happen after it, with `close_code`.
    BAD_REQUEST = Ending("bad_request", "this is not an HTTP/1.1 request", _CLIENT, 400)
    BAD_HANDSHAKE = Ending(
        "bad_handshake", "this is not a WebSocket handshake (RFC 6455 section 4.1)", _CLIENT, 400
    )
    TOKEN_MISSING = Ending("token_missing", "a token is needed", _CLIENT, 401)
    TOKEN_TOO_LONG = Ending("token_too_long", "the token is too long", _CLIENT, 401)
    TOKEN_REFUSED = Ending("token_invalid", "the token is not valid", _AUTH, 401)
    ORIGIN_REFUSED = Ending("origin_not_allowed", "pages of this origin may not connect", _CLIENT, 403)
    NO_ROUTE = Ending("not_found", "nothing is served under this path", _CLIENT, 404)
    METHOD_REFUSED = Ending("method_not_allowed", "this path does not allow this method", _CLIENT, 405)
    HEAD_LATE = Ending("request_timeout", "the request head took too long to arrive", _CLIENT, 408)
    AUTH_LATE = Ending("auth_late", "the first message must be auth, in time", _CLIENT, 408, 1008)
    BODY_TOO_BIG = Ending("body_too_large", "the request body is too large", _CLIENT, 413)
    URL_TOO_LONG = Ending("url_too_long", "the URL is too long", _CLIENT, 414)
    EXPECTATION_REFUSED = Ending(
        "expectation_failed", "no expectation but 100-continue is met here", _CLIENT, 417
    )
    HEAD_TOO_BIG = Ending("head_too_large", "the request head is too large", _CLIENT, 431)
    BAD_ENGINE_IO = Ending("bad_engine_io", "this is not a request of Engine.IO 4", _CLIENT, 400)
    NOT_AN_UPGRADE = Ending("upgrade_required", "this path speaks WebSocket only", _CLIENT, 426)
    WRONG_VERSION = Ending("unsupported_version", "only WebSocket version 13 is spoken here", _CLIENT, 426)
    ADDRESS_FULL = Ending(
        "too_many_connections_from_address",
        "too many connections from this address",
        _CLIENT,
        429,
        retry=True,
    )
    USER_FULL = Ending(
        "too_many_connections_of_user", "too many connections of this user", _CLIENT, 429, retry=True
    )
    CONNECT_RATE = Ending(
        "connect_rate_exceeded", "connecting too often from this address", _CLIENT, 429, retry=True
    )
    CLIENT_LEFT = Ending(
        "client_left", "the client left before the end of the answer", _CLIENT, 499, error=False
    )
    INTERNAL = Ending("internal_error", "the gateway failed to handle this request", _GATEWAY, 500, 1011)
    GATEWAY_FULL = Ending("overloaded", "the gateway is full, retry later", _GATEWAY, 503, 1013, retry=True)
    DRAINING = Ending(
        "shutting_down", "the gateway is shutting down", _GATEWAY, 503, 1001, error=False, retry=True
    )
    DISABLED = Ending(
        "websocket_disabled", "WebSockets are switched off on this gateway", _GATEWAY, 503, 1013
    )
    AUTH_UNAVAILABLE = Ending(
        "auth_unavailable", "Auth cannot answer now, retry later", _AUTH, 503, 1013, retry=True
    )
    AUTH_UNUSABLE = Ending(
        "auth_answer_unusable", "Auth's answer about this token cannot be used", _AUTH, 502, 1011
    )
    NO_BACKEND = Ending(
        "no_studio", "no Studio is available now, retry later", _BACKEND, 503, 1013, retry=True
    )
    BACKEND_FAILED = Ending(
        "studio_failed", "no Studio accepted the connection, retry later", _BACKEND, 503, 1013, retry=True
    )
    BACKEND_REFUSED = Ending("studio_refused", "Studio refused the connection", _BACKEND, 400, 1008)

    # Refusals of HTTP requests that are forwarded.
    WRONG_PROTOCOL = Ending("upgrade_refused", "this path speaks HTTP only", _CLIENT, 426)
    REQUEST_RATE = Ending("request_rate_exceeded", "sending requests too fast", _CLIENT, 429, retry=True)
    BACKEND_BROKE_OFF = Ending(
        "studio_broke_off", "Studio did not give a complete answer", _BACKEND, 502, 1013, retry=True
    )
    BACKEND_TIMEOUT = Ending(
        "studio_timeout", "Studio took too long to answer", _BACKEND, 504, 1013, retry=True
    )
    AUTH_BROKE_OFF = Ending(
        "auth_broke_off", "Auth did not give a complete answer", _AUTH, 502, 1013, retry=True
    )
    AUTH_TIMEOUT = Ending("auth_timeout", "Auth took too long to answer", _AUTH, 504, 1013, retry=True)

    # Ends of live connections that the client or the backend caused by closing or losing its connection.
    CLIENT_CLOSED = Ending("client_closed", "", _CLIENT, to_backend=0, error=False)
    BACKEND_CLOSED = Ending("studio_closed", "", _BACKEND, to_backend=0, error=False)
    CLIENT_GONE = Ending("client_gone", "the client's connection was lost", _CLIENT)
    BACKEND_GONE = Ending("studio_gone", "Studio is gone, reconnect", _BACKEND, to_client=1012, retry=True)

    # Ends that the gateway decided.
    IDLE = Ending("idle", "no message for too long", _GATEWAY, to_client=1001, error=False, retry=True)
    CLIENT_SILENT = Ending("client_silent", "no answer to a ping", _CLIENT, retry=True)
    BACKEND_SILENT = Ending(
        "studio_silent",
        "Studio does not answer, reconnect",
        _BACKEND,
        to_client=1012,
        to_backend=0,
        retry=True,
    )
    MESSAGE_RATE = Ending("message_rate_exceeded", "sending messages too fast", _CLIENT, to_client=1008)
    CLOSE_LATE = Ending(
        "close_late", "the closing handshake was not completed in time", _GATEWAY, to_client=1001
    )
    CLIENT_TOO_BIG = Ending("message_too_big", "message too big", _CLIENT, to_client=1009)
    BACKEND_TOO_BIG = Ending(
        "studio_message_too_big", "message of Studio too big", _BACKEND, to_client=1009, to_backend=1009
    )
    CLIENT_VIOLATION = Ending(
        "protocol_error", "the client broke the WebSocket protocol", _CLIENT, to_client=1002
    )
    BACKEND_VIOLATION = Ending(
        "studio_protocol_error",
        "Studio broke the WebSocket protocol",
        _BACKEND,
        to_client=1002,
        to_backend=1002,
    )
    CLIENT_BAD_TEXT = Ending(
        "bad_close_reason", "the client's close reason is not UTF-8", _CLIENT, to_client=1007
    )
    BACKEND_BAD_TEXT = Ending(
        "studio_bad_close_reason",
        "Studio's close reason is not UTF-8",
        _BACKEND,
        to_client=1002,
        to_backend=1007,
    )
    BACKEND_UNHEALTHY = Ending(
        "studio_unhealthy",
        "Studio is not healthy, reconnect",
        _BACKEND,
        to_client=1012,
        to_backend=0,
        retry=True,
    )
    MOVED = Ending(
        "moved", "moving to another Studio, reconnect", _GATEWAY, to_client=1012, error=False, retry=True
    )
    REPLACED = Ending("replaced", "a new connection of this user takes this place", _CLIENT)
    TOKEN_ENDED = Ending("token_ended", "the token expired or was revoked", _AUTH, to_client=4401)


CLOSE_CODES: Final = frozenset({
    *range(1000, 1016),
    3000, 3003, 3008,
    *(cause.close_code for cause in Cause if cause.close_code != 4000),
})  # fmt: skip
"""The close codes that metrics show: those of RFC 6455 and its registry at IANA, and the gateway's own."""
