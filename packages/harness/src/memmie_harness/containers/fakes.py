"""The fake Auth and the fake Studio as containers, scripted by their control APIs."""

from __future__ import annotations

import json
from typing import Any, Final, Self
from urllib.parse import urlencode

from memmie_harness.containers.service import ServiceContainer
from memmie_harness.control_api import NoAnswerError, call
from memmie_harness.tokens import mint_token

AUTH_IMAGE: Final = "memmie-fake-auth:latest"
"""The fake Auth's image, as `nox -s images` names it."""

AUTH_PORT: Final = 8001
"""The port the fake Auth listens on inside its container."""

STUDIO_IMAGE: Final = "memmie-fake-studio:latest"
"""The fake Studio's image, as `nox -s images` names it."""

STUDIO_PORT: Final = 8010
"""The port a fake Studio listens on inside its container."""


class ControlError(Exception):
    """A call of a fake's control API failed; the message has the fake's answer."""


class FakeContainer(ServiceContainer):
    """A fake with a control API (`/_control/…`). Calls of it block, shortly.

    Args:
        image: the image.
        port: the port it listens on inside the container.
        **options: more arguments of `testcontainers.core.container.DockerContainer`.
    """

    def __init__(self, image: str, *, port: int, **options: Any) -> None:
        super().__init__(image, port=port, ready_path="/health", **options)
        self._arguments = ["serve", "--host", "0.0.0.0", "--port", str(port)]  # noqa: S104 - inside a container
        self.with_command(self._arguments)

    def with_option(self, name: str, *values: object) -> Self:
        """Add an option of the fake's `serve` command, such as `"--ping-interval-seconds", 0`."""
        self._arguments += [name, *map(str, values)]
        return self.with_command(self._arguments)

    def script(self, fault: str, **details: Any) -> dict[str, Any]:
        """Script a fault (`POST /_control/faults`) and return its description, `id` included."""
        described: dict[str, Any] = self.control("POST", "faults", {"fault": fault, **details})
        return described

    def log_entries(self, **filters: str) -> list[dict[str, Any]]:
        """Return what the fake received (`GET /_control/log`), oldest first.

        Args:
            **filters: the `kind`, `path`, `connection` or `user_id` that an entry must have.
        """
        answer = self.control("GET", f"log?{urlencode(filters)}")
        entries: list[dict[str, Any]] = answer["entries"]
        return entries

    def reset(self) -> None:
        """Clear the faults, the log and the stores."""
        self.control("POST", "reset")

    def control(self, method: str, route: str, body: object = None) -> Any:
        """Call `/_control/{route}` and return the answer's JSON, `None` for an empty answer.

        Raises:
            ControlError: the fake did not answer, or answered with an error.
        """
        try:
            status, answer = call(self.get_url(), method, route, body)
        except NoAnswerError as error:
            raise ControlError(f"{self!r} did not answer {method} {route}: {error}") from error
        if status >= 300:
            raise ControlError(
                f"{self!r} answered {method} {route} with {status} {answer.decode(errors='replace')}"
            )
        return json.loads(answer) if answer else None


class FakeAuthContainer(FakeContainer):
    """A fake Auth; `with_option` adds options of its command.

    Args:
        image: the image.
        port: the port it listens on inside the container.
        **options: more arguments of `testcontainers.core.container.DockerContainer`.
    """

    def __init__(self, image: str = AUTH_IMAGE, *, port: int = AUTH_PORT, **options: Any) -> None:
        super().__init__(image, port=port, **options)

    def mint(self, user_id: str = "u1", *, ttl_seconds: float = 3600) -> str:
        """Return a valid token of a user.

        Raises:
            MintError: the fake did not mint a token.
        """
        return mint_token(self.get_url(), user_id, ttl_seconds)


class FakeStudioContainer(FakeContainer):
    """A fake Studio; `with_option` adds options of its command.

    Args:
        image: the image.
        port: the port it listens on inside the container.
        **options: more arguments of `testcontainers.core.container.DockerContainer`.
    """

    def __init__(self, image: str = STUDIO_IMAGE, *, port: int = STUDIO_PORT, **options: Any) -> None:
        super().__init__(image, port=port, **options)

    def with_auth(self, url: str) -> Self:
        """Validate HTTP tokens with Auth at an address that the container can reach, such as `http://auth:8001`."""
        return self.with_option("--auth-url", url)

    def connections(self) -> list[dict[str, Any]]:
        """Return the live connections (`GET /_control/connections`), oldest first."""
        live: list[dict[str, Any]] = self.control("GET", "connections")["connections"]
        return live
