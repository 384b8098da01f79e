"""The options of `memmie conformance`; the kit itself is loaded when it is run."""

from __future__ import annotations

import argparse
import shlex
from typing import Final

CONFORMANCE_DESCRIPTION: Final = """\
Start a gateway with a fake Auth and scripted Studios around it, and test it byte by byte.
What the gateway offers, and how it is started, is in its profile.
A test that needs something else is reported as not offered.
"""
"""What `memmie conformance --help` begins with."""

CONFORMANCE_EPILOG: Final = """\
exit codes: 0    no test failed
            1    a test failed or could not be run; of `compare`: a test got worse
            2    a profile, a report or an option is invalid, a program is not installed, no test has the text of -k,
                 no test ran (the profile lacks what they need), or a report could not be written
            130  a signal stopped the run; everything that was started is stopped

examples:
  memmie conformance --profile memmie
  memmie conformance --profile ./my-gateway.toml --json report.json --junit report.xml
  memmie conformance --profile memmie -k closes/ -k handshake/
  memmie conformance --profile memmie --image memmie-gateway:latest
  memmie conformance --profile memmie --profile ./my-gateway.toml --html matrix.html
  memmie conformance --all --reports reports --html matrix.html
  memmie conformance matrix reports theirs.json --html matrix.html
  memmie conformance compare old.json new.json
"""
"""What `memmie conformance --help` ends with."""

MATRIX_DESCRIPTION: Final = """\
Write a matrix of reports: a row for each group of tests, and a column for each report.
Without --html and --markdown it is printed as Markdown.
"""
"""What `memmie conformance matrix --help` begins with."""

COMPARE_DESCRIPTION: Final = """\
Print which tests got worse and which got better from one run to another.
A run is a report, or a folder with a report of each target.
A test got worse if it passed and no longer does, or if it was not offered and now fails.
"""
"""What `memmie conformance compare --help` begins with."""

COMPARE_EPILOG: Final = """\
exit codes: 0    no test got worse
            1    a test got worse
            2    a report or an option is invalid
"""
"""What `memmie conformance compare --help` ends with."""


def add_conformance(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `memmie conformance` to the commands of `memmie`."""
    kit = commands.add_parser(
        "conformance",
        help="test what stands between WebSocket clients and servers: any gateway or proxy",
        description=CONFORMANCE_DESCRIPTION,
        epilog=CONFORMANCE_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    kit.add_argument(
        "--profile",
        dest="profiles",
        action="append",
        default=[],
        metavar="NAME|FILE",
        help="the gateway: the name of a profile of the kit, or the path of a TOML file; it runs the program that it names; repeat this option for more",
    )
    kit.add_argument(
        "--all",
        dest="installed",
        action="store_true",
        help="run every profile of the kit that has its program installed, one after the other",
    )
    kit.add_argument(
        "--image",
        metavar="IMAGE",
        help="run the gateway in a container of this image, with the profile's image_command, instead of by its command; "
        "this needs the extra `containers` and a Docker engine",
    )
    kit.add_argument(
        "-k",
        dest="parts",
        action="append",
        default=[],
        metavar="TEXT",
        help="run only tests with an id that contains this text; repeat this option for more",
    )
    kit.add_argument("--json", metavar="FILE", help="write the report as JSON; - is standard output")
    kit.add_argument("--junit", metavar="FILE", help="write the report as JUnit XML")
    kit.add_argument(
        "--reports", metavar="FOLDER", help="write the report of each target to FOLDER/NAME.json"
    )
    _add_pages(kit)
    kit.add_argument(
        "--patience",
        type=float,
        metavar="SECONDS",
        help="wait so long for what should come at once, instead of what the profile says; for busy machines",
    )
    kit.add_argument("--list", action="store_true", help="list the tests, and run none")
    kit.add_argument(
        "--profiles", dest="list_profiles", action="store_true", help="list the profiles of the kit"
    )
    kit.set_defaults(run=_conformance, parser=kit)
    of_reports = kit.add_subparsers(title="commands for reports", metavar="COMMAND")

    matrix = of_reports.add_parser(
        "matrix",
        help="write a matrix of several reports",
        description=MATRIX_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
    )
    matrix.add_argument(
        "files", nargs="+", metavar="REPORT", help="a report of --json, or a folder with such reports"
    )
    _add_pages(matrix)
    matrix.set_defaults(run=_matrix)

    compare = of_reports.add_parser(
        "compare",
        help="compare two runs; exit code 1 if a test got worse",
        description=COMPARE_DESCRIPTION,
        epilog=COMPARE_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
    )
    compare.add_argument("old", metavar="OLD", help="the report of the old run, or a folder of reports")
    compare.add_argument("new", metavar="NEW", help="that of the new run")
    compare.add_argument("--json", metavar="FILE", help="write the changes as JSON; - is standard output")
    compare.add_argument(
        "--html", metavar="FILE", help="write the new run's matrix, with the changes, as HTML"
    )
    compare.set_defaults(run=_compare)


def _add_pages(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--html", metavar="FILE", help="write the matrix as one HTML page")
    parser.add_argument("--markdown", metavar="FILE", help="write the matrix as Markdown")


def _conformance(arguments: argparse.Namespace) -> int:
    from memmie_harness.conformance import command  # noqa: PLC0415 - `memmie dev` should not load the kit
    from memmie_harness.conformance.matrix.command import Pages  # noqa: PLC0415

    if arguments.list_profiles:
        return command.list_profiles()
    if arguments.list:
        return command.list_tests(arguments.parts)
    if arguments.installed and arguments.profiles:
        arguments.parser.error("--all and --profile exclude each other")
    if not arguments.installed and not arguments.profiles:
        arguments.parser.error(
            "--profile is missing; `memmie conformance --profiles` lists those of the kit, and --all runs them"
        )
    if arguments.patience is not None and not arguments.patience > 0:
        arguments.parser.error("--patience must be more than 0 seconds")
    return command.run(
        command.Options(
            arguments.profiles,
            arguments.installed,
            arguments.parts,
            json=arguments.json,
            junit=arguments.junit,
            reports=arguments.reports,
            image=arguments.image,
            pages=Pages(arguments.html, arguments.markdown, _command(arguments)),
            patience=arguments.patience,
        )
    )


def _matrix(arguments: argparse.Namespace) -> int:
    from memmie_harness.conformance.matrix import command  # noqa: PLC0415 - `memmie dev` should not load the kit

    pages = command.Pages(arguments.html, arguments.markdown, _command(arguments))
    return command.run_matrix(arguments.files, pages)


def _compare(arguments: argparse.Namespace) -> int:
    from memmie_harness.conformance.matrix import command  # noqa: PLC0415 - `memmie dev` should not load the kit

    return command.run_compare(
        arguments.old,
        arguments.new,
        json=arguments.json,
        html=arguments.html,
        command=_command(arguments),
    )


def _command(arguments: argparse.Namespace) -> str:
    """Return the command that is run, as one would type it."""
    return shlex.join(["memmie", *arguments.words])
