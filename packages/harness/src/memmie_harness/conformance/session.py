"""Running tests one after the other, from code that is not asynchronous; gateways are shared between them."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Self

from memmie_harness.conformance.known import with_note
from memmie_harness.conformance.model import ConformanceTest, Outcome, Result
from memmie_harness.conformance.profile import Profile
from memmie_harness.conformance.rounds import judged, unstarted
from memmie_harness.conformance.runner import plan, run_test, running, with_crash
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
        self._last = ""

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
                if isinstance(stack, str):
                    return unstarted(test, stack)
                return await with_crash(await run_test(test, stack), stack)
        if setup.name not in self._stacks:
            self._stacks[setup.name] = await self._resources.enter_async_context(running(setup, None))
        stack = self._stacks[setup.name]
        if isinstance(stack, str):
            return unstarted(test, stack)
        before, self._last = self._last, test.id
        result = await run_test(test, stack)
        if result.outcome is not Outcome.PASSED:
            await stack.survey()
        ending = stack.ending()
        if ending is None:
            return result
        del self._stacks[setup.name]  # the next test starts it again
        return await judged(test, lambda: running(setup, None), run_test, ending, before=before)
