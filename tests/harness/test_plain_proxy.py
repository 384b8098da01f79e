"""A proxy that asks nobody about tokens under the plugin, with the profile of the README."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from tests.harness.strict import STRICT
from tests.harness.test_plugin_targets import ARGUMENTS, GATEWAY

from memmie_harness.conformance.profile_file import READY_MADE

pytest_plugins = ["pytester"]

README = Path(__file__).parents[2] / "packages" / "harness" / "README.md"
[PROFILE] = re.findall(r"<!-- a plain proxy -->\n```toml\n(.*?)```", README.read_text("utf-8"), re.DOTALL)


def test_a_client_has_its_user_in_the_query(pytester: pytest.Pytester) -> None:
    naive = READY_MADE / "naive_aiohttp.py"
    pytester.makefile(
        ".toml", proxy=PROFILE.replace("./proxy --port {PORT} --backend", f"python {naive} {{PORT}}")
    )
    pytester.makepyfile("""
        from memmie_harness.client import heartbeat

        async def test_it(memmie_connect, memmie_studios):
            await heartbeat(await memmie_connect("u 1"))
            [entry] = memmie_studios[0].log.entries("connect")
            assert entry["user_id"] == "u 1"
    """)
    pytester.runpytest_inprocess(*STRICT, "--memmie-profile=./proxy.toml").assert_outcomes(passed=1)


def test_the_body_of_a_refusal_is_shown(pytester: pytest.Pytester) -> None:
    pytester.makefile(".py", gw=GATEWAY)
    pytester.makepyfile("""
        async def test_it(memmie_connect):
            await memmie_connect(token="no such token")
    """)
    result = pytester.runpytest_inprocess(
        *STRICT, "--memmie-target=command", f"--memmie-command={sys.executable} gw.py {ARGUMENTS}"
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*InvalidStatus*", "E*the body of the answer is '401: Unauthorized'"])
