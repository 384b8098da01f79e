"""The pytest plugin: fixtures for an Auth, Studios, a gateway and clients.

pytest imports it in every run. To keep runs fast that do not use it, each fixture imports what it needs.
"""
# ruff: noqa: PLC0415 - imports inside the fixtures, see above

from __future__ import annotations

import functools
import signal
import threading
from typing import TYPE_CHECKING, Final

import pytest
import pytest_asyncio

from memmie_harness import stack_request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Generator
    from contextlib import AbstractAsyncContextManager

    from memmie_fake_auth import FakeAuth
    from memmie_fake_studio import FakeStudio
    from memmie_harness.fixture_types import Connect, ConnectSocketIo, MintToken, StartGateway
    from memmie_harness.stack import Stack
    from memmie_harness.targets import Target

TAIL_LINES: Final = 60
"""How many lines of a gateway's log the report of a failed test shows."""

NO_OWN_STACK: Final = "this test needs its own stack, but --memmie-target is a gateway that already runs"
"""Why a test is skipped that uses the fakes or starts gateways."""

_targets_key = pytest.StashKey["list[Target]"]()
_failed_key = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options, as a group in `pytest --help`."""
    group = parser.getgroup("memmie", "gateway under test (memmie-harness)")
    group.addoption(
        "--memmie-target",
        metavar="process|inprocess|container|URL",
        help="the gateway under test. `process`: each test starts the installed gateway as a process; this is the default, "
        "unless the test's mark `memmie(target='inprocess')` says otherwise. "
        "`inprocess`: the gateway runs inside pytest's process, for a debugger. "
        "`container`: each test starts the image memmie-gateway; this needs the extra `containers` and a Docker engine. "
        "URL: the tests use a gateway that already runs; tests that need their own stack are skipped.",
    )
    group.addoption(
        "--memmie-image",
        metavar="IMAGE",
        help="with --memmie-target=container: the image of the gateway (default: memmie-gateway:latest)",
    )
    group.addoption(
        "--memmie-auth-url",
        metavar="URL",
        help="with --memmie-target=URL: the address of the fake Auth of this gateway. The fake Auth makes the tokens for the "
        "tests. `memmie dev` prints both addresses.",
    )
    group.addoption(
        "--memmie-profile",
        metavar="NAME|FILE",
        help="the gateway of `pytest --pyargs memmie_harness.conformance`; see `memmie conformance`",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the mark, refuse invalid options, and let SIGTERM interrupt the run as Ctrl-C does."""
    config.addinivalue_line("markers", stack_request.HELP)
    _interrupt_on_sigterm(config)
    choice = config.getoption("memmie_target")
    if choice is not None:
        from memmie_harness.targets.choice import check_choice

        try:
            check_choice(choice)
        except ValueError as error:
            raise pytest.UsageError(f"--memmie-target: {error}") from None
    if config.getoption("memmie_image") and choice != "container":
        raise pytest.UsageError("--memmie-image needs --memmie-target=container")


def _interrupt_on_sigterm(config: pytest.Config) -> None:
    """Let SIGTERM, by which a CI job is cancelled, run the teardowns; gateways and containers would outlive the run.

    A handler that is already installed is left alone.
    """
    if (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    ):

        def interrupt(*_: object) -> None:
            # A second SIGTERM would interrupt the teardowns.
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            raise KeyboardInterrupt

        signal.signal(signal.SIGTERM, interrupt)

        def restore() -> None:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)

        config.add_cleanup(restore)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the last lines of each gateway's log to the report of a failed test.

    They are added to the teardown's part of the report, when the gateway's last line was read.
    """
    report = yield
    item.stash[_failed_key] = item.stash.get(_failed_key, False) or report.failed
    if report.when == "teardown" and item.stash[_failed_key]:
        for target in _targets_of(item):
            tail = target.log_tail(TAIL_LINES)
            if tail:
                report.sections.append((f"memmie gateway log, teardown included: {target!r}", tail))
    return report


def _targets_of(item: pytest.Item) -> list[Target]:
    """Return the gateways that a test had: its own ones, and those of the shared stacks that it uses."""
    sharers = {"memmie_module_stack": item.getparent(pytest.Module), "memmie_session_stack": item.session}
    used = [node for name, node in sharers.items() if node is not None and name in _fixture_names(item)]
    return [target for node in (item, *used) for target in node.stash.get(_targets_key, [])]


def _fixture_names(item: pytest.Item) -> list[str]:
    return item.fixturenames if isinstance(item, pytest.Function) else []


@pytest.fixture
def _memmie_request(request: pytest.FixtureRequest) -> stack_request.StackRequest:
    try:
        return stack_request.read_marks(request.node.iter_markers("memmie"))
    except ValueError as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture
def _memmie_choice(pytestconfig: pytest.Config, _memmie_request: stack_request.StackRequest) -> str:
    """The gateway under test: what `--memmie-target` says, or else the test's mark."""
    choice: str | None = pytestconfig.getoption("memmie_target")
    return choice or _memmie_request.target


@pytest.fixture
def _memmie_running_url(_memmie_choice: str) -> str | None:
    """The address of the gateway in `--memmie-target=URL`, or None."""
    from memmie_harness.targets.choice import is_url

    return _memmie_choice if is_url(_memmie_choice) else None


