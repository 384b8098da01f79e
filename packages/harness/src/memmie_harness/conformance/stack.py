"""A gateway under test with an Auth and Studios around it, all on this machine."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final, Protocol, Self, runtime_checkable
from urllib.parse import urlsplit

from memmie_harness.conformance.launch import Surroundings, make_gateway, temporary_folder
from memmie_harness.conformance.peers.auth import CountedAuth
from memmie_harness.conformance.peers.certificate import Certificate
from memmie_harness.conformance.peers.side import Side
from memmie_harness.conformance.peers.studio import ConformanceStudio, contains
from memmie_harness.conformance.profile import Setup
from memmie_harness.conformance.transcript import escape, hide
from memmie_harness.targets.command import free_port
from memmie_harness.targets.errors import TargetError


class Gateway(Protocol):
    """What the kit needs of a gateway; every `Target` has it, and so do gateways in this process."""

    @property
    def url(self) -> str:
        """The HTTP address, `http://127.0.0.1:PORT`; known after the start."""
        ...

    async def start(self) -> None:
        """Start, and return when it is ready; raise `TargetError` if it does not become ready."""
        ...

    async def stop(self) -> None:
        """Stop; does nothing if it is not running."""
        ...

    def log_tail(self, lines: int = 50) -> str:
        """Return the last lines that the gateway wrote."""
        ...


@runtime_checkable
class Process(Protocol):
    """What a gateway has besides if it is a process or a container."""

    @property
    def exit_code(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs."""
        ...

    async def wait_ended(self, within: float = 5.0) -> int:
        """Wait until it has ended; raise `TargetError` if it still runs after so many seconds."""
        ...


LAST_LINES: Final = 20
"""How many lines of a gateway that has ended are shown."""

END_SECONDS: Final = 1.0
"""How long the end of a process may take after its connections have ended, and an answer of one that runs."""

Launch = Callable[[Setup, "Stack"], Gateway]
"""Makes the gateway of a stack with a running Auth and running Studios; it is not yet started."""


