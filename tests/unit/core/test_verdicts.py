"""Auth's answers, and how long they are believed (spec §2)."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memmie_gateway.core.headers import Headers
from memmie_gateway.core.identity import MAX_CLAIMS_BYTES, Identity
from memmie_gateway.core.response import Response
from memmie_gateway.core.verdicts import (
    MAX_USER_ID_LENGTH,
    REFUSED,
    AuthUnavailableError,
    Verdict,
    VerdictCache,
    read_verdict,
)

NOW = 1000.0
DIGEST = b"d"


def read(status: int, body: bytes, dropped: list[int] | None = None) -> Verdict:
    sizes = [] if dropped is None else dropped
    return read_verdict(Response(status, Headers(), body), DIGEST, now=NOW, on_claims_dropped=sizes.append)


def yes(**fields: object) -> bytes:
    return json.dumps({"valid": True, "user_id": "u1", "expires": 2000, **fields}).encode()


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        pytest.param(200, yes(), Identity("u1", 2000, DIGEST), id="yes"),
        pytest.param(
            200, yes(email="e", phone="p"), Identity("u1", 2000, DIGEST, b'{"email":"e","phone":"p"}'), id="claims",
        ),
        pytest.param(200, yes(expires=2000.5), Identity("u1", 2000.5, DIGEST), id="parts of a second"),
        pytest.param(200, yes(expires=0), Identity("u1", 0, DIGEST), id="no end"),
        pytest.param(
            200, b'{"valid":true,"user_id":"u1"}', Identity("u1", 0, DIGEST), id="no end named"
        ),
        pytest.param(
            200, b'{"valid":true,"user_id":"u1","expires":1e999}',
            Identity("u1", float("inf"), DIGEST), id="never ends",
        ),
        pytest.param(200, yes(user_id="é x"), Identity("é x", 2000, DIGEST), id="any user id"),
        pytest.param(
            200, yes(user_id="x" * MAX_USER_ID_LENGTH),
            Identity("x" * MAX_USER_ID_LENGTH, 2000, DIGEST), id="longest user id",
        ),
        pytest.param(200, yes(expires=1001), Identity("u1", 1001, DIGEST), id="a second left"),
        pytest.param(200, yes(expires=1000), REFUSED, id="ends now"),
        pytest.param(200, yes(expires=-1), REFUSED, id="ended before 1970"),
        pytest.param(200, b'{"valid":false}', REFUSED, id="no"),
        pytest.param(200, b'{"valid":false,"user_id":5,"expires":"x"}', REFUSED, id="no, and odd"),
        pytest.param(401, b"", REFUSED, id="401"),
        pytest.param(401, yes(), REFUSED, id="401, whatever it says"),
    ],
)  # fmt: skip
def test_answers(status: int, body: bytes, expected: Verdict) -> None:
    assert expected == read(status, body)


USER_ID = "Auth answered that the token is valid, but without a usable `user_id`"
EXPIRES = "Auth answered with an `expires` that is not a number"
NO_JSON = "Auth answered with something that is not JSON"
NO_VALID = "Auth answered without a boolean `valid`"


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        *[(status, yes(), f"Auth answered with status {status}") for status in (201, 204, 302, 403, 404, 429, 500, 503)],
        (200, b"", NO_JSON),
        (200, b"<html>", NO_JSON),
        (200, b"\xff\xfe\xfd", NO_JSON),
        (200, b"[" * 65_536, NO_JSON),  # deeper than the interpreter's stack
        (200, b'{"valid":true,"expires":' + b"9" * 5000 + b"}", NO_JSON),  # more digits than int() reads
        (200, b"[]", NO_VALID),
        (200, b"true", NO_VALID),
        (200, b"{}", NO_VALID),
        (200, b'{"valid":1}', NO_VALID),
        (200, b'{"valid":"true"}', NO_VALID),
        (200, b'{"valid":null}', NO_VALID),
        (200, b'{"valid":true}', USER_ID),
        (200, yes(user_id=None), USER_ID),
        (200, yes(user_id=5), USER_ID),
        (200, yes(user_id=""), USER_ID),
        (200, yes(user_id="x" * (MAX_USER_ID_LENGTH + 1)), USER_ID),
        (200, yes(user_id="u1\r\nX-User-ID: root"), USER_ID),
        (200, yes(user_id="\x00"), USER_ID),
        (200, yes(user_id="\ud800"), USER_ID),
        (200, yes(expires="2000"), EXPIRES),
        (200, yes(expires=None), EXPIRES),
        (200, yes(expires=True), EXPIRES),
        (200, yes(expires=[]), EXPIRES),
        (200, yes(expires=float("nan")), EXPIRES),
    ],
)  # fmt: skip
def test_answers_that_are_neither_yes_nor_no(status: int, body: bytes, words: str) -> None:
    with pytest.raises(AuthUnavailableError) as caught:
        read(status, body)
    assert words == str(caught.value)
    assert (400 <= status < 500) is caught.value.alive


@settings(max_examples=100, deadline=None)
@given(
    status=st.sampled_from([200, 401, 500]),
    body=st.binary(max_size=40)
    | st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=5),
        lambda inner: st.dictionaries(st.sampled_from(["valid", "user_id", "expires"]), inner),
        max_leaves=6,
    ).map(lambda value: json.dumps(value).encode()),
)
def test_any_answer_is_a_verdict_or_says_that_auth_is_unavailable(status: int, body: bytes) -> None:
    try:
        verdict = read(status, body)
    except AuthUnavailableError:
        assert status != 401
        return
    if verdict is not REFUSED:
        assert verdict.user_id
        assert not 0 < verdict.expires <= NOW


# Claims.


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({}, b"", id="none"),
        pytest.param({"role": "admin"}, b'{"role":"admin"}', id="one"),
        pytest.param({"b": [1, {"c": None}], "a": 1.5}, b'{"b":[1,{"c":null}],"a":1.5}', id="any JSON, in order"),
        pytest.param({"name": "J\u00fcr\ngen\ud800"}, b'{"name":"J\\u00fcr\\ngen\\ud800"}', id="ASCII on one line"),
        pytest.param({"a": "x" * (MAX_CLAIMS_BYTES - 8)}, b'{"a":"%s"}' % (b"x" * (MAX_CLAIMS_BYTES - 8)), id="just fits"),
    ],
)  # fmt: skip
def test_claims_are_the_other_fields_as_compact_json(fields: dict[str, object], expected: bytes) -> None:
    dropped: list[int] = []
    verdict = read(200, yes(**fields), dropped)
    assert isinstance(verdict, Identity)
    assert verdict.claims_json == expected
    assert verdict.claims == fields
    assert dropped == []


def test_claims_that_are_too_large_are_dropped_and_the_identity_stays() -> None:
    dropped: list[int] = []
    assert read(200, yes(a="x" * (MAX_CLAIMS_BYTES - 7)), dropped) == Identity("u1", 2000, DIGEST)
    assert dropped == [MAX_CLAIMS_BYTES + 1]


def test_a_refusal_has_no_claims() -> None:
    dropped: list[int] = []
    body = json.dumps({"valid": False, "error": "x" * MAX_CLAIMS_BYTES}).encode()
    assert read(200, body, dropped) is REFUSED
    assert dropped == []


@pytest.mark.parametrize("nest", [(b"[", b"]"), (b'{"a":', b"}")])
def test_claims_of_any_depth_that_can_be_read_can_be_kept(nest: tuple[bytes, bytes]) -> None:
    begin, end = nest
    for depth in range(1, 1500, 7):
        body = b'{"valid":true,"user_id":"u1","deep":' + begin * depth + b"1" + end * depth + b"}"
        with contextlib.suppress(AuthUnavailableError):  # deeper than the interpreter's stack
            assert isinstance(read(200, body), Identity)


# The cache.


class Clock:
    """A clock that a test sets."""

    now = NOW

    def __call__(self) -> float:
        return self.now


def cache(
    clock: Clock, *, size: int = 10, ttl: float = 60, refusal_ttl: float = 5, secret: bytes = b"s"
) -> VerdictCache:
    return VerdictCache(size=size, ttl=ttl, refusal_ttl=refusal_ttl, clock=clock, secret=secret)


@pytest.mark.parametrize(
    ("verdict", "seconds"),
    [
        pytest.param(Identity("u1", 0, DIGEST), 60, id="yes: the TTL"),
        pytest.param(Identity("u1", NOW + 900, DIGEST), 60, id="yes: the TTL before its end"),
        pytest.param(Identity("u1", NOW + 30, DIGEST), 30, id="yes: its end before the TTL"),
        pytest.param(REFUSED, 5, id="no"),
    ],
)
def test_how_long_a_verdict_is_believed(verdict: Verdict, seconds: float) -> None:
    clock = Clock()
    verdicts = cache(clock)
    verdicts.put(b"d", verdict)
    clock.now = NOW + seconds - 0.5
    assert verdict == verdicts.get(b"d")
    clock.now = NOW + seconds
    assert verdicts.get(b"d") is None
    assert len(verdicts) == 0


@pytest.mark.parametrize("outdated", [REFUSED, Identity("u1", NOW, DIGEST)])
def test_a_new_verdict_replaces_the_old_one_even_where_it_is_not_kept(outdated: Verdict) -> None:
    verdicts = cache(Clock(), refusal_ttl=0)
    verdicts.put(b"d", Identity("u1", 0, DIGEST))
    verdicts.put(b"d", outdated)
    assert verdicts.get(b"d") is None


def test_the_least_recently_used_is_forgotten_first() -> None:
    verdicts = cache(Clock(), size=2)
    for digest in (b"a", b"b"):
        verdicts.put(digest, REFUSED)
    verdicts.get(b"a")
    verdicts.put(b"c", REFUSED)
    assert [verdicts.get(digest) for digest in (b"a", b"b", b"c")] == [REFUSED, None, REFUSED]
    assert repr(verdicts) == "<VerdictCache 2 of 2>"


def test_memory_is_bounded_however_many_tokens_come() -> None:
    verdicts = cache(Clock(), size=100)
    for number in range(20_000):
        verdicts.put(number.to_bytes(4, "big"), REFUSED)
        verdicts.put(b"often", REFUSED)
    assert len(verdicts) == 100
    assert len(verdicts._verdicts._TLRUCache__order) <= 400  # type: ignore[attr-defined] # its private heap


def test_a_digest_is_of_the_token_and_of_the_secret() -> None:
    one, two = cache(Clock(), secret=b"1"), cache(Clock(), secret=b"2")
    assert one.digest("T") == cache(Clock(), secret=b"1").digest("T")
    assert len({one.digest("T"), one.digest("U"), two.digest("T")}) == 3
    assert b"SECRET" not in one.digest("SECRET")
