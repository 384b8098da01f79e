"""The options with which the plugin is tested: a user's settings, warnings being errors."""

from __future__ import annotations

# pytester forgets what a pytest inside this process has imported, but some extensions cannot be imported twice.
import httptools  # noqa: F401

import memmie_harness.stack  # noqa: F401

STRICT = (
    "-W=error",
    "--strict-markers",
    "-p",
    "no:hypothesispytest",  # a second of import time that no user of the plugin needs to have
    "--asyncio-mode=auto",
    "--override-ini=asyncio_default_fixture_loop_scope=function",
)
