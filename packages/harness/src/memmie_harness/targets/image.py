"""A gateway that is any image: it is started with a command of its own, and is ready when port, path or log say so."""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from memmie_harness.containers import ContainerError, ServiceContainer
from memmie_harness.targets.container import ContainerTarget
from memmie_harness.targets.errors import TargetError
from memmie_harness.targets.ready_when import PORT_ONLY, ReadyWhen, listening, wait_for
from memmie_harness.wiring import WS_PATH

UNRESTRICTED: Final[Mapping[str, Any]] = {"read_only": False, "cap_drop": []}
"""Any image may write to its own files, and may change to another user when it starts."""

SHARED_FOLDER_MODE: Final = 0o1777
"""The image's user can read and write in the shared folder, but nobody can replace the files of others in it."""


class AnyContainer(ServiceContainer):
    """A container of any image, which uses this machine's network.

    Args:
        image: the image.

    Raises:
        ContainerError: no Docker engine answers.
    """

    missing_image = "Get it with `docker pull {image}`, or build it"

    def __init__(self, image: str) -> None:
        super().__init__(image, port=0, ready_path="/", **UNRESTRICTED)
        self.with_host_network()


class ImageTarget(ContainerTarget):
    """A container of any image that this object starts and stops; it shares this machine's network.

    So the gateway listens on 127.0.0.1, and reaches fakes there. The engine must run on this machine's kernel.

    Args:
        image: the image.
        command: the arguments of the image's entry point; without any, the image's own command is used.
        environment: environment variables.
        port: the port that the gateway was told to use; `ready.log` may find another.
        ready: how to notice that it is ready, by default by its port.
        folder: a folder of this machine that the container has under the same path.
        start_seconds: how long it may take to become ready.
        stop_signal: the signal that stops it.
        stop_seconds: how long it may take to end after the signal before it is killed.
        ws_path: the path of its WebSocket route.

    Raises:
        TargetError: no Docker engine answers.
    """

    def __init__(
        self,
        image: str,
        command: Sequence[str] = (),
        *,
        environment: Mapping[str, str] | None = None,
        port: int = 0,
        ready: ReadyWhen | None = None,
        folder: Path | None = None,
        start_seconds: float = 20.0,
        stop_signal: signal.Signals = signal.SIGTERM,
        stop_seconds: float = 5.0,
        ws_path: str = WS_PATH,
    ) -> None:
        try:
            container = AnyContainer(image)
        except ContainerError as error:
            raise TargetError(str(error)) from None
        container.with_envs(**(environment or {}))
        if command:
            container.with_command(list(command))
        if folder is not None:
            folder.chmod(SHARED_FOLDER_MODE)
            container.with_volume_mapping(str(folder), str(folder), "rw")
        super().__init__(
            {}, image=image, container=container, start_seconds=start_seconds, stop_seconds=stop_seconds
        )
        self._port = port
        self._ready = ready or PORT_ONLY
        self._stop_signal = stop_signal
        self._ws_path = ws_path

    def __repr__(self) -> str:
        """Show image and address."""
        return f"<ImageTarget {self._image} url={self._url}>"

    async def stop(self) -> None:
        """Send the stop signal, wait, and remove the container; any exit code will do."""
        await self._stop(self._stop_signal)

    async def _wait_started(self, *, until_ready: bool) -> None:
        async def look() -> str | None:
            if self.exit_code is not None:
                raise TargetError(f"it ended with exit code {self.exit_code} before it was ready")
            return await self._missing(self._ready if until_ready else listening(self._ready), self._port)

        await wait_for(look, self._start_seconds)
