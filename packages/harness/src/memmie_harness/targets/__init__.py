"""Gateways under black-box tests: as a process, in this process, as a container, or one that already runs."""

from memmie_harness.targets.choice import make_target
from memmie_harness.targets.errors import NotOfferedError, TargetError
from memmie_harness.targets.in_process import InProcessTarget
from memmie_harness.targets.log_buffer import LogRecord
from memmie_harness.targets.process import ProcessTarget
from memmie_harness.targets.running import UrlTarget
from memmie_harness.targets.target import Target

__all__ = [
    "InProcessTarget",
    "LogRecord",
    "NotOfferedError",
    "ProcessTarget",
    "Target",
    "TargetError",
    "UrlTarget",
    "make_target",
]
