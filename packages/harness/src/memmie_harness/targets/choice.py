"""Choosing the kind of target by its name on the command line."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

from memmie_harness.targets.in_process import InProcessTarget
from memmie_harness.targets.process import ProcessTarget
from memmie_harness.targets.running import UrlTarget
from memmie_harness.targets.target import Target

PROCESSES: Final[dict[str, Callable[[Mapping[str, str]], Target]]] = {
    "process": ProcessTarget,
    "inprocess": InProcessTarget,
}
"""The targets that run the installed gateway, by name; each is called with the gateway's environment."""

CONTAINER: Final = "container"
"""The name of the target that runs a gateway's image."""


def is_url(choice: str) -> bool:
    """Tell whether `choice` is the address of a gateway that already runs."""
    return choice.partition(":")[0].lower() in {"http", "https", "ws", "wss"}


def _has_address(url: str) -> bool:
    """Tell whether a client can connect to this address."""
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:  # such as a port above 65535
        return False


def check_choice(choice: str, *, others: Sequence[str] = ()) -> str:
    """Return `choice` if such a target can be made.

    Args:
        choice: the name of a target, or an address.
        others: more names that are allowed.

    Raises:
        ValueError: it cannot; the message says what is allowed, or what must be installed.
    """
    if choice == CONTAINER:
        try:
            import memmie_harness.containers  # noqa: F401, PLC0415 - an extra, which may not be installed
        except ImportError as error:
            raise ValueError(str(error)) from None
    elif choice not in {*PROCESSES, *others} and not (is_url(choice) and _has_address(choice)):
        raise ValueError(
            f"{choice!r} is not a target. Choose {', '.join((*PROCESSES, *others, CONTAINER))} or the URL of a gateway "
            "(http://HOST:PORT or ws://HOST:PORT/PATH)"
        )
    return choice


def make_target(choice: str, environment: Mapping[str, str], *, image: str | None = None) -> Target:
    """Return a target of the chosen kind, not yet started.

    Args:
        choice: `process`, `inprocess`, `container`, or the address of a running gateway.
        environment: the gateway's settings (spec §7); a running gateway keeps its own.
        image: the gateway's image for `container`, by default memmie-gateway.

    Raises:
        ValueError: `choice` is not a target.
        TargetError: no Docker engine answers.
    """
    check_choice(choice)
    if choice == CONTAINER:
        from memmie_harness.targets.container import ContainerTarget  # noqa: PLC0415 - needs the extra

        return ContainerTarget(environment, image=image) if image else ContainerTarget(environment)
    return UrlTarget(choice) if is_url(choice) else PROCESSES[choice](environment)
