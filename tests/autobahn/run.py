"""Runs the Autobahn test suite, which tests WebSocket implementations with hundreds of odd and broken connections.

    nox -s autobahn                      60 cases, as in CI; about a minute
    nox -s autobahn -- --profile         313 cases: all but compression; some minutes
    nox -s autobahn -- --all             all 517 cases; more than half an hour
    nox -s autobahn -- 3.* 7.1.5         these cases

The gateway has no echo and no validation of text of its own, so the suite cannot test it alone. It stands between the
suite and the npm package `ws`, and in both directions the result of each case must be the one without the gateway:

- the *fuzzing client* of the suite connects to an echo server of `ws`;
- an echo client of `ws` connects to the *fuzzing server* of the suite.

All policies of the gateway are on. Only limits that the cases exceed on purpose are higher than the defaults, such as
the size of messages. The run fails if a case has another verdict through the gateway than directly, or if a connection
ends without Close frames through the gateway only.

What it needs: Node.js with npm, and Python 2.7 for the suite, on the PATH or from pyenv. Without one of them, nox skips
the session and names it. The suite (autobahntestsuite 0.8.2) and `ws` are installed below `.nox/autobahn-suite` at their
pinned versions. The suite's own reports, with the bytes on the wire, are left in `.nox/autobahn-suite/reports`.

`cases.py` says which cases, `python2.py` installs the suite, `programs.py` runs programs, `fuzzing_server.py` starts the
fuzzing server, and `judging.py` compares. Every program listens on loopback only, on a free port, and is ended by its
process id.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from tests.autobahn.cases import ALL, PROFILE, SAMPLE
from tests.autobahn.judging import AGENTS, DIRECT, GATEWAY, Results, differences, read_results, table
from tests.autobahn.programs import HERE, ProgramError, running
from tests.autobahn.python2 import find_python2, install_suite
from websockets.asyncio.client import connect

from memmie_fake_auth import FakeAuth
from memmie_harness.targets.process import ProcessTarget
from memmie_harness.wiring import FOR_TESTS, gateway_environment, websocket_url

FOLDER: Final = Path(".nox/autobahn-suite")

POLICIES: Final = {
    # The suite is one user at one address, which sends up to 65,536 fragments in a message of 16 MiB.
    "MAX_MESSAGE_BYTES": 1 << 24,
    "MAX_CONNECTIONS_PER_IP": 100,
    "MAX_CONNECTIONS_PER_USER": 100,
    "CONNECT_RATE_PER_IP": 1000,
    "CONNECT_BURST_PER_IP": 1000,
    "MESSAGE_RATE_PER_USER": 1_000_000,
    "MESSAGE_BURST_PER_USER": 1_000_000,
    # Off by default, or too slow to happen during a case.
    "FIRST_MESSAGE_AUTH": "true",
    "AUTH_RECHECK_SECONDS": 5,
    "HEALTH_INTERVAL_SECONDS": 5,
}

CLIENT_ROLE: Final = "fuzzing client"
SERVER_ROLE: Final = "fuzzing server"
ROLES: Final = (CLIENT_ROLE, SERVER_ROLE)
SHOWN_EVERY: Final = 5.0
"""Seconds between two lines of progress."""


class Progress:
    """Prints how many cases have been run."""

    def __init__(self) -> None:
        self._counts = dict.fromkeys(((role, agent) for role in ROLES for agent in AGENTS), 0)
        self._shown = time.monotonic()

    def one(self, role: str, agent: str) -> None:
        """Count a case."""
        self._counts[role, agent] += 1
        if time.monotonic() - self._shown >= SHOWN_EVERY:
            self._shown = time.monotonic()
            print(", ".join(f"{role} {agent}: {count}" for (role, agent), count in self._counts.items()))


@contextlib.asynccontextmanager
async def gateway(studio_url: str) -> AsyncIterator[tuple[str, str]]:
    """Run a gateway before this Studio; yield its WebSocket address and a token."""
    async with FakeAuth() as auth:
        environment = gateway_environment(
            auth_url=auth.url, studio_ws_urls=[studio_url], extra={**FOR_TESTS, **POLICIES}
        )
        target = ProcessTarget(environment)
        await target.start()
        try:
            yield websocket_url(target.url), auth.mint("autobahn", ttl_seconds=24 * 3600)
        finally:
            await target.stop()


async def run_client(wstest: Path, ws: Path, folder: Path, cases: Sequence[str], progress: Progress) -> None:
    """Let the suite's client test an echo server, directly and through the gateway."""
    async with running("node", ws / "echo_server.js") as echo:
        direct = f"ws://127.0.0.1:{await echo.port()}"
        async with gateway(direct) as (url, token):
            for agent, where in ((DIRECT, direct), (GATEWAY, f"{url}?token={token}")):
                spec = folder / f"{agent}.json"
                servers = [{"agent": agent, "url": where}]
                spec.write_text(
                    json.dumps({"outdir": str(folder / agent), "servers": servers, "cases": list(cases)})
                )
                async with running(wstest, "--mode", "fuzzingclient", "--spec", spec) as suite:
                    await suite.finish(partial(progress.one, CLIENT_ROLE, agent), "Running test case")


