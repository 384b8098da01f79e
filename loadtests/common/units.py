"""Numbers as people read them."""

from __future__ import annotations


def shown(value: float, unit: str = "") -> str:
    """Return a value with its unit: seconds, bytes, a share, or a count.

    >>> shown(0.00042, "s"), shown(1.5, "s"), shown(3 << 20, "bytes"), shown(0.25, "share"), shown(12000)
    ('420 µs', '1.5 s', '3 MiB', '25 %', '12,000')
    """
    if unit == "s":
        return _seconds(value)
    if unit == "bytes":
        return _bytes(value)
    if unit == "share":
        return f"{_digits(value * 100)} %"
    return f"{_digits(value)} {unit}".rstrip()


def _seconds(value: float) -> str:
    for least, factor, name in ((1, 1, "s"), (0.001, 1e3, "ms")):
        if abs(value) >= least:
            return f"{_digits(value * factor)} {name}"
    return f"{_digits(value * 1e6)} µs" if value else "0 s"


def _bytes(value: float) -> str:
    for least, name in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if abs(value) >= least:
            return f"{_digits(value / least)} {name}"
    return f"{_digits(value)} B"


def _digits(value: float) -> str:
    """Return three digits that count, and no fraction of zeros."""
    if float(value).is_integer() or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"
