"""The text of `/metrics`, made at most once in a while."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from prometheus_client import CollectorRegistry, exposition
from prometheus_client.openmetrics import exposition as openmetrics

OPENMETRICS: Final = "application/openmetrics-text"
"""The media type of OpenMetrics."""


class _Page(NamedTuple):
    """A text that was made.

    Attributes:
        text: the text.
        made: the time in seconds of a monotonic clock.
    """

    text: bytes
    made: float


class _Format(NamedTuple):
    """A format of the text.

    Attributes:
        content_type: the value of Content-Type.
        make: makes the text.
    """

    content_type: str
    make: Callable[[CollectorRegistry], bytes]


_TEXT: Final = _Format("text/plain; version=0.0.4; charset=utf-8", exposition.generate_latest)
_OPENMETRICS: Final = _Format(f"{OPENMETRICS}; version=1.0.0; charset=utf-8", openmetrics.generate_latest)


class MetricsPage:
    """Makes the text of `/metrics`, which looks at every session, and keeps it for the next scrapes.

    Args:
        registry: the metrics.
        seconds: for how long a text is used again; 0 makes a new one for every scrape.
    """

    def __init__(self, registry: CollectorRegistry, seconds: float) -> None:
        self._registry = registry
        self._seconds = seconds
        self._pages: dict[str, _Page] = {}

    def __repr__(self) -> str:
        return f"<MetricsPage seconds={self._seconds:g}>"

    def text(self, accepted: Sequence[str], now: float) -> tuple[bytes, str]:
        """Return the text and its Content-Type.

        Args:
            accepted: the elements of the Accept header. If OpenMetrics is one of them, it is chosen; their other parts
                are ignored, because each format has one version here.
            now: the time in seconds of a monotonic clock.
        """
        media_types = [element.partition(";")[0].strip().lower() for element in accepted]
        chosen = _OPENMETRICS if OPENMETRICS in media_types else _TEXT
        page = self._pages.get(chosen.content_type)
        if page is None or not 0 <= now - page.made < self._seconds:
            page = self._pages[chosen.content_type] = _Page(chosen.make(self._registry), now)
        return page.text, chosen.content_type