async def run_server(wstest: Path, ws: Path, folder: Path, cases: Sequence[str], progress: Progress) -> None:
    """Let the suite's server test an echo client, directly and through the gateway."""
    spec = folder / "server.json"
    spec.write_text(
        json.dumps({"url": "ws://127.0.0.1:80", "outdir": str(folder / "both"), "cases": list(cases)})
    )
    server = (wstest.with_name("python"), HERE / "fuzzing_server.py")
    async with running(*server, "--mode", "fuzzingserver", "--spec", spec, "--webport", "0") as suite:
        count = (await suite.line_with("will run")).split()[3]
        port = await suite.port()
        direct = f"ws://127.0.0.1:{port}/runCase"
        following = asyncio.create_task(suite.finish())  # so that it never waits for a reader
        async with gateway(direct) as (url, token):
            for agent, where in ((DIRECT, [direct]), (GATEWAY, [url, token])):
                async with running("node", ws / "echo_client.js", agent, count, *where) as client:
                    await client.finish(partial(progress.one, SERVER_ROLE, agent))
        async with connect(f"ws://127.0.0.1:{port}/updateReports?agent={DIRECT}") as updating:
            await updating.wait_closed()
        following.cancel()


async def run_both(
    wstest: Path, ws: Path, reports: Path, cases: Sequence[str]
) -> dict[str, dict[str, Results]]:
    """Run the cases in both roles at the same time; return the results by role and agent."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)  # or its programs would go on
    progress = Progress()
    folders = {role: reports / role.replace(" ", "-") for role in ROLES}
    for folder in folders.values():
        folder.mkdir(parents=True)
    async with asyncio.TaskGroup() as group:
        group.create_task(run_client(wstest, ws, folders[CLIENT_ROLE], cases, progress))
        group.create_task(run_server(wstest, ws, folders[SERVER_ROLE], cases, progress))
    by_client = {agent: read_results(folders[CLIENT_ROLE] / agent)[agent] for agent in AGENTS}
    return {CLIENT_ROLE: by_client, SERVER_ROLE: read_results(folders[SERVER_ROLE] / "both")}


def missing() -> list[str]:
    """Return what this machine does not have."""
    programs = [name for name in ("node", "npm") if shutil.which(name) is None]
    return programs if find_python2() else [*programs, "Python 2.7"]


def install_ws(folder: Path) -> Path:
    """Install the npm package `ws` beside a copy of the scripts that use it; return their folder."""
    ws = folder / "ws"
    shutil.rmtree(ws, ignore_errors=True)
    shutil.copytree(HERE / "ws", ws)
    subprocess.run(["npm", "ci", "--silent", "--no-audit", "--no-fund"], cwd=ws, check=True, timeout=300)  # noqa: S607
    return ws


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(
        prog="nox -s autobahn --", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--profile", action="store_true", help="the 313 cases of the profile")
    which.add_argument("--all", action="store_true", help="all 517 cases")
    which.add_argument("--missing", action="store_true", help="only print what this machine does not have")
    parser.add_argument("cases", nargs="*", help="cases to run instead, such as 3.* or 7.1.5")
    options = parser.parse_args(arguments)
    absent = missing()
    if options.missing or absent:
        print(", ".join(absent))
        return 0 if options.missing else 2
    python2 = find_python2()
    assert python2 is not None
    folder = FOLDER.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    wstest = install_suite(python2, folder / "python2")
    ws = install_ws(folder)
    reports = folder / "reports"
    shutil.rmtree(reports, ignore_errors=True)
    cases = options.cases or (ALL if options.all else PROFILE if options.profile else SAMPLE)
    started = time.monotonic()
    results: dict[str, dict[str, Results]] = {}
    try:
        results = asyncio.run(run_both(wstest, ws, reports, cases))
    except* ProgramError as group:
        print(*group.exceptions, sep="\n\n", file=sys.stderr)
    if not results:
        return 1
    print(f"\nAutobahn, {time.monotonic() - started:.0f} s; reports in {reports}\n{table(results)}")
    found = []
    for role in ROLES:
        direct, through = (results[role].get(agent, {}) for agent in AGENTS)
        found += [f"{role}, case {line}" for line in differences(direct, through, cases)]
        if not direct:
            found.append(f"{role}: no case was run")
    print("\n".join(found) or "Case by case as without the gateway.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
