"""Auth's answers, and how long they are believed (spec §2)."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memmie_gateway.core.auth.identity import MAX_CLAIMS_BYTES, Identity
from memmie_gateway.core.auth.lease import TokenEnds
from memmie_gateway.core.auth.verdicts import (
    MAX_USER_ID_BYTES,
    REFUSED,
    AuthUnavailableError,
    Unusable,
    Verdict,
    VerdictCache,
    read_verdict,
)
from memmie_gateway.core.http.headers import Headers
from memmie_gateway.core.http.response import Response

NOW = 1000.0
DIGEST = b"d"


def read(status: int, body: bytes, dropped: list[int] | None = None) -> Verdict:
    sizes = [] if dropped is None else dropped
    return read_verdict(
        Response(status, Headers(), body), DIGEST, now=NOW, ends=TokenEnds(), on_claims_dropped=sizes.append
    )


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
        pytest.param(200, yes(expires=None), Identity("u1", 0, DIGEST), id="null: no end"),
        pytest.param(
            200, b'{"valid":true,"user_id":"u1"}', Identity("u1", 0, DIGEST), id="no end named"
        ),
        pytest.param(
            200, b'{"valid":true,"user_id":"u1","expires":1e999}',
            Identity("u1", float("inf"), DIGEST), id="never ends",
        ),
        pytest.param(200, yes(user_id="é x"), Identity("é x", 2000, DIGEST), id="any user id"),
        pytest.param(
            200, yes(user_id="x" * MAX_USER_ID_BYTES),
            Identity("x" * MAX_USER_ID_BYTES, 2000, DIGEST), id="longest user id",
        ),
        pytest.param(
            200, yes(user_id="\u00e9" * (MAX_USER_ID_BYTES // 2)),
            Identity("\u00e9" * (MAX_USER_ID_BYTES // 2), 2000, DIGEST), id="longest user id, in bytes",
        ),
        pytest.param(200, yes(user_id="a\u00a0\u2028\U0001f600"), Identity("a\u00a0\u2028\U0001f600", 2000, DIGEST), id="spaces and signs"),
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
NO_OBJECT = "Auth answered with JSON that is not an object"
NO_VALID = "Auth answered without a boolean `valid`"


@pytest.mark.parametrize(
    ("status", "body", "words", "failure"),
    [
        *[(status, yes(), f"Auth answered with status {status}", False) for status in (201, 204, 302, 403, 404, 429)],
        *[(status, yes(), f"Auth answered with status {status}", True) for status in (500, 503, 599)],
        (200, b"", NO_JSON, True),
        (200, b"<html>", NO_JSON, True),
        (200, b"\xff\xfe\xfd", NO_JSON, True),
        (200, b"[" * 65_536, NO_JSON, True),  # deeper than the interpreter's stack
        (200, b'{"valid":true,"expires":' + b"9" * 5000 + b"}", NO_JSON, True),  # more digits than int() reads
        (200, b"[]", NO_OBJECT, True),
        (200, b"true", NO_OBJECT, True),
        (200, b'"valid"', NO_OBJECT, True),
    ],
)  # fmt: skip
def test_answers_that_are_no_verdict(status: int, body: bytes, words: str, *, failure: bool) -> None:
    with pytest.raises(AuthUnavailableError) as caught:
        read(status, body)
    assert words == str(caught.value)
    assert failure is caught.value.failure


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{}", NO_VALID),
        (b'{"valid":1}', NO_VALID),
        (b'{"valid":"true"}', NO_VALID),
        (b'{"valid":null}', NO_VALID),
        (b'{"valid":true}', USER_ID),
        (yes(user_id=None), USER_ID),
        (yes(user_id=5), USER_ID),
        (yes(user_id=True), USER_ID),
        (yes(user_id=["u1"]), USER_ID),
        (yes(user_id=""), USER_ID),
        (yes(user_id="x" * (MAX_USER_ID_BYTES + 1)), USER_ID),
        (yes(user_id="\u00e9" * (MAX_USER_ID_BYTES // 2) + "x"), USER_ID),
        (yes(user_id="u1\r\nX-User-ID: root"), USER_ID),
        *[(yes(user_id=f"u{chr(code)}1"), USER_ID) for code in (0, 9, 10, 13, 27, 31, 127, 128, 133, 159)],
        (yes(user_id="\ud800"), USER_ID),
        (yes(user_id="u\udfff"), USER_ID),
        (yes(expires="2000"), EXPIRES),
        (yes(expires=True), EXPIRES),
        (yes(expires=[]), EXPIRES),
        (yes(expires=float("nan")), EXPIRES),
    ],
)
def test_answers_that_cannot_be_used(body: bytes, words: str) -> None:
    assert read(200, body) == Unusable(words)


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
    if isinstance(verdict, Identity):
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
    clock: Clock,
    *,
    elapsed: Clock | None = None,
    size: int = 10,
    ttl: float = 60,
    refusal_ttl: float = 5,
    stale_seconds: float = 0,
    secret: bytes = b"s",
) -> VerdictCache:
    return VerdictCache(
        size=size,
        ttl=ttl,
        refusal_ttl=refusal_ttl,
        stale_seconds=stale_seconds,
        clock=clock,
        elapsed=elapsed or clock,
        secret=secret,
    )


@pytest.mark.parametrize(
    ("verdict", "seconds"),
    [
        pytest.param(Identity("u1", 0, DIGEST), 60, id="yes: the TTL"),
        pytest.param(Identity("u1", NOW + 900, DIGEST), 60, id="yes: the TTL before its end"),
        pytest.param(Identity("u1", NOW + 30, DIGEST), 30, id="yes: its end before the TTL"),
        pytest.param(REFUSED, 5, id="no"),
        pytest.param(Unusable("words"), 5, id="neither"),
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


@pytest.mark.parametrize(
    ("verdict", "seconds"), [(Identity("u1", NOW + 900, DIGEST), 60), (REFUSED, 5), (Unusable("words"), 5)]
)
def test_no_verdict_is_believed_longer_because_the_clock_is_set_back(
    verdict: Verdict, seconds: float
) -> None:
    clock, elapsed = Clock(), Clock()
    verdicts = cache(clock, elapsed=elapsed, stale_seconds=600)
    verdicts.put(b"d", verdict)
    clock.now -= 3600
    elapsed.now += seconds - 0.5
    assert verdicts.get(b"d") == verdict
    elapsed.now += 0.5
    assert verdicts.get(b"d") is None
    elapsed.now += 599.5
    assert (verdicts.stale(b"d") is verdict) is isinstance(verdict, Identity)
    elapsed.now += 0.5
    assert verdicts.stale(b"d") is None


@pytest.mark.parametrize("outdated", [REFUSED, Unusable("words"), Identity("u1", NOW, DIGEST)])
def test_a_new_verdict_replaces_the_old_one_even_where_it_is_not_kept(outdated: Verdict) -> None:
    verdicts = cache(Clock(), refusal_ttl=0)
    verdicts.put(b"d", Identity("u1", 0, DIGEST))
    verdicts.put(b"d", outdated)
    assert verdicts.get(b"d") is None


def test_a_new_identity_replaces_a_refusal() -> None:
    verdicts = cache(Clock())
    verdicts.put(b"d", REFUSED)
    verdicts.put(b"d", Identity("u1", 0, DIGEST))
    assert verdicts.get(b"d") == Identity("u1", 0, DIGEST)
    assert len(verdicts) == 1


@pytest.mark.parametrize(
    ("verdict", "left"), [(Identity("u1", 0, DIGEST), [True, False, True]), (REFUSED, [False, True, True])]
)
def test_the_least_recently_used_identity_is_forgotten_first_and_the_oldest_of_the_others(
    verdict: Verdict, left: list[bool]
) -> None:
    verdicts = cache(Clock(), size=2)
    for digest in (b"a", b"b"):
        verdicts.put(digest, verdict)
    verdicts.get(b"a")
    verdicts.put(b"c", verdict)
    assert [verdicts.get(digest) == verdict for digest in (b"a", b"b", b"c")] == left
    assert repr(verdicts) == "<VerdictCache 2>"


def test_no_number_of_invalid_tokens_removes_an_identity() -> None:
    verdicts, known = cache(Clock(), size=2, stale_seconds=600), Identity("u1", 0, b"known")
    verdicts.put(b"known", known)
    for number in range(1000):
        verdicts.put(number.to_bytes(4, "big"), REFUSED)
        verdicts.put(b"x%d" % number, Unusable("words"))
    assert verdicts.get(b"known") is verdicts.stale(b"known") is known
    assert len(verdicts) == 3


def test_memory_is_bounded_however_many_tokens_come() -> None:
    verdicts = cache(Clock(), size=100, stale_seconds=600)
    for number in range(20_000):
        verdict = REFUSED if number % 2 else Identity("u1")
        verdicts.put(number.to_bytes(4, "big"), verdict)
        verdicts.put(b"often", verdict)
    assert len(verdicts) == 199  # the last one has left one store for the other
    assert len(verdicts._identities._TLRUCache__order) <= 400  # type: ignore[attr-defined] # its private heap


# Identities past their TTL.


@pytest.mark.parametrize(
    ("expires", "seconds"),
    [
        pytest.param(0, 660, id="the TTL and the time after it"),
        pytest.param(NOW + 900, 660, id="before its end"),
        pytest.param(NOW + 300, 300, id="its end"),
        pytest.param(NOW + 30, 30, id="its end before the TTL"),
    ],
)
def test_how_long_an_identity_is_kept_for_when_auth_fails(expires: float, seconds: float) -> None:
    clock, identity = Clock(), Identity("u1", expires, DIGEST)
    verdicts = cache(clock, stale_seconds=600)
    verdicts.put(b"d", identity)
    clock.now = NOW + seconds - 0.5
    assert verdicts.stale(b"d") is identity
    assert verdicts.get(b"d") is (identity if seconds == 30 else None)
    clock.now = NOW + seconds
    assert verdicts.stale(b"d") is None


def test_it_is_kept_even_if_it_is_not_cached() -> None:
    verdicts = cache(Clock(), ttl=0, stale_seconds=600)
    verdicts.put(b"d", Identity("u1"))
    assert (verdicts.get(b"d"), verdicts.stale(b"d")) == (None, Identity("u1"))


def test_nothing_is_kept_without_that_time() -> None:
    clock = Clock()
    verdicts = cache(clock, stale_seconds=0)
    verdicts.put(b"d", Identity("u1"))
    clock.now = NOW + 60
    assert verdicts.stale(b"d") is None


@pytest.mark.parametrize("later", [REFUSED, Unusable("words")])
def test_a_later_verdict_ends_it(later: Verdict) -> None:
    verdicts = cache(Clock(), stale_seconds=600)
    verdicts.put(b"d", Identity("u1"))
    verdicts.put(b"d", later)
    assert verdicts.stale(b"d") is None


def test_a_digest_is_of_the_token_and_of_the_secret() -> None:
    one, two = cache(Clock(), secret=b"1"), cache(Clock(), secret=b"2")
    for _ in range(2):
        assert one.digest("T") == cache(Clock(), secret=b"1").digest("T")
    assert len({one.digest("T"), one.digest("U"), two.digest("T")}) == 3
    assert b"SECRET" not in one.digest("SECRET")
