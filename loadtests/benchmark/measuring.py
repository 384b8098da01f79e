"""Make the measurements, each with a fresh process of its peer."""

from __future__ import annotations

import contextlib
import http.client
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Final

from pydantic import TypeAdapter

from loadtests.analysis.measurements import Row
from loadtests.benchmark.plan import Task
from loadtests.common.errors import LoadTestError
from loadtests.common.machine import Cores
from loadtests.common.supervisor import Server, answer_of, serving
from loadtests.traffic.results import RESULTS, Target

OVERHEAD_SECONDS: Final = 120.0
"""How much longer than its window a measurement may take: connecting, warming up, closing."""

TOKEN_SECONDS: Final = 24 * 3600
"""Longer than any benchmark."""


@dataclass(frozen=True, slots=True, repr=False)
class Bench:
    """What all measurements share: the echo backend, the fake Auth, and valid tokens, each of another user."""

    cores: Cores
    backend: Server
    auth: Server
    tokens: list[str]


@contextlib.contextmanager
def running_bench(tasks: Sequence[Task], cores: Cores) -> Iterator[Bench]:
    """Run the echo backend and the fake Auth for the length of the block, to do at least one task.

    Raises:
        LoadTestError: one of them does not start, or Auth gives no token.
    """
    auth_command = ["-m", "memmie_fake_auth.cli", "serve", "--host", "127.0.0.1", "--port", "0"]
    backend_command = ["-m", "loadtests.traffic.echo"]
    with (
        serving("the fake Auth", [sys.executable, *auth_command], cores=cores.load) as auth,
        serving("the echo backend", [sys.executable, *backend_command], cores=cores.load) as backend,
    ):
        users = max(task.case.connections for task in tasks)
        yield Bench(cores, backend, auth, _mint(auth.port, users))


def measure(bench: Bench, task: Task) -> Row:
    """Make one measurement.

    Raises:
        LoadTestError: it has no result.
    """
    case, peer = task.case, task.peer
    options = {
        name: value for name in ("size", "rate", "seconds") if (value := getattr(case, name)) is not None
    }
    backend_url, auth_url = f"ws://127.0.0.1:{bench.backend.port}/ws", f"http://127.0.0.1:{bench.auth.port}"
    # A fresh process: how its memory happens to be laid out must not decide a whole run.
    with peer.start(
        backend_url, auth_url, connections=case.connections, cores=bench.cores.gateway
    ) as endpoint:
        target = Target(
            url=endpoint.url,
            headers=[peer.headers(token) for token in bench.tokens[: case.connections]],
            gateway_pids=list(endpoint.pids),
            backend_pids=[bench.backend.pid],
            auth_pids=[bench.auth.pid],
            direct_url=backend_url,
        )
        answer = answer_of(
            "the load",
            [sys.executable, "-m", "loadtests.traffic.load"],
            {"measurement": case.measurement, "target": asdict(target), "options": options},
            cores=bench.cores.load,
            seconds=(case.seconds or 0) + OVERHEAD_SECONDS,
        )
        if "problem" in answer:
            raise LoadTestError(answer["problem"])
    result = TypeAdapter(RESULTS[case.measurement]).validate_python(answer["result"])
    return Row(case, peer.name, task.round, result)


def _mint(port: int, users: int) -> list[str]:
    """Return a token of the fake Auth for each user."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    tokens = []
    with contextlib.closing(connection):
        for number in range(users):
            body = json.dumps({"user_id": f"user-{number}", "ttl_seconds": TOKEN_SECONDS})
            try:
                connection.request("POST", "/_control/tokens", body, {"Content-Type": "application/json"})
                response = connection.getresponse()
                answer = response.read()
            except (OSError, http.client.HTTPException) as error:
                raise LoadTestError(f"the fake Auth gave no token: {error}") from None
            if response.status != http.HTTPStatus.CREATED:
                raise LoadTestError(f"the fake Auth answered {response.status} to a request for a token")
            tokens.append(str(json.loads(answer)["token"]))
    return tokens