class Stack:
    """A gateway, its Auth and its Studios.

    Args:
        setup: how to run the gateway.
        launch: makes the gateway; by default the command of the setup.
    """

    def __init__(self, setup: Setup, launch: Launch | None = None) -> None:
        self.setup = setup
        self.auth = CountedAuth()
        self.studios = [ConformanceStudio(number + 1, self._claim) for number in range(setup.studios)]
        self.auth.port = setup.start.auth_port
        for studio, port in zip(self.studios, setup.start.studio_ports, strict=False):
            studio.port = port
        self._launch = launch or (RunningGateway if setup.start.url else command_gateway)
        self._resources = AsyncExitStack()
        self._waiting: dict[str, Callable[[Side], None]] = {}
        self.secrets: list[str] = []
        """The tokens of all tests, which must not be shown where the gateway's log is."""
        self.folder = Path()
        self.certificate = Certificate() if setup.offers.get("tls") else None
        self.tls_port = free_port() if setup.offers.get("tls") else 0
        self.gateway: Gateway

    @property
    def port(self) -> int:
        """The port on which the gateway listens."""
        port = urlsplit(self.gateway.url).port
        assert port is not None
        return port

    @property
    def tls_certificate_file(self) -> Path:
        """The certificate for the gateway, in PEM; it is there if the setup offers `tls`."""
        return self.folder / "tls-certificate.pem"

    @property
    def tls_key_file(self) -> Path:
        """The key of the certificate."""
        return self.folder / "tls-key.pem"

    @property
    def has_ended(self) -> bool:
        """Whether the process of the gateway has ended; False if it has none that is known."""
        return isinstance(self.gateway, Process) and self.gateway.exit_code is not None

    @property
    def was_stopped(self) -> bool:
        """Whether the gateway has ended in good order, or by the signal that stops it."""
        code = self.gateway.exit_code if isinstance(self.gateway, Process) else None
        return code in {0, -self.setup.start.stop_signal}

    def ending(self) -> str | None:
        """Return how the gateway ended and what it wrote last, without tokens; None if it runs."""
        if not isinstance(self.gateway, Process) or self.gateway.exit_code is None:
            return None
        code = self.gateway.exit_code
        how = f"with exit code {code}" if code >= 0 else f"by signal {-code}"
        lines = hide(self.gateway.log_tail(LAST_LINES), self.secrets).splitlines()
        shown = "\n".join(escape(line.encode("utf-8", "replace")) for line in lines)
        return f"the gateway ended {how}; its last lines:\n{shown or '(nothing)'}"

    async def survey(self) -> str | None:
        """Return how the gateway ended, or None if it runs: then it answers a request, or has not ended within a second.

        What a gateway got before this request, it has worked on before the answer, if it is not still at it.
        """
        gateway = self.gateway
        if not isinstance(gateway, Process):
            return None
        if gateway.exit_code is None and await self._answers():
            return None
        with contextlib.suppress(TargetError):
            await gateway.wait_ended(END_SECONDS)
        return self.ending()

    async def _answers(self) -> bool:
        """Return whether a plain request gets an answer, or is kept waiting by a gateway that may not speak HTTP here."""
        try:
            async with asyncio.timeout(END_SECONDS):
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                try:
                    path = self.setup.offers.get("status_path", "/")
                    writer.write(
                        f"GET {path} HTTP/1.1\r\nHost: gateway.test\r\nConnection: close\r\n\r\n".encode()
                    )
                    return bool(await reader.read(1))
                finally:
                    writer.transport.abort()
        except TimeoutError:
            return True
        except OSError:
            return False

    def expect(self, marker: str, arrived: Callable[[Side], None] | None) -> None:
        """Call `arrived` with each connection to a Studio that has this marker in its request; None ends this."""
        if arrived is None:
            self._waiting.pop(marker, None)
        else:
            self._waiting[marker] = arrived

    def _claim(self, side: Side) -> bool:
        for marker, arrived in self._waiting.items():
            if contains(side.head, marker):
                arrived(side)
                return True
        is_upgrade = side.head.get("upgrade").lower() == "websocket"
        if self.setup.start.one_at_a_time and is_upgrade and len(self._waiting) == 1:
            next(iter(self._waiting.values()))(side)
            return True
        return False

    async def __aenter__(self) -> Self:
        """Start Auth, the Studios, and then the gateway.

        Raises:
            TargetError: the gateway did not start.
        """
        async with AsyncExitStack() as resources:
            self.folder = Path(resources.enter_context(temporary_folder()))
            await resources.enter_async_context(self.auth)
            for studio in self.studios:
                await resources.enter_async_context(studio)
            if self.certificate is not None:
                self.certificate.write(self.tls_certificate_file, self.tls_key_file)
            self.gateway = await self._start(resources)
            self._resources = resources.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop everything."""
        await self._resources.aclose()

    async def _start(self, resources: AsyncExitStack) -> Gateway:
        gateway = self._launch(self.setup, self)
        resources.push_async_callback(gateway.stop)
        await gateway.start()
        return gateway

    async def start_another(self) -> Gateway:
        """Start another gateway, to which new clients connect from now on; return the one before, which still runs.

        Raises:
            TargetError: it did not start.
        """
        before, self.gateway = self.gateway, await self._start(self._resources)
        return before


class RunningGateway:
    """A gateway that already runs; it is neither started nor stopped, and its log cannot be read."""

    def __init__(self, setup: Setup, _: Stack) -> None:
        self.url = setup.start.url

    async def start(self) -> None:
        """Do nothing."""

    async def stop(self) -> None:
        """Do nothing."""

    def log_tail(self, lines: int = 50) -> str:  # noqa: ARG002 - the protocol's signature
        """Return an empty text."""
        return ""


def command_gateway(setup: Setup, stack: Stack) -> Gateway:
    """Return the gateway that the command or the image of a setup starts.

    Raises:
        TargetError: it cannot be made; the message says why.
    """
    tls = {
        "TLS_PORT": str(stack.tls_port),
        "TLS_CERT": str(stack.tls_certificate_file),
        "TLS_KEY": str(stack.tls_key_file),
    }
    around = Surroundings(stack.auth.url, [studio.url for studio in stack.studios], stack.folder, tls)
    return make_gateway(setup.start, around)
