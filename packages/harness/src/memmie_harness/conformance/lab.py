"""What one test gets: a user, a token, and peers on both ends of the gateway."""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
import ssl
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Self

from memmie_harness.conformance.model import Ended, Evidence, Silence, Violation
from memmie_harness.conformance.pair import Pair, accept
from memmie_harness.conformance.peers.heads import Head, upgrade_request
from memmie_harness.conformance.peers.side import Side
from memmie_harness.conformance.profile import Setup
from memmie_harness.conformance.stack import Stack
from memmie_harness.conformance.transcript import Transcript, escape, hide

MARKER_FIELD = "X-Conformance"
"""The header field with the marker of a test, which says which test a connection to a Studio belongs to."""


class Refused(Violation):
    """A client that should be let in got an answer other than 101.

    Args:
        expected: what the rule asks for.
        answer: the answer.
    """

    def __init__(self, expected: str, answer: Head) -> None:
        super().__init__(expected, escape(answer.raw))
        self.status = answer.status


class Lab:
    """The place of one test.

    Args:
        stack: the gateway and its surroundings; other tests may use them at the same time.
    """

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.marker = secrets.token_hex(6)
        self.user = f"user-{self.marker}"
        self.transcript = Transcript()
        self._tokens: list[str] = []
        self._token: str | None = None
        self._arrivals: asyncio.Queue[Side] = asyncio.Queue()
        self._sides: list[Side] = []
        self._clients = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        """Begin to receive the connections of this test."""
        self.stack.expect(self.marker, self._arrived)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Abort the connections of this test."""
        self.stack.expect(self.marker, None)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for side in self._sides:
            side.writer.transport.abort()
        for side in self._sides:
            with contextlib.suppress(OSError):
                await side.writer.wait_closed()

    # What is known.

    @property
    def setup(self) -> Setup:
        """How the gateway was started, and what it offers."""
        return self.stack.setup

    @property
    def patience(self) -> float:
        """Seconds to wait for something that should come at once."""
        return self.setup.start.patience_seconds

    @property
    def path(self) -> str:
        """The path at which the gateway serves WebSockets."""
        return str(self.setup.offers.get("path", "/ws"))

    @property
    def token(self) -> str:
        """A valid token of this test's user."""
        if self._token is None:
            self._token = self.mint(self.user)
        return self._token

    def mint(self, user_id: str, ttl_seconds: float = 3600) -> str:
        """Return another token, which evidence does not show."""
        return self.secret(self.stack.auth.mint(user_id, ttl_seconds))

    def secret(self, token: str) -> str:
        """Keep any text out of the evidence."""
        self._tokens.append(token)
        self.stack.secrets.append(token)
        return token

    def evidence(self, expected: str = "", seen: str = "") -> Evidence:
        """Return what happened so far, without tokens."""
        return Evidence(
            self.transcript.lines(self._tokens), hide(expected, self._tokens), hide(seen, self._tokens)
        )

    def background(self, coroutine: Coroutine[object, object, None]) -> None:
        """Run a coroutine until the end of the test; what it raises is not looked at."""
        self._tasks.add(asyncio.create_task(coroutine))

    # Clients.

    async def dial(self, *, receive_buffer: int = 0, limit: int = 1 << 17) -> Side:
        """Connect a client that has sent nothing yet."""
        return await self._dial(self.stack.port, receive_buffer=receive_buffer, limit=limit)

    async def dial_tls_port(self, tls: ssl.SSLContext | None = None) -> Side:
        """Connect a client to the port with TLS; without a context it sends and gets bytes as they are."""
        return await self._dial(self.stack.tls_port, tls=tls)

    async def _dial(
        self, port: int, *, receive_buffer: int = 0, limit: int = 1 << 17, tls: ssl.SSLContext | None = None
    ) -> Side:
        try:
            async with asyncio.timeout(self.patience):
                side = await Side.connect(port, receive_buffer=receive_buffer, limit=limit, tls=tls)
        except TimeoutError:
            raise Violation("the gateway accepts connections", f"none within {self.patience:g} s") from None
        except OSError as error:
            raise Violation("the gateway accepts connections", str(error)) from None
        self._clients += 1
        side.name = "client" if self._clients == 1 else f"client {self._clients}"
        side.transcript = self.transcript
        side.patience = self.patience
        self._sides.append(side)
        return side

    def request(
        self,
        *lines: str,
        target: str | None = None,
        query: str = "",
        token: str | None = None,
        without: Sequence[str] = (),
    ) -> bytes:
        """Build a handshake of this test's client.

        Args:
            *lines: header lines to add.
            target: the target, by default the gateway's path.
            query: the query of the target, without `?`.
            token: the token to send, by default a valid one; empty sends none.
            without: names of fields (lower case) to leave out.
        """
        token = self.token if token is None else token
        offers = self.setup.offers
        extra = [f"{MARKER_FIELD}: {self.marker}"]
        fields = [query] if query else []
        in_header: str | None = None
        if offers.get("auth") and token:
            if offers.get("token_header"):
                in_header = token
            elif offers.get("token_query"):
                fields.append(f"{offers['token_query']}={token}")
            else:
                extra.append(f"Sec-WebSocket-Protocol: {offers['token_subprotocol']}, {token}")
        whole = (target or self.path) + (f"?{'&'.join(fields)}" if fields else "")
        return upgrade_request(in_header, target=whole, without=without, extra=[*extra, *lines])

    async def ask(self, request: bytes) -> tuple[Side, Head]:
        """Send a request on a new connection; return the client and the answer, which may not need a Studio."""
        client = await self.dial()
        client.write(request)
        return client, await client.answer()

    async def refused(self, request: bytes, *statuses: int) -> Head:
        """Send a handshake, and check that it is refused and that no Studio was asked.

        Args:
            request: the handshake.
            *statuses: the statuses that are allowed; none allows all 4xx.

        Returns:
            the answer.
        """
        client = await self.dial()
        client.write(request)
        return await self.refusal(client, *statuses)

    async def refusal(self, client: Side, *statuses: int, may_hang_up: bool = False) -> Head:
        """Check that a client whose request was sent is refused, and that no Studio was asked; see `refused`.

        Args:
            client: the client.
            *statuses: the statuses that are allowed.
            may_hang_up: the connection may also end without an answer.
        """
        expected = f"an answer {_words(statuses)}, and no connection to a Studio"
        answer, arrival = await self.answer_or_arrival(client)
        if arrival is not None:
            raise Violation(expected, f"a connection to {arrival.name}: {escape(arrival.head.raw)}")
        if isinstance(answer, Violation):
            if may_hang_up and isinstance(answer, Ended):
                return Head("HTTP/1.1 000 -", ())
            raise answer
        assert answer is not None
        if answer.status not in statuses if statuses else not 400 <= answer.status < 500:
            raise Violation(expected, escape(answer.raw))
        return answer

    async def knock(self, request: bytes | None = None, *, client: Side | None = None) -> tuple[Side, Side]:
        """Send a handshake or another request, and return the client and the Studio that has read it and has not answered.

        Args:
            request: the request, by default `self.request()`; empty sends nothing, because it was sent already.
            client: the client, by default a new one.
        """
        client = client or await self.dial()
        if request is None:
            request = self.request()
        if request:
            client.write(request)
        answer, arrival = await self.answer_or_arrival(client)
        if arrival is not None:
            return client, arrival
        if isinstance(answer, Head):
            raise Refused("the request reaches a Studio", answer)
        raise Violation("the request reaches a Studio", answer.seen if answer is not None else "no answer")

    async def arrival(self) -> Side:
        """Return the next connection of this test at a Studio; its request was read and not answered."""
        try:
            async with asyncio.timeout(self.patience):
                return await self._arrivals.get()
        except TimeoutError:
            raise Violation("a connection to a Studio", f"none within {self.patience:g} s") from None

    def no_arrival(self) -> None:
        """Check that no connection of this test has come to a Studio."""
        if not self._arrivals.empty():
            side = self._arrivals.get_nowait()
            raise Violation("no connection to a Studio", f"{side.name} got {escape(side.head.raw)}")

    async def join(
        self,
        request: bytes | None = None,
        *studio_lines: str,
        client: Side | None = None,
        behind: bytes = b"",
    ) -> Pair:
        """Open a WebSocket between a client and a Studio.

        Args:
            request: the handshake, by default `self.request()`.
            *studio_lines: header lines of the Studio's answer.
            client: the client, by default a new one.
            behind: bytes that the Studio sends together with its answer.
        """
        client, studio = await self.knock(request, client=client)
        return await self.take(client, studio, *studio_lines, behind=behind)

    async def take(self, client: Side, studio: Side, *studio_lines: str, behind: bytes = b"") -> Pair:
        """Accept a handshake at the Studio, and check that the client gets 101; see `join`."""
        accept(studio, *studio_lines, behind=behind)
        await self.accepted(client)
        return Pair(client, studio)

    async def accepted(self, client: Side) -> Head:
        """Read the answer to a client's handshake, and check that it is 101."""
        answer = client.head if client.head.first_line else await client.answer()
        if answer.status != 101:
            raise Refused("the answer 101", answer)
        return answer

    async def answer_or_arrival(self, client: Side) -> tuple[Head | Violation | None, Side | None]:
        """Wait for the answer to a client's handshake or for its arrival at a Studio, whichever is first.

        Returns:
            the answer, a `Violation` if none came, or None if it is still to be read; and the Studio's end, if there is one.
            If the answer is 101, both are waited for.
        """
        arriving = asyncio.create_task(self._arrivals.get())
        answering = asyncio.create_task(client.answer())
        try:
            await asyncio.wait(
                {arriving, answering}, timeout=self.patience + 1, return_when=asyncio.FIRST_COMPLETED
            )
            answer: Head | Violation | None = None
            if answering.done():
                error = answering.exception()
                if error is not None and not isinstance(error, Violation):
                    raise error
                answer = error or answering.result()
            elif not arriving.done():
                answer = Silence("a complete answer", f"none within {self.patience + 1:g} s")
            if isinstance(answer, Head) and answer.status == 101:
                # This gateway answers before the backend, so the connection to a Studio may still be to come.
                await asyncio.wait({arriving}, timeout=self.patience)
            return answer, arriving.result() if arriving.done() else None
        finally:
            for task in (arriving, answering):
                task.cancel()
            await asyncio.gather(arriving, answering, return_exceptions=True)

    def _arrived(self, side: Side) -> None:
        side.patience = self.patience
        self.transcript.extend(side.transcript)
        side.transcript = self.transcript
        self._sides.append(side)
        self._arrivals.put_nowait(side)

    def leave_after_close(self, side: Side) -> None:
        """Let a side that has sent a Close frame end TCP in the background, as its role asks (RFC 6455 §7.1.1)."""

        async def leave() -> None:
            await side.closing_frame()
            if side.mask is not None:
                await side.expect_end()
            side.leave()

        self.background(leave())

    # The gateway itself.

    async def get(self, path: str) -> Head:
        """Return the answer to a plain GET without a token."""
        client = await self.dial()
        client.write(f"GET {path} HTTP/1.1\r\nHost: gateway.test\r\nConnection: close\r\n\r\n".encode())
        return await client.answer()

    async def metric(self, name: str) -> float:
        """Return the sum of a metric over its labels; 0 if there is none."""
        answer = await self.get(self.setup.text("metrics_path"))
        pattern = re.compile(rf"^{re.escape(name)}(?:{{.*}})? (\S+)", re.MULTILINE)
        return sum(float(value) for value in pattern.findall(answer.body.decode("utf-8", "replace")))

    async def until(
        self,
        expected: str,
        condition: Callable[[], Awaitable[object]],
        *,
        within: float = 0,
        every: float = 0.02,
    ) -> None:
        """Wait until a coroutine function returns something true.

        Args:
            expected: what is awaited, in words.
            condition: the coroutine function.
            within: seconds to wait besides the usual patience, for what takes its time by design.
            every: seconds between two calls.
        """
        seen: object = None
        seconds = self.patience + within
        try:
            async with asyncio.timeout(seconds):
                while not (seen := await condition()):  # noqa: ASYNC110 - a gateway has no event for it
                    await asyncio.sleep(every)
        except TimeoutError:
            raise Violation(expected, f"{seen!r} after {seconds:g} s") from None

    async def until_joined(
        self, request: bytes | None = None, *, instead_of: Sequence[int], within: float = 0
    ) -> Pair:
        """Connect again and again, until a client is let in.

        Args:
            request: the handshake, by default `self.request()`.
            instead_of: the statuses of refusals after which to try again.
            within: seconds to wait besides the usual patience.
        """
        pairs: list[Pair] = []

        async def joined() -> bool:
            try:
                pairs.append(await self.join(request))
            except Refused as refused:
                if refused.status not in instead_of:
                    raise
            return bool(pairs)

        await self.until(f"a connection after {_words(instead_of)}", joined, within=within, every=0.1)
        return pairs[0]


def _words(statuses: Sequence[int]) -> str:
    if len(statuses) > 8:
        return f"{statuses[0]} to {statuses[-1]}"
    return " or ".join(map(str, statuses)) or "4xx"
