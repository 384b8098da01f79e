"""The command line of the load scenarios."""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import resource
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from loadtests.common import errors
from loadtests.common.errors import LoadTestError
from loadtests.common.machine import Cores, describe, pinned, raise_open_files
from loadtests.common.run import Run
from loadtests.common.supervisor import ROOT
from loadtests.interrupted import EXIT_INTERRUPTED
from loadtests.runs.folder import REPORT, FolderError, run_folder, write_folder
from loadtests.runs.table import Progress, could_not_go_on, summary
from loadtests.runs.thresholds import Threshold, ThresholdsError, read_thresholds
from loadtests.scenarios.catalogue import SCENARIOS
from loadtests.scenarios.interrupts import end_on_signals, ignore_signals
from loadtests.scenarios.parser import make_parser
from loadtests.scenarios.running import metrics, run_scenario
from loadtests.scenarios.scenario import Scenario
from loadtests.scenarios.usage import UsageError, check_options, foreign_system
from loadtests.stack.own import own_stack
from loadtests.stack.system import System
from loadtests.users.first import FirstContactError, try_first
from loadtests.users.tokens import Tokens, TokensError, mint, read_tokens

EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2

RESULTS: Final = ROOT / "loadtests" / "results"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = make_parser().parse_args(arguments)
    scenario = SCENARIOS[options.scenario]
    logging.getLogger("locust").setLevel(logging.CRITICAL)  # what fails is counted and told at the end
    end_on_signals()
    progress = Progress(scenario.name)
    try:
        check_options(scenario, options)
        thresholds = _thresholds(scenario, options.thresholds)
        _raise_open_files(options.connections)
        machine = describe()  # with all of its cores: what follows may be pinned to some
        default = RESULTS / f"{scenario.name}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
        with run_folder(options.out, default) as folder:
            with _system(scenario, options, progress) as system:
                tokens = _tokens(scenario, options, system, progress)
                if options.gateway:
                    try_first(system, tokens, options.within)
                run = run_scenario(scenario, options, system, tokens, progress, thresholds)
            ignore_signals()  # all has ended: what was measured is told, and written whole
            run = replace(run, machine=machine)
            unwritten = _write(run, folder)
    except FolderError as error:
        return _complain(f"{error} (--out)", EXIT_USAGE)
    except (UsageError, TokensError, FirstContactError) as error:
        return _complain(str(error), EXIT_USAGE)
    except ThresholdsError as error:
        return _complain(f"{error} (--thresholds)", EXIT_USAGE)
    except LoadTestError as error:
        words = "\n".join([str(error), *getattr(error, "__notes__", [])])
        return _complain(words, EXIT_USAGE if isinstance(error, errors.UsageError) else EXIT_FAILED)
    except KeyboardInterrupt:
        return _complain(
            "interrupted; everything it started has ended, and no results were written", EXIT_INTERRUPTED
        )
    try:
        print(json.dumps(run.as_json()) if options.json else summary(run), flush=True)
    except OSError as error:  # the reader has left, or its disk is full
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            unwritten = unwritten or f"standard output cannot be written: {error}"
    if unwritten:
        _complain(unwritten, EXIT_FAILED)
    else:
        progress.say(f"report: {folder / REPORT}")
    judged = _judged(run)
    return EXIT_FAILED if unwritten else judged


def _write(run: Run, folder: Path) -> str:
    """Write the results; return why that could not be done, or ""."""
    try:
        write_folder(run, folder)
    except OSError as error:
        return f"the results cannot be written: {error} (--out)"
    return ""


def _thresholds(scenario: Scenario, path: Path) -> tuple[Threshold, ...]:
    rules = read_thresholds(path, {name: metrics(each) for name, each in SCENARIOS.items()})
    if not rules.get(scenario.name):
        raise ThresholdsError(
            f"{path} has no rule for {scenario.name}: each begins with [[{scenario.name}]], and without one nothing is judged"
        )
    return rules[scenario.name]


def _judged(run: Run) -> int:
    if run.stopped:
        _complain(could_not_go_on(run), EXIT_FAILED)
    for verdict in run.thresholds:
        if not verdict.passed:
            _complain(
                f"{verdict.name} is {verdict.shown}, and must be {verdict.rule}: {verdict.words}", EXIT_FAILED
            )
    return 0 if run.passed else EXIT_FAILED


@contextlib.contextmanager
def _system(scenario: Scenario, options: argparse.Namespace, progress: Progress) -> Iterator[System]:
    if options.gateway:
        yield foreign_system(options)
        return
    progress.say("starting Auth, Studios and the gateway")
    cores = Cores.share_out() if options.pin else Cores(None, None)
    with own_stack(scenario.plan(options)) as system, pinned(cores.load):
        yield system


def _tokens(scenario: Scenario, options: argparse.Namespace, system: System, progress: Progress) -> Tokens:
    users = scenario.users(options)
    if options.token_file:
        tokens = read_tokens(options.token_file)
        if len(tokens) < users:
            progress.say(f"note: {len(tokens)} tokens for {users} users: some share one, and its limits")
        return tokens
    progress.say(f"minting {users} tokens")
    return mint(system.auth_url, users)


def _raise_open_files(connections: int) -> None:
    """Take what the connections need, the second ones straight to a Studio among them, and keep what is more."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    raise_open_files(connections + connections // 10)


def _complain(words: str, exit_code: int) -> int:
    print(f"load.py: {words}", file=sys.stderr, flush=True)
    return exit_code
