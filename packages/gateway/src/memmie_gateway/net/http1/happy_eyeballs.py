"""Happy eyeballs: connecting to whichever address of a service answers first (RFC 8305)."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from aiohappyeyeballs import start_connection

from memmie_gateway.net.http1.url import ServiceUrl

_Protocol = TypeVar("_Protocol", bound=asyncio.Protocol)

HEAD_START: Final = 0.25
"""Seconds an address has to answer before the next one is tried as well (RFC 8305 §5)."""


def connect(
    make_protocol: Callable[[], _Protocol],
    where: ServiceUrl,
    addresses: list[str],
    tls: ssl.SSLContext | None,
) -> Awaitable[tuple[asyncio.Transport, _Protocol]]:
    """Open a connection; return an awaitable of its transport and its protocol.

    Args:
        make_protocol: makes the connection's protocol.
        where: the service.
        addresses: of its host, at least one, the most likely first. The one that answers is moved to the front.
        tls: None for a connection without TLS.

    Raises:
        OSError: no address accepts a connection. It has an error number if all failed in the same way.
    """
    if len(addresses) > 1:
        return _connect_to_first(make_protocol, where, addresses, tls)
    return asyncio.get_running_loop().create_connection(
        make_protocol, addresses[0], where.port, ssl=tls, server_hostname=where.host if tls else None
    )


async def _connect_to_first(
    make_protocol: Callable[[], _Protocol],
    where: ServiceUrl,
    addresses: list[str],
    tls: ssl.SSLContext | None,
) -> tuple[asyncio.Transport, _Protocol]:
    sock = await first_to_answer(where, addresses)
    return await asyncio.get_running_loop().create_connection(
        make_protocol, sock=sock, ssl=tls, server_hostname=where.host if tls else None
    )


async def first_to_answer(where: ServiceUrl, addresses: list[str]) -> socket.socket:
    """Return a socket that is connected to the first address that answers.

    Args:
        where: the service.
        addresses: of its host, at least one, the most likely first. The one that answers is moved to the front.

    Raises:
        OSError: none does. It has an error number if all failed in the same way.
    """
    infos = [
        (
            socket.AF_INET6 if ":" in address else socket.AF_INET,
            socket.SOCK_STREAM,
            socket.IPPROTO_TCP,
            "",
            (address, where.port),
        )
        for address in addresses
    ]
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - a coroutine runs in one
    cancels = task.cancelling()
    try:
        sock = await start_connection(infos, happy_eyeballs_delay=HEAD_START)
    except (RuntimeError, IndexError) as error:
        # RuntimeError comes from uvloop; IndexError means that no attempt failed with that or with an OSError.
        raise OSError(f"no address could be tried ({type(error).__name__}: {error})") from error
    if task.cancelling() > cancels:
        # While it cancels the other attempts, it swallows its own cancellation, and a time-out would be lost.
        sock.close()
        raise asyncio.CancelledError
    with contextlib.suppress(OSError):  # the connection is lost already
        answered = sock.getpeername()[0]
        addresses.sort(key=lambda address: address != answered)
    return sock
