"""Numbers as people read them."""

from __future__ import annotations

_SCALES = {
    "s": ((1, "s"), (1e-3, "ms"), (1e-6, "µs")),
    "bytes": ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"), (1, "B")),
}
"""The units of seconds and bytes, from the greatest to the least."""


def shown(value: float, unit: str = "") -> str:
    """Return a value with its unit: seconds, bytes, a share, or a count.

    >>> shown(0.00042, "s"), shown(1.5, "s"), shown(3 << 20, "bytes"), shown(0.25, "share"), shown(12000)
    ('420 µs', '1.5 s', '3 MiB', '25 %', '12,000')
    """
    if unit == "share":
        value, unit = value * 100, "%"
    elif value and unit in _SCALES:
        scales = _SCALES[unit]
        size, unit = next((each for each in scales if abs(value) >= each[0]), scales[-1])
        value = value / size
    elif unit == "bytes":
        unit = "B"
    is_long = float(value).is_integer() or abs(value) >= 1000
    digits = f"{value or 0:,.0f}" if is_long else f"{value:.3g}"  # no "-0"
    return f"{digits} {unit}".rstrip()
