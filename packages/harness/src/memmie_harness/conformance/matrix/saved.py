"""Reading the JSON report of a run; it may be a stranger's, so every field is checked before it is used."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar

from memmie_harness.conformance.model import (
    MAX_LINE,
    MAX_LINES,
    MAX_NAME,
    MAX_NOTE,
    MAX_TEXT,
    MAX_VERSION,
    Evidence,
    Level,
    Outcome,
)

Word = TypeVar("Word", bound=StrEnum)

MAX_BYTES: Final = 16 << 20
"""The largest file that is read; a report of the whole kit has about 1.5 MB."""

MAX_TESTS: Final = 5000
"""How many tests a report may have; the kit has less than a thousand."""

MAX_VERSIONS: Final = 50
"""How many versions a report may name."""

_ID: Final = re.compile(r"[a-z0-9_-]{1,40}/[a-z0-9_-]{1,80}")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


class ReportError(ValueError):
    """A report cannot be used; the message says which file, which place, and what is allowed there."""


@dataclass(frozen=True, slots=True)
class SavedTest:
    """A test and its outcome, as a report says it; see `ConformanceTest` and `Result`."""

    id: str
    title: str
    level: Level
    rule: str
    outcome: Outcome
    evidence: Evidence = field(default_factory=Evidence)
    seconds: float = 0.0

    @property
    def group(self) -> str:
        """The part of the id before the slash."""
        return self.id.partition("/")[0]


@dataclass(frozen=True, slots=True)
class SavedReport:
    """The results of one run against one target, as a report says them."""

    target: str
    versions: dict[str, str]
    tests: Sequence[SavedTest]


def read_reports(names: Iterable[str]) -> list[SavedReport]:
    """Return the reports in files; of a folder, those in all its files `*.json`, in the order of their names.

    Raises:
        ReportError: a file cannot be read or is not a report, or a folder has none.
    """
    paths: list[Path] = []
    for name in names:
        path = Path(name)
        files = sorted(path.glob("*.json")) if path.is_dir() else [path]
        if not files:
            raise ReportError(f"{path}: this folder has no file *.json")
        paths += files
    return [read_report(path) for path in paths]


def read_report(path: Path) -> SavedReport:
    """Return the report in a file.

    Raises:
        ReportError: the file cannot be read, or is not a report.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ReportError(f"{path}: {error.strerror}; does the file exist, and may you read it?") from None
    return parse_report(content, str(path))


