"""A plain Python proxy on `aiohttp`: what a user would write in an afternoon."""

from __future__ import annotations

from loadtests.peers.python_proxy import PythonProxy


class Aiohttp(PythonProxy):
    """Receives each message and sends it on (see `aiohttp_proxy`). It asks nobody, limits and counts nothing."""

    name = "aiohttp"
    about = "recv → send with aiohttp on uvloop, no policies"
