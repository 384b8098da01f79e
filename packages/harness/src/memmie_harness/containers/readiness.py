"""Waiting for a container, which stops as soon as the container has ended."""

from __future__ import annotations

import time
from http.client import HTTPConnection, HTTPException
from typing import Final

from testcontainers.core.waiting_utils import WaitStrategy, WaitStrategyTarget

START_SECONDS: Final = 30
"""How long a container may take to become ready."""

POLL_SECONDS: Final = 0.05
"""Time between two requests."""

ANSWER_SECONDS: Final = 2.0
"""How long one request may take."""


class AnswerWaitStrategy(WaitStrategy):
    """Waits until `GET path` on a container's port answers 200.

    Unlike the strategies of testcontainers, it does not use the machine's proxy settings, and it fails at once if the
    container ends, such as a gateway with an invalid setting.

    Args:
        port: the port inside the container.
        path: the path that is requested.
    """

    def __init__(self, port: int, path: str) -> None:
        super().__init__()
        self._port = port
        self._path = path
        self.with_startup_timeout(START_SECONDS).with_poll_interval(POLL_SECONDS)

    def wait_until_ready(self, container: WaitStrategyTarget) -> None:
        """Return when the answer is 200.

        Raises:
            TimeoutError: the time is over or the container ended; the message has the address and the last answer.
        """
        where = self._path
        deadline = time.monotonic() + self._startup_timeout
        answer = "no answer yet"
        while time.monotonic() < deadline:
            container.reload()
            if container.status in {"exited", "dead"}:
                raise TimeoutError(f"the container ended before {self._path} answered 200")
            try:
                host, port = container.get_container_host_ip(), container.get_exposed_port(self._port)
            except OSError as error:  # the container has just started or just ended
                answer = str(error)
            else:
                where = f"http://{host}:{port}{self._path}"
                answer = self._ask(host, port)
            if not answer:
                return
            time.sleep(self._poll_interval)
        raise TimeoutError(
            f"{where} did not answer 200 within {self._startup_timeout:g} s; the last result: {answer}"
        )

    def _ask(self, host: str, port: int) -> str:
        """Return the answer if it is not 200, else an empty string."""
        try:
            connection = HTTPConnection(host, port, timeout=ANSWER_SECONDS)
            try:
                connection.request("GET", self._path)
                response = connection.getresponse()
                body = response.read(500).decode("utf-8", "replace")
            finally:
                connection.close()
        except (OSError, HTTPException) as error:
            return str(error)
        return "" if response.status == 200 else f"{response.status} {body}"
