from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.harness.conformance.made_reports import as_bytes, content, row

from memmie_harness import cli
from memmie_harness.conformance import profile_file
from memmie_harness.conformance.installed import not_installed
from memmie_harness.conformance.profile_file import READY_MADE, load_profile

PROFILE = 'name = "{name}"\n[start]\ncommand = "{command}"\ninstall = "buy it"\nstart_seconds = 5\n'


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def written(name: str, *rows: dict[str, Any], target: str = "gw") -> None:
    path = Path(name)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(as_bytes(content(*rows, target=target)))


def conformance(*arguments: str) -> int:
    return cli.main(["conformance", *arguments])


def test_reports_become_pages_that_name_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    written("a.json", row(), target="a")
    written("more/b.json", row(outcome="failed"), target="b")
    words = ["matrix", "a.json", "more", "--html", "m m.html", "--markdown", "m.md"]

    assert conformance(*words) == 0

    command = "memmie conformance matrix a.json more --html 'm m.html' --markdown m.md"
    assert command in Path("m.md").read_text()
    page = Path("m m.html").read_text()
    assert command.replace("'", "&#39;") in page
    assert page.count('<th scope="col"><a') == 2
    assert capsys.readouterr().out == ""


def test_without_a_file_the_matrix_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    written("a.json", row())

    assert conformance("matrix", "a.json") == 0

    assert "| Ends of connections | ✓ 1 |" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("matrix gone.json", "gone.json: No such file or directory"),
        ("matrix bad.json", "bad.json: tests[0].outcome: must be one of passed, failed, not_offered, error"),
        ("matrix good.json --html no/m.html", "no/m.html cannot be written: there is no folder no"),
        ("matrix good.json --markdown .", ". is a folder, but should be a file"),
        ("compare good.json bad.json", "bad.json: tests[0].outcome: must be one of"),
        ("compare good.json good.json --json no/m", "no/m cannot be written: there is no folder no"),
        ("compare runs good.json", "two reports of the target gw"),
        ("--profile memmie --html no/m.html", "no/m.html cannot be written: there is no folder no"),
        (
            "--profile memmie --profile nginx --json a.json",
            "--json and --junit are for one target; --reports",
        ),
        ("--profile memmie --profile memmie --html m", "two profiles have the name 'memmie'"),
        ("--profile memmie --reports no/folder", "no/folder cannot be made: there is no folder "),
        ("--profile memmie --reports good.json", "good.json is a file, but should be a folder"),
    ],
)
def test_what_cannot_be_used_is_named(words: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    written("good.json", row())
    written("runs/a.json")
    written("runs/b.json")
    written("bad.json", row(outcome="<b>"))

    assert conformance(*words.split()) == 2

    shown = capsys.readouterr()
    assert shown.err.startswith("memmie conformance: ")
    assert message in shown.err
    assert shown.out == ""


def test_all_and_profile_exclude_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        conformance("--all", "--profile", "memmie")
    assert "--all and --profile exclude each other" in capsys.readouterr().err


@pytest.mark.parametrize(("new", "code"), [("passed", 0), ("failed", 1)])
def test_the_exit_code_says_whether_a_test_got_worse(
    new: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    written("old.json", row())
    written("new.json", row(outcome=new))

    assert conformance("compare", "old.json", "new.json", "--html", "c.html") == code

    assert ("1 worse" in capsys.readouterr().out) == (code == 1)
    assert "Two runs of the conformance kit: gw" in Path("c.html").read_text()


def test_the_changes_go_to_standard_output_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    written("old.json", row(outcome="failed"))
    written("new.json", row())

    assert conformance("compare", "old.json", "new.json", "--json", "-") == 0

    shown = capsys.readouterr()
    assert [each["id"] for each in json.loads(shown.out)["comparisons"][0]["better"]] == [
        "closes/code-1000-up"
    ]
    assert "gw: 1 better" in shown.err


def test_all_runs_what_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One gateway passes, one does not start, and one is not installed."""
    folder = tmp_path / "profiles"
    folder.mkdir()
    for name in ("websockets.toml", "naive_websockets.py"):
        shutil.copy(READY_MADE / name, folder)
    for name, command in (("broken", "false"), ("missing", "./gone {PORT}")):
        (folder / f"{name}.toml").write_text(PROFILE.format(name=name, command=command))
    monkeypatch.setattr(profile_file, "READY_MADE", folder)
    words = [
        "--all",
        "-k",
        "handshake/plain",
        "--reports",
        "reports",
        "--html",
        "m.html",
        "--markdown",
        "m.md",
    ]

    assert conformance(*words) == 1

    out = capsys.readouterr().out
    assert "[1/2] broken: broken\n" in out
    assert "[2/2] websockets: a naive proxy" in out
    assert "not installed: missing; install it by: buy it" in out
    reports = {path.name: json.loads(path.read_text()) for path in Path("reports").iterdir()}
    assert {name: report["tests"][0]["outcome"] for name, report in reports.items()} == {
        "broken.json": "error",
        "websockets.json": "passed",
    }
    for page in (Path("m.html").read_text(), Path("m.md").read_text()):
        assert "memmie conformance --all -k handshake/plain" in page
        assert "missing" in page
    assert conformance("matrix", "reports", "--markdown", "again.md") == 0
    table = "| Opening handshake | ! 1 | ✓ 1 |"
    assert table in Path("again.md").read_text()
    assert table in Path("m.md").read_text()

    capsys.readouterr()
    assert conformance("--profiles") == 0
    assert "missing       missing (not installed)\n" in capsys.readouterr().out


def test_if_nothing_is_installed_all_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "gone.toml").write_text(PROFILE.format(name="gone", command="./gone"))
    monkeypatch.setattr(profile_file, "READY_MADE", tmp_path)

    assert conformance("--all", "--html", "m.html") == 2

    assert "no gateway of the kit's profiles is installed" in capsys.readouterr().err
    assert not Path("m.html").exists()


def test_a_gateway_that_already_runs_needs_no_program(tmp_path: Path) -> None:
    text = 'name = "gw"\n[start]\nurl = "http://127.0.0.1:1"\nauth_port = 2\nstudio_ports = [3]\n'
    (tmp_path / "gw.toml").write_text(text)

    assert not_installed(load_profile("./gw.toml")) == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no file that is always full")
def test_a_full_disk_is_told_and_the_other_files_are_written(capsys: pytest.CaptureFixture[str]) -> None:
    written("a.json", row(), target="a")
    Path("gw.toml").write_text('name = "gw"\n[start]\ncommand = "./gone"\n')
    run = ["--profile", "./gw.toml", "-k", "handshake/plain"]

    for words, there in (
        (["matrix", "a.json", "--html", "/dev/full", "--markdown", "m.md"], "m.md"),
        (["compare", "a.json", "a.json", "--json", "/dev/full", "--html", "c.html"], "c.html"),
        ([*run, "--json", "/dev/full", "--junit", "j.xml", "--html", "r.html"], "j.xml"),
        ([*run, "--html", "/dev/full", "--json", "r.json"], "r.json"),
    ):
        assert conformance(*words) == 2
        assert "/dev/full cannot be written: No space left on device" in capsys.readouterr().err
        assert Path(there).read_text()
    assert Path("r.html").read_text()


def test_two_reports_have_two_files(capsys: pytest.CaptureFixture[str]) -> None:
    written("a.json", row(), target="a")

    assert conformance("matrix", "a.json", "--html", "-", "--markdown", "-") == 2
    assert conformance("compare", "a.json", "a.json", "--html", "x", "--json", "x") == 2
    assert "two reports cannot be written to standard output" in (err := capsys.readouterr().err)
    assert "two reports cannot be written to x" in err
