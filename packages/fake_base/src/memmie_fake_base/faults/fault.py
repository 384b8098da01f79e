"""What a fault is, and how one is made from JSON."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp import web

_ALLOWED: dict[str, tuple[tuple[type, ...], str]] = {
    "float": ((int, float), "a number"),
    "int": ((int,), "a whole number"),
    "str": ((str,), "a string"),
    "bool": ((bool,), "true or false"),
}


class Fault(ABC):
    """One small way to misbehave; a frozen dataclass whose fields are its parameters.

    Attributes:
        name: how it is scripted, in Python and over HTTP.
    """

    name: ClassVar[str]


class RequestFault(Fault):
    """A fault that strikes an HTTP request (an upgrade is one) before it is handled."""

    @abstractmethod
    async def strike(self, request: web.Request) -> web.StreamResponse | None:
        """Misbehave; return the answer, or None to let the next fault or the real handler go on."""


def make_fault(catalogue: Mapping[str, type[Fault]], name: str, parameters: Mapping[str, Any]) -> Fault:
    """Make a fault from its name and parameters.

    Raises:
        ValueError: an unknown name or parameter, a missing one, or a bad value; says what is allowed.
    """
    kind = catalogue.get(name)
    if kind is None:
        raise ValueError(f"fault: {name!r} is unknown; allowed: {', '.join(sorted(catalogue))}")
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type] # each fault is one
    unknown = sorted(parameters.keys() - fields.keys())
    if unknown:
        allowed = ", ".join(fields) or "no parameters"
        raise ValueError(f"{name}: unknown parameter {', '.join(unknown)}; allowed: {allowed}")
    for key, value in parameters.items():
        types, word = _ALLOWED[str(fields[key].type)]
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            raise ValueError(f"{name}: {key} is {value!r}; {word} is expected")
    missing = [
        key for key, field in fields.items() if field.default is dataclasses.MISSING and key not in parameters
    ]
    if missing:
        raise ValueError(f"{name}: parameter {', '.join(missing)} is missing")
    return kind(**parameters)


def parameters_of(fault: Fault) -> dict[str, Any]:
    """Return a fault's parameters as JSON."""
    return dataclasses.asdict(fault)  # type: ignore[call-overload, no-any-return] # each fault is a dataclass


def at_least(name: str, value: float, low: float) -> None:
    """Check a number's lower bound.

    Raises:
        ValueError: it is lower, infinite or not a number.
    """
    if not low <= value < float("inf"):
        raise ValueError(f"{name}: {value} given, {low} or more allowed")


def one_of(name: str, value: object, allowed: tuple[object, ...]) -> None:
    """Check a choice.

    Raises:
        ValueError: it is none of those allowed.
    """
    if value not in allowed:
        raise ValueError(f"{name}: {value!r} given, allowed: {', '.join(map(str, allowed))}")


def http_status(value: int) -> None:
    """Check a response's status.

    Raises:
        ValueError: no final status (RFC 9110 §15).
    """
    if not 200 <= value <= 599:
        raise ValueError(f"status: {value} given, allowed: 200-599")
