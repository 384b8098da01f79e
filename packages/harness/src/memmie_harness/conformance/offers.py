"""What a gateway can offer, by the names that profiles and tests use."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

OfferValue = bool | int | float | str
"""The value of an offer in a profile."""


MAX_STUDIOS: Final = 50
"""The most Studios that the kit starts for one gateway."""


@dataclass(frozen=True, slots=True)
class Offer:
    """One property of a gateway.

    Attributes:
        kind: the type of its value: `bool` for a capability, otherwise a number (`float` takes integers, too) or a text.
        meaning: what a gateway that offers it does.
    """

    kind: type[OfferValue]
    meaning: str


def _offers() -> dict[str, Offer]:
    def can(meaning: str) -> Offer:
        return Offer(bool, meaning)

    def size(meaning: str) -> Offer:
        return Offer(int, meaning)

    def seconds(meaning: str) -> Offer:
        return Offer(float, meaning)

    def name(meaning: str) -> Offer:
        return Offer(str, meaning)

    return {
        # Tokens and users.
        "auth": can("asks Auth about the token before it connects a client to a backend"),
        "auth_body": can("reads the body of Auth's answer, and not only its status"),
        "token_header": can("takes the token from `Authorization: Bearer T`"),
        "token_query": name("takes the token from this field of the query, such as `token`"),
        "token_subprotocol": name("takes the token from the subprotocols after this one, such as `bearer`"),
        "auth_cache_seconds": seconds("uses an answer about a valid token again for this time"),
        "refusal_cache_seconds": seconds("uses an answer about an invalid token again for this time"),
        "token_bytes": size("takes tokens up to this size"),
        "first_message_seconds": seconds(
            "takes the token from the first message of the client, too, and waits this long for it"
        ),
        "renew_path": name("moves live connections to a new token after a POST to this path"),
        "closes_at_expiry": can("closes a live connection with 4401 when its token expires"),
        "hides_token": can("never sends the token to a backend"),
        "hides_copies": can(
            "does not send cookies and other fields that contain the token to a backend either"
        ),
        "user_query": name("sends the user to the backend in this field of the query"),
        "user_header": name("sends the user to the backend in this header field"),
        # HTTP.
        "tls": can(
            "serves WebSockets with TLS on port `{TLS_PORT}`, with the certificate `{TLS_CERT}` and the key `{TLS_KEY}`"
        ),
        "path": name("serves WebSockets at this path; `/ws` without this offer"),
        "status_path": name("answers GET of this path with 200 and without a token"),
        "forwards_headers": can("sends the client's other header fields to the backend"),
        "forwards_query": can("sends the client's query to the backend with the same bytes"),
        "forwards_subprotocols": can("negotiates the subprotocol between client and backend"),
        "forwards_extensions": can("negotiates extensions between client and backend"),
        "forwards_refusals": can("passes a 4xx answer of the backend on to the client"),
        "answers_after_backend": can("answers the client's handshake only after the backend has accepted"),
        "checks_upgrade": can("answers an invalid handshake itself, and does not leave this to the backend"),
        "checks_backend_upgrade": can("does not pass on a 101 of the backend that is invalid"),
        "forwarded_for": can("sends `X-Forwarded-For` with the address of the client"),
        "replaces_forwarded": can("does not believe `X-Forwarded-*` of a client that is not a trusted proxy"),
        "request_id": can("sends `X-Request-ID` to the backend"),
        "keeps_request_id": can("takes a valid `X-Request-ID` of the client for its own"),
        "checks_origin": name("refuses pages of other origins than this one with 403"),
        "head_bytes": size("refuses request heads that are larger than this"),
        "header_fields": size("refuses requests with more header fields than this"),
        "head_seconds": seconds("refuses a request head that takes longer than this"),
        "keeps_early_bytes": can("forwards what a client sends before it has the answer to its handshake"),
        # Frames.
        "keeps_frames": can("does not merge or split the frames that it forwards"),
        "inspects_frames": can("closes a connection that breaks the rules for frames"),
        "forwards_closes": can("passes the code and the reason of a Close frame on to the other side"),
        "waits_for_close": can(
            "answers a Close frame only after the other side has, so that what this side still sends arrives"
        ),
        "ends_handshake": can(
            "if one side's connection is lost, tells the other side by a Close frame with 1001 or 1011 to 1014"
        ),
        "answers_half_closed": can("answers a Close frame even if FIN comes right behind it"),
        "strict_lengths": can("closes a connection with a length that is not encoded in the fewest bytes"),
        "message_bytes": size("closes with 1009 after a message that is larger than this"),
        "ping_seconds": seconds("pings a silent side after this time"),
        "ping_timeout_seconds": seconds("ends the connection if the pong takes longer than this"),
        "idle_seconds": seconds("closes with 1001 if no side sends a message for this time"),
        "buffer_bytes": size("keeps at most this many bytes for a slow receiver, kernel buffers not counted"),
        # Limits, balancing, operation.
        "connections_per_user": size("refuses more connections of one user with 429"),
        "connections_per_address": size("refuses more connections of one address with 429"),
        "connections": size("refuses more connections with 503"),
        "studios": size("runs with this many backends; 1 without this offer"),
        "sticky": can("sends all connections of a user to one backend"),
        "failover": can("tries the next backend if one does not accept a connection"),
        "ejection_users": size(
            "sends no new connections to a backend that breaks the connections of this many users"
        ),
        "drain": can("closes live connections with 1001 after the stop signal, and ends"),
        "rolling_restart": can("can be started again while the process before is still draining"),
        "metrics_path": name("answers GET of this path with metrics in the Prometheus text format"),
        "metric_connections": name("has this gauge, which sums to the number of live connections"),
        "metric_messages": name("has this counter, which sums to the number of messages forwarded"),
        "log": can("writes its log to standard output or standard error"),
        # Socket.IO.
        "socketio_path": name(
            "speaks Socket.IO over WebSocket at this path, and translates it for the backend"
        ),
        "socketio_ping_seconds": seconds("pings Socket.IO clients at this interval"),
        # HTTP beside WebSocket.
        "http_path": name(
            "forwards HTTP requests below this path to the backend, streamed both ways and with the same path"
        ),
        "http_auth_path": name(
            "forwards HTTP requests below this path to `/api/v1/auth` of Auth, without a token"
        ),
        "http_any_origin": can("lets pages of every origin use HTTP, and answers preflights itself"),
        "http_origin": name(
            "lets only pages of this origin use HTTP, with credentials, and answers preflights itself"
        ),
        "http_body_bytes": size("refuses bodies over HTTP that are larger than this with 413"),
        "http_body_seconds": seconds("refuses bodies over HTTP that take longer than this with 408"),
        "http_idle_seconds": seconds(
            "answers 504 over HTTP if the backend sends nothing for this time, but does not end a stream of events"
        ),
        "http_burst_per_user": size("refuses HTTP requests of a user beyond so many at once with 429"),
        "http_live_seconds": seconds(
            "counts an answer over HTTP that is longer under way than this as a connection of its user"
        ),
    }


OFFERS: Final[Mapping[str, Offer]] = MappingProxyType(_offers())
"""Every offer by its name."""


def problem(name: str, value: OfferValue) -> str | None:
    """Return why a value of the right type cannot be that of an offer; None if it can."""
    if isinstance(value, bool):
        return None
    if not value:
        return f"must not be {value!r}; leave the field out if the gateway does not offer this"
    if isinstance(value, str):
        if re.fullmatch("[!-~]+", value) is None:
            return f"must have printable ASCII characters and no blank, but is {value!r}"
        if (name == "path" or name.endswith("_path")) and re.fullmatch("/[^?#]*", value) is None:
            return f"must begin with a slash and have no query, but is {value!r}"
        return None
    if not 0 < value < math.inf:
        return f"must be more than 0 and finite, but is {value!r}"
    if name == "studios" and value > MAX_STUDIOS:
        return f"must be at most {MAX_STUDIOS}, but is {value!r}"
    return None
