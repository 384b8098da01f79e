"""A plain Python proxy on the `websockets` library: what a user would write in an afternoon."""

from __future__ import annotations

from loadtests.peers.python_proxy import PythonProxy


class Websockets(PythonProxy):
    """Receives each message and sends it on (see `websockets_proxy`). It asks nobody, limits and counts nothing."""

    name = "websockets"
    about = "recv → send with the websockets library on uvloop, no policies"
