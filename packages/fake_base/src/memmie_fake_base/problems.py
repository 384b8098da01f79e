"""A refusal that the fake answers as `{"error": …, "code": …}`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler

# aiohttp's own refusals (no such route, wrong method, body too large), by status.
_CODES = {404: "not_found", 405: "method_not_allowed", 413: "too_large"}


class Problem(Exception):  # noqa: N818 -- it is an answer to the client, not a failure of the fake
    """Ends the request with `status` and a JSON body.

    Attributes:
        status: the HTTP status.
        code: a word for programs, stable.
        message: a sentence for people: what is wrong and what is allowed.
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
    """Turn a `Problem`, and aiohttp's own refusals, into the JSON body that all refusals have."""
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
