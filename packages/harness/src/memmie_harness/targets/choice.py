"""Which kind of target a word on the command line means: one table."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from memmie_harness.targets.in_process import InProcessTarget
from memmie_harness.targets.process import ProcessTarget
from memmie_harness.targets.running import UrlTarget

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from memmie_harness.targets.target import Target


PROCESSES: dict[str, Callable[[Mapping[str, str]], Target]] = {
    "process": ProcessTarget,
    "inprocess": InProcessTarget,
}
"""Targets made of the installed gateway, by name: called with its environment."""

CONTAINER = "container"
"""The target made of a gateway's image."""


def is_url(choice: str) -> bool:
    """Whether `choice` is the address of a gateway that someone else runs."""
    return urlsplit(choice).scheme in {"http", "https"}


def check_choice(choice: str) -> str:
    """Return `choice` if it means a target that can be had here.

    Raises:
        ValueError: It does not; the message says what does, or what has to be installed.
    """
    if choice == CONTAINER:
        try:
            import memmie_harness.containers  # noqa: F401, PLC0415 - an extra, which is not always installed
        except ImportError as error:
            raise ValueError(str(error)) from None
    elif choice not in PROCESSES and not (is_url(choice) and urlsplit(choice).hostname):
        raise ValueError(
            f"{choice!r} is no target: give {', '.join((*PROCESSES, CONTAINER))} or a gateway's http://HOST:PORT"
        )
    return choice


def make_target(choice: str, environment: Mapping[str, str], *, image: str | None = None) -> Target:
    """A target of the chosen kind, not yet started.

    Args:
        choice: ``process``, ``inprocess``, ``container``, or the address of a running gateway.
        environment: The settings it is started with (spec §7); a running gateway keeps its own.
        image: The gateway's image for ``container``, by default memmie-gateway.

    Raises:
        ValueError: `choice` means no target.
        TargetError: No Docker engine answers.
    """
    check_choice(choice)
    if choice == CONTAINER:
        from memmie_harness.targets.container import ContainerTarget  # noqa: PLC0415 - an extra, see above

        return ContainerTarget(environment, image=image) if image else ContainerTarget(environment)
    return UrlTarget(choice) if is_url(choice) else PROCESSES[choice](environment)
