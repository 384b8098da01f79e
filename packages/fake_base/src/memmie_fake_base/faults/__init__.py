"""Faults: small, composable, one a file (a habit of toxiproxy's)."""

from __future__ import annotations

from memmie_fake_base.faults.book import FaultBook, ScriptedFault
from memmie_fake_base.faults.drip import Drip
from memmie_fake_base.faults.error import Error
from memmie_fake_base.faults.fault import Fault, RequestFault, at_least, http_status, make_fault, one_of
from memmie_fake_base.faults.garbage import Garbage
from memmie_fake_base.faults.hang import Hang
from memmie_fake_base.faults.html import Html
from memmie_fake_base.faults.latency import Latency
from memmie_fake_base.faults.reset import Reset

HTTP_FAULTS: dict[str, type[Fault]] = {
    fault.name: fault for fault in (Latency, Error, Garbage, Html, Hang, Reset, Drip)
}

__all__ = [
    "HTTP_FAULTS",
    "Drip",
    "Error",
    "Fault",
    "FaultBook",
    "Garbage",
    "Hang",
    "Html",
    "Latency",
    "RequestFault",
    "Reset",
    "ScriptedFault",
    "at_least",
    "http_status",
    "make_fault",
    "one_of",
]
