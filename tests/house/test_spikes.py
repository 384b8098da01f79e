"""The patches in docs/spikes still apply to this tree, so they still show where a seam goes."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
PATCHES = sorted((REPOSITORY / "docs/spikes").glob("*.patch"))
MAX_LINES = 150
"""A longer patch shows more than the seam."""

ENVIRONMENT = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith("GIT_")  # a hook of git sets variables that name another work tree
}


def git(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which("git")
    if program is None:
        pytest.skip("git is not installed")
    return subprocess.run(  # noqa: S603 - the git of whoever runs the tests
        [program, *arguments], cwd=REPOSITORY, env=ENVIRONMENT, capture_output=True, text=True, check=False
    )


def test_each_drawn_seam_has_a_patch() -> None:
    assert [patch.stem for patch in PATCHES] == ["affinity"]


@pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: patch.stem)
def test_a_patch_is_small_and_applies(patch: Path) -> None:
    assert len(patch.read_text().splitlines()) < MAX_LINES
    top = git("rev-parse", "--show-toplevel")
    if top.returncode or Path(top.stdout.strip()).resolve() != REPOSITORY.resolve():
        pytest.skip("this is not a git work tree, such as in an image")
    applied = git("apply", "--check", str(patch))
    assert not applied.returncode, f"adapt the patch to the code (see docs/spikes): {applied.stderr}"
