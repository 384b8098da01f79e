"""A profile: what a gateway offers, and how it is started."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from memmie_harness.conformance.offers import OfferValue
from memmie_harness.targets.ready_when import ReadyWhen

MAIN = "main"
"""The name of the setup in the profile's own tables `start` and `offers`."""


@dataclass(frozen=True, slots=True)
class Start:
    """How to start a gateway, and how to stop it.

    Attributes:
        url: the address of a gateway that already runs; then the kit starts only its peers, on the ports of this profile.
        auth_port: the port of Auth; 0 takes a free one.
        studio_ports: the ports of the Studios; without them, free ones are taken.
        command: the program and its arguments, split by `shlex`; templates.
        programs: the names of the program; the first that is installed is {PROGRAM}.
        requires: files and folders that must exist, too.
        install: how to install all this; empty if the profile does not say so.
        image: the image to run in a container, unless there is a command.
        image_command: the arguments of the image's entry point; templates. Without any, the image's own command is used.
        env: environment variables; the values are templates.
        config: a file with a template, which is rendered into the file {CONFIG}.
        ready: how to notice that it is ready.
        start_seconds: how long it may take to become ready.
        stop_signal: the signal that stops it in good order.
        stop_seconds: how long it may take to end after this signal before it is killed.
        one_at_a_time: run one test at a time, because no byte that the backend gets says which client sent it.
        patience_seconds: how long the tests wait for something that should come at once.
        folder: the working directory of the command; the folder of the profile.
    """

    command: Sequence[str] = ()
    programs: Sequence[str] = ()
    requires: Sequence[str] = ()
    install: str = ""
    url: str = ""
    auth_port: int = 0
    studio_ports: Sequence[int] = ()
    image: str = ""
    image_command: Sequence[str] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    config: Path | None = None
    ready: ReadyWhen = field(default_factory=lambda: ReadyWhen(port=True))
    start_seconds: float = 30.0
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 10.0
    one_at_a_time: bool = False
    patience_seconds: float = 5.0
    folder: Path = Path()

    @property
    def runs_image(self) -> bool:
        """Whether the gateway runs in a container."""
        return bool(self.image) and not self.command

    @property
    def words(self) -> Sequence[str]:
        """The command that is used: of the program, or of the image."""
        return self.image_command if self.runs_image else self.command


@dataclass(frozen=True, slots=True)
class Setup:
    """One way to run the gateway, with what it offers when it is run in this way.

    A profile has several if a property can only be tested with a configuration of its own, such as pings each second.
    """

    name: str
    start: Start
    offers: Mapping[str, OfferValue]

    @property
    def studios(self) -> int:
        """How many Studios it is run with."""
        return int(self.offers.get("studios", 1))

    def offers_all(self, needs: Iterable[str]) -> bool:
        """Tell whether it offers everything in `needs`."""
        return all(self.offers.get(need, False) is not False for need in needs)

    def text(self, offer: str) -> str:
        """Return the value of an offer that is a text."""
        return str(self.offers[offer])

    def number(self, offer: str) -> float:
        """Return the value of an offer that is a number."""
        return float(self.offers[offer])


@dataclass(frozen=True, slots=True)
class Profile:
    """A gateway under test.

    Attributes:
        name: a short name, which is the column's head in a matrix.
        title: the name of the product.
        version: a command that prints the version; empty if there is none.
        setups: the ways to run it; `main` is first.
        known: the tests that are known to fail, by id, and why.
        known_version: the version of the gateway that this was found out with.
    """

    name: str
    title: str
    setups: Sequence[Setup]
    version: Sequence[str] = ()
    known: Mapping[str, str] = field(default_factory=dict)
    known_version: str = ""

    @property
    def main(self) -> Setup:
        """The setup that most tests use."""
        return self.setups[0]

    def setup_for(self, needs: Iterable[str]) -> Setup | None:
        """Return the first setup that offers everything in `needs`, or None."""
        needs = frozenset(needs)
        return next((setup for setup in self.setups if setup.offers_all(needs)), None)

    def with_patience(self, seconds: float) -> Profile:
        """Return this profile for a machine on which everything takes longer."""
        return self.changed(
            lambda start: replace(
                start, patience_seconds=seconds, start_seconds=max(start.start_seconds, 2 * seconds)
            )
        )

    def with_image(self, image: str) -> Profile:
        """Return this profile for the same gateway in a container of an image."""
        return self.changed(lambda start: replace(start, image=image, command=(), url=""))

    def changed(self, change: Callable[[Start], Start]) -> Profile:
        """Return this profile with a change of how each setup is started."""
        setups = [replace(setup, start=change(setup.start)) for setup in self.setups]
        return replace(self, setups=setups)
