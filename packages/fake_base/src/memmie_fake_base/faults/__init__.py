"""The faults that every fake has: small, composable, one in each file."""

from __future__ import annotations

from typing import Final

from memmie_fake_base.faults.drip import Drip
from memmie_fake_base.faults.error import Error
from memmie_fake_base.faults.fault import Fault, RequestFault, make_fault
from memmie_fake_base.faults.garbage import Garbage
from memmie_fake_base.faults.hang import Hang
from memmie_fake_base.faults.html import Html
from memmie_fake_base.faults.latency import Latency
from memmie_fake_base.faults.registry import FaultRegistry, ScriptedFault
from memmie_fake_base.faults.reset import Reset

HTTP_FAULTS: Final[dict[str, type[Fault]]] = {
    fault.name: fault for fault in (Latency, Error, Garbage, Html, Hang, Reset, Drip)
}
"""Every fault of an HTTP request, by the name it is scripted by."""

__all__ = [
    "HTTP_FAULTS",
    "Drip",
    "Error",
    "Fault",
    "FaultRegistry",
    "Garbage",
    "Hang",
    "Html",
    "Latency",
    "RequestFault",
    "Reset",
    "ScriptedFault",
    "make_fault",
]
