"""Gateways as black-box tests see them: started as a process, in this process, or run by someone else."""

from memmie_harness.targets.choice import make_target
from memmie_harness.targets.in_process import InProcessTarget
from memmie_harness.targets.log_book import LogRecord
from memmie_harness.targets.process import ProcessTarget
from memmie_harness.targets.running import UrlTarget
from memmie_harness.targets.target import Target, TargetError

__all__ = [
    "InProcessTarget",
    "LogRecord",
    "ProcessTarget",
    "Target",
    "TargetError",
    "UrlTarget",
    "make_target",
]
