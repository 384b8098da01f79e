"""Limits: slots, rates against an exact model, and whose address it is (spec §8)."""

from __future__ import annotations

import ipaddress
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memmie_gateway.core.limits import (
    Client,
    ConcurrencyLimit,
    Network,
    Rates,
    TokenBucket,
    find_client,
    limit_key,
)

# How many at once.


def test_slots_are_counted_by_key_and_given_back() -> None:
    limit = ConcurrencyLimit(2)
    assert [limit.acquire("a") for _ in range(3)] == [True, True, False]
    assert limit.acquire("b")
    assert [limit.held(key) for key in "abc"] == [2, 1, 0]
    limit.release("a")
    assert [limit.acquire("a") for _ in range(2)] == [True, False]


def test_no_limit_still_counts() -> None:
    limit = ConcurrencyLimit(0)
    assert all(limit.acquire("a") for _ in range(1000))
    assert limit.held("a") == 1000


def test_what_was_not_taken_cannot_be_given_back() -> None:
    limit = ConcurrencyLimit(1)
    limit.acquire("a")
    limit.release("a")
    with pytest.raises(KeyError):
        limit.release("a")


def test_keys_that_hold_nothing_are_forgotten() -> None:
    limit = ConcurrencyLimit(1)
    for number in range(1000):
        limit.acquire(number)
        limit.release(number)
    limit.acquire("a")
    assert not limit.acquire("a")
    assert repr(limit) == "<ConcurrencyLimit 1 keys=1>"


# How many a second. Times and rates are eighths, so that floats are exact and can be held against fractions.

EIGHTHS = st.integers(0, 400).map(lambda eighths: eighths / 8)
RATES = st.sampled_from([0.5, 1.0, 2.0, 8.0])
BURSTS = st.integers(1, 10)


@settings(max_examples=100, deadline=None)
@given(rate=RATES, burst=BURSTS, gaps=st.lists(EIGHTHS, max_size=40))
def test_take_is_an_exact_token_bucket(rate: float, burst: int, gaps: list[float]) -> None:
    bucket = TokenBucket(rate, burst, 0.0)
    now, level = Fraction(0), Fraction(burst)
    for gap in gaps:
        now += Fraction(gap)
        level = min(Fraction(burst), level + Fraction(gap) * Fraction(rate))
        wait = Fraction(0) if level >= 1 else (1 - level) / Fraction(rate)
        level -= 1 if level >= 1 else 0
        assert wait == Fraction(bucket.take(float(now)))
        assert level == Fraction(bucket.left)


@settings(max_examples=100, deadline=None)
@given(
    rate=RATES,
    burst=BURSTS,
    chunks=st.lists(st.tuples(EIGHTHS, st.integers(1, 200)), min_size=1, max_size=30),
)
def test_overdrawn_and_settled_in_debt_the_rate_still_holds(
    rate: float, burst: int, chunks: list[tuple[float, int]]
) -> None:
    """Plays the data path: pay for what has come; in debt, wait as long as told, then take the next chunk."""
    bucket = TokenBucket(rate, burst, 0.0)
    now, paid = 0.0, 0
    for gap, frames in chunks:
        now += gap
        assert paid <= 2 * burst + rate * now  # all before this chunk was worth its time
        bucket.left -= frames
        paid += frames
        if bucket.left < 0:
            wait = bucket.settle(now)
            assert wait == max(0.0, -bucket.left) / rate
            now += wait
            assert bucket.settle(now) == 0
    assert -burst <= 0 <= bucket.left <= burst


@pytest.mark.parametrize(
    ("spent", "later", "wait", "left"),
    [
        pytest.param(0, 0, 0, 10, id="full"),
        pytest.param(10, 0, 0, 0, id="empty is no debt"),
        pytest.param(11, 0, 0.5, -1, id="one too many"),
        pytest.param(11, 1, 0, 1, id="paid meanwhile"),
        pytest.param(15, 60, 0, 5, id="at most a burst comes in between"),
        pytest.param(110, 0, 50, -100, id="a debt of many bursts"),
    ],
)
def test_settle(spent: int, later: float, wait: float, left: float) -> None:
    bucket = TokenBucket(2, 10, 100.0)
    bucket.left -= spent
    assert (wait, left) == (bucket.settle(100.0 + later), bucket.left)


