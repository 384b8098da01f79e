"""Which cases of the Autobahn test suite are run."""

from __future__ import annotations

from typing import Final

SAMPLE: Final = (
    *("1.1.1", "1.1.6", "1.2.8"),  # echoes
    *("2.1", "2.4", "2.5", "2.6", "2.9", "2.10", "2.11"),  # pings and pongs
    *("3.1", "3.2", "3.3", "3.4", "3.5", "3.6", "3.7"),  # reserved bits
    *("4.1.1", "4.1.3", "4.1.4", "4.1.5", "4.2.1", "4.2.3", "4.2.4", "4.2.5"),  # reserved opcodes
    *("5.1", "5.3", "5.6", "5.9", "5.11", "5.15", "5.16", "5.18", "5.19", "5.20"),  # fragments
    *("6.1.3", "6.2.3", "6.3.1", "6.4.1", "6.4.3"),  # UTF-8
    *("7.1.1", "7.1.4", "7.1.5", "7.1.6", "7.3.1", "7.3.2", "7.3.5", "7.3.6"),  # closing
    *("7.5.1", "7.7.1", "7.9.1", "7.9.4", "7.13.1", "7.13.2"),  # close codes
    *("9.1.1", "9.2.1", "9.7.1"),  # sizes
    "10.1.1",  # a message in many fragments
    *("12.1.1", "13.1.1"),  # compression; these cases take the longest
)
"""60 cases for every run of CI: mostly violations, and what was sent before them."""

PROFILE: Final = (
    *(f"{category}.*" for category in (1, 2, 3, 4, 5, 6, 7, 9, 10)),
    *(f"12.{number}.1" for number in range(1, 6)),
    *(f"13.{number}.1" for number in range(1, 8)),
)
"""313 cases: all but compression, and of that the first case of each kind."""

ALL: Final = ("*",)
"""All 517 cases."""
