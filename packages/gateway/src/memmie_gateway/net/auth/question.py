"""The HTTP requests to Auth: one validates a token, the other shows whether Auth is alive (spec §2)."""

from __future__ import annotations

import json
from typing import Final

from memmie_gateway.core.auth.verdicts import AuthUnavailableError
from memmie_gateway.core.http.response import Response
from memmie_gateway.net.http1.pool import Pool
from memmie_gateway.net.http1.resolver import Resolver
from memmie_gateway.net.http1.response_reader import HttpError, TooLargeError
from memmie_gateway.net.http1.url import ServiceUrl

_CLOSE: Final = "Connection: close\r\n"


class AuthUrl(ServiceUrl):
    """Auth's base URL."""

    __slots__ = ()

    @classmethod
    def parse(cls, url: str) -> AuthUrl:
        """Parse a URL.

        Raises:
            ValueError: the URL is not an `http://` or `https://` URL with a host, or has credentials, a query, a fragment
                or characters that must be percent-encoded.
        """
        example = "http://auth:8001"
        parsed = cls.take_apart(url, plain="http", secure="https", example=example)
        if parsed.query:
            raise ValueError(f"this is not a URL such as {example}")
        return parsed


class Question:
    """Sends tokens to Auth over keep-alive connections.

    Args:
        url: Auth's base URL.
        resolver: looks up Auth's host name.
        timeout: maximum time in seconds for one request.
        keep: whether a connection is used for more than one token.
    """

    def __init__(self, url: AuthUrl, resolver: Resolver, *, timeout: float, keep: bool = True) -> None:
        self._timeout = timeout
        self._pool = Pool(url, resolver, timeout=timeout, keep=_is_usual if keep else _never)
        path = url.path.rstrip("/")
        self._probe = f"GET {path}/health HTTP/1.1\r\nHost: {url.host_header}\r\n{_CLOSE}\r\n".encode("ascii")
        self._head = (
            f"POST {path}/api/v1/auth/validate HTTP/1.1\r\n"
            f"Host: {url.host_header}\r\n"
            "Accept: application/json\r\n"
            # Never decompress a response: a few compressed kilobytes can expand to gigabytes.
            "Accept-Encoding: identity\r\n"
            "Content-Type: application/json\r\n"
            f"{'' if keep else _CLOSE}"
            "Authorization: Bearer "
        )

    def __repr__(self) -> str:
        return f"<Question over {self._pool!r}>"

    async def ask(self, token: str) -> Response:
        """Send a token to Auth and return the response, whatever its status.

        Args:
            token: must be plausible (see `core.http.credentials.plausible`), because it is copied into a header unchanged.

        Raises:
            AuthUnavailableError: there was no usable response.
            ExhaustionError: the gateway itself cannot connect to anything.
        """
        body = json.dumps({"token": token})
        request = f"{self._head}{token}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode("ascii")
        return await self._send(request, alone=False)

    async def probe(self) -> None:
        """Ask whether Auth is alive, over a connection of its own.

        Raises:
            AuthUnavailableError: there was no usable response, or its status is 5xx. An Auth that does not know the path
                of the health check is alive, too.
            ExhaustionError: the gateway itself cannot connect to anything.
        """
        response = await self._send(self._probe, alone=True)
        if response.status >= 500:
            raise AuthUnavailableError(f"Auth answered with status {response.status}")

    async def _send(self, request: bytes, *, alone: bool) -> Response:
        try:
            return await self._pool.request(request, alone=alone)
        except TimeoutError:
            raise AuthUnavailableError(f"Auth did not answer within {self._timeout:g} seconds") from None
        except TooLargeError:
            raise AuthUnavailableError("Auth's answer is too large") from None
        except HttpError as error:
            raise AuthUnavailableError(f"Auth gave no complete answer ({error})") from None

    async def close(self) -> None:
        """Close every connection; requests under way fail."""
        await self._pool.close()


def _is_usual(response: Response) -> bool:
    """Tell whether a response is one that Auth usually gives: a JSON object, or that the token is not valid."""
    return response.status == 401 or (
        response.status == 200
        and response.body.lstrip().startswith(b"{")
        and response.body.rstrip().endswith(b"}")
    )


def _never(_: Response) -> bool:
    """Return False, so that every request has its own connection."""
    return False
