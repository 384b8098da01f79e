"""What the three containers have in common: hardened, ready when it is started, its log at hand when it is not."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any, Literal, Self

from docker.errors import DockerException, ImageNotFound, NotFound
from testcontainers.core.container import DockerContainer

from memmie_harness.containers.engine import CLIENT, ContainerError, engine_answers
from memmie_harness.containers.readiness import AnswerWaitStrategy

if TYPE_CHECKING:
    from collections.abc import Mapping

HARDENED: Mapping[str, Any] = {
    "read_only": True,
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges:true"],
}
"""How every service of ours can be run, so how it is run here."""

TAIL_LINES = 50

WITHOUT_CLEANER = (
    "Where no registry is at hand, set TESTCONTAINERS_RYUK_DISABLED=true in the environment; a run that is killed then "
    "leaves its containers behind."
)
QUIET_LEVELS = {"debug", "info"}


class ServiceContainer(DockerContainer):
    """A service on one port that tells over HTTP when it is ready.

    Args:
        image: Its image.
        port: The port it listens on inside the container; it is published on a free one.
        ready_path: What answers 200 once it is ready.
        options: Anything else for `testcontainers.core.container.DockerContainer`.

    Raises:
        ContainerError: No Docker engine answers.
    """

    def __init__(self, image: str, *, port: int, ready_path: str, **options: Any) -> None:
        with engine_answers():
            super().__init__(image, **{**CLIENT, **HARDENED, **options})
        self.port = port
        self.with_exposed_ports(port)
        self.waiting_for(AnswerWaitStrategy(port, ready_path))

    def __repr__(self) -> str:
        """Name image and container; the environment may hold secrets."""
        name = self._container.name if self._container else "not started"
        return f"<{type(self).__name__} {self.image} {name}>"

    def with_kwargs(self, **kwargs: Any) -> Self:
        """Add arguments for the engine; other than testcontainers' own, those given before stay."""
        self._kwargs = {**self._kwargs, **kwargs}
        return self

    def with_host_network(self) -> Self:
        """Put it on this machine's own network instead: no port is published, loopback is the machine's."""
        self.ports.clear()
        return self.with_kwargs(network_mode="host")

    def without_waiting(self) -> Self:
        """Return from `start` as soon as the process runs."""
        self._wait_strategy = None
        return self

    def start(self) -> Self:
        """Start it and wait until it is ready.

        Raises:
            ContainerError: The engine does not answer or has no such image, the service did not become ready, or it
                was started before. Nothing of this start is left.
        """
        if self._container is not None:
            raise ContainerError(f"{self!r} was started before: stop it first, or make another")
        with engine_answers():
            try:
                self.get_docker_client().client.images.get(self.image)
            except ImageNotFound:
                raise ContainerError(
                    f"there is no image {self.image}: build it with `nox -s images`, or name yours"
                ) from None
        try:
            return super().start()
        except BaseException as error:
            tail = self.log_tail()
            self.stop()
            if isinstance(error, OSError | DockerException):
                raise ContainerError(_words(self.image, error, tail)) from None
            raise

    def wait_until_ready(self) -> None:
        """Wait once more, for a container that someone else started again.

        Raises:
            TimeoutError: It was not ready in time; the message says why.
        """
        if self._wait_strategy is not None:
            self._wait_strategy.wait_until_ready(self)

    def stop(self, force: bool = True, delete_volume: bool = True) -> None:  # noqa: FBT001, FBT002 - testcontainers' signature
        """Remove it; safe to call twice, and for one that was removed by someone else."""
        if self._container is not None:
            with contextlib.suppress(NotFound):
                self._container.remove(force=force, v=delete_volume)
            self._container = None
        self.get_docker_client().client.close()

    def get_url(self) -> str:
        """The HTTP address from this machine; another one after each start of the container."""
        return f"http://{self.get_container_host_ip()}:{self.get_exposed_port(self.port)}"

    def log_tail(self, lines: int = TAIL_LINES) -> str:
        """The last lines it wrote, for people; empty if it was not started."""
        return "".join(self._lines(lines))

    def log_digest(self, lines: int = TAIL_LINES) -> str:
        """The last lines it wrote, and before them all that were above info level."""
        written = self._lines("all")
        return "".join([*filter(_is_grave, written[:-lines]), *written[-lines:]])

    def _lines(self, tail: int | Literal["all"]) -> list[str]:
        if self._container is None:
            return []
        try:
            return self._container.logs(tail=tail).decode("utf-8", "replace").splitlines(keepends=True)
        except DockerException:
            return []


def _words(image: str, error: Exception, tail: str) -> str:
    if "ryuk" in str(
        error
    ):  # testcontainers starts its cleaner, an image of its own, before the first of ours
        return f"{image} was not started, as testcontainers has no cleaner: {error}\n{WITHOUT_CLEANER}"
    return f"{image} did not start: {error}" + (f"\nThe last lines it wrote:\n{tail}" if tail else "")


def _is_grave(line: str) -> bool:
    """Whether a line of a log is above info level; one that has no level, of a traceback say, counts as such."""
    try:
        return json.loads(line)["level"] not in QUIET_LEVELS
    except (ValueError, TypeError, KeyError):
        return True