@pytest.mark.parametrize(("later", "wait", "left"), [(49, 1, -2), (50, 0, 0), (51, 0, 2), (1000, 0, 10)])
def test_a_debt_of_many_bursts_is_paid_in_the_time_that_was_told(
    later: float, wait: float, left: float
) -> None:
    bucket = TokenBucket(2, 10, 0.0)
    bucket.left -= 110
    assert bucket.settle(0.0) == 50
    assert (wait, left) == (bucket.settle(later), bucket.left)


def test_repr_of_a_bucket() -> None:
    assert repr(TokenBucket(2, 10, 0.0)) == "<TokenBucket 2/s left=10.0 of 10>"


def test_rates_are_kept_by_key() -> None:
    rates = Rates(1, 2, max_keys=10)
    assert [rates.take("a", 5.0) for _ in range(3)] == [0, 0, 1]
    assert rates.take("b", 5.0) == 0
    assert [rates.take("a", 5.75), rates.take("a", 6.0)] == [0.25, 0]
    assert rates.bucket("a", 6.0) is rates.bucket("a", 7.0)


def test_a_rate_of_zero_is_no_limit_and_remembers_nobody() -> None:
    rates = Rates(0, 2, max_keys=10)
    assert [rates.take("a", 0.0) for _ in range(1000)] == [0.0] * 1000
    assert rates.bucket("a", 0.0) is None
    assert len(rates) == 0


def test_the_least_recently_used_is_forgotten_first() -> None:
    rates = Rates(1, 1, max_keys=2)
    for key in ("a", "b", "a", "c"):
        rates.take(key, 0.0)
    assert list(rates._buckets) == ["a", "c"]
    assert rates.take("a", 0.0) == 1  # still remembered
    assert rates.take("b", 0.0) == 0  # forgotten, so new


def test_many_addresses_do_not_fill_the_memory_nor_free_the_one_that_comes_often() -> None:
    rates = Rates(0.001, 5, max_keys=1000)
    passed = 0
    for number in range(100_000):
        rates.bucket(number, 0.0)
        if number % 500 == 0:
            passed += rates.take("often", 0.0) == 0
    assert len(rates) == 1000
    assert passed == 5
    assert repr(rates) == "<Rates 0.001/s keys=1000>"


# Whose address it is.


def networks(*texts: str) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(text) for text in texts)


