"""The gateway under test, as the command line chooses it, and what it offers to one test."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from memmie_harness.client import TokenPlace
from memmie_harness.conformance import template
from memmie_harness.conformance.launch import Surroundings, make_gateway
from memmie_harness.conformance.profile import Profile, Setup
from memmie_harness.stack_request import StackRequest
from memmie_harness.targets.choice import is_url, make_target
from memmie_harness.targets.errors import NotOfferedError
from memmie_harness.targets.ready_when import ReadyWhen
from memmie_harness.targets.running import UrlTarget
from memmie_harness.targets.target import Target
from memmie_harness.wiring import FOR_TESTS, WS_PATH, gateway_environment

COMMAND: Final = "command"
"""The name of the target that runs any program."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The gateway under test of a run.

    Attributes:
        target: `process`, `inprocess`, `container`, an address, or None, which leaves the choice to the tests.
        image: the image for `container`.
        profile: how to start the gateway and what it offers; without it, it is the gateway of this project, or one at
            the address `target`.
        ready: how to notice that the gateway at this address is ready.
    """

    target: str | None = None
    image: str | None = None
    profile: Profile | None = None
    ready: ReadyWhen | None = None

    def for_test(self, requested: StackRequest) -> Chosen:
        """Return the gateway of one test.

        Raises:
            NotOfferedError: the gateway does not offer what the test requests.
        """
        if self.profile is not None:
            return _with_profile(self.profile, requested)
        target = self.target or requested.target
        if is_url(target):
            missing = [*sorted(requested.needs), *_missing(requested, settings=True, studios=True)]
            if missing:
                raise NotOfferedError(f"not offered: {', '.join(missing)}; {_running(target)}")
        return Chosen(target, image=self.image, ready=self.ready, studios=requested.studios)


@dataclass(frozen=True, slots=True)
class Chosen:
    """The gateway of one test.

    Attributes:
        target: what `make_target` takes; of no meaning with a setup.
        studios: how many Studios the test has.
        image: the image for `container`.
        setup: how a profile starts the gateway, and what it offers then.
        ready: how to notice that a gateway at an address is ready.
    """

    target: str
    studios: int
    image: str | None = None
    setup: Setup | None = None
    ready: ReadyWhen | None = None

    @property
    def url(self) -> str | None:
        """The address of a gateway that already runs."""
        if self.setup is not None:
            return self.setup.start.url or None
        return self.target if is_url(self.target) else None

    @property
    def has_fakes(self) -> bool:
        """Whether the gateway uses the Auth and the Studios of the test."""
        if self.setup is None:
            return self.url is None
        start = self.setup.start
        return not start.url or bool(start.auth_port and start.studio_ports)

    @property
    def auth_port(self) -> int:
        """The port of the fake Auth; 0 is any."""
        return self.setup.start.auth_port if self.setup else 0

    @property
    def studio_ports(self) -> Sequence[int]:
        """The ports of the fake Studios; empty is any."""
        return self.setup.start.studio_ports if self.setup else ()

    @property
    def takes_tokens(self) -> bool:
        """Whether clients send a token."""
        return self.setup is None or self.setup.offers_all(["auth"])

    @property
    def token_place(self) -> TokenPlace:
        """Where clients put their token."""
        offers = self.setup.offers if self.setup else {}
        if not self.setup or offers.get("token_header"):
            return TokenPlace()
        if offers.get("token_query"):
            return TokenPlace(query=str(offers["token_query"]))
        return TokenPlace(subprotocol=str(offers.get("token_subprotocol") or ""))

    def require_fakes(self, wanted: str) -> None:
        """Check that the test has an Auth and Studios of its own.

        Args:
            wanted: the fixture for which they are needed.

        Raises:
            NotOfferedError: the gateway already runs with others.
        """
        if not self.has_fakes:
            raise NotOfferedError(f"not offered: {wanted}; {_running(self.url)}")

    def require_start(self, wanted: str) -> None:
        """Check that the test can start gateways.

        Raises:
            NotOfferedError: there is one gateway, which already runs.
        """
        if self.url is not None:
            raise NotOfferedError(f"not offered: {wanted}; {_running(self.url)}")

    def make(
        self, auth_url: str, studio_ws_urls: Sequence[str], settings: Mapping[str, str], folder: Path
    ) -> Target:
        """Return a gateway with an Auth and Studios; it is not yet started.

        Args:
            auth_url: the address of Auth.
            studio_ws_urls: the WebSocket addresses of the Studios.
            settings: environment variables that the test sets.
            folder: an empty folder for the gateway.

        Raises:
            TargetError: it cannot be made; the message says why.
        """
        if self.setup is None:
            environment = gateway_environment(
                auth_url=auth_url, studio_ws_urls=studio_ws_urls, extra={**FOR_TESTS, **settings}
            )
            return make_target(self.target, environment, image=self.image)
        return make_gateway(
            self.setup.start,
            Surroundings(auth_url, studio_ws_urls, folder),
            env=settings,
            ws_path=self._ws_path,
        )

    def running(self) -> UrlTarget:
        """Return the gateway that already runs."""
        if self.setup is None:
            return UrlTarget(self.target, ready=self.ready)
        start = self.setup.start
        return UrlTarget(
            start.url, ready=start.ready, start_seconds=start.start_seconds, ws_path=self._ws_path
        )

    @property
    def _ws_path(self) -> str:
        return str(self.setup.offers.get("path", WS_PATH)) if self.setup else WS_PATH


def _with_profile(profile: Profile, requested: StackRequest) -> Chosen:
    setup = profile.setup_for(requested.needs)
    if setup is None:
        missing = sorted(need for need in requested.needs if not profile.main.offers_all([need]))
        raise NotOfferedError(f"not offered: {', '.join(missing)}; {_says(profile)}")
    fixed = fixed_studios(setup)
    chosen = Chosen(COMMAND, fixed if fixed and requested.any_studios else requested.studios, setup=setup)
    other_studios = (fixed is not None and chosen.studios != fixed) or not chosen.has_fakes
    missing = _missing(requested, settings=chosen.url is not None, studios=other_studios)
    if missing:
        why = _says(profile) if chosen.url is None else _running(chosen.url)
        raise NotOfferedError(f"not offered: {', '.join(missing)}; {why}")
    return chosen


def _says(profile: Profile) -> str:
    """Return why a gateway does not offer something."""
    if profile.name == COMMAND:
        return "no profile says that the gateway of the command offers it; write one for --memmie-profile"
    return f"the profile {profile.name} says so"


def fixed_studios(setup: Setup) -> int | None:
    """Return how many Studios a setup needs, or None if it takes any number."""
    start = setup.start
    if start.studio_ports:
        return len(start.studio_ports)
    texts = [*start.words]
    if start.config is not None:
        texts.append(start.config.read_text(encoding="utf-8"))
    # A gateway that is told single addresses need not look at the list that it has in its environment.
    for names in (_placeholders(texts), _placeholders(start.env.values())):
        if names & {"STUDIO_WS_URLS", "STUDIO_ADDRESSES"}:
            return None
        single = [int(name.rpartition("_")[2]) for name in names if name.startswith("STUDIO_ADDRESS_")]
        if single:
            return max(single)
    return None


def _placeholders(texts: Iterable[str]) -> set[str]:
    return {name for text in texts for name in template.names_in(text)}


def _missing(requested: StackRequest, *, settings: bool, studios: bool) -> list[str]:
    """Return what a test requests by its mark and does not get.

    Args:
        requested: what the test requests.
        settings: whether it does not get its settings.
        studios: whether it does not get its number of Studios.
    """
    missing = [f"{name}={value}" for name, value in requested.env.items()] if settings else []
    if studios and not requested.any_studios:
        missing.append(f"studios={requested.studios}")
    return missing


def _running(url: str | None) -> str:
    return f"the gateway at {url} already runs, with settings of its own"
