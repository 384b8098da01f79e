"""The pool of random bits."""

from __future__ import annotations

import os

import pytest

from memmie_gateway.app.random_pool import POOL_BYTES, PooledRandom


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Return what the pool reads from the system."""
    pieces: list[bytes] = []
    urandom = os.urandom

    def recorded(size: int) -> bytes:
        pieces.append(urandom(size))
        return pieces[-1]

    monkeypatch.setattr(os, "urandom", recorded)
    return pieces


def test_each_bit_is_used_once(read: list[bytes]) -> None:
    rng = PooledRandom()
    taken = b"".join(rng.randbytes(40) for _ in range(2 * POOL_BYTES // 40))
    whole = POOL_BYTES // 40 * 40  # the rest of a piece that is too short is not used
    assert len(read) == 2
    assert taken == b"".join(piece[:whole] for piece in read)


def test_more_than_a_piece_is_read_at_once(read: list[bytes]) -> None:
    assert PooledRandom().randbytes(POOL_BYTES + 1) == read[0]


@pytest.mark.parametrize("bits", [0, 1, 7, 8, 9, 128, 320])
def test_integers_have_all_bits_and_no_more(bits: int) -> None:
    rng, seen = PooledRandom(), 0
    for _ in range(200):
        number = rng.getrandbits(bits)
        assert 0 <= number < 1 << bits
        seen |= number
    assert seen == (1 << bits) - 1


def test_it_is_a_random_of_the_standard_library() -> None:
    rng = PooledRandom()
    assert all(0 <= rng.random() < 1 for _ in range(100))
    assert {rng.randrange(3) for _ in range(200)} == {0, 1, 2}
    assert sorted(rng.sample(range(9), 9)) == list(range(9))
