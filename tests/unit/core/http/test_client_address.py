"""Where a client is: behind which proxies, and the key that limits count it by (spec §8)."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memmie_gateway.core.http.client_address import Client, Network, find_client, is_trusted, limit_key, plain


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
def test_peers_that_are_not_proxies(
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


@pytest.mark.parametrize(
    ("address", "trusted", "expected"),
    [
        ("10.1.2.3", LOCAL, True),
        ("11.0.0.1", LOCAL, False),
        ("fd00::1", LOCAL, True),
        ("fe80::1", LOCAL, False),
        ("10.1.2.3", (), False),
    ],
)
def test_is_trusted(address: str, trusted: tuple[Network, ...], expected: bool) -> None:  # noqa: FBT001 - a column
    assert expected is is_trusted(address, trusted)


@pytest.mark.parametrize("address", ["example.com", "", "1.2.3", "%eth0"])
def test_what_is_not_an_address_has_no_plain_form(address: str) -> None:
    with pytest.raises(ValueError, match="does not appear to be an IPv4 or IPv6 address"):
        plain(address)
