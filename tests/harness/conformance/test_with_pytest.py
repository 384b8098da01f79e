from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]

PROFILE = 'name = "gw"\n[start]\ncommand = "./gone {PORT}"\n'


@pytest.fixture(autouse=True)
def _only_our_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    """Load no other plugin, because each run imports all of them anew."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")


def run(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return pytester.runpytest_inprocess(
        *("--pyargs", "memmie_harness.conformance", "-p", "memmie_harness.plugin", "-p", "no:cacheprovider"),
        *arguments,
    )


def test_the_kit_runs_under_pytest(pytester: pytest.Pytester) -> None:
    """What is not offered is skipped, and a gateway that does not start is a failure with the reason."""
    pytester.makefile(".toml", gw=PROFILE)

    result = run(
        pytester, "--memmie-profile=./gw.toml", "-k", "handshake/plain or closes/code-1000-up", "-rs"
    )

    result.assert_outcomes(failed=1, skipped=1)
    result.stdout.fnmatch_lines(
        ["*there is no program './gone'*", "*the profile does not offer forwards_closes*"]
    )


def test_a_profile_is_needed(pytester: pytest.Pytester) -> None:
    result = run(pytester, "-k", "handshake/plain")

    assert result.ret == 4
    result.stdout.fnmatch_lines(["*the conformance tests need --memmie-profile=NAME or FILE*"])
