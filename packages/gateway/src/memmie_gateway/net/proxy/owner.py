"""The owner of all exchanges."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Protocol, TypeVar

from memmie_gateway.core.http.origins import Origins
from memmie_gateway.core.http.refusals import RefusedError
from memmie_gateway.net.backends.backend import Backend
from memmie_gateway.net.backends.dispatcher import Dispatcher
from memmie_gateway.net.clock import Clock
from memmie_gateway.net.http1.url import ServiceUrl
from memmie_gateway.net.proxy.admission import HttpAdmission
from memmie_gateway.net.proxy.asking import Upstream
from memmie_gateway.net.proxy.live_response import LiveResponse
from memmie_gateway.net.proxy.options import HttpOptions

E_contra = TypeVar("E_contra", contravariant=True)
"""An exchange."""


class Owner(Protocol[E_contra]):
    """What all exchanges share, and what counts them; see `net.http_proxy.HttpProxy`."""

    options: HttpOptions
    origins: Origins
    auth_url: ServiceUrl
    admission: HttpAdmission
    dispatcher: Dispatcher
    upstream: Upstream
    clock: Clock

    def background(self, work: Coroutine[Any, Any, None]) -> None:
        """Run what an exchange does beside its own task."""

    def dial_failed(self, exchange: E_contra, backend: Backend, words: str) -> None:
        """A backend could not be reached; the next one is tried."""

    def took(self) -> None:
        """An exchange has taken its connection, which the listener does not count any more."""

    def keep(self, exchange: E_contra, live: LiveResponse) -> None:
        """A response is a live connection from now on."""

    def forget(self, live: LiveResponse) -> None:
        """A live response is over."""

    def refused(self, exchange: E_contra, error: RefusedError) -> None:
        """A request was refused."""

    def done(self, exchange: E_contra, error: RefusedError | None = None) -> None:
        """A request was answered; with an error, the answer was cut."""

    def ended(self, exchange: E_contra) -> None:
        """The connection of an exchange is over."""
