"""Making the gateway of a profile: the templates of its command, environment and configuration are rendered here."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from memmie_harness.conformance import installed, template
from memmie_harness.conformance.profile import Start
from memmie_harness.targets.command import CommandTarget, free_port
from memmie_harness.targets.errors import TargetError
from memmie_harness.targets.target import Target
from memmie_harness.wiring import WS_PATH


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a gateway is started with.

    Attributes:
        auth_url: the address of Auth, `http://HOST:PORT`.
        studio_ws_urls: the WebSocket address of each Studio, `ws://HOST:PORT/ws`.
        folder: an empty folder for the gateway, which is removed after the run.
        further: the values of further placeholders.
    """

    auth_url: str
    studio_ws_urls: Sequence[str]
    folder: Path
    further: Mapping[str, str] = field(default_factory=dict)

    def values(self, port: int) -> dict[str, str]:
        """Return the values of the placeholders, but not of {CONFIG}."""
        addresses = [urlsplit(url).netloc for url in self.studio_ws_urls]
        return {
            "AUTH_URL": self.auth_url,
            "AUTH_ADDRESS": urlsplit(self.auth_url).netloc,
            "STUDIO_WS_URLS": ",".join(self.studio_ws_urls),
            "STUDIO_ADDRESSES": ",".join(addresses),
            "PORT": str(port),
            "FOLDER": str(self.folder),
            **{f"STUDIO_ADDRESS_{number}": address for number, address in enumerate(addresses, 1)},
            **{
                f"STUDIO_PORT_{number}": str(urlsplit(url).port)
                for number, url in enumerate(self.studio_ws_urls, 1)
            },
            **self.further,
        }


def temporary_folder() -> tempfile.TemporaryDirectory[str]:
    """Return a new folder for a gateway; a container may leave files in it that this user cannot remove."""
    return tempfile.TemporaryDirectory(prefix="memmie-", ignore_cleanup_errors=True)


def make_gateway(
    start: Start,
    around: Surroundings,
    *,
    env: Mapping[str, str] | None = None,
    ws_path: str = WS_PATH,
) -> Target:
    """Return the gateway that a profile's command or image starts; it is not yet started.

    Args:
        start: how to start it.
        around: what it is started with.
        env: environment variables that override those of the profile; no templates.
        ws_path: the path of its WebSocket route.

    Raises:
        TargetError: there is no such program, no Docker engine answers, or a placeholder has no value.
    """
    port = free_port()
    values = {**around.values(port), **installed.values(start)}
    try:
        if start.config is not None:
            config = around.folder / start.config.name
            text = template.render(start.config.read_text(encoding="utf-8"), values)
            config.write_text(text, encoding="utf-8")
            config.chmod(0o644)  # the user of an image is another one
            values["CONFIG"] = str(config)
        command = [template.render(word, values) for word in start.words]
        environment = {name: template.render(value, values) for name, value in start.env.items()}
    except KeyError as error:
        raise TargetError(
            f"the placeholder {{{error.args[0]}}} has no value here; there are {', '.join(values)}"
        ) from None
    environment |= env or {}
    if start.runs_image:
        try:
            from memmie_harness.targets.image import ImageTarget  # noqa: PLC0415 - needs the extra
        except ImportError as error:
            raise TargetError(str(error)) from None
        return ImageTarget(
            start.image,
            command,
            environment=environment,
            port=port,
            ready=start.ready,
            folder=around.folder,
            start_seconds=start.start_seconds,
            stop_signal=start.stop_signal,
            stop_seconds=start.stop_seconds,
            ws_path=ws_path,
        )
    return CommandTarget(
        command,
        environment=environment,
        port=port,
        ready=start.ready,
        folder=start.folder,
        start_seconds=start.start_seconds,
        stop_signal=start.stop_signal,
        stop_seconds=start.stop_seconds,
        ws_path=ws_path,
    )
