"""Auth, Studios and a gateway as containers on one network, started in parallel."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Final, Self, TypeVar

from testcontainers.core.network import Network

from memmie_harness.containers.engine import CLIENT, ContainerError, engine_answers, publishing_options
from memmie_harness.containers.fakes import FakeAuthContainer, FakeStudioContainer
from memmie_harness.containers.gateway import GatewayContainer
from memmie_harness.containers.service import ServiceContainer

C = TypeVar("C", bound=ServiceContainer)

AUTH_URL: Final = "http://auth:8001"
"""The address of Auth on the network."""

OWN_SETTINGS: Final = frozenset({"HOST", "PORT"})
"""Settings of the gateway that the stack sets itself, because its port is published."""


class StackContainers:
    """The whole stack: `with StackContainers(studios=3) as stack: stack.gateway.get_ws_url()`.

    Args:
        studios: how many Studios there are, at least 1; on the network they are named `studio-1` and so on.
        settings: settings of the gateway (spec §7) in addition to the stack's own.

    Raises:
        ValueError: `studios` is less than 1, or the stack itself makes one of the settings.
        ContainerError: no Docker engine answers.

    Attributes:
        network: the network that all containers share.
        auth: the fake Auth, `auth` on the network.
        studios: the fake Studios.
        gateway: the gateway.
    """

    def __init__(self, *, studios: int = 2, settings: Mapping[str, object] | None = None) -> None:
        if studios < 1:
            raise ValueError(
                f"studios is {studios}; a stack needs 1 Studio or more, because without a Studio its gateway is never ready"
            )
        self._settings = dict(settings or {})
        if taken := OWN_SETTINGS & self._settings.keys():
            raise ValueError(
                f"settings must not contain {', '.join(sorted(taken))}, because the stack itself sets the address of the "
                "gateway; gateway.get_url() returns this address"
            )
        self._more: list[ServiceContainer] = []
        auth = FakeAuthContainer()
        with engine_answers():
            self.network = Network(docker_network_kw=publishing_options(auth.get_docker_client()), **CLIENT)
        self.auth = self._named("auth", auth)
        self.studios = [self.make_studio(number) for number in range(1, studios + 1)]
        self.gateway = self.make_gateway()

    def studio_name(self, number: int) -> str:
        """Return the name of a Studio on the network, counted from 1."""
        return f"studio-{number}"

    def studio_ws_url(self, number: int) -> str:
        """Return the WebSocket address of a Studio on the network, counted from 1."""
        return f"ws://{self.studio_name(number)}:8010/ws"

    def make_studio(self, number: int) -> FakeStudioContainer:
        """Make a Studio of this stack, not yet started; it is removed with the stack."""
        studio = FakeStudioContainer().with_option("--log-entries", 100_000).with_auth(AUTH_URL)
        return self._named(self.studio_name(number), studio)

    def make_gateway(self, name: str = "gateway") -> GatewayContainer:
        """Make a gateway for this stack's Auth and Studios, not yet started; it is removed with the stack."""
        urls = [self.studio_ws_url(number) for number in range(1, len(self.studios) + 1)]
        # A test reads in the metrics what has just happened.
        settings = {"METRICS_CACHE_SECONDS": 0, **self._settings}
        gateway = GatewayContainer().with_auth(AUTH_URL).with_studios(*urls).with_settings(settings)
        return self._named(name, gateway)

    def start(self, *, without: tuple[ServiceContainer, ...] = ()) -> Self:
        """Start all containers in parallel, except those in `without`.

        Raises:
            ContainerError: a container did not start, and the stack was removed; or the stack was already started,
                and stays as it is.
        """
        if self.network._network is not None:  # noqa: SLF001 - there is no public way to see whether it was created
            raise ContainerError("this stack was already started. Stop it first, or make a new stack")
        try:
            with engine_answers():
                self.network.create()
            starting = [container for container in self._more if container not in without]
            with ThreadPoolExecutor(len(starting)) as pool:
                list(pool.map(lambda container: container.start(), starting))
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Remove all containers and the network; does nothing if they are already removed."""
        with ThreadPoolExecutor(len(self._more)) as pool:
            list(pool.map(lambda container: container.stop(), self._more))
        if self.network._network is not None:  # noqa: SLF001 - see `start`
            self.network.remove()
            self.network._network = None  # noqa: SLF001 - see `start`
        self.network._docker.client.close()  # noqa: SLF001 - there is no public way to close its client

    def logs(self) -> str:
        """Return the last lines of each container's log, preceded by all earlier ones above level info."""
        return "\n".join(f"--- {container!r}\n{container.log_digest()}" for container in self._more)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _named(self, name: str, container: C) -> C:
        container.with_network(self.network).with_network_aliases(name)
        self._more.append(container)
        return container
