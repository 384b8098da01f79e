"""The Docker engine: whether it answers, what its times mean, and on which addresses it is to publish ports."""

from __future__ import annotations

import contextlib
from datetime import datetime
from typing import TYPE_CHECKING, Any

from docker.errors import APIError, DockerException
from testcontainers.core.config import ConnectionMode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from testcontainers.core.docker_client import DockerClient

ANSWER_SECONDS = 30
"""How long the engine may take over any one call; one that accepts and says nothing must not be waited for longer."""

CLIENT: Mapping[str, Any] = {"docker_client_kw": {"timeout": ANSWER_SECONDS}}
"""For the constructors of testcontainers."""

LOOPBACK = "127.0.0.1"
LOCAL_HOSTS = {"localhost", LOOPBACK, "::1"}


class ContainerError(Exception):
    """A container cannot be had; the message says why and, if it ran, ends with the last lines it wrote."""


@contextlib.contextmanager
def engine_answers() -> Iterator[None]:
    """Around what connects to the engine.

    Raises:
        ContainerError: It does not answer, or with an error.
    """
    try:
        yield
    except APIError as error:
        raise ContainerError(f"the Docker engine answered with an error: {error}") from error
    except DockerException as error:
        raise ContainerError(f"no Docker engine answers (`docker info`): {error}") from error


def publishing_options(client: DockerClient) -> dict[str, Any]:
    """Options for a network whose containers publish ports: on loopback alone where that is how they are reached.

    A user network publishes on every address of the machine unless told otherwise. Where this process is in a
    container itself, or the engine on another machine, loopback is not where it can reach them.
    """
    if client.get_connection_mode() is ConnectionMode.docker_host and client.host() in LOCAL_HOSTS:
        return {"options": {"com.docker.network.bridge.host_binding_ipv4": LOOPBACK}}
    return {}


def engine_time(text: str) -> float:
    """A time as the engine writes it (RFC 3339, nanoseconds, UTC), in seconds of `time.time`.

    >>> engine_time("2026-11-22T22:56:18.500000002Z")
    1795388178.5
    """
    seconds, _, fraction = text.removesuffix("Z").partition(".")
    return datetime.fromisoformat(f"{seconds}+00:00").timestamp() + float(f"0.{fraction or 0}")
