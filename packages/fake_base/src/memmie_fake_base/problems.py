"""Refusals, which a fake answers with `{"error": …, "code": …}`."""

from __future__ import annotations

from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

_CODES: Final = {404: "not_found", 405: "method_not_allowed", 413: "too_large"}
"""The codes for aiohttp's own refusals (unknown route, wrong method, body too large), by status."""


class Problem(Exception):  # noqa: N818 - it is an answer to the client, not a failure of the fake
    """Ends the request with `status` and a JSON body.

    Attributes:
        status: the HTTP status.
        code: a stable word for programs.
        message: a sentence for people, with what is wrong and what is allowed.
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message

    def response(self) -> web.Response:
        """Return the problem as an HTTP response."""
        return web.json_response({"error": self.message, "code": self.code}, status=self.status)


@web.middleware
async def answer_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer a `Problem`, and aiohttp's own refusals, with the JSON body that all refusals have."""
    try:
        return await handler(request)
    except Problem as problem:
        return problem.response()
    except web.HTTPException as refusal:
        code = _CODES.get(refusal.status, "refused")
        response = Problem(
            refusal.status, code, f"{request.method} {request.path}: {refusal.reason}"
        ).response()
        if "Allow" in refusal.headers:
            response.headers["Allow"] = refusal.headers["Allow"]
        return response
