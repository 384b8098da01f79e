"""The options of the pytest plugin. What they need is imported only if one of them is used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from memmie_harness.chosen import Choice

CHOICES: Final = ("target", "image", "profile", "command", "config_template", "ready")
"""The options about the gateway under test, without `--memmie-`."""

_choice_key = pytest.StashKey["Choice"]()


def add_options(parser: pytest.Parser) -> None:
    """Add the options, as a group in `pytest --help`."""
    group = parser.getgroup("memmie", "gateway under test (memmie-harness)")
    group.addoption(
        "--memmie-target",
        metavar="process|inprocess|command|container|URL",
        help="the gateway under test. `process`: each test starts the installed gateway as a process; this is the default, "
        "unless the test's mark `memmie(target='inprocess')` says otherwise. "
        "`inprocess`: the gateway runs inside pytest's process, for a debugger. "
        "`command`: each test starts any other gateway by --memmie-command or --memmie-profile. "
        "`container`: each test starts the image memmie-gateway, or any image by --memmie-image with --memmie-command or "
        "--memmie-profile; this needs the extra `containers` and a Docker engine. "
        "URL: the tests use a gateway that already runs; tests that need their own stack are skipped.",
    )
    group.addoption(
        "--memmie-command",
        metavar="COMMAND",
        help="with --memmie-target=command: the program and its arguments, split as in a shell, but no shell runs it; for "
        "example './gw --auth {AUTH_URL} --backends {STUDIO_WS_URLS} --port {PORT}'. With --memmie-target=container: the "
        "arguments of the image. docs/conformance.md lists the placeholders; {{ stands for a brace",
    )
    group.addoption(
        "--memmie-config-template",
        metavar="FILE",
        help="a template of the gateway's configuration file; {CONFIG} in the command is the path of the rendered file",
    )
    group.addoption(
        "--memmie-ready",
        action="append",
        default=[],
        metavar="port|/PATH|log=REGEX",
        help="how to notice that the gateway of a command, of an image or at a URL is ready: its port accepts connections "
        "(the default), GET of a path is answered with 2xx, a line of its output matches. Repeat this option if several "
        "must be true. A group (?P<port>[0-9]+) in REGEX is the port that the gateway chose itself",
    )
    group.addoption(
        "--memmie-image",
        metavar="IMAGE",
        help="with --memmie-target=container: the image of the gateway (default: memmie-gateway:latest)",
    )
    group.addoption(
        "--memmie-profile",
        metavar="NAME|FILE",
        help="a profile of the conformance kit: how any gateway is started, and what it offers; it runs the program that it "
        "names. Tests with a mark memmie(needs=[…]) are skipped if it does not offer this. See docs/conformance.md",
    )
    group.addoption(
        "--memmie-auth-url",
        metavar="URL",
        help="with --memmie-target=URL: the address of the fake Auth of this gateway. The fake Auth makes the tokens for the "
        "tests. `memmie dev` prints both addresses.",
    )


def check(config: pytest.Config) -> None:
    """End the run if an option is invalid."""
    if any(config.getoption(f"memmie_{name}") for name in CHOICES):
        choice_of(config)


def choice_of(config: pytest.Config) -> Choice:
    """Return the gateway under test that the command line chooses; invalid options end the run."""
    if _choice_key not in config.stash:
        from memmie_harness.choosing import Options, choose  # noqa: PLC0415 - see above

        given = {name: config.getoption(f"memmie_{name}") for name in CHOICES}
        try:
            config.stash[_choice_key] = choose(Options(**given, folder=config.invocation_params.dir))
        except ValueError as error:
            raise pytest.UsageError(str(error)) from None
    return config.stash[_choice_key]
