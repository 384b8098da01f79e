"""Where a token may be (spec §1), and that none reaches a backend, wherever it was."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Final, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.core.handshakes import GOOD, arrival

from memmie_gateway.core.http.credentials import (
    ALL_SOURCES,
    FIRST_MESSAGE_SOURCES,
    HEAD_SOURCES,
    LONGEST_SUBPROTOCOL,
    AuthorizationHeader,
    BearerSubprotocol,
    Credentials,
    LoneSubprotocol,
    QueryField,
    TokenSource,
    find_credentials,
    looks_like_token,
    plausible,
    read_auth_message,
)
from memmie_gateway.core.http.request import Request
from memmie_gateway.core.websocket.handshake import upstream_head

LONG: Final = "x" * (LONGEST_SUBPROTOCOL + 1)


class Found(NamedTuple):
    """What is to be found in a request."""

    token: str | None
    subprotocols: tuple[str, ...] = ()
    bearer: str = ""


def found(credentials: Credentials) -> Found:
    return Found(credentials.token, credentials.subprotocols, credentials.bearer)


def request(
    *, query: str = "", authorization: tuple[str, ...] = (), protocol: tuple[str, ...] = ()
) -> Request:
    headers = [(b"authorization", value.encode("latin-1")) for value in authorization]
    headers += [(b"sec-websocket-protocol", value.encode("latin-1")) for value in protocol]
    return Request.parse(b"GET", f"/ws?{query}".encode(), "1.1", tuple(headers))


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        pytest.param(request(), Found(None), id="nowhere"),
        pytest.param(request(authorization=("Bearer T",)), Found("T"), id="Authorization"),
        pytest.param(request(authorization=("bEARER   T ",)), Found("T"), id="scheme in any case, blanks"),
        pytest.param(request(authorization=("Basic T",)), Found(None), id="another scheme"),
        pytest.param(request(authorization=("Bearer",)), Found(None), id="scheme alone"),
        pytest.param(request(authorization=("Bearer  ",)), Found(None), id="scheme and blanks"),
        pytest.param(request(authorization=("Basic X", "Bearer T")), Found("T"), id="second Authorization"),
        pytest.param(request(protocol=("bearer, T",)), Found("T", (), "bearer"), id="pair"),
        pytest.param(request(protocol=("bearer", "T")), Found("T", (), "bearer"), id="pair in two fields"),
        pytest.param(
            request(protocol=("Bearer, T",)), Found("T", (), "Bearer"), id="pair, answered as it was spelled"
        ),
        pytest.param(
            request(protocol=("v1, bearer, T, v2",)), Found("T", ("v1", "v2"), "bearer"), id="pair among others"
        ),
        pytest.param(request(protocol=("bearer",)), Found(None, (), "bearer"), id="half a pair"),
        pytest.param(
            request(protocol=("v1, bearer",)), Found(None, ("v1",), "bearer"), id="half a pair among others"
        ),
        pytest.param(
            request(protocol=("bearer, T, bearer, U",)), Found("T", (), "bearer"), id="two pairs, both taken out"
        ),
        pytest.param(
            request(protocol=("Bearer, T, bearer, U",)), Found("T", (), "Bearer"), id="two pairs, answered as the first"
        ),
        pytest.param(request(protocol=("T",)), Found("T"), id="lone"),
        pytest.param(request(protocol=("v1, v2",)), Found(None, ("v1", "v2")), id="two subprotocols"),
        pytest.param(request(query="token=T"), Found("T"), id="query"),
        pytest.param(request(query="token=&token=T&token=U"), Found("T"), id="first query field with a value"),
        pytest.param(request(query="token=T%2B%3D"), Found("T+="), id="query, decoded"),
        pytest.param(request(query="a=1;token=T;b"), Found("T"), id="query, parted by semicolons"),
        pytest.param(request(query="token=%FF"), Found("\ufffd"), id="query, no UTF-8"),
        pytest.param(request(query="Token=T"), Found(None), id="query names have a case"),
        pytest.param(
            request(authorization=("Bearer A",), protocol=("bearer, P",), query="token=Q"),
            Found("A", (), "bearer"),
            id="Authorization wins",
        ),
        pytest.param(
            request(protocol=("bearer, P",), query="token=Q"), Found("P", (), "bearer"), id="pair before query"
        ),
        pytest.param(request(protocol=("v1",), query="token=Q"), Found("Q", ("v1",)), id="query before lone"),
        pytest.param(
            request(authorization=("Bearer T",), protocol=("T, v1",)), Found("T", ("v1",)), id="sent twice"
        ),
    ],
)  # fmt: skip
def test_the_first_place_that_has_a_token_wins(asked: Request, expected: Found) -> None:
    assert expected == found(find_credentials(asked))


@pytest.mark.parametrize(
    ("protocol", "expected"),
    [
        (("v1",), Found(None, ("v1",))),
        (("bearer, T",), Found("T", (), "bearer")),
        ((), Found(None)),
        (("a.b.c",), Found("a.b.c")),
        ((LONG,), Found(LONG)),
        (("wamp.2.json, wamp.2.msgpack",), Found(None, ("wamp.2.json", "wamp.2.msgpack"))),
        ((f"v1, {LONG}",), Found(None, ("v1",))),
        ((f"bearer, T, {LONG}",), Found("T", (), "bearer")),
    ],
)
def test_a_lone_subprotocol_is_one_where_the_token_is_still_to_come(
    protocol: tuple[str, ...], expected: Found
) -> None:
    """Unless it looks like a token."""
    assert expected == found(find_credentials(request(protocol=protocol), FIRST_MESSAGE_SOURCES))


@pytest.mark.parametrize(
    ("subprotocol", "expected"),
    [
        ("eyJhbGciOiJub25lIn0.e30.c2ln", True),
        ("a.b.c", True),
        ("A_-.0.z", True),
        (LONG, True),
        (LONG[:-1], False),
        ("a.b", False),
        ("a.b.c.d", False),
        ("a..c", False),
        ("a.b.", False),
        ("a.b.c=", False),
        ("é.b.c", False),
        ("graphql-transport-ws", False),
    ],
)
def test_looks_like_a_token(subprotocol: str, expected: bool) -> None:  # noqa: FBT001 - a column of the table
    assert expected is looks_like_token(subprotocol)


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        ("a.b-c_d~e+f/g=", True),
        ("!", True),
        ("x" * 100_000, True),  # its length is limited elsewhere
        ("", False),
        ("two words", False),
        ("T\n", False),
        ("T\r\nX-User-ID: root", False),
        ("é", False),
        ("\x7f", False),
        ("\ud800", False),
    ],
)
def test_plausible(token: str, expected: bool) -> None:  # noqa: FBT001 - a column of the table
    assert expected is plausible(token)


def test_a_token_never_shows_in_a_repr() -> None:
    credentials = find_credentials(
        request(authorization=("Bearer SECRET",), protocol=("SECRET, bearer, SECRET",))
    )
    assert credentials.token == "SECRET"
    assert "SECRET" not in repr(credentials)


@settings(max_examples=100, deadline=None)
@given(
    authorization=st.lists(st.text(st.characters(max_codepoint=255)), max_size=2),
    protocol=st.lists(st.text(st.characters(max_codepoint=255)), max_size=2),
)
def test_any_headers_are_read(authorization: list[str], protocol: list[str]) -> None:
    asked = request(authorization=tuple(authorization), protocol=tuple(protocol))
    credentials = find_credentials(asked)
    assert credentials.token not in credentials.subprotocols
    assert credentials.token != ""


@settings(max_examples=100, deadline=None)
@given(first=st.binary(max_size=40) | st.text('{}[]":,authdokenp \\', max_size=60).map(str.encode))
def test_any_first_message_is_read(first: bytes) -> None:
    token = read_auth_message(first)
    assert token is None or token


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (b'{"type":"auth","data":{"token":"T"}}', "T"),
        (b' {"data": {"token": "T", "more": 1}, "id": 7, "type": "auth"}\n', "T"),
        (b'{"type":"auth","data":{"token":"\\u0054"}}', "T"),
        (b"hello", None),
        (b"", None),
        (b"[]", None),
        (b'"auth"', None),
        (b"{}", None),
        (b'{"type":"heartbeat","data":{"token":"T"}}', None),
        (b'{"type":"auth"}', None),
        (b'{"type":"auth","data":"T"}', None),
        (b'{"type":"auth","data":{}}', None),
        (b'{"type":"auth","data":{"token":7}}', None),
        (b'{"type":"auth","data":{"token":""}}', None),
        (b"[" * 100_000, None),
        (b"\xff\xfe{}", None),
    ],
)
def test_the_token_of_a_first_message(message: bytes, expected: str | None) -> None:
    assert expected == read_auth_message(message)


# Every source both finds and strips.


@dataclass(frozen=True, slots=True)
class Place:
    """One way to write a token into a request, where `T` stands for the token."""

    authorization: tuple[str, ...] = ()
    protocol: tuple[str, ...] = ()
    query: str = ""

    def holding(self, token: str) -> Place:
        """Return the same with the token."""
        return Place(
            tuple(value.replace("T", token) for value in self.authorization),
            tuple(value.replace("T", token) for value in self.protocol),
            self.query.replace("T", token),
        )

    def __add__(self, other: Place) -> Place:
        """Return a request that has both."""
        return Place(
            self.authorization + other.authorization,
            self.protocol + other.protocol,
            "&".join(filter(None, (self.query, other.query))),
        )

    @property
    def request(self) -> Request:
        """The handshake."""
        fields = [(name, value) for name, values in GOOD.items() for value in values]
        fields += [(b"authorization", value.encode("latin-1")) for value in self.authorization]
        fields += [(b"sec-websocket-protocol", value.encode("latin-1")) for value in self.protocol]
        return Request.parse(b"GET", f"/ws?{self.query}".encode(), "1.1", tuple(fields))


EXAMPLES: Final[dict[type[TokenSource], tuple[Place, ...]]] = {
    AuthorizationHeader: (
        Place(authorization=("Bearer T",)),
        Place(authorization=("bEARER   T ",)),
        Place(authorization=("Basic eA==", "Bearer T")),
    ),
    BearerSubprotocol: (
        Place(protocol=("bearer, T",)),
        Place(protocol=("bearer", "T")),
        Place(protocol=("v1, Bearer, T, v2",)),
    ),
    QueryField: (
        Place(query="token=T"),
        Place(query="token=&a=1&token=T"),
        Place(query="%74oken=T"),
        Place(query="a=1;token=T"),
    ),
    LoneSubprotocol: (Place(protocol=("T",)),),
}
"""For each source, requests that have a token there and nowhere else."""

ROWS: Final = [pytest.param(source, id=type(source).__name__) for source in ALL_SOURCES]
PAIRS: Final = [
    pytest.param(one, other, id=f"{type(one).__name__} and {type(other).__name__}")
    for one, other in itertools.permutations(ALL_SOURCES, 2)
]


def head_for(asked: Request, sources: tuple[TokenSource, ...] = ALL_SOURCES) -> str:
    """Return what a backend gets of a request; what may be forwarded must not need another filter behind it."""
    credentials = find_credentials(asked, sources)
    # Sec-WebSocket-Protocol is written anew, from `credentials.subprotocols`.
    fields = [value for name, value in credentials.fields if name != b"sec-websocket-protocol"]
    for token in (token for source in sources for token in source.find(asked)):
        assert not [value for value in fields if token.startswith("SECRET") and token.encode() in value]
    head = upstream_head(arrival(asked), credentials, "u1", host="studio:8010", path="/ws", query="")
    return head.decode("latin-1")


def test_every_row_has_an_example() -> None:
    """A new row without one fails here, and is tested below once it has one."""
    assert {type(source) for source in ALL_SOURCES} == EXAMPLES.keys()
    assert all(EXAMPLES.values())


def test_each_row_stands_once_and_those_of_the_head_come_first() -> None:
    assert len({type(source) for source in ALL_SOURCES}) == len(ALL_SOURCES)
    assert ALL_SOURCES[: len(HEAD_SOURCES)] == HEAD_SOURCES


@pytest.mark.parametrize("source", ROWS)
def test_a_source_finds_what_it_strips(source: TokenSource) -> None:
    for example in EXAMPLES[type(source)]:
        asked = example.holding("SECRET").request
        assert list(source.find(asked)) == ["SECRET"]
        assert find_credentials(asked).token == "SECRET"
        assert [other for other in ALL_SOURCES if other.find(asked)] == [source], (
            "it is an example of one row"
        )
        assert "SECRET" not in head_for(asked)


@pytest.mark.parametrize("source", ROWS)
def test_a_source_strips_alone(source: TokenSource) -> None:
    """No row leaves to the others what is in its own place."""
    for example in EXAMPLES[type(source)]:
        asked = example.holding("SECRET").request
        assert find_credentials(asked, (source,)).token == "SECRET"
        assert "SECRET" not in head_for(asked, (source,))


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_the_same_token_in_two_places(one: TokenSource, other: TokenSource) -> None:
    for first, second in itertools.product(EXAMPLES[type(one)], EXAMPLES[type(other)]):
        asked = (first.holding("SECRET") + second.holding("SECRET")).request
        assert find_credentials(asked).token == "SECRET"
        assert "SECRET" not in head_for(asked)


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_different_tokens_in_two_places(one: TokenSource, other: TokenSource) -> None:
    for first, second in itertools.product(EXAMPLES[type(one)], EXAMPLES[type(other)]):
        asked = (first.holding("SECRET-1") + second.holding("SECRET-2")).request
        winner, loser = ("1", "2") if ALL_SOURCES.index(one) < ALL_SOURCES.index(other) else ("2", "1")
        assert find_credentials(asked).token == f"SECRET-{winner}"
        head = head_for(asked)
        if isinstance(one, LoneSubprotocol) or isinstance(other, LoneSubprotocol):
            # Beside a token elsewhere, a lone subprotocol is not a token.
            assert f"SECRET-{loser}" in head
            head = head.replace(f"SECRET-{loser}", "")
        assert "SECRET" not in head


TOKENS: Final = ("SECRET-1", "SECRET-2", "SECRET-3")


@settings(max_examples=500, deadline=None)
@given(
    authorization=st.lists(
        st.tuples(st.sampled_from(["Bearer ", "bearer  ", "Basic ", "Bearer", ""]), st.sampled_from(TOKENS)),
        max_size=2,
    ),
    protocol=st.lists(st.sampled_from(["bearer", "Bearer", "v1", *TOKENS]), max_size=6),
    query=st.lists(
        st.tuples(st.sampled_from(["token", "%74oken"]), st.sampled_from(["", "1", *TOKENS])), max_size=3
    ),
    together=st.booleans(),
    sources=st.sampled_from([ALL_SOURCES, HEAD_SOURCES, FIRST_MESSAGE_SOURCES]),
)
def test_nothing_that_was_a_token_anywhere_reaches_a_backend(
    authorization: list[tuple[str, str]],
    protocol: list[str],
    query: list[tuple[str, str]],
    together: bool,  # noqa: FBT001 - drawn
    sources: tuple[TokenSource, ...],
) -> None:
    # What may be a token, said once more in the simplest way.
    tokens = {token for scheme, token in authorization if scheme.lower().startswith("bearer ")}
    tokens |= {value for _, value in query}
    names = iter(protocol)
    tokens |= {next(names, "") for name in names if name.lower() == "bearer"}
    tokens -= {""}
    if not tokens and len(protocol) == 1 and protocol[0].lower() != "bearer" and sources is ALL_SOURCES:
        tokens = set(protocol)

    asked = Place(
        tuple(scheme + token for scheme, token in authorization),
        (", ".join(protocol),) if together else tuple(protocol),
        "&".join(f"{name}={value}" for name, value in query),
    ).request
    credentials = find_credentials(asked, sources)
    assert (credentials.token in tokens) if tokens else (credentials.token is None)
    assert not tokens.intersection(credentials.subprotocols)
    head = head_for(asked, sources)
    assert not [token for token in tokens if token.startswith("SECRET") and token in head]


@pytest.mark.parametrize(
    ("subprotocols", "bearer", "selected"),
    [((), "", ""), ((), "Bearer", "Bearer"), (("a", "b"), "Bearer", "a"), (("a",), "", "a")],
)
def test_the_subprotocol_that_the_gateway_itself_selects(
    subprotocols: tuple[str, ...], bearer: str, selected: str
) -> None:
    assert Credentials(None, subprotocols=subprotocols, bearer=bearer).selected == selected
