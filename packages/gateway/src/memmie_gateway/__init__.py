"""An authenticated WebSocket gateway: `Gateway(settings)`, `start()`, `stop()`."""

from memmie_gateway.app.server import VERSION, Gateway
from memmie_gateway.app.settings import Settings, SettingsError

__version__ = VERSION
__all__ = ["Gateway", "Settings", "SettingsError", "__version__"]
