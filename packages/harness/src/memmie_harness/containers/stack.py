"""Auth, Studios and a gateway on a network of their own, started in parallel."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Self, TypeVar

from testcontainers.core.network import Network

from memmie_harness.containers.engine import CLIENT, ContainerError, engine_answers, publishing_options
from memmie_harness.containers.fakes import FakeAuthContainer, FakeStudioContainer
from memmie_harness.containers.gateway import GatewayContainer
from memmie_harness.containers.service import ServiceContainer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

C = TypeVar("C", bound=ServiceContainer)

AUTH_URL = "http://auth:8001"

OWN_SETTINGS = frozenset({"HOST", "PORT"})
"""With others it would listen where nobody looks for it."""


class StackContainers:
    """The whole stack: ``with StackContainers(studios=3) as stack: stack.gateway.get_ws_url()``.

    Args:
        studios: How many Studios there are, at least 1; their names on the network are ``studio-1`` and so on.
        settings: Settings of the gateway (spec §7) besides the stack's own.

    Raises:
        ValueError: No Studio, or a setting that the stack makes itself.
        ContainerError: No Docker engine answers.

    Attributes:
        network: The network they share.
        auth: The fake Auth, ``auth`` on the network.
        studios: The fake Studios.
        gateway: The gateway.
    """

    def __init__(self, *, studios: int = 2, settings: Mapping[str, object] | None = None) -> None:
        if studios < 1:
            raise ValueError(
                f"a stack has at least 1 Studio, not {studios}: a gateway is not ready without one"
            )
        self._settings = dict(settings or {})
        if taken := OWN_SETTINGS & self._settings.keys():
            raise ValueError(
                f"{', '.join(sorted(taken))} is the stack's own: its port is published, and found by get_url()"
            )
        self._more: list[ServiceContainer] = []
        auth = FakeAuthContainer()
        with engine_answers():
            self.network = Network(docker_network_kw=publishing_options(auth.get_docker_client()), **CLIENT)
        self.auth = self._named("auth", auth)
        self.studios = [self.make_studio(number) for number in range(1, studios + 1)]
        self.gateway = self.make_gateway()

    def studio_name(self, number: int) -> str:
        """The name of a Studio on the network, counted from 1."""
        return f"studio-{number}"

    def studio_ws_url(self, number: int) -> str:
        """The address of a Studio as the gateway has it, counted from 1."""
        return f"ws://{self.studio_name(number)}:8010/ws"

    def make_studio(self, number: int) -> FakeStudioContainer:
        """A Studio of this stack, not yet started; removed with the stack."""
        studio = FakeStudioContainer().with_option("--log-entries", 100_000).with_auth(AUTH_URL)
        return self._named(self.studio_name(number), studio)

    def make_gateway(self, name: str = "gateway") -> GatewayContainer:
        """A gateway on this stack's Auth and Studios, not yet started; removed with the stack."""
        urls = [self.studio_ws_url(number) for number in range(1, len(self.studios) + 1)]
        gateway = GatewayContainer().with_auth(AUTH_URL).with_studios(*urls).with_settings(self._settings)
        return self._named(name, gateway)

    def start(self, *, without: tuple[ServiceContainer, ...] = ()) -> Self:
        """Start everything at once, but those in `without`.

        Raises:
            ContainerError: One did not start; nothing is left. Or the stack was started before, and stays as it is.
        """
        if self.network._network is not None:  # noqa: SLF001 - it has no way to ask whether it was created
            raise ContainerError("this stack was started before: stop it first, or make another")
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
        """Remove everything; safe to call twice."""
        with ThreadPoolExecutor(len(self._more)) as pool:
            list(pool.map(lambda container: container.stop(), self._more))
        if self.network._network is not None:  # noqa: SLF001 - as above
            self.network.remove()
            self.network._network = None  # noqa: SLF001 - likewise
        self.network._docker.client.close()  # noqa: SLF001 - nor one to close its client

    def logs(self) -> str:
        """What each container wrote of weight, and the last lines of it, for people."""
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
