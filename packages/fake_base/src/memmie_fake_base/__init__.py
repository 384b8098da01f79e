"""The parts both fakes share: a server on any port, scripted faults, and a log of what was received."""

from memmie_fake_base.faults import HTTP_FAULTS, Fault, RequestFault, ScriptedFault
from memmie_fake_base.log import EventLog
from memmie_fake_base.redaction import redact, token_digest
from memmie_fake_base.server import FakeServer
from memmie_fake_base.stores import BoundedStore

__all__ = [
    "HTTP_FAULTS",
    "BoundedStore",
    "EventLog",
    "FakeServer",
    "Fault",
    "RequestFault",
    "ScriptedFault",
    "redact",
    "token_digest",
]
