"""Stacks that several tests share, and gateways that are not the installed one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.harness.strict import STRICT

pytest_plugins = ["pytester"]

SHARED = """
    import pytest
    from memmie_harness.client import heartbeat

    pytestmark = [pytest.mark.asyncio(loop_scope="{scope}"), pytest.mark.memmie(studios=1, target="inprocess")]
    seen = []

    async def test_a_stack_has_everything(memmie_{scope}_stack):
        stack = memmie_{scope}_stack
        await heartbeat(await stack.connect("u1"))
        assert len(stack.studios) == {studios}
        assert stack.auth.log.entries("request", path="/api/v1/auth/validate")
        assert stack.token("u2").count(".") == 2
        another = await stack.start_gateway({{"MAX_CONNECTIONS_PER_USER": 1}})
        await heartbeat(await stack.connect("u3", target=another))
        seen.append(stack)

    async def test_the_next_test_has_the_same_stack_and_its_connections(memmie_{scope}_stack):
        [stack] = seen
        assert stack is memmie_{scope}_stack
        assert sum(len(studio.connections) for studio in stack.studios) == 2

    async def test_tests_of_their_own_have_a_stack_of_their_own(memmie_auth, memmie_{scope}_stack):
        assert memmie_auth is not memmie_{scope}_stack.auth
"""

OTHER_MODULE = """
    import pytest

    pytestmark = pytest.mark.asyncio(loop_scope="{scope}")

    async def test_another_module(memmie_{scope}_stack):
        connected = sum(len(studio.connections) for studio in memmie_{scope}_stack.studios)
        assert connected == {connected}
"""


@pytest.mark.parametrize(
    ("scope", "studios", "connected"),
    [
        ("module", 1, 0),
        ("session", 2, 2),
    ],  # a session has no marks, and its stack is that of the first module
)
def test_a_stack_is_shared_in_its_scope(
    pytester: pytest.Pytester, scope: str, studios: int, connected: int
) -> None:
    pytester.makepyfile(
        test_one=SHARED.format(scope=scope, studios=studios),
        test_two=OTHER_MODULE.format(scope=scope, connected=connected),
    )
    fixtures = "session" if scope == "session" else "function"
    result = pytester.runpytest_inprocess(
        *STRICT, "--memmie-target=inprocess", f"--override-ini=asyncio_default_fixture_loop_scope={fixtures}"
    )
    result.assert_outcomes(passed=4)


def test_a_shared_stack_explains_failures(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.asyncio(loop_scope="module")
        async def test_fails(memmie_module_stack):
            await memmie_module_stack.connect("somebody")
            assert False

        async def test_fails_without_the_stack():
            assert False

        async def test_is_on_another_event_loop(memmie_module_stack):
            await memmie_module_stack.connect()
        """
    )
    result = pytester.runpytest_inprocess(*STRICT, "--memmie-target=inprocess")
    result.assert_outcomes(failed=3)
    output = result.stdout.str()
    # Not for the test that did not use it.
    assert output.count("memmie gateway log, teardown included: <InProcessTarget url=") == 2
    assert "RuntimeError: this test and the stack have different event loops" in output


@pytest.mark.parametrize(
    ("options", "source", "outcome"),
    [
        (["--memmie-target=http://127.0.0.1:9"], "", {"skipped": 1}),
        ([], "pytestmark = pytest.mark.memmie(studio=1)", {"errors": 1}),
    ],
)
def test_a_shared_stack_is_not_there(
    pytester: pytest.Pytester, options: list[str], source: str, outcome: dict[str, int]
) -> None:
    pytester.makepyfile(
        f"import pytest\n{source}\nasync def test_shares(memmie_session_stack, memmie_module_stack): ..."
    )
    pytester.runpytest_inprocess(*STRICT, *options).assert_outcomes(**outcome)


MY_GATEWAY = """
    import contextlib
    from websockets.asyncio.client import connect
    from websockets.asyncio.server import serve

    @contextlib.asynccontextmanager
    async def my_gateway(auth_url, backends):
        async def exchange_one_message(client):
            async with connect(f"{backends[0]}?user_id=u1", proxy=None) as studio:
                await studio.send(await client.recv())
                await client.send(await studio.recv())

        assert auth_url.startswith("http://")
        async with serve(exchange_one_message, "127.0.0.1", 0) as server:
            yield server.sockets[0].getsockname()[1]
"""


def test_any_object_with_a_ws_url_will_do_as_gateway(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(my_project=MY_GATEWAY)
    pytester.makeconftest(from_the_readme("own gateway"))
    pytester.syspathinsert()
    pytester.makepyfile(
        """
        from memmie_harness.client import heartbeat

        async def test_my_gateway(memmie_connect, memmie_studios):
            await heartbeat(await memmie_connect("u1"))
            [connect] = memmie_studios[0].log.entries("connect")
            assert connect["user_id"] == "u1"
        """
    )
    pytester.runpytest_inprocess(*STRICT).assert_outcomes(passed=1)


def test_the_example_of_a_shared_stack_works(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(from_the_readme("shared stack"))
    pytester.runpytest_inprocess(*STRICT, "--memmie-target=inprocess").assert_outcomes(passed=1)


def from_the_readme(name: str) -> str:
    """Return the block of Python after the README's comment `<!-- NAME -->`."""
    page = Path(__file__).parents[2] / "packages/harness/README.md"
    [block] = re.findall(
        rf"<!-- {name} -->\n```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL
    )
    return str(block)
