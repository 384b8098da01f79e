"""Play a scenario in Locust: add its options, prepare a run, let it happen to the users, and judge it.

A locustfile calls `play` with its scenario. Locust starts and stops the users; everything else is done in its events.
"""

from __future__ import annotations

import contextlib
import logging
import resource
import signal
from argparse import ArgumentParser, Namespace
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any, Final

import gevent
import locust
from gevent import GreenletExit
from gevent.event import Event
from locust.env import Environment
from locust.rpc import Message
from locust.runners import MasterRunner, Runner, WorkerRunner

from loadtests.common.errors import LoadTestError, UsageError
from loadtests.common.machine import describe, raise_open_files
from loadtests.common.supervisor import ROOT
from loadtests.interrupted import EXIT_INTERRUPTED, SIGNALS
from loadtests.runs.sampling import Timeline, each_second
from loadtests.runs.thresholds import Threshold, judged, read_thresholds
from loadtests.scenarios.director import Director
from loadtests.scenarios.options import add_options, check_options, seconds_of, settings
from loadtests.scenarios.results import CONSOLE, EXIT_FAILED, EXIT_USAGE, leave_results, run_folder
from loadtests.scenarios.scenario import Scenario
from loadtests.stack import System, own_stack
from loadtests.users.crowd import REPORT, Crowd
from loadtests.users.tokens import mint, read_tokens, try_first

RESULTS: Final = ROOT / "loadtests" / "results"


def play(scenario: Scenario) -> Scenario:
    """Have Locust play a scenario, and return it; a locustfile ends with this."""
    Play(scenario, locust.events)
    return scenario


