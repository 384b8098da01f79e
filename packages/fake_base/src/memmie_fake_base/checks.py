"""Checks of a setting's or a fault parameter's value; each error names the value and what is allowed."""

from __future__ import annotations


def at_least(name: str, value: float, low: float) -> None:
    """Check a number's lower bound.

    Raises:
        ValueError: the value is lower, infinite or not a number.
    """
    if not low <= value < float("inf"):
        raise ValueError(f"{name}: {value} is given; allowed: {low} or more")


def at_most(name: str, value: float, high: float) -> None:
    """Check a number's upper bound.

    Raises:
        ValueError: the value is higher or not a number.
    """
    if not value <= high:
        raise ValueError(f"{name}: {value} is given; allowed: at most {high}")


def more_than_zero(name: str, value: float) -> None:
    """Check that a number is positive.

    Raises:
        ValueError: the value is 0, negative, infinite or not a number.
    """
    if not 0 < value < float("inf"):
        raise ValueError(f"{name}: {value} is given; allowed: more than 0")


def one_of(name: str, value: object, allowed: tuple[object, ...]) -> None:
    """Check a choice.

    Raises:
        ValueError: the value is not among those allowed.
    """
    if value not in allowed:
        raise ValueError(f"{name}: {value!r} is given; allowed: {', '.join(map(str, allowed))}")


def http_status(value: int) -> None:
    """Check a response's status.

    Raises:
        ValueError: the status is not a final one (RFC 9110 §15).
    """
    if not 200 <= value <= 599:
        raise ValueError(f"status: {value} is given; allowed: 200-599")