@pytest.fixture
def _memmie_own_stack(_memmie_running_url: str | None) -> None:
    """Skip the test if the gateway already runs, because then the test cannot control the stack."""
    if _memmie_running_url is not None:
        pytest.skip(NO_OWN_STACK)


@pytest_asyncio.fixture
async def memmie_auth(_memmie_own_stack: None) -> AsyncIterator[FakeAuth]:
    """A fake Auth on a free port, for one test."""
    from memmie_fake_auth import FakeAuth

    async with FakeAuth(port=0) as auth:
        yield auth


@pytest_asyncio.fixture
async def memmie_studios(
    memmie_auth: FakeAuth, _memmie_request: stack_request.StackRequest
) -> AsyncIterator[list[FakeStudio]]:
    """Fake Studios that validate tokens with `memmie_auth`: two, or as many as the test's mark says."""
    from memmie_harness.stack import running_studios

    async with running_studios(memmie_auth, _memmie_request.studios) as studios:
        yield studios


@pytest_asyncio.fixture
async def memmie_start_gateway(
    request: pytest.FixtureRequest,
    memmie_auth: FakeAuth,
    memmie_studios: list[FakeStudio],
    _memmie_request: stack_request.StackRequest,
    _memmie_choice: str,
) -> AsyncIterator[StartGateway]:
    """A function that starts gateways with `memmie_auth` and `memmie_studios`; all are stopped after the test."""
    from memmie_harness.stack import gateway_starter

    targets: list[Target] = request.node.stash.setdefault(_targets_key, [])
    image = request.config.getoption("memmie_image")
    async with gateway_starter(
        memmie_auth, memmie_studios, _memmie_request, _memmie_choice, image, targets
    ) as start:
        yield start


@pytest.fixture
def _memmie_start_default(
    request: pytest.FixtureRequest,
    _memmie_running_url: str | None,
    _memmie_request: stack_request.StackRequest,
) -> Callable[[], Awaitable[Target]]:
    """The function that starts `memmie_gateway`; this fixture is not a coroutine, because it uses `getfixturevalue`."""
    if _memmie_running_url is None:
        start: StartGateway = request.getfixturevalue("memmie_start_gateway")
        return start
    if _memmie_request.has_own_stack:
        pytest.skip(
            "the mark of this test requests its own stack, but --memmie-target is a gateway that already runs"
        )
    from memmie_harness.targets import UrlTarget

    running = UrlTarget(_memmie_running_url)

    async def wait_until_there() -> Target:
        await running.start()
        return running

    return wait_until_there


@pytest_asyncio.fixture
async def memmie_gateway(_memmie_start_default: Callable[[], Awaitable[Target]]) -> Target:
    """The gateway under test, ready: with `memmie_auth` and `memmie_studios`, or at `--memmie-target=URL`."""
    return await _memmie_start_default()


@pytest.fixture
def memmie_token(request: pytest.FixtureRequest, _memmie_running_url: str | None) -> MintToken:
    """A function that returns a valid token of a user."""
    if _memmie_running_url is None:
        auth: FakeAuth = request.getfixturevalue("memmie_auth")
        mint: MintToken = auth.mint
        return mint

    auth_url = request.config.getoption("memmie_auth_url")
    if auth_url is None:
        pytest.fail(
            "a test that needs a token needs --memmie-auth-url=URL, because --memmie-target is a gateway that already runs",
            pytrace=False,
        )
    from memmie_harness.tokens import mint_token

    return functools.partial(mint_token, auth_url)


@pytest_asyncio.fixture
async def memmie_connect(memmie_gateway: Target, memmie_token: MintToken) -> AsyncIterator[Connect]:
    """A function that connects WebSocket clients to `memmie_gateway`; all are closed after the test."""
    from memmie_harness.stack import connector

    async with connector(memmie_gateway, memmie_token) as connect:
        yield connect


@pytest_asyncio.fixture
async def memmie_socketio(memmie_gateway: Target, memmie_token: MintToken) -> AsyncIterator[ConnectSocketIo]:
    """A function that connects clients of Socket.IO to `memmie_gateway`; all are closed after the test."""
    from memmie_harness.socketio_client import socketio_connector

    async with socketio_connector(memmie_gateway, memmie_token) as connect:
        yield connect


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def memmie_module_stack(request: pytest.FixtureRequest) -> AsyncIterator[Stack]:
    """A whole stack for all tests of a module, which have to run on the module's event loop."""
    async with _shared_stack(request) as stack:
        yield stack


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def memmie_session_stack(request: pytest.FixtureRequest) -> AsyncIterator[Stack]:
    """A whole stack for all tests of a run, which have to run on the session's event loop."""
    async with _shared_stack(request) as stack:
        yield stack


def _shared_stack(request: pytest.FixtureRequest) -> AbstractAsyncContextManager[Stack]:
    """Return the stack that a module's marks request; a session has no marks."""
    from memmie_harness.stack import stack_for_tests
    from memmie_harness.targets.choice import is_url

    try:
        requested = stack_request.read_marks(request.node.iter_markers("memmie"))
    except ValueError as error:
        pytest.fail(str(error), pytrace=False)
    choice = request.config.getoption("memmie_target") or requested.target
    if is_url(choice):
        pytest.skip(NO_OWN_STACK)
    return stack_for_tests(
        studios=requested.studios,
        env=requested.env,
        target=choice,
        image=request.config.getoption("memmie_image"),
        targets=request.node.stash.setdefault(_targets_key, []),
    )
