"""Letting a client in: everything between its request and the splice, in order.

    route → limits by address → token → verdict → limits by user → a Studio → dial, else the next → answer → splice

Each step either goes on or raises `RefusedError`; what was taken on the way is given back.
"""

from __future__ import annotations

import asyncio
import base64
import random
from dataclasses import dataclass
from typing import Final, Protocol

from memmie_gateway.core.credentials import Credentials, find_credentials, plausible
from memmie_gateway.core.headers import Headers
from memmie_gateway.core.identity import Identity
from memmie_gateway.core.limits import Client, ConcurrencyLimit, Network, Rates, TokenBucket, find_client
from memmie_gateway.core.outcomes import Cause
from memmie_gateway.core.request import Request
from memmie_gateway.core.response import Response
from memmie_gateway.core.verdicts import AuthUnavailableError, Verdict
from memmie_gateway.core.websocket import handshake
from memmie_gateway.core.websocket.handshake import Answer, Forwarded, Offer
from memmie_gateway.net.auth.authenticator import Authenticator
from memmie_gateway.net.backends.backend import Backend, BackendLink
from memmie_gateway.net.backends.dialer import BackendRefusedError, Dialer, DialError, Upstream
from memmie_gateway.net.handover import Handover
from memmie_gateway.net.http1.exhaustion import ExhaustionError
from memmie_gateway.net.ingress.admission import Refusal, RefusedError, Taken, Visit
from memmie_gateway.net.ingress.first_message import FirstMessageError, FirstMessageProtocol
from memmie_gateway.net.ingress.listener import EdgeProtocol
from memmie_gateway.net.sessions.registry import Registry
from memmie_gateway.net.sessions.session import Session, SessionInfo, SessionOptions

MAX_DIALS: Final = 3
"""Studios tried for one connection, so that a client is answered even where many hang."""


@dataclass(frozen=True, slots=True)
class ConnectorOptions:
    """Who may come in.

    Attributes:
        enabled: whether WebSockets are served at all.
        trusted_proxies: whose X-Forwarded headers count.
        allowed_origins: of pages; "*" for all.
        first_message_auth: whether the token may come in the first frame.
        first_message_seconds: how long it may take.
    """

    enabled: bool
    trusted_proxies: tuple[Network, ...]
    allowed_origins: tuple[str, ...]
    first_message_auth: bool
    first_message_seconds: float


@dataclass(frozen=True, slots=True)
class Limits:
    """The stores behind the limits. Each may be replaced by one that is shared with other gateways."""

    by_address: ConcurrencyLimit
    by_user: ConcurrencyLimit
    connects: Rates
    messages: Rates


class Observer(Protocol):
    """Is told how every connection ended, or why it never began: logs and metrics."""

    def refused(self, refusal: Refusal) -> None:
        """A client was refused."""

    def dial_failed(self, backend: Backend, request_id: str, words: str) -> None:
        """A Studio did not accept a connection; the next one is tried."""

    def ended(self, session: Session) -> None:
        """A live connection is over."""


