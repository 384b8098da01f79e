"""The base classes of faults, and making a fault from JSON."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from aiohttp import web

_ALLOWED: Final[dict[str, tuple[tuple[type, ...], str]]] = {
    "float": ((int, float), "a number"),
    "int": ((int,), "a whole number"),
    "str": ((str,), "a string"),
    "bool": ((bool,), "true or false"),
}
"""The types of parameters, by annotation: the Python types that fit, and the words for them in messages."""


class Fault(ABC):
    """One small way to misbehave; each is a frozen dataclass with its parameters as fields.

    Attributes:
        name: the name it is scripted by, in Python and over HTTP.
    """

    name: ClassVar[str]


class RequestFault(Fault):
    """A fault that strikes an HTTP request, which includes an upgrade, before it is handled."""

    @abstractmethod
    async def strike(self, request: web.Request) -> web.StreamResponse | None:
        """Misbehave; return the response, or None to continue with the next fault or the real handler."""


def make_fault(catalogue: Mapping[str, type[Fault]], name: str, parameters: Mapping[str, Any]) -> Fault:
    """Make a fault from its name and parameters.

    Raises:
        ValueError: the name or a parameter is unknown, missing or invalid; the message says what is allowed.
    """
    kind = catalogue.get(name)
    if kind is None:
        raise ValueError(f"fault: {name!r} is unknown; allowed: {', '.join(sorted(catalogue))}")
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type] # each fault is one
    unknown = sorted(parameters.keys() - fields.keys())
    if unknown:
        allowed = f"allowed: {', '.join(fields)}" if fields else "this fault has no parameters"
        raise ValueError(f"{name}: unknown parameter {', '.join(unknown)}; {allowed}")
    for key, value in parameters.items():
        types, word = _ALLOWED[str(fields[key].type)]
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            raise ValueError(f"{name}: {key}: {value!r} is given; {word} is expected")
    missing = [
        key for key, field in fields.items() if field.default is dataclasses.MISSING and key not in parameters
    ]
    if missing:
        raise ValueError(f"{name}: parameter {', '.join(missing)} is missing")
    return kind(**parameters)


def parameters_of(fault: Fault) -> dict[str, Any]:
    """Return a fault's parameters as JSON."""
    return dataclasses.asdict(fault)  # type: ignore[call-overload, no-any-return] # each fault is a dataclass
