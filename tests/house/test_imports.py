"""No module or folder imports another that imports it back, not for types only and not inside a function either."""

from __future__ import annotations

import ast
import functools
import graphlib
import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
ROOTS = {
    **{str(src.relative_to(REPOSITORY)): src for src in sorted((REPOSITORY / "packages").glob("*/src"))},
    "loadtests": REPOSITORY / "loadtests",
}

Modules = Mapping[str, Path]
Graph = Mapping[str, set[str]]


def modules_below(folder: Path, *, named_from: Path) -> dict[str, Path]:
    """Return the modules in a folder by the name they are imported by."""
    found = {}
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(named_from).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def import_graph(modules: Modules) -> Graph:
    """Return for each module which of the others it imports."""
    return {
        name: {target for target in _imports(name, path, modules) if target != name}
        for name, path in modules.items()
    }


def _imports(name: str, path: Path, modules: Modules) -> Iterator[str]:
    """Yield the modules that the file imports anywhere.

    The package around an imported module is not counted: every package that re-exports would be a circle.
    """
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(), path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in modules)
        elif isinstance(node, ast.ImportFrom):
            origin = node.module or ""
            if node.level:
                parts = package.split(".")
                base = ".".join(parts[: len(parts) - node.level + 1])
                origin = f"{base}.{origin}" if origin else base
            for alias in node.names:
                submodule = f"{origin}.{alias.name}"
                yield from (submodule,) if submodule in modules else (origin,) if origin in modules else ()


def siblings(graph: Graph) -> Graph:
    """Return the imports between the modules and folders that lie in the same folder, each folder as one."""
    found: dict[str, set[str]] = {}
    for importer, targets in graph.items():
        for target in targets:
            pairs = zip(importer.split("."), target.split("."), strict=False)
            common = len(list(itertools.takewhile(lambda pair: pair[0] == pair[1], pairs)))
            left, right = (".".join(name.split(".")[: common + 1]) for name in (importer, target))
            if left.count(".") == right.count(".") == common:  # else one is the package around the other
                found.setdefault(left, set()).add(right)
    return found


def circles(graph: Graph) -> list[list[str]]:
    """Return circles of imports, each from a module back to itself; none only if there are none."""
    left = {name: set(targets) for name, targets in graph.items()}
    found = []
    while True:
        try:
            graphlib.TopologicalSorter(left).prepare()
        except graphlib.CycleError as error:
            circle: list[str] = error.args[1][::-1]  # it lists the imported module before its importer
            found.append(circle)
            left[circle[0]].discard(circle[1])  # open this circle to see the next one
        else:
            return found


@functools.cache
def graph_of_all() -> Graph:
    modules: dict[str, Path] = {}
    for root in ROOTS.values():
        modules |= modules_below(root, named_from=REPOSITORY if root.name == "loadtests" else root)
    return import_graph(modules)


def circles_in(root: str, graph: Graph) -> list[str]:
    """Return the circles that a module or folder below this root is part of."""
    named_from = REPOSITORY if root == "loadtests" else ROOTS[root]
    here = {name + "." for name in modules_below(ROOTS[root], named_from=named_from)}
    assert here
    return [
        " → ".join(circle)
        for circle in circles(graph)
        if any(module.startswith(f"{name}.") for name in circle for module in here)
    ]


@pytest.mark.parametrize("root", ROOTS)
def test_modules_import_in_one_direction(root: str) -> None:
    found = circles_in(root, graph_of_all())
    assert not found, "circles of imports:\n" + "\n".join(found)


@pytest.mark.parametrize("root", ROOTS)
def test_folders_import_in_one_direction(root: str) -> None:
    found = circles_in(root, siblings(graph_of_all()))
    assert not found, "circles of imports:\n" + "\n".join(found)


def write(folder: Path, files: Mapping[str, str]) -> Graph:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return import_graph(modules_below(folder, named_from=folder))


@pytest.mark.parametrize(
    "back",
    [
        "import house.hall",
        "import house.hall as h",
        "from house import hall",
        "from house.hall import door",
        "from . import hall",
        "from .hall import door",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from house.hall import door",
        "def enter():\n    from house.hall import door",
    ],
)
def test_a_circle_is_found_however_it_is_imported(tmp_path: Path, back: str) -> None:
    graph = write(
        tmp_path,
        {
            "house/__init__.py": "",
            "house/hall.py": "import house.stairs\ndoor = 1",
            "house/stairs.py": "from house import landing",
            "house/landing.py": back,
        },
    )
    (circle,) = circles(graph)
    assert circle[0] == circle[-1]
    assert " → ".join(circle) in " → ".join(
        2 * ["house.hall", "house.stairs", "house.landing"] + ["house.hall"]
    )


def test_every_circle_is_found(tmp_path: Path) -> None:
    graph = write(
        tmp_path,
        {"a.py": "import b", "b.py": "import a\nimport c", "c.py": "import d", "d.py": "import c"},
    )
    assert sorted(sorted(set(circle)) for circle in circles(graph)) == [["a", "b"], ["c", "d"]]


def test_a_package_that_imports_its_module_is_in_a_circle_when_that_imports_the_package(
    tmp_path: Path,
) -> None:
    graph = write(
        tmp_path,
        {"house/__init__.py": "from house.hall import door", "house/hall.py": "from house import key"},
    )
    assert len(circles(graph)) == 1


def test_imports_one_way_are_no_circle(tmp_path: Path) -> None:
    graph = write(
        tmp_path,
        {
            "house/__init__.py": "from house.hall import door",
            "house/hall.py": "import house.stairs\nfrom house import stairs\nfrom .stairs import step",
            "house/stairs.py": "import json\nfrom collections import abc",
        },
    )
    assert graph == {"house": {"house.hall"}, "house.hall": {"house.stairs"}, "house.stairs": set()}
    assert circles(graph) == []


def test_a_circle_of_folders_is_found_where_no_module_is_in_one(tmp_path: Path) -> None:
    graph = write(
        tmp_path,
        {
            "house/hall/door.py": "import house.garden.path",
            "house/garden/path.py": "",
            "house/garden/gate.py": "from house.hall import bell",
            "house/hall/bell.py": "import house.roof",
            "house/roof.py": "",
            "house/__init__.py": "import house.hall.door",
        },
    )
    assert circles(graph) == []
    (circle,) = circles(siblings(graph))
    assert set(circle) == {"house.hall", "house.garden"}
