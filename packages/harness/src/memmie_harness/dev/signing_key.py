"""The key that signs the tokens of `memmie dev`: made once for a user of this machine, so tokens outlive a restart."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from memmie_fake_auth import FakeAuth
from memmie_fake_auth.keys import SigningKey, new_pem

TOKEN_SECONDS: Final = 24 * 3600
"""How long a token of `memmie dev` is valid, without `--token-seconds`."""


class KeyFileError(Exception):
    """The key cannot be kept, or the file is not safe; the message says why, and what to do."""


def key_file(environment: Mapping[str, str]) -> Path:
    """Return where the key is kept: below `XDG_STATE_HOME`, which is `~/.local/state` by default.

    The XDG base directory specification says that a relative path is to be ignored.

    Raises:
        KeyFileError: the user has no home directory.
    """
    folder = Path(environment.get("XDG_STATE_HOME", ""))
    if not folder.is_absolute():
        try:
            folder = Path.home() / ".local" / "state"
        except RuntimeError as error:
            raise KeyFileError(f"{error} Set XDG_STATE_HOME") from None
    return folder / "memmie" / "signing-key.pem"


def kept_key(path: Path) -> str:
    """Return the key in PEM; make the file if there is none.

    Raises:
        KeyFileError: see there.
    """
    try:
        if not path.exists():
            _make(path)
        return _read(path)
    except OSError as error:
        raise KeyFileError(f"{path}: {error.strerror}") from error


def mint(signing_key: str, user_id: str, seconds: int = TOKEN_SECONDS) -> str:
    """Return a token of a user that every fake Auth with this key accepts.

    Args:
        signing_key: the key in PEM.
        user_id: the user.
        seconds: how long the token is valid.

    Raises:
        ValueError: the user is empty.
    """
    return FakeAuth(signing_key=signing_key).mint(user_id, ttl_seconds=seconds)


def _make(path: Path) -> None:
    """Write a new key, unless another process was faster; nobody sees a part of it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent)  # only this user can read it
    draft = Path(name)
    try:
        with open(descriptor, "w", encoding="ascii") as file:  # noqa: PTH123 - a descriptor
            file.write(new_pem())
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(draft)
    finally:
        draft.unlink()


def _read(path: Path) -> str:
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), encoding="ascii") as file:  # noqa: PTH123 - a descriptor
        status = os.fstat(file.fileno())
        if status.st_uid != os.getuid() or status.st_mode & 0o077:
            raise KeyFileError(
                f"{path} can be read or written by others: run `chmod 600`, or delete the file"
            )
        try:
            pem = file.read()
            SigningKey(pem)
        except ValueError:
            raise KeyFileError(f"{path} does not contain a key: delete the file") from None
    return pem
