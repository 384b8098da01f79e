"""The options of the pytest plugin about the gateway under test, checked and put together."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from memmie_harness.chosen import COMMAND, Choice, fixed_studios
from memmie_harness.conformance.offers import OfferValue
from memmie_harness.conformance.profile import MAIN, Profile, Setup, Start
from memmie_harness.conformance.profile_file import ProfileError, check_placeholders, load_profile
from memmie_harness.targets.choice import CONTAINER, check_choice, is_url
from memmie_harness.targets.ready_when import ReadyWhen
from memmie_harness.wiring import LOOPBACK

SETTINGS: Final[Mapping[str, str]] = {
    "HOST": LOOPBACK,
    "PORT": "{PORT}",
    "AUTH_URL": "{AUTH_URL}",
    "STUDIO_WS_URLS": "{STUDIO_WS_URLS}",
}
"""What a program of the command line has in its environment, so that it need not take all of this as arguments."""


OFFERED: Final[Mapping[str, OfferValue]] = {"auth": True, "token_header": True}
"""What a gateway offers about which only its command is known."""


@dataclass(frozen=True, slots=True)
class Options:
    """The options of the command line about the gateway under test.

    Attributes:
        target: what `--memmie-target` says.
        image, profile, command, config_template: what the options of these names say.
        ready: what each `--memmie-ready` says.
        folder: the folder to which paths in a command and in `config_template` are relative.
    """

    target: str | None = None
    image: str | None = None
    profile: str | None = None
    command: str | None = None
    config_template: str | None = None
    ready: Sequence[str] = ()
    folder: Path = Path()


def choose(options: Options) -> Choice:
    """Return the gateway that the command line chooses.

    Raises:
        ValueError: the options do not fit each other, or a value is invalid; the message begins with the option.
    """
    _check_combination(options)
    ready = _ready(options.ready)
    target = options.target
    if target is not None:
        try:
            check_choice(target, others=[COMMAND])
        except ValueError as error:
            raise ValueError(f"--memmie-target: {error}") from None
    profile = _profile(options, ready)
    if profile is None or target is None:
        return Choice(target, options.image, profile, ready)
    if target == CONTAINER:
        image = options.image or profile.main.start.image
        if not image:
            raise ValueError(
                "--memmie-target=container: the profile names no image; add --memmie-image=IMAGE"
            )
        profile = profile.with_image(image)
    elif is_url(target):
        profile = profile.changed(lambda start: replace(start, url=target, command=(), image=""))
    elif not profile.main.start.command:
        raise ValueError("--memmie-target=command: the profile has no command; add --memmie-command=…")
    return Choice(target, options.image, profile, ready)


def _check_combination(options: Options) -> None:
    target = options.target
    running = target is not None and is_url(target)
    if options.image and target != CONTAINER:
        raise ValueError("--memmie-image needs --memmie-target=container")
    for name, given, allowed, fits in (
        ("--memmie-command", options.command, "command or container", target in {COMMAND, CONTAINER}),
        (
            "--memmie-config-template",
            options.config_template,
            "command or container",
            target in {COMMAND, CONTAINER},
        ),
        (
            "--memmie-ready",
            options.ready,
            "command, container or a URL",
            target in {COMMAND, CONTAINER} or running,
        ),
    ):
        if given and not fits:
            raise ValueError(f"{name} needs --memmie-target={allowed}")
    if options.profile and target in {"process", "inprocess"}:
        raise ValueError(
            f"--memmie-profile says how the gateway is started, so --memmie-target={target} does not fit"
        )
    if target == COMMAND and not (options.command or options.profile):
        raise ValueError("--memmie-target=command needs --memmie-command or --memmie-profile")


def _profile(options: Options, ready: ReadyWhen | None) -> Profile | None:
    """Return the profile that the options name or describe."""
    described = options.command or options.config_template or (options.ready and options.target == CONTAINER)
    if options.profile:
        try:
            profile = load_profile(options.profile)
        except ProfileError as error:
            raise ValueError(f"--memmie-profile: {error}") from None
    elif described:
        if options.target == CONTAINER and not options.image:
            raise ValueError(
                "--memmie-command, --memmie-config-template and --memmie-ready describe an image; add --memmie-image=IMAGE"
            )
        profile = Profile(COMMAND, COMMAND, [Setup(MAIN, Start(env=SETTINGS), OFFERED)])
    else:
        return None
    words = _words(options.command)
    config = _template(options)

    def change(start: Start) -> Start:
        if words and options.target == CONTAINER:
            start = replace(start, image_command=words)
        elif words:
            start = replace(start, command=words, url="", folder=options.folder)
        if config is not None:
            start = replace(start, config=config)
        return replace(start, ready=ready) if ready is not None else start

    profile = profile.changed(change)
    return replace(profile, setups=[_checked(setup) for setup in profile.setups])


def _checked(setup: Setup) -> Setup:
    """Return a setup with at least as many Studios as its templates name."""
    studios = fixed_studios(setup)
    if studios is not None and studios > setup.studios:
        setup = replace(setup, offers={**setup.offers, "studios": studios})
    if setup.start.config is None and "{CONFIG}" in setup.start.words:
        raise ValueError("--memmie-command: {CONFIG} needs --memmie-config-template")

    def error(field: str, problem: str) -> ValueError:
        return ValueError(f"{_OPTIONS.get(field, '--memmie-config-template')}: {problem}")

    check_placeholders(setup, error)
    return setup


_OPTIONS: Final = {"start.command": "--memmie-command", "start.image_command": "--memmie-command"}


def _words(command: str | None) -> Sequence[str]:
    if command is None:
        return ()
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise ValueError(
            f"--memmie-command: it cannot be split into words ({error}); check its quotes"
        ) from None
    if not words:
        raise ValueError("--memmie-command: it is empty")
    return words


def _template(options: Options) -> Path | None:
    if options.config_template is None:
        return None
    path = options.folder / options.config_template
    if not path.is_file():
        raise ValueError(f"--memmie-config-template: there is no file {path}")
    try:
        path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"--memmie-config-template: {path} is not a text in UTF-8: {error}") from None
    return path


def _ready(conditions: Sequence[str]) -> ReadyWhen | None:
    """Return what `port`, `/PATH` and `log=REGEX` say."""
    if not conditions:
        return None
    ready = ReadyWhen()
    for condition in conditions:
        if condition == "port":
            ready = replace(ready, port=True)
        elif condition.startswith("/"):
            ready = replace(ready, path=condition)
        elif condition.startswith("log="):
            try:
                ready = replace(ready, log=re.compile(condition.removeprefix("log=")))
            except re.error as error:
                raise ValueError(
                    f"--memmie-ready: not a regular expression ({error}): {condition!r}"
                ) from None
        else:
            raise ValueError(
                f"--memmie-ready: {condition!r} is not `port`, a path such as /ready, or log=REGEX"
            )
    return ready