LOCAL = networks("127.0.0.1/32", "10.0.0.0/8", "fd00::/8")


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "address", "chain"),
    [
        pytest.param("192.0.2.1", (), "192.0.2.1", "192.0.2.1", id="IPv4, no proxy"),
        pytest.param("2001:DB8:0::1", (), "2001:db8::1", "2001:db8::1", id="IPv6, written in full"),
        pytest.param("::ffff:192.0.2.1", (), "192.0.2.1", "192.0.2.1", id="IPv4 mapped into IPv6"),
        pytest.param("fe80::1%eth0", (), "fe80::1", "fe80::1", id="zone"),
        pytest.param("192.0.2.1", ("6.6.6.6",), "192.0.2.1", "192.0.2.1", id="an untrusted peer's word"),
    ],
)
@pytest.mark.parametrize("trusted", [(), LOCAL])
def test_peers_that_are_no_proxy(
    peer: str, forwarded_for: tuple[str, ...], address: str, chain: str, trusted: tuple[Network, ...]
) -> None:
    assert Client(address, chain, trusted_peer=False) == find_client(peer, forwarded_for, trusted)


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "address", "chain"),
    [
        pytest.param("10.0.0.1", "", "10.0.0.1", "10.0.0.1", id="says nothing"),
        pytest.param("10.0.0.1", "192.0.2.1", "192.0.2.1", "192.0.2.1, 10.0.0.1", id="one hop"),
        pytest.param(
            "10.0.0.1", "6.6.6.6|192.0.2.1", "192.0.2.1", "192.0.2.1, 10.0.0.1", id="the client's own word is left out"
        ),
        pytest.param(
            "10.0.0.1",
            "6.6.6.6|192.0.2.1|10.0.0.3|10.0.0.2",
            "192.0.2.1",
            "192.0.2.1, 10.0.0.3, 10.0.0.2, 10.0.0.1",
            id="several trusted hops",
        ),
        pytest.param(
            "10.0.0.1", "10.0.0.3|10.0.0.2", "10.0.0.3", "10.0.0.3, 10.0.0.2, 10.0.0.1", id="all of them trusted"
        ),
        pytest.param("10.0.0.1", "192.0.2.1:4711", "192.0.2.1", "192.0.2.1, 10.0.0.1", id="IPv4 with a port"),
        pytest.param("10.0.0.1", "2001:db8::1", "2001:db8::1", "2001:db8::1, 10.0.0.1", id="IPv6"),
        pytest.param("10.0.0.1", "[2001:db8::1]", "2001:db8::1", "2001:db8::1, 10.0.0.1", id="IPv6 in brackets"),
        pytest.param(
            "10.0.0.1", '"[2001:db8::1]:4711"', "2001:db8::1", "2001:db8::1, 10.0.0.1", id="quoted, with a port"
        ),
        pytest.param("10.0.0.1", "::ffff:192.0.2.1", "192.0.2.1", "192.0.2.1, 10.0.0.1", id="IPv4 mapped"),
        pytest.param(
            "::ffff:10.0.0.1", "192.0.2.1|::ffff:a00:2", "192.0.2.1", "192.0.2.1, 10.0.0.2, 10.0.0.1", id="mapped proxies"
        ),
        pytest.param("fd00::1%2", "fe80::1%eth0", "fe80::1", "fe80::1, fd00::1", id="zones"),
        pytest.param("10.0.0.1", " 192.0.2.1\t", "192.0.2.1", "192.0.2.1, 10.0.0.1", id="blanks"),
        *[
            pytest.param("10.0.0.1", f"192.0.2.1|{word}", "10.0.0.1", "10.0.0.1", id=f"garbage {word!r}")
            for word in (
                "unknown", "_hidden", "", "1.2.3", "1.2.3.256", "010.0.0.1", "1", "1.2.3.4.5", "[", "[]:1", ":", "::1::",
                "1.2.3.4:5:6", "[1.2.3.4", "2001:db8::1]", "\x00", "\u0661.2.3.4", "example.com", "1.2.3.4\r\nX: y",
                "[::1]x", "1.2.3.4:", "1.2.3.4:http", "[::1]:x",
            )
        ],
        pytest.param(
            "10.0.0.1", "6.6.6.6|garbage|10.0.0.2", "10.0.0.2", "10.0.0.2, 10.0.0.1", id="nothing left of garbage counts"
        ),
    ],
)  # fmt: skip
def test_peers_that_are_trusted_proxies(peer: str, forwarded_for: str, address: str, chain: str) -> None:
    elements = forwarded_for.split("|") if forwarded_for else []
    assert Client(address, chain, trusted_peer=True) == find_client(peer, elements, LOCAL)


@settings(max_examples=100, deadline=None)
@given(
    elements=st.lists(
        st.text(max_size=20)
        | st.text('0123456789abcdef:.[]%"', max_size=20)
        | st.ip_addresses().map(str)
        | st.sampled_from(["10.0.0.7", "192.0.2.9:80"]),
        max_size=6,
    )
)
def test_any_forwarded_for_gives_an_address_and_a_clean_chain(elements: list[str]) -> None:
    client = find_client("10.0.0.1", elements, LOCAL)
    hops = client.chain.split(", ")
    assert hops == [str(ipaddress.ip_address(hop)) for hop in hops]
    assert (client.address, "10.0.0.1") == (hops[0], hops[-1])
    assert all(any(ipaddress.ip_address(hop) in network for network in LOCAL) for hop in hops[1:])
    assert client.limit_key


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("::1", "::/64"),
    ],
)
def test_limit_key(address: str, expected: str) -> None:
    assert expected == limit_key(address)
    assert expected == Client(address, address, trusted_peer=False).limit_key
