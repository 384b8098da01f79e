"""Clients with numbered messages: what they count, and that they notice what goes wrong."""

from __future__ import annotations

import itertools

import pytest
from tests.clock import loop_clock

from memmie_fake_studio import FakeStudio
from memmie_harness.fixture_types import MintToken
from memmie_harness.numbered import Crowd, Life, NumberedClient
from memmie_harness.targets import Target


def client_that_saw(*lives: tuple[list[int], list[int]]) -> NumberedClient:
    client = NumberedClient("u1", "T", lambda: "ws://nowhere")
    client.lives = [Life(0.0, sent=sent, acknowledged=acknowledged) for sent, acknowledged in lives]
    return client


@pytest.mark.parametrize(
    "lives",
    [
        pytest.param([([1, 2, 3], [1, 2, 3])], id="all acknowledged"),
        pytest.param([([1, 2, 3], [1])], id="the last are on their way"),
        pytest.param([([1, 2, 3], [1]), ([2, 3, 4], [2, 3, 4])], id="sent again on the next connection"),
        pytest.param([([], []), ([1], [1])], id="a connection that carried nothing"),
    ],
)
def test_what_is_right(lives: list[tuple[list[int], list[int]]]) -> None:
    assert client_that_saw(*lives).problems() == []


@pytest.mark.parametrize(
    "lives",
    [
        pytest.param([([1, 2, 3], [1, 3])], id="lost"),
        pytest.param([([1, 2], [1, 1])], id="doubled"),
        pytest.param([([1, 2], [2, 1])], id="reordered"),
        pytest.param([([1], [1, 2])], id="an answer to nothing"),
        pytest.param([([1, 2], [1]), ([1, 2], [1, 2])], id="acknowledged on both connections"),
        pytest.param([([1, 2], [1]), ([3], [3])], id="forgotten between connections"),
    ],
)
def test_what_is_wrong_is_said(lives: list[tuple[list[int], list[int]]]) -> None:
    [*_, problem] = client_that_saw(*lives).problems()
    assert problem.startswith("u1: ")


@pytest.mark.memmie(studios=1)
async def test_a_crowd_comes_back_after_its_studio_did(
    memmie_gateway: Target, memmie_token: MintToken, memmie_studios: list[FakeStudio]
) -> None:
    [studio] = memmie_studios
    users = ["u1", "u2", "u3"]
    crowd = Crowd(
        [
            NumberedClient(user, memmie_token(user), lambda: memmie_gateway.ws_url, every=0.01)
            for user in users
        ]
    )
    async with crowd.running():
        await crowd.goes_on(5)
        await studio.stop()
        await crowd.until(lambda client: client.life.ended is not None, 5, "told")
        await studio.start()
        await crowd.until(lambda client: len(client.lives) > 1 and client.served, 10, "served again")
        await crowd.finish()

        assert {client.lives[0].code for client in crowd} == {1012}
        assert crowd.problems() == []
        numbers = [entry["text"].split('"')[3] for entry in studio.log.entries("message", user_id="u2")]
        assert numbers[-1] == str(crowd[1].acknowledged)
    assert all(client.life.ended is not None for client in crowd)


@pytest.mark.memmie(target="inprocess")
async def test_a_client_sends_in_bursts_and_comes_back_after_it_has_left(
    memmie_gateway: Target, memmie_token: MintToken
) -> None:
    client = NumberedClient(
        "u1", memmie_token("u1"), lambda: memmie_gateway.ws_url, every=0.01, window=5, burst=5
    )
    crowd = Crowd([client])
    async with crowd.running():
        await crowd.goes_on(10)
        await client.leave()
        await crowd.goes_on(10)
        await crowd.finish()
        first, second = client.lives
        assert (first.left, first.code, second.left) == (True, 1000, False)
        assert crowd.problems() == []
    assert not client.life.left


async def test_who_waits_in_vain_is_told_what_happened_instead(memmie_gateway: Target) -> None:
    attempts = itertools.count(1)
    with loop_clock() as clock:

        def address() -> str:
            if next(attempts) == 2:
                # It was refused: until then its time must not be over, whatever that takes.
                clock.put_forward(30)
            return memmie_gateway.ws_url

        crowd = Crowd([NumberedClient("u1", "no token", address)])
        with pytest.raises(
            TimeoutError, match=r"the client \w+ did not get an ack within 30 s: .*status=401.*token_invalid"
        ):
            async with crowd.running(within=30):
                pytest.fail("it was let in")
