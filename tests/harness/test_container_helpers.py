"""What the container helpers do without an engine; with one they are used by tests/containers."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import pytest
from testcontainers.core.config import ConnectionMode
from testcontainers.core.docker_client import DockerClient

from memmie_harness.containers import ContainerError, FakeAuthContainer, GatewayContainer, StackContainers
from memmie_harness.containers.engine import publishing_options
from memmie_harness.targets import TargetError, make_target

pytest_plugins = ["pytester"]

TEN_TESTS = """
    import pytest

    @pytest.mark.parametrize("number", range(10))
    async def test_something(memmie_gateway, number):
        pass
"""

WITHOUT_THE_EXTRA = """
    import sys

    sys.modules["testcontainers"] = None  # what an import of it finds where it is not installed
"""


@pytest.fixture
def no_engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Point the Docker client at an address where nothing listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{taken.getsockname()[1]}")
        yield


@pytest.mark.usefixtures("no_engine")
@pytest.mark.parametrize("make", [GatewayContainer, FakeAuthContainer, StackContainers])
def test_without_an_engine_each_helper_says_so(make: type) -> None:
    with pytest.raises(ContainerError, match=r"no Docker engine answers \(`docker info`\): .*refused"):
        make()


@pytest.mark.usefixtures("no_engine")
def test_without_an_engine_the_target_says_so() -> None:
    with pytest.raises(TargetError, match="no Docker engine answers"):
        make_target("container", {})


def test_a_stack_refuses_settings_of_its_port() -> None:
    with pytest.raises(ValueError, match="HOST, PORT is set by the stack itself"):
        StackContainers(settings={"PORT": 9000, "HOST": "::1", "LB_STRATEGY": "sticky"})


def test_an_engine_that_does_not_answer_times_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{deaf.getsockname()[1]}")
        monkeypatch.setattr(
            "memmie_harness.containers.service.CLIENT", {"docker_client_kw": {"timeout": 0.2}}
        )
        with pytest.raises(ContainerError, match="no Docker engine answers"):
            GatewayContainer()


@dataclass
class Client:
    """How testcontainers reaches published ports."""

    mode: ConnectionMode
    address: str

    def get_connection_mode(self) -> ConnectionMode:
        return self.mode

    def host(self) -> str:
        return self.address


@pytest.mark.parametrize(
    ("client", "on_loopback"),
    [
        (Client(ConnectionMode.docker_host, "localhost"), True),
        (Client(ConnectionMode.docker_host, "127.0.0.1"), True),
        # An engine on another machine, or this machine's as a container on it sees it.
        (Client(ConnectionMode.docker_host, "engine.example"), False),
        (Client(ConnectionMode.docker_host, "172.17.0.1"), False),
        # From inside a container.
        (Client(ConnectionMode.gateway_ip, "localhost"), False),
        (Client(ConnectionMode.bridge_ip, "localhost"), False),
    ],
)
def test_ports_are_published_on_loopback_if_that_is_reachable(
    client: Client,
    on_loopback: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    options = publishing_options(cast("DockerClient", client))
    assert ("127.0.0.1" in str(options)) == on_loopback
    assert bool(options) == on_loopback


class Written:
    """A container that has written something."""

    def __init__(self, *lines: str) -> None:
        self._text = "".join(f"{line}\n" for line in lines).encode()

    def logs(self, *, tail: int | str) -> bytes:
        assert tail == "all"
        return self._text


def test_a_log_digest_has_the_problems_and_the_last_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    quiet = ['{"level": "info", "number": 1}', '{"level": "debug", "number": 2}']
    grave = [
        '{"level": "warning", "number": 3}',
        "Traceback (most recent call last):",
        "[]",
        '{"level": "error"}',
    ]
    end = ['{"level": "info", "number": 5}', '{"level": "info", "number": 6}']
    container = GatewayContainer.__new__(GatewayContainer)  # its constructor asks the engine
    monkeypatch.setattr(container, "_container", Written(*quiet, *grave, *end), raising=False)
    assert container.log_digest(2).splitlines() == [*grave, *end]


def test_a_stack_without_a_studio_is_refused() -> None:
    with pytest.raises(ValueError, match="a stack needs at least 1 Studio, not 0"):
        StackContainers(studios=0)


def test_without_the_extra_an_import_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in [*sys.modules]:
        if name.startswith("memmie_harness.containers"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "testcontainers", None)
    with pytest.raises(ImportError, match=r"pip install .*'memmie-harness\[containers\]'"):
        import memmie_harness.containers  # noqa: F401, PLC0415 - this is the test


def test_without_the_extra_a_run_is_refused_once(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(TEN_TESTS)
    pytester.makeconftest(WITHOUT_THE_EXTRA)
    result = pytester.runpytest_subprocess("--memmie-target=container", "--asyncio-mode=auto")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    [complaint] = [line for line in result.errlines if line]
    assert complaint.startswith(
        "ERROR: --memmie-target: memmie_harness.containers needs an extra that is not installed"
    )


def test_an_image_goes_with_a_container_only(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_subprocess("--memmie-image=mine")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "ERROR: --memmie-image needs --memmie-target=container" in result.errlines
