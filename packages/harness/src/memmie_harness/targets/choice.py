"""Which kind of target a word on the command line means: one table."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from memmie_harness.targets.in_process import InProcessTarget
from memmie_harness.targets.process import ProcessTarget
from memmie_harness.targets.running import UrlTarget
from memmie_harness.targets.target import TargetError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from memmie_harness.targets.target import Target


def _container(environment: Mapping[str, str]) -> Target:
    try:
        from memmie_harness.targets.container import ContainerTarget  # noqa: PLC0415 - an extra, see below
    except ImportError as error:
        raise TargetError(
            f"the container target needs more than is installed ({error}): pip install memmie-harness[containers]"
        ) from None
    return ContainerTarget(environment)


KINDS: dict[str, Callable[[Mapping[str, str]], Target]] = {
    "process": ProcessTarget,
    "inprocess": InProcessTarget,
    "container": _container,
}
"""Targets that the harness starts itself, by name: called with the gateway's environment."""


def is_url(choice: str) -> bool:
    """Whether `choice` is the address of a gateway that someone else runs."""
    return urlsplit(choice).scheme in {"http", "https"}


def check_choice(choice: str) -> str:
    """Return `choice` if it means a target.

    Raises:
        ValueError: It does not; the message says what does.
    """
    if choice in KINDS or (is_url(choice) and urlsplit(choice).hostname):
        return choice
    raise ValueError(f"{choice!r} is no target: give {', '.join(KINDS)} or a gateway's http://HOST:PORT")


def make_target(choice: str, environment: Mapping[str, str]) -> Target:
    """A target of the chosen kind, not yet started.

    Args:
        choice: A name in `KINDS`, or the address of a running gateway.
        environment: The settings it is started with (spec §7); a running gateway keeps its own.

    Raises:
        ValueError: `choice` means no target.
    """
    check_choice(choice)
    return UrlTarget(choice) if is_url(choice) else KINDS[choice](environment)