class Play:
    """A scenario in Locust's events."""

    _runner: Runner
    _options: Namespace

    def __init__(self, scenario: Scenario, events: Any) -> None:
        self._scenario = scenario
        self._crowd: Crowd | None = None
        self._director: Director | None = None
        self._driver: gevent.Greenlet | None = None
        self._prepared = Event()
        self._interrupted = False
        self._deaf = False  # whether signals are ignored
        events.init_command_line_parser.add_listener(self._add_options)
        events.init.add_listener(self._init)
        events.test_start.add_listener(self._start)
        events.test_stopping.add_listener(self._stopping)
        events.quitting.add_listener(self._quitting)

    def _add_options(self, parser: ArgumentParser) -> None:
        add_options(self._scenario, parser)
        options, _ = parser.parse_known_args()
        users = 0 if options.worker else options.num_users
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # the web page may ask for more users
        try:
            self._checked(options)
            raise_open_files(users + users // 10)  # one user in ten may have a second connection
        except UsageError as error:
            CONSOLE.complain(str(error))
            raise SystemExit(EXIT_USAGE) from None

    def _checked(self, options: Namespace) -> list[Threshold]:
        check_options(self._scenario, options)
        return read_thresholds(Path(options.thresholds), self._scenario.name, self._scenario.metrics)

    def _init(self, environment: Environment, runner: Runner, **_: object) -> None:
        scenario, self._runner = self._scenario, runner
        self._options = options = environment.parsed_options or Namespace()
        runner.register_message(REPORT, self._take_report)
        if isinstance(runner, MasterRunner):
            CONSOLE.say(f"waiting for workers; start them with --worker --master-port {runner.server.port}")
        else:
            self._crowd = Crowd(environment, runner)
        if options.headless and scenario.timed:
            options.seconds, options.run_time = seconds_of(scenario, options), None  # it ends by itself
            # Locust would say "No run time limit set", even if -t is given.
            logging.getLogger("locust.main").addFilter(
                lambda record: "No run time" not in record.getMessage()
            )

    def _take_report(self, msg: Message, **_: object) -> None:
        if self._director is not None:
            self._director.report(msg.node_id, *msg.data)

    def _start(self, environment: Environment, **_: object) -> None:
        if isinstance(self._runner, WorkerRunner):
            if self._crowd is None or not self._crowd.joined:
                CONSOLE.complain(
                    "this worker is too late, because the run has begun: start the master with --expect-workers N"
                )
                gevent.spawn(self._runner.quit)
                raise GreenletExit  # no user is started
            return
        self._end_on_signals()
        self._director = None
        self._prepared.clear()
        self._driver = gevent.spawn(self._play, environment)
        self._prepared.wait()
        if self._director is None:
            raise GreenletExit  # no user is started

    def _play(self, environment: Environment) -> None:
        code = EXIT_FAILED
        try:
            code = self._judge()
        except LoadTestError as error:
            CONSOLE.complain("\n".join([str(error), *getattr(error, "__notes__", [])[:1]]))
            code = EXIT_USAGE if isinstance(error, UsageError) else EXIT_FAILED
        finally:
            environment.process_exit_code = code
            self._prepared.set()
            if not self._interrupted:
                self._deaf = False
                gevent.spawn(self._runner.quit if self._options.headless else self._runner.stop)

    def _judge(self) -> int:
        """Prepare a run, let it happen, judge it and leave its results; return the exit code."""
        scenario, options = self._scenario, self._options
        thresholds = self._checked(options)  # the web page may have changed them
        machine = describe()  # with all its cores, though this process may be pinned to some of them below
        began = datetime.now(UTC)
        with contextlib.ExitStack() as stack:
            folder = None
            if options.out or CONSOLE.follows:
                chosen = Path(options.out or RESULTS / f"{scenario.name}-{began:%Y%m%d-%H%M%S}")
                folder = stack.enter_context(run_folder(chosen, may_exist=bool(options.out)))
            with self._system() as system:
                director = self._prepare(system, began)
                timeline = Timeline(system.gateway_pids)
                stopped = self._run(director, timeline)
                did = settings(options, director.seconds)
                run = scenario.record(
                    director, timeline, settings=did, started=began, machine=machine, stopped=stopped
                )
            self._deaf = True  # everything has ended: what was measured is written whole
            return leave_results(judged(run, thresholds), folder)

    def _system(self) -> contextlib.AbstractContextManager[System]:
        scenario, options = self._scenario, self._options
        if options.gateway:
            there = (options.gateway, options.gateway_pid, options.direct, options.studio_pid)
            return contextlib.nullcontext(System(*there, options.auth_url or ""))
        CONSOLE.say("starting Auth, Studios and the gateway")
        return own_stack(
            options.num_users,
            gateways=scenario.gateways,
            pinned_gateways=options.pin,
            settings=scenario.gateway_settings(options),
        )

    def _prepare(self, system: System, began: datetime) -> Director:
        scenario, runner, options = self._scenario, self._runner, self._options
        scenario.prepare(options)
        workers = len(runner.clients) if isinstance(runner, MasterRunner) else 0
        accounts = scenario.accounts(options)
        if options.token_file:
            tokens = read_tokens(Path(options.token_file))
            if (found := len(tokens.tokens)) < accounts:
                CONSOLE.say(f"note: {found} tokens for {accounts} users: some share one, and its limits")
        else:
            CONSOLE.say("minting tokens")
            # So many are enough, too, if the accounts are not shared out evenly among the workers.
            tokens = mint(system.auth_url, accounts + workers)
        if options.gateway:
            try_first(system, tokens, options.within)
        # The web page's clock is running already.
        spent = 0.0 if options.headless else (datetime.now(UTC) - began).total_seconds()
        seconds = seconds_of(scenario, options, spent=spent)
        self._director = director = Director(runner, options, system, tokens, seconds)
        self._prepared.set()
        return director

    def _run(self, director: Director, timeline: Timeline) -> str:
        """Let the scenario happen; return why it could not go on, or ""."""

        def look() -> None:
            for passed in each_second():
                CONSOLE.tell(self._scenario.name, timeline.look(director.counted(), director.at, passed))

        sampler = gevent.spawn(look)
        try:
            self._scenario.run(director)
        except LoadTestError as error:
            director.event(f"the scenario ends here: {error}")
            director.leave_at_once()
            return str(error)
        finally:
            sampler.kill()
        return ""

    def _stopping(self, **_: object) -> None:
        """Let the scenario come to an early end if somebody stops the test, and wait for its results."""
        if self._driver and self._director and not self._interrupted and not self._director.left:
            self._driver.kill(LoadTestError("it was stopped before its end"))

    def _quitting(self, environment: Environment, **_: object) -> None:
        if not self._driver:  # a greenlet is false once it has ended
            return
        self._interrupted = True
        environment.stop_timeout = 0.0
        self._runner.stop()
        self._driver.kill()  # everything it has started ends with it
        environment.process_exit_code = EXIT_INTERRUPTED
        CONSOLE.complain("interrupted; everything it started has ended, and no results were written")

    def _end_on_signals(self) -> None:
        """End the run at the first SIGINT or SIGTERM, whichever greenlet runs then; later ones must not disturb that."""
        main = gevent.get_hub().parent

        def interrupt(_: int, __: FrameType | None) -> None:
            if not self._deaf:
                self._deaf = self._interrupted = True
                gevent.get_hub().loop.run_callback(main.throw, KeyboardInterrupt)

        for number in SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:  # as for a job in the background
                signal.signal(number, interrupt)
