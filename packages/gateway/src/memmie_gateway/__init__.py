"""A WebSocket gateway that validates tokens: `Gateway(settings)`, `start()`, `stop()`."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from memmie_gateway.app.server import Gateway
    from memmie_gateway.app.setting_errors import SettingsError
    from memmie_gateway.app.settings import Settings
    from memmie_gateway.app.wiring import VERSION as __version__  # noqa: N811 - a module's own name for it

__all__ = ["Gateway", "Settings", "SettingsError", "__version__"]

_WHERE = {
    "Gateway": ("memmie_gateway.app.server", "Gateway"),
    "Settings": ("memmie_gateway.app.settings", "Settings"),
    "SettingsError": ("memmie_gateway.app.setting_errors", "SettingsError"),
    "__version__": ("memmie_gateway.app.wiring", "VERSION"),
}
"""Imported on first use, because a health check, which runs every few seconds, needs none of these."""


def __getattr__(name: str) -> Any:
    try:
        module, attribute = _WHERE[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    return getattr(import_module(module), attribute)
