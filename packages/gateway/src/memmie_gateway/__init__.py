"""An authenticated WebSocket gateway: `Gateway(settings)`, `start()`, `stop()`."""
