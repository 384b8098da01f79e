from __future__ import annotations

import os
import stat
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from memmie_fake_auth import FakeAuth
from memmie_harness import cli
from memmie_harness.dev.command import Options, _with_defaults
from memmie_harness.dev.ports import Ports
from memmie_harness.dev.signing_key import KeyFileError, kept_key, key_file, mint
from memmie_harness.dev.stack import Plan

PLAN = Plan(ports=Ports(gateway=0, auth=0, studios=(0,)), gateway_settings={})


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "memmie" / "signing-key.pem"


def test_it_is_below_the_state_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert key_file({"XDG_STATE_HOME": "/state"}) == Path("/state/memmie/signing-key.pem")
    for ignored in ({}, {"XDG_STATE_HOME": ""}, {"XDG_STATE_HOME": "relative"}):
        assert key_file(ignored) == Path("/home/me/.local/state/memmie/signing-key.pem")


def test_it_is_made_once_and_only_its_owner_reads_it(path: Path) -> None:
    key = kept_key(path)

    assert kept_key(path) == key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [file.name for file in path.parent.iterdir()] == ["signing-key.pem"]


def test_processes_that_start_together_keep_the_same_key(path: Path) -> None:
    with ProcessPoolExecutor(3, mp_context=get_context("fork")) as pool:
        assert len(set(pool.map(kept_key, [path] * 3))) == 1


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_key_that_others_can_read_is_refused(path: Path, mode: int) -> None:
    kept_key(path)
    path.chmod(mode)
    with pytest.raises(KeyFileError, match="can be read or written by others: run `chmod 600`"):
        kept_key(path)


def test_a_file_that_is_not_a_key_or_not_a_file_is_refused(path: Path, tmp_path: Path) -> None:
    kept_key(path)
    path.write_text("no key")
    with pytest.raises(KeyFileError, match="does not contain a key: delete the file"):
        kept_key(path)
    elsewhere = tmp_path / "elsewhere"
    kept_key(elsewhere)
    path.unlink()
    path.symlink_to(elsewhere)
    with pytest.raises(KeyFileError, match=r"signing-key\.pem: "):
        kept_key(path)


def test_a_token_outlives_a_restart(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["dev", "--token-for", "u7"]) == 0
    out, err = capsys.readouterr()
    [token] = out.splitlines()
    assert err == ""

    key = _with_defaults(Options(plan=PLAN, once=False, json=False)).signing_key
    assert key == path.read_text()
    auth = FakeAuth(signing_key=key)
    assert auth._mint.verify(token).user_id == "u7"
    assert auth._mint.verify(mint(key, "u8")).user_id == "u8"


def test_a_token_can_be_short_lived(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["dev", "--token-for", "u7", "--token-seconds", "20"]) == 0
    claims = FakeAuth(signing_key=path.read_text())._mint.verify(capsys.readouterr().out.strip())
    assert 0 < claims.expires - time.time() <= 21  # whole seconds


@pytest.mark.usefixtures("path")
def test_no_token_for_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["dev", "--token-for", ""]) == 2
    assert capsys.readouterr().err == "memmie dev: user_id is empty; the id of a user is expected\n"


def test_without_a_place_for_the_key_the_stack_runs_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "file"
    file.touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(file))

    assert _with_defaults(Options(plan=PLAN, once=False, json=False)).signing_key == ""
    note = capsys.readouterr().err
    assert note.startswith("memmie dev: note: tokens will be valid only until the stack stops: ")
    assert note.endswith(f"{os.strerror(20)}\n")
    assert cli.main(["dev", "--token-for", "u1"]) == 2
