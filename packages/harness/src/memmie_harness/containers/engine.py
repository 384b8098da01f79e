"""The Docker engine: its errors, its times, and the addresses on which it publishes ports."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from docker.errors import APIError, DockerException
from testcontainers.core.config import ConnectionMode
from testcontainers.core.docker_client import DockerClient

from memmie_harness.wiring import LOOPBACK

ANSWER_SECONDS: Final = 30
"""How long the engine may take to answer one call."""

CLIENT: Final[Mapping[str, Any]] = {"docker_client_kw": {"timeout": ANSWER_SECONDS}}
"""Arguments for the constructors of testcontainers."""

LOCAL_HOSTS: Final = {"localhost", LOOPBACK, "::1"}
"""Names of this machine as the engine's host."""


class ContainerError(Exception):
    """A container did not start; the message says why and, if it ran, ends with the last lines of its log."""


@contextlib.contextmanager
def engine_answers() -> Iterator[None]:
    """Convert the engine's errors in this block.

    Raises:
        ContainerError: the engine did not answer, or answered with an error.
    """
    try:
        yield
    except APIError as error:
        raise ContainerError(f"the Docker engine answered with an error: {error}") from error
    except DockerException as error:
        raise ContainerError(f"no Docker engine answers (try `docker info`): {error}") from error


def publishing_options(client: DockerClient) -> dict[str, Any]:
    """Return the options of a network, with which containers publish ports on loopback only, if that is reachable.

    By default, a network publishes on every address of the machine. Loopback cannot be reached if this process runs
    in a container itself, or the engine on another machine.
    """
    if client.get_connection_mode() is ConnectionMode.docker_host and client.host() in LOCAL_HOSTS:
        return {"options": {"com.docker.network.bridge.host_binding_ipv4": LOOPBACK}}
    return {}


def engine_time(text: str) -> float:
    """Return a time as the engine writes it (RFC 3339, nanoseconds, UTC) in seconds of `time.time`.

    >>> engine_time("2026-11-22T22:56:18.500000002Z")
    1795388178.5
    """
    seconds, _, fraction = text.removesuffix("Z").partition(".")
    return datetime.fromisoformat(f"{seconds}+00:00").timestamp() + float(f"0.{fraction or 0}")