class Connector:
    """Lets WebSocket clients in.

    Args:
        options: who may come in.
        sessions: how sessions behave.
        limits: the stores behind the limits.
        auth: knows whose a token is.
        registry: knows the Studios and the live sessions.
        dialer: connects to Studios.
        observer: is told of every end.
        rng: makes ids and keys.

    Attributes:
        draining: the gateway is shutting down, and nobody is let in.
    """

    def __init__(
        self,
        options: ConnectorOptions,
        sessions: SessionOptions,
        *,
        limits: Limits,
        auth: Authenticator,
        registry: Registry,
        dialer: Dialer,
        observer: Observer,
        rng: random.Random,
    ) -> None:
        self._options = options
        self._sessions = sessions
        self._limits = limits
        self._auth = auth
        self._registry = registry
        self._dialer = dialer
        self._observer = observer
        self._rng = rng
        self.draining = False

    async def connect(self, edge: EdgeProtocol, request: Request) -> None:
        """Let a client in, or refuse it; either way the edge is done with it when this returns."""
        bits = self._rng.getrandbits(320)  # for both at once, as asking the system costs more than they do
        visit = Visit(
            edge,
            request,
            self._find_client(edge.peer, request),
            handshake.request_id(request, bits >> 192),
            handshake.traceparent(request, bits & (1 << 192) - 1),
        )
        try:
            await self._admit(visit)
        except RefusedError as error:
            visit.leave()
            self._observer.refused(visit.refusal(error))
            visit.refuse(error)
        except asyncio.CancelledError:
            visit.leave()
            left = edge.transport.is_closing()  # else it is the gateway that stops
            ended = RefusedError(Cause.CLIENT_LEFT if left else Cause.DRAINING)
            self._observer.refused(visit.refusal(ended))
            if not left:
                visit.refuse(ended)
        except BaseException:
            visit.leave()
            failed = RefusedError(Cause.INTERNAL)
            self._observer.refused(visit.refusal(failed))
            visit.refuse(failed)
            raise

    def refused_at_edge(self, peer: str, request: Request | None, cause: Cause, detail: str) -> None:
        """Tell the observer of a client that the edge refused; without a request only its TCP peer is known."""
        error = RefusedError(cause, detail)
        if request is None:
            self._observer.refused(Refusal(peer, error))
        else:
            address = self._find_client(peer, request).address
            request_id = handshake.request_id(request, self._rng.getrandbits(128))
            self._observer.refused(Refusal(address, error, request.path, request_id))

    def _find_client(self, peer: str, request: Request) -> Client:
        trusted = self._options.trusted_proxies
        return find_client(peer, request.headers.elements(b"x-forwarded-for") if trusted else (), trusted)

    async def _admit(self, visit: Visit) -> None:
        self._check(visit.request)
        self._limit_by_address(visit)
        credentials = find_credentials(visit.request, first_message=self._options.first_message_auth)
        if credentials.token is None and self._options.first_message_auth:
            credentials = await self._first_message(visit, credentials)
        verdict, digest = await self._authenticate(credentials.token)
        visit.user_id = verdict.user_id
        self._limit_by_user(visit, verdict.user_id)
        await self._join(visit, credentials, verdict, digest)

    # Before the token.

    def _check(self, request: Request) -> None:
        if not self._options.enabled:
            raise RefusedError(Cause.DISABLED)
        if self.draining:
            raise RefusedError(Cause.DRAINING)
        problem = handshake.check_upgrade(request)
        if problem is not None:
            raise RefusedError(*problem)
        if not handshake.origin_allowed(request, self._options.allowed_origins):
            raise RefusedError(Cause.ORIGIN_REFUSED)

    def _limit_by_address(self, visit: Visit) -> None:
        key = visit.client.limit_key
        wait = self._limits.connects.take(key, asyncio.get_running_loop().time())
        if wait:
            raise RefusedError(Cause.CONNECT_RATE, retry_after=wait)
        if not self._limits.by_address.acquire(key):
            raise RefusedError(Cause.ADDRESS_FULL)
        visit.give_back.append(lambda: self._limits.by_address.release(key))

    # The token.

    async def _first_message(self, visit: Visit, credentials: Credentials) -> Credentials:
        """Answer the upgrade and wait for the token. No extension is accepted, as Studio was not asked yet."""
        subprotocols = credentials.subprotocols[:1]
        answer = Answer(
            101,
            Headers(
                (
                    (b"sec-websocket-accept", handshake.accept_for(visit.key)),
                    *((b"sec-websocket-protocol", name.encode("latin-1")) for name in subprotocols),
                )
            ),
        )
        edge = visit.edge
        edge.transport.write(handshake.client_answer(answer, credentials, visit.request_id))
        visit.first_message = FirstMessageProtocol(edge.transport, edge.take_early(), edge.connection_lost)
        try:
            async with asyncio.timeout(self._options.first_message_seconds):
                token = await visit.first_message.token()
        except TimeoutError:
            raise RefusedError(Cause.AUTH_LATE) from None
        except FirstMessageError as error:
            raise RefusedError(Cause.AUTH_LATE, str(error)) from None
        return Credentials(token, subprotocols)

    async def _authenticate(self, token: str | None) -> tuple[Verdict, bytes]:
        if token is None:
            raise RefusedError(Cause.TOKEN_MISSING)
        if not plausible(token):
            raise RefusedError(Cause.TOKEN_REFUSED)
        digest = self._auth.digest(token)
        try:
            verdict = await self._auth.verdict(token, digest)
        except AuthUnavailableError as error:
            raise RefusedError(
                Cause.AUTH_UNAVAILABLE, inside=str(error), retry_after=self._auth.retry_after()
            ) from None
        except ExhaustionError as error:
            raise RefusedError(Cause.GATEWAY_FULL, inside=str(error)) from None
        if not verdict.valid:
            raise RefusedError(Cause.TOKEN_REFUSED)
        return verdict, digest

    def _limit_by_user(self, visit: Visit, user_id: str) -> None:
        if not self._limits.by_user.acquire(user_id):
            raise RefusedError(Cause.USER_FULL)
        visit.give_back.append(lambda: self._limits.by_user.release(user_id))

    # The Studio.

    async def _join(self, visit: Visit, credentials: Credentials, verdict: Verdict, digest: bytes) -> None:
        """Find a Studio that accepts, answer the client, and let the bytes flow."""
        backends = self._registry.preferred(verdict.user_id)
        if not backends:
            raise RefusedError(Cause.NO_BACKEND)
        left = backends[:MAX_DIALS]
        shortage = ""
        while left:
            backend = visit.backend = left.pop(0)
            self._registry.begin_dial(verdict.user_id, backend)
            try:
                upstream = await self._dial(visit, backend, credentials, verdict.user_id)
                backend.worked()
                if self.draining:
                    upstream.transport.abort()
                    raise RefusedError(Cause.DRAINING)
                home = self._registry.home(verdict.user_id)
                if home in left:  # while this one answered, another connection of the user's went there
                    upstream.transport.abort()
                    left = [home]
                    continue
                identity = Identity(verdict.user_id, verdict.expires, digest)
                info = SessionInfo(visit.request_id, visit.request.path, visit.client, identity)
                self._splice_together(visit, credentials, info, upstream, backend)
            except BackendRefusedError as error:
                backend.worked()
                raise RefusedError(Cause.BACKEND_REFUSED, inside=str(error), answer=error.answer) from None
            except ExhaustionError as error:
                shortage = str(
                    error
                )  # of ports towards this Studio, perhaps; there may be some towards the next
            except DialError as error:
                backend.failed(str(error))
                self._observer.dial_failed(backend, visit.request_id, str(error))
            else:
                return
            finally:
                self._registry.end_dial(verdict.user_id, backend)
        if shortage:
            raise RefusedError(Cause.GATEWAY_FULL, inside=shortage)
        raise RefusedError(Cause.BACKEND_FAILED)

    async def _dial(self, visit: Visit, backend: Backend, credentials: Credentials, user_id: str) -> Upstream:
        own_key = base64.b64encode(self._rng.randbytes(16)) if visit.first_message else None
        head = handshake.upstream_head(
            visit.request,
            host=backend.where.host_header,
            path=backend.where.path,
            query=backend.where.query,
            user_id=user_id,
            forwarded=self._forwarded(visit),
            correlation=(visit.request_id, visit.trace),
            subprotocols=credentials.subprotocols,
            key=own_key,
        )
        offer = Offer(
            own_key or visit.key, credentials.subprotocols, frozenset() if own_key else visit.extensions
        )
        return await self._dialer.dial(backend, head, offer)

    def _forwarded(self, visit: Visit) -> Forwarded:
        headers = visit.request.headers
        proto, host = "http", headers.all(b"host")[0].decode("latin-1")
        if visit.client.trusted_peer:
            proto = (headers.elements(b"x-forwarded-proto") or [proto])[-1]
            host = (headers.elements(b"x-forwarded-host") or [host])[-1]
        return Forwarded(visit.client.chain, proto, host)

    def _splice_together(
        self,
        visit: Visit,
        credentials: Credentials,
        info: SessionInfo,
        upstream: Upstream,
        backend: Backend,
    ) -> None:
        transport = visit.edge.transport
        if visit.first_message is None:
            transport.write(handshake.client_answer(upstream.answer, credentials, visit.request_id))
        session = Session(
            info,
            Handover(transport, visit.take_early()),
            BackendLink(
                backend,
                Handover(upstream.transport, upstream.take_early()),
                Response(upstream.answer.status, upstream.answer.headers),
            ),
            options=self._sessions,
            bucket=self._message_bucket(info.identity.user_id),
            rng=self._rng,
            # Not the visit itself: with it the request, and its token, would be kept as long as the session.
            slots=Taken(visit.give_back),
            on_end=self._ended,
        )
        visit.edge.let_go()
        self._registry.add(session)
        session.start()

    def _message_bucket(self, user_id: str) -> TokenBucket | None:
        return self._limits.messages.bucket(user_id, asyncio.get_running_loop().time())

    def _ended(self, session: Session) -> None:
        self._registry.remove(session)
        closing = session.closing
        if closing is not None and closing.cause in (Cause.BACKEND_GONE, Cause.BACKEND_SILENT):
            session.backend.broke(f"a connection broke: {session.error or closing.reason}")
        self._observer.ended(session)
