"""The origin that a connection over long-polling belongs to (spec §1)."""

from __future__ import annotations

from collections.abc import Sequence


class OwnerOrigin:
    """Tells whether a request may belong to a connection.

    A browser sends no Origin with a GET to the origin of the page itself, but sends one with its other requests (Fetch
    standard, "append a request Origin header"). So after an open without one, the first Origin that comes is that of the
    connection, and its GETs need none.

    Args:
        opened: the Origin headers of the request that opened the connection.
    """

    __slots__ = ("_needed", "_origin")

    def __init__(self, opened: Sequence[bytes]) -> None:
        self._origin = tuple(opened)
        self._needed = bool(opened)

    def __repr__(self) -> str:
        return f"<OwnerOrigin {self._origin!r}>"

    def allows(self, came: Sequence[bytes], method: str, *, upgrade: bool) -> bool:
        """Tell whether a request may belong to the connection.

        Args:
            came: its Origin headers.
            method: its method.
            upgrade: whether it opens a WebSocket, with which browsers always send an Origin.
        """
        if not came:
            plain_get = method == "GET" and not upgrade
            return not self._needed and (plain_get or not self._origin)
        self._origin = self._origin or tuple(came)
        return tuple(came) == self._origin
