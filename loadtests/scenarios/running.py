"""Running a scenario, and putting together what is left of it."""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from loadtests.common.run import Run, Setting
from loadtests.common.units import shown
from loadtests.runs.recorder import Recorder
from loadtests.runs.sampling import BUSY, LATE, Sampler
from loadtests.runs.table import Progress
from loadtests.runs.thresholds import Threshold, metric_names, metrics_of
from loadtests.scenarios.scenario import Scenario
from loadtests.stack.system import System
from loadtests.users.outcomes import RefusedError
from loadtests.users.swarm import LoadEnvironment, Swarm, SwarmError
from loadtests.users.tokens import Tokens

CLIENT_FIGURES: Final = ("client CPU", "client CPU, busiest second", "client late, at most")
"""What every run tells of the load itself."""

LIMITED: Final = "a limit by address or user: see loadtests/README.md, A gateway that is not ours"
"""What to do where a gateway that is not ours refused most of a crowd with 429."""

GATEWAY: Final = "memmie-gateway"
VERSIONS: Final = ("locust", "gevent", "websockets", GATEWAY)

_NOT_SETTINGS: Final = {
    "scenario", "out", "json", "thresholds", "within", "gateway", "direct", "auth_url", "token_file", "gateway_pid", "studio_pid",
}  # fmt: skip
"""Options that say where, not what."""


def run_scenario(
    scenario: Scenario,
    options: Namespace,
    system: System,
    tokens: Tokens,
    progress: Progress,
    thresholds: Sequence[Threshold],
) -> Run:
    """Run a scenario and judge it."""
    started, began = datetime.now(UTC), time.monotonic()
    recorder = Recorder()
    swarm = Swarm(
        LoadEnvironment(
            list(scenario.user_classes), system=system, tokens=tokens, recorder=recorder, options=options
        )
    )
    sampler = Sampler(recorder, system.gateway_pids, progress.tell)
    stopped = ""
    try:
        scenario.run(swarm, options)
    except SwarmError as error:
        recorder.event(f"the scenario ends here: {error}")
        stopped = "; ".join([str(error), *_advice(recorder, options)])
    finally:
        sampler.stop()
        progress.clear()
        swarm.quit()
    _tell_of_client(recorder, sampler, progress)
    run = Run(
        scenario=scenario.name,
        about=scenario.about,
        started=started.isoformat(timespec="seconds"),
        seconds=round(time.monotonic() - began, 3),
        gateway_url=system.gateways[0],
        direct_url=system.studios[0] if system.studios else None,
        settings=_settings(options),
        versions=_versions(options),
        latencies=recorder.latencies(),
        requests=recorder.requests(),
        failures=recorder.failures(),
        closes=dict(recorder.closes),
        studios=recorder.studios,
        timeline=tuple(sampler.timeline),
        events=recorder.events(),
        figures=recorder.figures(),
        measured=scenario.measured_time(options),
        most_connections=recorder.most_connections,
        stopped=stopped,
    )
    measured = metrics_of(run)
    verdicts = tuple(threshold.judge(measured) for threshold in thresholds)
    if stopped:  # what was to come after is missing for that reason alone
        verdicts = tuple(verdict for verdict in verdicts if verdict.value is not None)
    return replace(
        run, thresholds=verdicts, passed=not stopped and all(verdict.passed for verdict in verdicts)
    )


def metrics(scenario: Scenario) -> tuple[str, ...]:
    """Return the names of everything that thresholds of a scenario may be about."""
    return metric_names(scenario.latencies, (*scenario.figures, *CLIENT_FIGURES))


def _advice(recorder: Recorder, options: Namespace) -> list[str]:
    """Return what can be done where the scenario could not go on; a stack of its own has limits that bind nobody."""
    worst = recorder.failures()[:1]
    return [LIMITED for each in worst if options.gateway and each.reason.startswith(RefusedError.LIMITED)]


def _tell_of_client(recorder: Recorder, sampler: Sampler, progress: Progress) -> None:
    if not sampler.client_cpu:
        return
    busiest = max(sampler.client_cpu)
    share, most, late = CLIENT_FIGURES
    recorder.figure(share, sum(sampler.client_cpu) / len(sampler.client_cpu), "share")
    recorder.figure(most, busiest, "share")
    recorder.figure(late, sampler.late, "s")
    if busiest > BUSY:
        progress.say(
            f"note: the client used {shown(busiest, 'share')} of its core: what it shows is partly its own"
        )
    if sampler.late > LATE:
        words = "something else keeps this machine busy, or the load is too much for it"
        progress.say(f"note: the client was up to {shown(sampler.late, 's')} late: {words}")


def _settings(options: Namespace) -> dict[str, Setting]:
    without = (
        _NOT_SETTINGS | {"pin"} if options.gateway else _NOT_SETTINGS
    )  # nothing was started to be pinned
    chosen = {name: value for name, value in vars(options).items() if name not in without}
    return {name: str(value) if isinstance(value, Path) else value for name, value in chosen.items()}


def _versions(options: Namespace) -> dict[str, str]:
    """Return what took part: ours did not where the gateway is another's."""
    found = {}
    for name in VERSIONS:
        if name == GATEWAY and options.gateway:
            continue
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
