from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest

from memmie_harness import cli
from memmie_harness.conformance.model import ConformanceTest, Evidence, Level, Outcome, Report, Result
from memmie_harness.conformance.progress import Progress, summary


def test_profiles_and_tests_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["conformance", "--profiles"]) == 0
    assert cli.main(["conformance", "--list", "-k", "closes/code-1000-up"]) == 0

    out = capsys.readouterr().out.splitlines()
    assert any(line.startswith("memmie ") for line in out)
    assert out[-1].startswith("closes/code-1000-up (feature, spec §1, closes): ")
    assert out[-1].endswith("[needs forwards_closes]")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--profile", "nobody"], "memmie conformance: there is no profile 'nobody'"),
        (["--profile", "memmie", "-k", "nothing/at-all"], "no test has nothing/at-all in its id"),
        (["--profile", "./gone.toml"], "gone.toml: No such file or directory"),
    ],
)
def test_usage_errors_end_with_exit_code_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["conformance", *arguments]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["--profile", "memmie", "--patience", "0"]])
def test_missing_arguments_are_named(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["conformance", *arguments])
    assert caught.value.code == 2
    assert "--profile" in capsys.readouterr().err


def test_a_program_that_does_not_exist_is_an_error_of_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    profile = tmp_path / "gw.toml"
    profile.write_text('name = "gw"\n[start]\ncommand = "./gone {PORT}"\n')
    report = tmp_path / "report.json"

    assert (
        cli.main(["conformance", "--profile", str(profile), "-k", "handshake/plain", "--json", str(report)])
        == 1
    )

    out = capsys.readouterr().out
    assert "there is no program './gone'" in out
    assert '"outcome": "error"' in report.read_text()


def test_a_run_without_a_test_is_not_a_success(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    profile = tmp_path / "proxy.toml"
    profile.write_text('name = "proxy"\n[start]\ncommand = "./gone {PORT}"\n[offers]\ntoken_header = true\n')
    report = tmp_path / "report.json"

    arguments = ["--profile", str(profile), "-k", "http/get", "-k", "http/methods", "--json", str(report)]
    assert cli.main(["conformance", *arguments]) == 2

    out, err = capsys.readouterr()
    assert out.splitlines()[-2:] == [
        "the profile lacks these offers (so many tests need each): auth (2), http_path (2)",
        "no test ran against proxy",
    ]
    assert err == "memmie conformance: no test ran: choose others, or add to the profile what it lacks\n"
    assert report.read_text().count('"outcome": "not_offered"') == 2


def result(outcome: Outcome, seen: str = "why") -> Result:
    async def body(lab: object) -> None:
        del lab

    test = ConformanceTest("group/name", "Title", "RFC 1 §1", Level.MUST, frozenset(), body)
    return Result(test, outcome, Evidence(seen=seen))


def test_progress_prints_what_failed_and_the_same_problem_once() -> None:
    stream = io.StringIO()
    progress = Progress(4, stream)
    for each in (Outcome.PASSED, Outcome.FAILED, Outcome.ERROR, Outcome.ERROR):
        progress.add(result(each))

    lines = [line for line in stream.getvalue().splitlines() if line[0] != " "]
    assert lines == ["failed group/name (must): Title", "error group/name (must): Title"]


@pytest.mark.parametrize(("number", "words"), [(1, "1 test in 2.0 s"), (2, "2 tests in 2.0 s")])
def test_the_summary_counts_tests(number: int, words: str) -> None:
    assert summary(Report("gw", {}, [result(Outcome.PASSED)] * number), 2).splitlines()[-1] == words


def test_the_command_line_does_not_load_the_kit() -> None:
    """`memmie dev` would become slower to start."""
    code = "import sys, memmie_harness.cli; sys.exit(any('conformance' in name for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0  # noqa: S603 - our own
