"""Play a scenario in Locust: add its options, prepare a run, let it happen to the users, and judge it.

A locustfile calls `play` with its scenario. Locust starts and stops the users; everything else is done in its events.
"""

from __future__ import annotations

import resource
import signal
import time
from argparse import ArgumentParser, Namespace
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any, Final

import gevent
import locust
from gevent import GreenletExit
from locust.env import Environment
from locust.rpc import Message
from locust.runners import MasterRunner, Runner, WorkerRunner

from loadtests.common.errors import LoadTestError, UsageError
from loadtests.common.machine import describe, raise_open_files
from loadtests.common.run import Run
from loadtests.common.supervisor import ROOT
from loadtests.interrupted import EXIT_INTERRUPTED, SIGNALS
from loadtests.runs.recorder import MOST_CONNECTIONS
from loadtests.runs.sampling import Timeline, each_second
from loadtests.runs.thresholds import Threshold, judged, read_thresholds
from loadtests.scenarios.console import CONSOLE
from loadtests.scenarios.director import Director
from loadtests.scenarios.folder import run_folder
from loadtests.scenarios.judging import (
    EXIT_FAILED,
    EXIT_USAGE,
    client_figures,
    leave_results,
    metrics,
    settings,
    versions,
)
from loadtests.scenarios.options import add_options, check_options, foreign_system, seconds_of
from loadtests.scenarios.scenario import Scenario
from loadtests.stack.own import own_stack
from loadtests.stack.system import System
from loadtests.users.crowd import REPORT, Crowd
from loadtests.users.first import try_first
from loadtests.users.outcomes import RefusedError
from loadtests.users.tokens import Tokens, mint, read_tokens

RESULTS: Final = ROOT / "loadtests" / "results"

LIMITED: Final = "a limit by address or user: see loadtests/README.md, A gateway that is not ours"
"""What to do if a gateway that is not ours refused most of a crowd with 429."""


def play(scenario: Scenario) -> None:
    """Have Locust play a scenario; a locustfile ends with this."""
    Play(scenario, locust.events)


@dataclass(slots=True)
class _Session:
    """What a run has from its preparation to its end."""

    director: Director
    thresholds: list[Threshold]
    folder: Path | None
    machine: dict[str, str | int]
    started: datetime
    system: ExitStack
    cleanup: ExitStack


