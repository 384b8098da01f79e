"""A wait strategy that gives up as soon as waiting is pointless."""

from __future__ import annotations

import time
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING

from testcontainers.core.waiting_utils import WaitStrategy

if TYPE_CHECKING:
    from testcontainers.core.waiting_utils import WaitStrategyTarget

START_SECONDS = 30
POLL_SECONDS = 0.05
ANSWER_SECONDS = 2.0


class AnswerWaitStrategy(WaitStrategy):
    """Waits until ``GET path`` on a container's port answers 200.

    Other than testcontainers' own it asks no proxy of the machine for the way to a local port, and it ends at once
    when the container has ended: a gateway with a bad setting says so in its first second.

    Args:
        port: The port inside the container.
        path: What to ask for.
    """

    def __init__(self, port: int, path: str) -> None:
        super().__init__()
        self._port = port
        self._path = path
        self.with_startup_timeout(START_SECONDS).with_poll_interval(POLL_SECONDS)

    def wait_until_ready(self, container: WaitStrategyTarget) -> None:
        """Return once it answers 200.

        Raises:
            TimeoutError: It did not in time, or the container ended; the message has the address and the last answer.
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
            except OSError as error:  # it has just started, or just ended
                answer = str(error)
            else:
                where = f"http://{host}:{port}{self._path}"
                answer = self._ask(host, port)
            if not answer:
                return
            time.sleep(self._poll_interval)
        raise TimeoutError(
            f"{where} did not answer 200 within {self._startup_timeout:g} s; the last answer: {answer}"
        )

    def _ask(self, host: str, port: int) -> str:
        """Return what was answered instead of 200, "" for 200."""
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
