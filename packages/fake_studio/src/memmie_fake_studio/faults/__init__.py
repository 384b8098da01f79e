"""Studio's own faults, besides the HTTP faults that every fake has."""

from __future__ import annotations

from typing import Final

from memmie_fake_base.faults import HTTP_FAULTS, Fault
from memmie_fake_studio.faults.burst import Burst
from memmie_fake_studio.faults.close import Close
from memmie_fake_studio.faults.drop import Drop
from memmie_fake_studio.faults.fault import ConnectionFault
from memmie_fake_studio.faults.freeze import Freeze
from memmie_fake_studio.faults.ignore_pings import IgnorePings
from memmie_fake_studio.faults.refuse import Refuse
from memmie_fake_studio.faults.truncate import Truncate
from memmie_fake_studio.faults.wrong_accept import WrongAccept

STUDIO_FAULTS: Final[dict[str, type[Fault]]] = {
    **HTTP_FAULTS,
    **{
        fault.name: fault
        for fault in (Refuse, WrongAccept, Close, Drop, Truncate, Freeze, IgnorePings, Burst)
    },
}
"""Every fault of a fake Studio, by the name it is scripted by."""

__all__ = [
    "STUDIO_FAULTS",
    "Burst",
    "Close",
    "ConnectionFault",
    "Drop",
    "Freeze",
    "IgnorePings",
    "Refuse",
    "Truncate",
    "WrongAccept",
]
