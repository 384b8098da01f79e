"""Asking a gateway what it says of itself, for tests against processes and against containers."""

from __future__ import annotations

from typing import Any

import aiohttp
from prometheus_client.parser import text_string_to_metric_families


async def metric(http: aiohttp.ClientSession, url: str, name: str, **labels: str) -> float:
    """Sum the samples of a name at a gateway's `/metrics` that have the given labels."""
    async with http.get(f"{url}/metrics") as response:
        response.raise_for_status()  # an answer without samples must not pass for zero
        text = await response.text()
        assert response.status == 200, text  # another answer has no samples, which would be 0
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


async def ready(http: aiohttp.ClientSession, url: str) -> tuple[int, dict[str, Any]]:
    """Ask a gateway's `/ready`; return the status and the body."""
    async with http.get(f"{url}/ready") as response:
        return response.status, await response.json()
