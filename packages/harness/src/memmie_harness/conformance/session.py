"""Running tests one after the other, from code that is not asynchronous; gateways are shared between them."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Self

from memmie_harness.conformance.known import with_note
from memmie_harness.conformance.model import ConformanceTest, Result
from memmie_harness.conformance.profile import Profile
from memmie_harness.conformance.runner import plan, run_test, running, unstarted
from memmie_harness.conformance.stack import Stack


class Session:
    """An event loop, and the gateways that were started on it.

    Args:
        profile: the gateway.
    """

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._runner = asyncio.Runner()
        self._resources = AsyncExitStack()
        self._stacks: dict[str, Stack | str] = {}

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop every gateway."""
        with self._runner:
            self._runner.run(self._resources.aclose())

    def run(self, test: ConformanceTest) -> Result:
        """Run a test, with a gateway that is started for it or for an earlier one."""
        return with_note(self._profile, self._runner.run(self._run(test)))

    async def _run(self, test: ConformanceTest) -> Result:
        setup = plan(self._profile, test)
        if isinstance(setup, Result):
            return setup
        if test.own_gateway:
            async with running(setup, None) as stack:
                return await self._run_with(test, stack)
        if setup.name not in self._stacks:
            self._stacks[setup.name] = await self._resources.enter_async_context(running(setup, None))
        return await self._run_with(test, self._stacks[setup.name])

    async def _run_with(self, test: ConformanceTest, stack: Stack | str) -> Result:
        return unstarted(test, stack) if isinstance(stack, str) else await run_test(test, stack)
