"""The base of the three containers: hardened, ready when `start` returns, and with its log in every error."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from typing import Any, ClassVar, Final, Literal, Self

from docker.errors import DockerException, ImageNotFound, NotFound
from testcontainers.core.container import DockerContainer

from memmie_harness.containers.engine import CLIENT, ContainerError, engine_answers
from memmie_harness.containers.readiness import AnswerWaitStrategy

HARDENED: Final[Mapping[str, Any]] = {
    "read_only": True,
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges:true"],
}
"""Restrictions for every container; the services need none of what these remove."""

TAIL_LINES: Final = 50
"""How many lines of a log are shown by default."""

WITHOUT_CLEANER: Final = (
    "If this machine cannot download the image of the cleaner, set TESTCONTAINERS_RYUK_DISABLED=true in the environment. "
    "Without the cleaner, a run that is killed leaves its containers behind."
)
"""What to do if the cleaner of testcontainers cannot be started."""

QUIET_LEVELS: Final = {"debug", "info"}
"""Log levels of lines that are left out where there are too many."""


class ServiceContainer(DockerContainer):
    """A service that listens on one port and reports over HTTP when it is ready.

    Args:
        image: the image.
        port: the port it listens on inside the container; it is published on a free one.
        ready_path: the path that answers 200 when the service is ready.
        **options: more arguments of `testcontainers.core.container.DockerContainer`.

    Raises:
        ContainerError: no Docker engine answers.
    """

    missing_image: ClassVar[str] = "Build it with `nox -s images`, or choose another image"
    """What to do if the engine does not have the image."""

    def __init__(self, image: str, *, port: int, ready_path: str, **options: Any) -> None:
        with engine_answers():
            super().__init__(image, **{**CLIENT, **HARDENED, **options})
        self.port = port
        self.with_exposed_ports(port)
        self.waiting_for(AnswerWaitStrategy(port, ready_path))

    def __repr__(self) -> str:
        """Show image and container, but not the environment, which may contain secrets."""
        name = self._container.name if self._container else "not started"
        return f"<{type(self).__name__} {self.image} {name}>"

    def with_kwargs(self, **kwargs: Any) -> Self:
        """Add arguments for the engine; unlike in testcontainers, earlier ones are kept."""
        self._kwargs = {**self._kwargs, **kwargs}
        return self

    def with_host_network(self) -> Self:
        """Use this machine's network, loopback included, instead of publishing a port."""
        self.ports.clear()
        return self.with_kwargs(network_mode="host")

    def without_waiting(self) -> Self:
        """Let `start` return as soon as the process runs."""
        self._wait_strategy = None
        return self

    def start(self) -> Self:
        """Start the container and wait until the service is ready.

        Raises:
            ContainerError: the engine does not answer or does not have the image, the service did not become ready,
                or the container was started before. Nothing of this start is left running.
        """
        if self._container is not None:
            raise ContainerError(f"{self!r} was already started. Stop it first, or make a new container")
        with engine_answers():
            try:
                self.get_docker_client().client.images.get(self.image)
            except ImageNotFound:
                raise ContainerError(
                    f"there is no image {self.image}. {self.missing_image.format(image=self.image)}"
                ) from None
        try:
            return super().start()
        except BaseException as error:
            tail = self.log_tail()
            self.stop()
            if isinstance(error, OSError | DockerException):
                raise ContainerError(_explain(self.image, error, tail)) from None
            raise

    def wait_until_ready(self) -> None:
        """Wait until the service is ready again, after its container was restarted.

        Raises:
            TimeoutError: the service was not ready in time; the message says why.
        """
        if self._wait_strategy is not None:
            self._wait_strategy.wait_until_ready(self)

    def stop(self, force: bool = True, delete_volume: bool = True) -> None:  # noqa: FBT001, FBT002 - testcontainers' signature
        """Remove the container; does nothing if it is already removed."""
        if self._container is not None:
            with contextlib.suppress(NotFound):
                self._container.remove(force=force, v=delete_volume)
            self._container = None
        self.get_docker_client().client.close()

    def get_url(self) -> str:
        """Return the HTTP address as this machine reaches it; it changes with each start of the container."""
        return f"http://{self.get_container_host_ip()}:{self.get_exposed_port(self.port)}"

    def log_tail(self, lines: int = TAIL_LINES) -> str:
        """Return the last lines of the log; empty if the container was not started."""
        return "".join(self._lines(lines))

    def log_digest(self, lines: int = TAIL_LINES) -> str:
        """Return the last lines of the log, preceded by all earlier ones above level info."""
        written = self._lines("all")
        return "".join([*filter(_is_above_info, written[:-lines]), *written[-lines:]])

    def _lines(self, tail: int | Literal["all"]) -> list[str]:
        if self._container is None:
            return []
        try:
            return self._container.logs(tail=tail).decode("utf-8", "replace").splitlines(keepends=True)
        except DockerException:
            return []


def _explain(image: str, error: Exception, tail: str) -> str:
    # Before the first container, testcontainers starts its cleaner, which is an image of its own (ryuk).
    if "ryuk" in str(error):
        return f"{image} was not started, because the cleaner of testcontainers did not start: {error}\n{WITHOUT_CLEANER}"
    return f"{image} did not start: {error}" + (f"\nThe last lines it wrote:\n{tail}" if tail else "")


def _is_above_info(line: str) -> bool:
    """Tell whether a log line is above level info, or has no level, such as a line of a traceback."""
    try:
        return json.loads(line)["level"] not in QUIET_LEVELS
    except (ValueError, TypeError, KeyError):
        return True
