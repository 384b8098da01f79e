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

from memmie_harness import plugin_options, stack_request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Generator
    from contextlib import AbstractAsyncContextManager

    from memmie_fake_auth import FakeAuth
    from memmie_fake_studio import FakeStudio
    from memmie_harness.chosen import Chosen
    from memmie_harness.conformance.profile import Profile
    from memmie_harness.fixture_types import Connect, ConnectSocketIo, MintToken, StartGateway
    from memmie_harness.stack import Stack
    from memmie_harness.targets import Target

TAIL_LINES: Final = 60
"""How many lines of a gateway's log the report of a failed test shows."""

_targets_key = pytest.StashKey["list[Target]"]()
_failed_key = pytest.StashKey[bool]()
_readiness_key = pytest.StashKey["dict[str, str | None]"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options, as a group in `pytest --help`."""
    plugin_options.add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Register the mark, refuse invalid options, and let SIGTERM interrupt the run as Ctrl-C does."""
    config.addinivalue_line("markers", stack_request.HELP)
    _interrupt_on_sigterm(config)
    plugin_options.check(config)


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
def pytest_pyfunc_call() -> Generator[None, object, object]:
    """Skip a test that asks for something that its gateway does not offer, such as the log of a running gateway."""
    try:
        return (yield)
    except Exception as error:
        # A test that had no target need not import them.
        if type(error).__module__.startswith("memmie_harness.") and _is_not_offered(error):
            pytest.skip(str(error))
        raise


def _is_not_offered(error: Exception) -> bool:
    from memmie_harness.targets.errors import NotOfferedError

    return isinstance(error, NotOfferedError)


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
def _memmie_chosen(pytestconfig: pytest.Config, _memmie_request: stack_request.StackRequest) -> Chosen:
    """The gateway under test: what the command line says, or else the test's mark."""
    return _chosen(pytestconfig, _memmie_request)


def _chosen(config: pytest.Config, requested: stack_request.StackRequest) -> Chosen:
    """Return the gateway of a test, or skip the test if the gateway does not offer what its marks request."""
    from memmie_harness.targets.errors import NotOfferedError

    try:
        return plugin_options.choice_of(config).for_test(requested)
    except NotOfferedError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def _memmie_profile(pytestconfig: pytest.Config) -> Profile | None:
    """The profile of the gateway under test, for the conformance tests."""
    return plugin_options.choice_of(pytestconfig).profile


@pytest_asyncio.fixture
async def memmie_auth(_memmie_chosen: Chosen, request: pytest.FixtureRequest) -> AsyncIterator[FakeAuth]:
    """A fake Auth on a free port, for one test."""
    from memmie_fake_auth import FakeAuth

    _skip_unless_offered(functools.partial(_memmie_chosen.require_fakes, _wanted(request)))
    async with FakeAuth(port=_memmie_chosen.auth_port) as auth:
        yield auth


@pytest_asyncio.fixture
async def memmie_studios(memmie_auth: FakeAuth, _memmie_chosen: Chosen) -> AsyncIterator[list[FakeStudio]]:
    """Fake Studios that validate tokens with `memmie_auth`: two, or as many as the test's mark says."""
    from memmie_harness.stack import running_studios

    async with running_studios(memmie_auth, _memmie_chosen) as studios:
        yield studios


@pytest.fixture
def _memmie_can_start(_memmie_chosen: Chosen) -> None:
    _skip_unless_offered(functools.partial(_memmie_chosen.require_start, "memmie_start_gateway"))


@pytest_asyncio.fixture
async def memmie_start_gateway(
    request: pytest.FixtureRequest,
    _memmie_can_start: None,
    memmie_auth: FakeAuth,
    memmie_studios: list[FakeStudio],
    _memmie_request: stack_request.StackRequest,
    _memmie_chosen: Chosen,
) -> AsyncIterator[StartGateway]:
    """A function that starts gateways with `memmie_auth` and `memmie_studios`; all are stopped after the test."""
    from memmie_harness.stack import gateway_starter

    targets: list[Target] = request.node.stash.setdefault(_targets_key, [])
    async with gateway_starter(
        memmie_auth, memmie_studios, _memmie_chosen, _memmie_request.env, targets
    ) as start:
        yield start


def _skip_unless_offered(check: Callable[[], None]) -> None:
    from memmie_harness.targets.errors import NotOfferedError

    try:
        check()
    except NotOfferedError as error:
        pytest.skip(str(error))


def _wanted(request: pytest.FixtureRequest) -> str:
    """Return the fixture that a test uses directly, and for which it needs the fakes."""
    names = ("memmie_studios", "memmie_auth")
    return next((name for name in names if name in _fixture_names(request.node)), names[-1])


@pytest.fixture
def _memmie_start_default(
    request: pytest.FixtureRequest, pytestconfig: pytest.Config, _memmie_chosen: Chosen
) -> Callable[[], Awaitable[Target]]:
    """The function that starts `memmie_gateway`; this fixture is not a coroutine, because it uses `getfixturevalue`."""
    if _memmie_chosen.url is None:
        start: StartGateway = request.getfixturevalue("memmie_start_gateway")
        return start
    running = _memmie_chosen.running()
    if _memmie_chosen.has_fakes:  # the gateway finds them there

        async def wait_until_there() -> Target:
            await running.start()
            return running

        request.getfixturevalue("memmie_studios")
        return wait_until_there

    known = pytestconfig.stash.setdefault(_readiness_key, {})

    async def wait_once() -> Target:
        """Wait for the gateway in the first test only; if it is not there, the others fail at once."""
        from memmie_harness.targets.errors import TargetError

        if running.url not in known:
            try:
                await running.start()
                known[running.url] = None
            except TargetError as error:
                known[running.url] = str(error)
        problem = known[running.url]
        if problem is not None:
            raise TargetError(problem)
        return running

    return wait_once


@pytest_asyncio.fixture
async def memmie_gateway(_memmie_start_default: Callable[[], Awaitable[Target]]) -> Target:
    """The gateway under test, ready: with `memmie_auth` and `memmie_studios`, or at `--memmie-target=URL`."""
    return await _memmie_start_default()


@pytest.fixture
def memmie_token(request: pytest.FixtureRequest, _memmie_chosen: Chosen) -> MintToken:
    """A function that returns a valid token of a user."""
    if _memmie_chosen.has_fakes:
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
async def memmie_connect(
    memmie_gateway: Target, memmie_token: MintToken, _memmie_chosen: Chosen
) -> AsyncIterator[Connect]:
    """A function that connects WebSocket clients to `memmie_gateway`; all are closed after the test."""
    from memmie_harness.stack import connector

    async with connector(memmie_gateway, memmie_token, _memmie_chosen) as connect:
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
    from memmie_harness.stack import shared_stack

    try:
        requested = stack_request.read_marks(request.node.iter_markers("memmie"))
    except ValueError as error:
        pytest.fail(str(error), pytrace=False)
    chosen = _chosen(request.config, requested)
    _skip_unless_offered(functools.partial(chosen.require_fakes, str(request.fixturename)))
    targets = request.node.stash.setdefault(_targets_key, [])
    return shared_stack(chosen, requested.env, targets)
