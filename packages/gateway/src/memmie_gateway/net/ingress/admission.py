"""A client on its way in: what is known of it, what was taken for it, and how it is told that it may not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from memmie_gateway.core.limits import Client
from memmie_gateway.core.outcomes import Cause
from memmie_gateway.core.request import Request
from memmie_gateway.core.response import http_response
from memmie_gateway.core.websocket import handshake
from memmie_gateway.core.websocket.handshake import Answer
from memmie_gateway.net.backends.backend import Backend
from memmie_gateway.net.ingress.first_message import FirstMessageProtocol
from memmie_gateway.net.ingress.listener import EdgeProtocol, refusal


class RefusedError(Exception):
    """This client is not let in.

    Args:
        cause: why.
        detail: in words, where there is more to tell the client than the cause does.
        inside: in words, for the log only.
        retry_after: seconds.
        answer: Studio's own answer, to be passed on.
    """

    def __init__(
        self,
        cause: Cause,
        detail: str = "",
        *,
        inside: str = "",
        retry_after: float = 1,
        answer: Answer | None = None,
    ) -> None:
        super().__init__(inside or detail or cause.ending.words)
        self.cause = cause
        self.detail = detail
        self.retry_after = retry_after
        self.answer = answer


@dataclass(frozen=True, slots=True)
class Refusal:
    """What the log and the metrics are told of a client that was not let in.

    Attributes:
        address: the client's.
        error: why.
        path: what it asked for, "" where its request was not understood.
        request_id: "" likewise.
        user_id: "" where its token was not looked at yet.
        backend: the URL of the last Studio tried, "" for none.
    """

    address: str
    error: RefusedError
    path: str = ""
    request_id: str = ""
    user_id: str = ""
    backend: str = ""


@dataclass(slots=True)
class Visit:
    """One client on its way in.

    Attributes:
        edge: its connection.
        request: what it asked for.
        client: its address.
        request_id: names the connection from here on.
        trace: its traceparent (W3C Trace Context).
        give_back: undoes what was taken for it so far.
        first_message: reads its token, once its upgrade was answered for that.
        user_id: whose token it is, "" until that is known.
        backend: the last one that was tried.
    """

    edge: EdgeProtocol
    request: Request
    client: Client
    request_id: str
    trace: str
    give_back: list[Callable[[], None]] = field(default_factory=list)
    first_message: FirstMessageProtocol | None = None
    user_id: str = ""
    backend: Backend | None = None

    @property
    def key(self) -> bytes:
        """The client's Sec-WebSocket-Key; its handshake was found to have one."""
        return self.request.headers.all(b"sec-websocket-key")[0]

    @property
    def extensions(self) -> frozenset[str]:
        """The names of the extensions that the client offers."""
        return handshake.extension_names(self.request.headers)

    def leave(self) -> None:
        """Give back everything."""
        give_all_back(self.give_back)

    def take_early(self) -> bytes:
        """Return what the client has sent already for Studio."""
        return (self.first_message or self.edge).take_early()

    def refusal(self, error: RefusedError) -> Refusal:
        """Tell who is refused, as far as that is known by now."""
        backend = self.backend.url if self.backend is not None else ""
        return Refusal(self.client.address, error, self.request.path, self.request_id, self.user_id, backend)

    def refuse(self, error: RefusedError) -> None:
        """Tell the client why, as HTTP or, once the upgrade was answered, as a Close frame."""
        if self.first_message is not None:
            status = error.answer.status if error.answer else 0
            code = 4000 + status if status else error.cause.close_code
            self.first_message.close(code, error.detail or error.cause.ending.words)
        elif error.answer is not None:
            content_type = error.answer.headers.one(b"content-type") or "application/octet-stream"
            self.edge.refuse(http_response(error.answer.status, error.answer.body, content_type))
        else:
            self.edge.refuse(refusal(error.cause, error.detail, retry_after=error.retry_after))


def give_all_back(taken: list[Callable[[], None]]) -> None:
    """Undo what was taken for a client, the last first; a second time there is nothing left to undo."""
    while taken:
        taken.pop()()


@dataclass(slots=True)
class Taken:
    """What was taken for a client."""

    give_back: list[Callable[[], None]]

    def release(self) -> None:
        """Give it back; a second time there is nothing left."""
        give_all_back(self.give_back)
