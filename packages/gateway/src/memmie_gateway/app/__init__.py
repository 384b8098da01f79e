"""The wiring: settings, logs, metrics, HTTP routes, the server object and the command line."""
