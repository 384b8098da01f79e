"""Refusals: the error with the cause, and the HTTP response for the client (spec §1)."""

from __future__ import annotations

import json
import math
from http import HTTPStatus

from memmie_gateway.core.http.response import Envelope, Response, header_lines, http_response
from memmie_gateway.core.outcomes import Cause


class RefusedError(Exception):
    """A client is refused.

    Args:
        cause: the cause.
        detail: a more specific text for the client than that of the cause.
        internal: a text for the log only.
        retry_after: seconds after which the client should try again.
        response: the backend's refusal, which is passed on to the client.
        user_id: the user, if the token was already validated.
        allow: the methods that the path allows, comma separated, if this one is not allowed.
    """

    def __init__(
        self,
        cause: Cause,
        detail: str = "",
        *,
        internal: str = "",
        retry_after: float = 1,
        response: Response | None = None,
        user_id: str = "",
        allow: str = "",
    ) -> None:
        super().__init__(internal or detail or cause.ending.words)
        self.cause = cause
        self.detail = detail
        self.retry_after = retry_after
        self.response = response
        self.user_id = user_id
        self.allow = allow

    @property
    def status(self) -> int:
        """The HTTP status that the client gets."""
        return self.response.status if self.response is not None else self.cause.ending.status

    @property
    def close_code(self) -> int:
        """The close code that the client gets if its upgrade was already accepted."""
        return 4000 + self.response.status if self.response is not None else self.cause.close_code

    @property
    def reason(self) -> str:
        """The text for the client: the close reason, or `error` in the JSON body."""
        return self.detail or self.cause.ending.words


def refusal_answer(error: RefusedError, envelope: Envelope) -> bytes:
    """Build the gateway's own complete HTTP response for a refused client (spec §1).

    A backend's refusal is passed on by `forwarding.passed_answer`.
    """
    body, fields = refusal_parts(error)
    extra = header_lines(fields)
    return http_response(error.cause.ending.status, body, "application/json", extra, envelope=envelope)


def refusal_parts(error: RefusedError) -> tuple[bytes, list[tuple[str, str]]]:
    """Return the JSON body and the further header fields of the gateway's own answer to a refused client."""
    ending = error.cause.ending
    body = json.dumps({"error": error.reason, "code": ending.code}).encode()
    fields = []
    if ending.retry:
        fields.append(("Retry-After", str(max(1, math.ceil(error.retry_after)))))
    if error.cause in (Cause.NOT_AN_UPGRADE, Cause.WRONG_VERSION):
        # An Upgrade header needs the connection option `Upgrade` (RFC 9110 §7.8).
        fields += [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")]
    elif error.cause is Cause.WRONG_PROTOCOL:
        fields += [("Connection", "Upgrade"), ("Upgrade", "HTTP/1.1")]
    if error.allow:
        fields.append(("Allow", error.allow))
    if ending.status == HTTPStatus.UNAUTHORIZED:
        fields.append(("WWW-Authenticate", "Bearer"))
    return body, fields
