"""The line of a trial: one question at a time, until the trial is over."""

from __future__ import annotations

import asyncio

from memmie_gateway.net.auth.trial import Trial


async def settle() -> None:
    for _ in range(6):
        await asyncio.sleep(0)


class Line:
    """Questions in a trial; each is asked until the test says that it is answered."""

    def __init__(self) -> None:
        self.trial = Trial()
        self.asked: list[int] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.answers: list[asyncio.Event] = []

    async def come(self, number: int) -> None:
        for _ in range(number):
            self.answers.append(asyncio.Event())
            self.tasks.append(asyncio.create_task(self._ask(len(self.tasks))))
        await settle()

    async def _ask(self, number: int) -> None:
        async with self.trial.turn():
            self.asked.append(number)
            await self.answers[number].wait()

    async def end(self) -> None:
        for answer in self.answers:
            answer.set()
        await asyncio.gather(*self.tasks, return_exceptions=True)


async def test_one_is_asked_after_the_other() -> None:
    line = Line()
    await line.come(3)
    assert line.asked == [0]
    assert repr(line.trial) == "<Trial busy waiting=2>"
    for number in (0, 1):
        line.answers[number].set()
        await settle()
        assert line.asked == list(range(number + 2))
    await line.end()
    assert repr(line.trial) == "<Trial idle waiting=0>"
    await line.come(1)
    assert line.asked == [0, 1, 2, 3]
    await line.end()


async def test_all_go_on_when_it_is_over() -> None:
    line = Line()
    await line.come(3)
    line.trial.end()
    await settle()
    assert line.asked == [0, 1, 2]
    await line.come(1)
    assert line.asked == [0, 1, 2, 3]
    assert repr(line.trial) == "<Trial over waiting=0>"
    await line.end()


async def test_one_that_leaves_holds_up_nobody() -> None:
    line = Line()
    await line.come(4)
    line.tasks[1].cancel()
    line.tasks[0].cancel()
    await settle()
    assert line.asked == [0, 2]
    line.answers[2].set()
    while line.trial._waiting:  # noqa: ASYNC110 - no event tells of it
        await asyncio.sleep(0)
    line.tasks[3].cancel()  # its turn has come, but it has not gone on yet
    await settle()
    await line.come(1)
    assert line.asked == [0, 2, 4]
    await line.end()