def parse_report(content: bytes, where: str) -> SavedReport:
    """Return the report in a JSON text.

    Args:
        content: the text, in UTF-8.
        where: the name of its file, for messages.

    Raises:
        ReportError: it is not a report.
    """
    if len(content) > MAX_BYTES:
        raise ReportError(f"{where}: a report has at most {MAX_BYTES} bytes")
    try:
        # Some editors put a mark at the beginning of a file in UTF-8.
        parsed = json.loads(content.decode("utf-8-sig"), object_pairs_hook=_without_doubles)
    except RecursionError:
        raise ReportError(f"{where}: this is not a report: it is nested too deeply") from None
    except ValueError as error:  # also text that is not UTF-8, and numbers with thousands of digits
        raise ReportError(f"{where}: this is not a report in JSON: {error}") from None
    return _report(_Place(where), parsed)


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object; another program might take the other one of two fields with the same name."""
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise ValueError("an object has two fields with the same name")
    return fields


@dataclass(frozen=True, slots=True)
class _Place:
    """A place in a file, for messages."""

    file: str
    path: str = ""

    def within(self, name: str) -> _Place:
        return _Place(self.file, f"{self.path}.{name}" if self.path else name)

    def item(self, number: int) -> _Place:
        return _Place(self.file, f"{self.path}[{number}]")

    def wrong(self, problem: str) -> NoReturn:
        raise ReportError(f"{self.file}: {f'{self.path}: ' if self.path else ''}{problem}")


class _Fields:
    """The fields of a JSON object, which are taken one by one; the first problem ends the reading."""

    def __init__(self, place: _Place, value: Any) -> None:
        if not isinstance(value, dict):
            place.wrong(f"must be an object, but is {_shown(value)}")
        self._left: dict[str, Any] = value
        self._place = place
        self._known: list[str] = []

    def take(self, name: str, check: Callable[[_Place, Any], Any], default: Any = None) -> Any:
        """Return the checked value of a field; a field without a default must be there."""
        self._known.append(name)
        if name in self._left:
            return check(self._place.within(name), self._left.pop(name))
        if default is None:
            self._place.within(name).wrong("is missing")
        return default

    def finish(self) -> None:
        """Raise a `ReportError` if a field is left over."""
        for name in self._left:
            self._place.wrong(f"the field {_shown(name)} is unknown; allowed are {', '.join(self._known)}")


def _report(place: _Place, value: Any) -> SavedReport:
    fields = _Fields(place, value)
    report = SavedReport(
        fields.take("target", _text(MAX_NAME, at_least=1)),
        fields.take("versions", _versions),
        fields.take("tests", _list(MAX_TESTS, _test)),
    )
    fields.finish()
    seen: set[str] = set()
    for number, test in enumerate(report.tests):
        if test.id in seen:
            place.within("tests").item(number).wrong(f"the test {test.id} is there twice")
        seen.add(test.id)
    return report


def _test(place: _Place, value: Any) -> SavedTest:
    fields = _Fields(place, value)
    test = SavedTest(
        id=fields.take("id", _id),
        title=fields.take("title", _text(500)),
        level=fields.take("level", _word(Level)),
        rule=fields.take("rule", _text(300)),
        outcome=fields.take("outcome", _word(Outcome)),
        evidence=fields.take("evidence", _evidence),
        seconds=fields.take("seconds", _seconds, 0.0),
    )
    fields.finish()
    return test


def _evidence(place: _Place, value: Any) -> Evidence:
    fields = _Fields(place, value)
    evidence = Evidence(
        fields.take("exchange", _list(MAX_LINES, _text(MAX_LINE)), []),
        fields.take("expected", _text(MAX_TEXT), ""),
        fields.take("seen", _text(MAX_TEXT), ""),
        fields.take("note", _text(MAX_NOTE), ""),
    )
    fields.finish()
    return evidence


def _versions(place: _Place, value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or len(value) > MAX_VERSIONS:
        place.wrong(f"must be an object with at most {MAX_VERSIONS} fields, but is {_shown(value)}")
    name, version = _text(MAX_NAME), _text(MAX_VERSION)
    return {name(place, each): version(place.within(_shown(each)), value[each]) for each in value}


def _list(most: int, check: Callable[[_Place, Any], Any]) -> Callable[[_Place, Any], list[Any]]:
    def checked(place: _Place, value: Any) -> list[Any]:
        if not isinstance(value, list):
            place.wrong(f"must be a list, but is {_shown(value)}")
        if len(value) > most:
            place.wrong(f"has {len(value)} entries; allowed are {most}")
        return [check(place.item(number), each) for number, each in enumerate(value)]

    return checked


def _text(most: int, at_least: int = 0) -> Callable[[_Place, Any], str]:
    def checked(place: _Place, value: Any) -> str:
        if not isinstance(value, str):
            place.wrong(f"must be a text, but is {_shown(value)}")
        if not at_least <= len(value) <= most:
            place.wrong(f"has {len(value)} characters; allowed are {at_least} to {most}")
        if _SURROGATE.search(value):
            place.wrong("has half a character (a surrogate), which no file can contain")
        return value

    return checked


def _word(kind: type[Word]) -> Callable[[_Place, Any], Word]:
    def checked(place: _Place, value: Any) -> Word:
        if not isinstance(value, str) or value not in list(kind):
            place.wrong(f"must be one of {', '.join(kind)}, but is {_shown(value)}")
        return kind(value)

    return checked


def _id(place: _Place, value: Any) -> str:
    if not isinstance(value, str) or not _ID.fullmatch(value):
        place.wrong(f"must be an id, such as closes/code-1000-up, but is {_shown(value)}")
    return value


def _seconds(place: _Place, value: Any) -> float:
    if (
        not isinstance(value, int | float)
        or isinstance(value, bool)
        or not (0 <= value < 1e9 and math.isfinite(value))
    ):
        place.wrong(f"must be seconds, but is {_shown(value)}")
    return float(value)


def _shown(value: Any) -> str:
    """Return a value for a message: in ASCII, and short."""
    if isinstance(value, dict | list):
        return f"{'an object' if isinstance(value, dict) else 'a list'} with {len(value)} entries"
    text = ascii(value[:50] if isinstance(value, str) else value)
    return text if len(text) <= 60 else f"{text[:60]}…"
