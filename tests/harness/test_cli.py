from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError

import pytest

from memmie_harness import cli


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["deploy"], "invalid choice: 'deploy'"),
        (["dev", "--port-base", "many"], "--port-base: invalid int value: 'many'"),
        (["dev", "--port-base", "65530"], "it must be from 0 to 65524"),
        (["dev", "--studios", "0"], "--studios must be from 1 to 50, not 0"),
        (["dev", "--env", "NAME"], "'NAME' is not NAME=VALUE"),
        (["dev", "--env", "=1"], "'=1' is not NAME=VALUE"),
        (["dev", "--studio", "localhost:9000/ws"], "'localhost:9000/ws' is not an address such as ws://"),
        (["dev", "--studio", "ws://a/ws,ws://b/ws"], "is not an address such as ws://localhost:9000/ws"),
        (["dev", "--auth", "ws://a"], "'ws://a' is not an address such as http://localhost:9001"),
        (["dev", "--studio", "ws://a/ws", "--studios", "2"], "--studios is the number of fakes, which"),
        (["dev", "--auth", "http://a", "--token-for", "u1"], "with --auth, your Auth makes them"),
        (["dev", "--token-for", "u1", "--token-seconds", "0"], "'0' is not a whole number of seconds from 1"),
        (["dev", "--token-seconds", "5"], "--token-seconds is for the token of --token-for"),
        (["dev", "--cors-origin", "http://a/"], "--cors-origin: 'http://a/' is given; an origin such as"),
        (["dev", "--env", "port=1"], "port is set by the stack itself; see --port-base, --studio and --auth"),
    ],
)
def test_invalid_options_end_with_exit_code_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)

    assert caught.value.code == 2
    assert message in capsys.readouterr().err


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["dev", "--help"])

    text = capsys.readouterr().out
    assert caught.value.code == 0
    options = (
        "--port-base",
        "--studios",
        "--studio",
        "--auth",
        "--cors-origin",
        "--token-for",
        "--token-seconds",
        "--once",
        "--json",
    )
    for word in (*options, "--env", "exit codes:", "examples:"):
        assert f"{word} " in text or f"{word}\n" in text
    assert max(map(len, text.splitlines())) <= 110


def test_version_names_every_package(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def version(package: str) -> str:
        if package == "memmie-gateway":
            raise PackageNotFoundError
        return "1.2.3"

    monkeypatch.setattr(cli, "version", version)
    assert cli.main(["version"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "memmie-harness 1.2.3",
        "memmie-gateway not installed",
        "memmie-fake-auth 1.2.3",
        "memmie-fake-studio 1.2.3",
    ]


def test_the_installed_command_runs() -> None:
    command = [sys.executable, "-m", "memmie_harness", "version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - our own command
    assert re.fullmatch(r"(memmie-[a-z-]+ \d+\.\d+\.\d+\n){4}", done.stdout)


def test_a_ctrl_c_while_the_command_is_loaded_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_arguments: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_version", interrupted)
    assert cli.main(["version"]) == 130
