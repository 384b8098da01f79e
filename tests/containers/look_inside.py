"""Runs in a container of an image, as root and as the image's own user: what of the image must not be there?

It prints one JSON object and uses nothing but the standard library; `test_images.py` tells what it must say.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

OURS = Path("/opt/memmie")
TOOLS = ("gcc", "cc", "make", "git", "uv")
MODULES = ("pip", "uv", "uv_build", "pytest")
CACHES = ("/root", "/var/cache/apt", "/var/lib/apt/lists", "/tmp", "/src", "/wheels")  # noqa: S108 - looked into

KNOWN = {".bashrc", ".profile", ".wget-hsts", ".dockerenv", ".gitignore", ".hash"}
"""Dotfiles of the base, of the engine, of a virtual environment and of aiohttp."""

UNCHECKED_HASH = b"\x01\0\0\0"
"""The flags of bytecode that is never compared with its source (PEP 552)."""


def walk(*roots: str | Path) -> Iterator[Path]:
    """Everything on the image's own file system, links not followed."""
    for root in map(Path, roots):
        for folder, folders, files in os.walk(root):
            folders[:] = [name for name in folders if not (Path(folder) / name).is_mount()]
            yield from (Path(folder) / name for name in (*folders, *files))


def names(paths: Iterator[Path]) -> list[str]:
    return sorted(map(str, paths))[:10]


def is_loose(path: Path) -> bool:
    """Whether a process of the image's user could change it."""
    about = path.lstat()
    if stat.S_ISLNK(about.st_mode):
        return False
    others = stat.S_IWOTH | (stat.S_IWGRP if path.is_relative_to(OURS) else 0)
    sticky_folder = stat.S_ISDIR(about.st_mode) and about.st_mode & stat.S_ISVTX
    return about.st_uid == 10001 or bool(about.st_mode & others and not sticky_folder)


json.dump(
    {
        "tools": [tool for tool in TOOLS if shutil.which(tool)],
        "modules": [module for module in MODULES if importlib.util.find_spec(module)],
        "packages": sorted(
            path.name for path in OURS.glob("lib/python*/site-packages/memmie_*") if not path.suffix
        ),
        "caches": names(
            path
            for path in walk(*CACHES)
            if path.is_file() and path.stat().st_size and path.name not in KNOWN
        ),
        "dotfiles": names(
            path
            for path in (*Path("/").iterdir(), *walk("/root", "/home", "/opt"))
            if path.name.startswith(".") and path.name not in KNOWN
        ),
        "loose": names(path for path in walk("/") if is_loose(path)),
        "times": names(path for path in walk(OURS) if path.name in {"uv_cache.json", "direct_url.json"}),
        "checked bytecode": names(
            path for path in OURS.rglob("*.pyc") if path.read_bytes()[4:8] != UNCHECKED_HASH
        ),
        "uid": os.getuid(),
    },
    sys.stdout,
)
