"""What the targets share whose logs the harness does not see."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from memmie_harness.targets.target import TargetError

if TYPE_CHECKING:
    from collections.abc import Callable

    from memmie_harness.targets.log_book import LogRecord


class UnseenLogs:
    """The log half of a `Target` for a gateway that logs elsewhere; a test asks `sees_logs` first."""

    sees_logs = False

    def logs(self) -> NoReturn:
        """Raise `TargetError`: the lines are where the gateway's own output goes."""
        raise TargetError(
            f"{type(self).__name__} does not see the gateway's log; --memmie-target=process does"
        )

    def log_tail(self, lines: int = 50) -> str:  # noqa: ARG002 - the protocol's signature
        """Nothing is seen, so this is empty."""
        return ""

    async def wait_for_log(
        self,
        predicate: Callable[[LogRecord], bool],  # noqa: ARG002 - the protocol's signature
        within: float = 5.0,  # noqa: ARG002 - the protocol's signature
    ) -> NoReturn:
        """Raise `TargetError`, as `logs` does."""
        self.logs()
