from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]

PROFILE = 'name = "gw"\n[start]\ncommand = "./gone {PORT}"\n'


def run(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return pytester.runpytest_inprocess(
        "--pyargs", "memmie_harness.conformance", "-p", "no:cacheprovider", *arguments
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


def test_a_profile_is_needed_and_checked(pytester: pytest.Pytester) -> None:
    for arguments, words in (
        ([], "*the conformance tests need --memmie-profile=NAME or FILE*"),
        (["--memmie-profile=nobody"], "*--memmie-profile: there is no profile 'nobody'*"),
    ):
        result = run(pytester, "-k", "handshake/plain", *arguments)
        assert result.ret == 4
        result.stdout.fnmatch_lines([words])