class Play:
    """A scenario in Locust.

    Args:
        scenario: the scenario.
        events: Locust's.
    """

    def __init__(self, scenario: Scenario, events: Any) -> None:
        self._scenario = scenario
        self._session: _Session | None = None
        self._director: Director | None = None
        self._driver: gevent.Greenlet | None = None
        self._playing = False
        self._interrupted = False
        self._handlers: dict[int, Any] = {}
        self._crowd: Crowd | None = None
        events.init_command_line_parser.add_listener(self._add_options)
        events.init.add_listener(self._init)
        events.test_start.add_listener(self._start)
        events.test_stopping.add_listener(self._stopping)
        events.quitting.add_listener(self._quitting)

    def _add_options(self, parser: ArgumentParser) -> None:
        add_options(self._scenario, parser)
        options, _ = parser.parse_known_args()
        try:
            check_options(self._scenario, options)
            read_thresholds(Path(options.thresholds), self._scenario.name, metrics(self._scenario))
            _raise_open_files(0 if options.worker else options.num_users)
        except UsageError as error:
            CONSOLE.complain(str(error))
            raise SystemExit(EXIT_USAGE) from None

    def _init(self, environment: Environment, runner: Runner, **_: object) -> None:
        options = _options(environment)
        runner.register_message(REPORT, self._take_report)
        if isinstance(runner, MasterRunner):
            CONSOLE.say(f"waiting for workers: --worker --master-port {runner.server.port}")
        else:
            scenario = self._scenario
            self._crowd = Crowd(
                environment,
                runner,
                totals=scenario.totals,
                most=scenario.most,
                measures_ramp=not scenario.timed,
            )
        if options.headless and self._scenario.timed:
            options.seconds, options.run_time = seconds_of(self._scenario, options), None  # it ends by itself

    def _take_report(self, msg: Message, **_: object) -> None:
        if self._director is not None:
            self._director.report(msg.node_id, *msg.data)

    def _start(self, environment: Environment, **_: object) -> None:
        if isinstance(environment.runner, WorkerRunner):
            if self._crowd is None or not self._crowd.joined:
                CONSOLE.complain(
                    "this worker came when the run had begun: start the master with --expect-workers N"
                )
                gevent.spawn(environment.runner.quit)
                raise GreenletExit  # no user is started
            return
        self._playing = True
        self._end_on_signals()
        try:
            self._session = session = self._prepare(environment)
        except LoadTestError as error:
            self._playing = False
            CONSOLE.complain("\n".join([str(error), *getattr(error, "__notes__", [])[:1]]))
            environment.process_exit_code = EXIT_USAGE if isinstance(error, UsageError) else EXIT_FAILED
            gevent.spawn(_end_test, environment)
            raise GreenletExit from None  # no user is started
        self._driver = gevent.spawn(self._drive, environment, session)

    def _prepare(self, environment: Environment) -> _Session:
        scenario, options, began = self._scenario, _options(environment), time.monotonic()
        check_options(scenario, options)  # the web page may have changed them
        thresholds = read_thresholds(Path(options.thresholds), scenario.name, metrics(scenario))
        machine = describe()  # with all its cores, though this process may be pinned to some of them below
        started, folder = datetime.now(UTC), None
        with ExitStack() as stack:
            running = ExitStack()
            if options.out or CONSOLE.follows:
                default = RESULTS / f"{scenario.name}-{started:%Y%m%d-%H%M%S}"
                folder = stack.enter_context(run_folder(Path(options.out) if options.out else None, default))
            stack.enter_context(running)
            if options.gateway:
                system = foreign_system(options)
            else:
                CONSOLE.say("starting Auth, Studios and the gateway")
                system = running.enter_context(own_stack(scenario.plan(options)))
            scenario.prepare(options)
            runner = environment.runner
            assert runner is not None  # noqa: S101 - Locust has one before a test starts
            workers = len(runner.clients) if isinstance(runner, MasterRunner) else 0
            tokens = _tokens(scenario.accounts(options), workers, system, options)
            if options.gateway:
                try_first(system, tokens, options.within)
            spent = 0.0 if options.headless else time.monotonic() - began  # the web page's clock is running
            seconds = seconds_of(scenario, options, spent=spent)
            self._director = director = Director(runner, options, system, tokens, seconds)
            return _Session(director, thresholds, folder, machine, started, running, stack.pop_all())

    def _drive(self, environment: Environment, session: _Session) -> None:
        environment.process_exit_code = EXIT_FAILED  # unless the end is reached
        try:
            run = self._run(session)
            session.system.close()
            _ignore_signals()  # everything has ended: what was measured is written whole
            self._playing = False
            environment.process_exit_code = leave_results(run, session.folder)
        finally:
            session.cleanup.close()
            for number, handler in self._handlers.items():
                signal.signal(number, handler)
            if not self._interrupted:
                gevent.spawn(_end_test, environment)

    def _run(self, session: _Session) -> Run:
        scenario, director = self._scenario, session.director
        timeline = Timeline(director.system.gateway_pids)

        def look(passed: float) -> None:
            CONSOLE.tell(scenario.name, timeline.look(director.counted(), director.at, passed))

        sampler = gevent.spawn(each_second, look)
        stopped = ""
        try:
            scenario.run(director)
        except LoadTestError as error:
            director.event(f"the scenario ends here: {error}")
            stopped = "; ".join([str(error), *_advice(director)])
            director.leave_at_once()
        finally:
            sampler.kill()
            CONSOLE.clear()
        counted, options = director.counted(), director.options
        run = Run(
            scenario=scenario.name,
            about=scenario.about,
            started=session.started.isoformat(timespec="seconds"),
            seconds=round(director.at, 3),
            gateway_url=director.system.gateways[0],
            direct_url=director.system.studios[0] if director.system.studios else None,
            settings=settings(scenario, options, director.seconds),
            machine=session.machine,
            versions=versions(options),
            latencies=counted.latencies(),
            requests=counted.requests(),
            failures=counted.failures(),
            closes=dict(counted.closes),
            studios=director.studios,
            timeline=tuple(timeline.seconds),
            events=tuple(director.events),
            figures=(*director.figures.values(), *client_figures(counted)),
            measured=scenario.measured_time(director.seconds),
            most_connections=int(counted.totals[MOST_CONNECTIONS]),
            stopped=stopped,
        )
        return judged(run, session.thresholds)

    def _stopping(self, **_: object) -> None:
        """Let the scenario come to an early end if somebody stops the test, and wait for its results."""
        driver, session = self._driver, self._session
        if self._playing and not self._interrupted and session and driver and not session.director.left:
            driver.kill(LoadTestError("it was stopped before its end"))

    def _quitting(self, environment: Environment, **_: object) -> None:
        if not self._playing:
            return
        self._interrupted = True
        if self._driver is not None:
            self._driver.kill()
        environment.stop_timeout = 0.0
        if environment.runner is not None:
            environment.runner.stop()  # with it ends what was being prepared
        if self._session is not None:
            self._session.cleanup.close()
        environment.process_exit_code = EXIT_INTERRUPTED
        CONSOLE.complain("interrupted; everything it started has ended, and no results were written")

    def _end_on_signals(self) -> None:
        """End the run at the first SIGINT or SIGTERM, whichever greenlet runs then; later ones must not disturb that."""
        main = gevent.get_hub().parent
        self._handlers = {number: signal.getsignal(number) for number in SIGNALS}

        def interrupt(_: int, __: FrameType | None) -> None:
            _ignore_signals()
            self._interrupted = True
            gevent.get_hub().loop.run_callback(main.throw, KeyboardInterrupt)

        for number, handler in self._handlers.items():
            if handler is not signal.SIG_IGN:  # as for a job in the background
                signal.signal(number, interrupt)


def _ignore_signals() -> None:
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _end_test(environment: Environment) -> None:
    if environment.runner is not None:
        end = environment.runner.quit if _options(environment).headless else environment.runner.stop
        end()


def _options(environment: Environment) -> Namespace:
    options: Namespace | None = environment.parsed_options
    assert options is not None  # noqa: S101 - Locust has parsed them before its first event
    return options


def _raise_open_files(connections: int) -> None:
    """Take what the connections need, the second ones straight to a Studio included, and keep what is more."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    raise_open_files(connections + connections // 10)


def _tokens(accounts: int, workers: int, system: System, options: Namespace) -> Tokens:
    needed = accounts + workers  # so that there are enough if the accounts are not shared out evenly
    if not options.token_file:
        CONSOLE.say(f"minting {needed} tokens")
        return mint(system.auth_url, needed)
    tokens = read_tokens(Path(options.token_file))
    if len(tokens.tokens) < accounts:
        CONSOLE.say(f"note: {len(tokens.tokens)} tokens for {accounts} users: some share one, and its limits")
    return tokens


def _advice(director: Director) -> list[str]:
    """Return what can be done if the scenario could not go on; a stack of its own has limits that bind nobody."""
    worst = director.counted().failures()[:1]
    limited = any(each.reason.startswith(RefusedError.LIMITED) for each in worst)
    return [LIMITED] if director.options.gateway and limited else []
