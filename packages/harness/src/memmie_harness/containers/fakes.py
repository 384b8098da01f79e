"""The fake Auth and the fake Studio as containers, scripted through their control APIs."""

from __future__ import annotations

import json
from http.client import HTTPConnection, HTTPException
from typing import Any, Self
from urllib.parse import urlencode, urlsplit

from memmie_harness.containers.service import ServiceContainer
from memmie_harness.tokens import mint_token

AUTH_IMAGE = "memmie-fake-auth:latest"
AUTH_PORT = 8001
STUDIO_IMAGE = "memmie-fake-studio:latest"
STUDIO_PORT = 8010
ANSWER_SECONDS = 5.0


class ControlError(Exception):
    """A fake did not do what its control API was asked for; the message has its answer."""


class FakeContainer(ServiceContainer):
    """A fake with a control API (``/_control/…``). Its calls block; each is short.

    Args:
        image: Its image.
        port: Where it listens inside the container.
        options: Anything else for `testcontainers.core.container.DockerContainer`.
    """

    def __init__(self, image: str, *, port: int, **options: Any) -> None:
        super().__init__(image, port=port, ready_path="/health", **options)
        self._arguments = ["serve", "--host", "0.0.0.0", "--port", str(port)]  # noqa: S104 - inside a container
        self.with_command(self._arguments)

    def with_option(self, name: str, *values: object) -> Self:
        """Add an option of the fake's ``serve`` command, such as ``"--ping-interval-seconds", 0``."""
        self._arguments += [name, *map(str, values)]
        return self.with_command(self._arguments)

    def script(self, fault: str, **details: Any) -> dict[str, Any]:
        """Script a fault (``POST /_control/faults``) and return its description, ``id`` included."""
        described: dict[str, Any] = self.control("POST", "faults", {"fault": fault, **details})
        return described

    def log_entries(self, **filters: str) -> list[dict[str, Any]]:
        """What it received (``GET /_control/log``), oldest first; filter by kind, path, connection, user_id."""
        answer = self.control("GET", f"log?{urlencode(filters)}")
        entries: list[dict[str, Any]] = answer["entries"]
        return entries

    def reset(self) -> None:
        """Forget the faults, the log and everything stored."""
        self.control("POST", "reset")

    def control(self, method: str, route: str, body: object = None) -> Any:
        """Call ``/_control/{route}`` and return the answer's JSON, ``None`` if it has none.

        Raises:
            ControlError: No answer, or an error.
        """
        where = urlsplit(self.get_url())
        connection = HTTPConnection(where.hostname or "", where.port, timeout=ANSWER_SECONDS)
        try:
            connection.request(
                method,
                f"/_control/{route}",
                None if body is None else json.dumps(body),
                {"Content-Type": "application/json"},
            )
            response = connection.getresponse()
            answer = response.read()
        except (OSError, HTTPException) as error:
            raise ControlError(f"{self!r} did not answer {method} {route}: {error}") from error
        finally:
            connection.close()
        if response.status >= 300:
            raise ControlError(
                f"{self!r} answered {method} {route} with {response.status} {answer.decode(errors='replace')}"
            )
        return json.loads(answer) if answer else None


class FakeAuthContainer(FakeContainer):
    """A fake Auth; options of its command are added by `with_option`."""

    def __init__(self, image: str = AUTH_IMAGE, *, port: int = AUTH_PORT, **options: Any) -> None:
        super().__init__(image, port=port, **options)

    def mint(self, user_id: str = "u1", *, ttl_seconds: float = 3600) -> str:
        """Return a valid token of a user.

        Raises:
            MintError: It did not mint one.
        """
        return mint_token(self.get_url(), user_id, ttl_seconds)


class FakeStudioContainer(FakeContainer):
    """A fake Studio; options of its command are added by `with_option`."""

    def __init__(self, image: str = STUDIO_IMAGE, *, port: int = STUDIO_PORT, **options: Any) -> None:
        super().__init__(image, port=port, **options)

    def with_auth(self, url: str) -> Self:
        """Have it ask this Auth about HTTP tokens, as it reaches it, such as ``http://auth:8001``."""
        return self.with_option("--auth-url", url)

    def connections(self) -> list[dict[str, Any]]:
        """Its live connections (``GET /_control/connections``), oldest first."""
        live: list[dict[str, Any]] = self.control("GET", "connections")["connections"]
        return live
