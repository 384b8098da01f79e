"""Auth's HTTP (spec §5): register, log in, validate, refresh, log out."""

from __future__ import annotations

import time
from typing import Any, get_args

import aiohttp
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from memmie_fake_auth import FakeAuth, TokenKind

ADA = {"email": "ada@example.test", "password": "analytical engine", "username": "ada"}


async def post(
    http: aiohttp.ClientSession, auth: FakeAuth, path: str, body: Any = None, token: str = ""
) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with http.post(f"{auth.url}/api/v1/auth/{path}", json=body, headers=headers) as response:
        return response.status, await response.json()


async def validate(http: aiohttp.ClientSession, auth: FakeAuth, token: str) -> tuple[int, Any]:
    return await post(http, auth, "validate", {"token": token}, token)


async def test_a_user_registers_logs_in_and_is_known(http: aiohttp.ClientSession, auth: FakeAuth) -> None:
    status, registered = await post(http, auth, "register", {**ADA, "phone": "+49"})
    assert (status, sorted(registered)) == (201, ["expires", "refresh_token", "token", "user_id"])
    status, session = await post(http, auth, "login", {**ADA, "email": "ADA@example.test"})
    assert (status, session["user_id"]) == (200, registered["user_id"])
    status, verdict = await validate(http, auth, session["token"])
    assert (status, verdict) == (
        200,
        {
            "valid": True,
            "user_id": registered["user_id"],
            "email": "ada@example.test",
            "phone": "+49",
            "expires": session["expires"],
        },
    )


async def test_a_token_is_a_jwt_that_the_jwks_document_verifies(
    http: aiohttp.ClientSession, auth: FakeAuth
) -> None:
    token = auth.mint("u1", ttl_seconds=60)
    async with http.get(f"{auth.url}/.well-known/jwks.json") as response:
        (key,) = (await response.json())["keys"]
    assert sorted(key) == ["alg", "e", "kid", "kty", "n", "use"]
    assert jwt.get_unverified_header(token)["kid"] == key["kid"]
    claims = jwt.decode(token, jwt.PyJWK(key), algorithms=["RS256"])
    assert (claims["sub"], claims["email"]) == ("u1", "u1@example.test")
    assert claims["exp"] - claims["iat"] in (60, 61)
    assert claims["jti"] != jwt.decode(auth.mint("u1"), jwt.PyJWK(key), algorithms=["RS256"])["jti"]


@pytest.mark.parametrize("kind", get_args(TokenKind))
async def test_each_kind_of_minted_token(
    http: aiohttp.ClientSession, auth: FakeAuth, kind: TokenKind
) -> None:
    status, verdict = await validate(http, auth, auth.mint("u1", kind=kind))
    assert (status, verdict["valid"]) == ((200, True) if kind == "valid" else (401, False))


async def test_a_forged_token_is_refused(http: aiohttp.ClientSession, auth: FakeAuth) -> None:
    claims = jwt.decode(auth.mint("u1"), options={"verify_signature": False})
    none = jwt.encode(claims, "", algorithm="none")
    symmetric = jwt.encode(claims, "guess" * 10, algorithm="HS256")
    for token in (none, symmetric, "x", "a.b.c", "\ud800", ""):
        assert (await post(http, auth, "validate", {"token": token}))[0] == (401 if token else 400)


async def test_a_refusal_can_be_a_body_instead_of_a_status(http: aiohttp.ClientSession) -> None:
    async with FakeAuth(refusal="body") as auth:
        status, verdict = await validate(http, auth, auth.mint(kind="expired"))
        assert (status, verdict["valid"], verdict["error"]) == (200, False, "the token has expired")


async def test_a_token_expires(http: aiohttp.ClientSession, auth: FakeAuth) -> None:
    before = time.time()
    token = auth.mint(ttl_seconds=60.5)  # it must live until it is asked about
    after = time.time()
    expires = (await validate(http, auth, token))[1]["expires"]
    # Whole seconds (RFC 7519 §2 allows fractions, the contract does not), rounded up.
    assert before + 60.5 <= expires < after + 61.5


async def test_the_token_may_be_in_the_header_or_in_the_body_but_not_two(
    http: aiohttp.ClientSession, auth: FakeAuth
) -> None:
    first, second = auth.mint("u1"), auth.mint("u2")
    assert (await post(http, auth, "validate", {"token": first}))[1]["user_id"] == "u1"
    assert (await post(http, auth, "validate", None, second))[1]["user_id"] == "u2"
    assert (await post(http, auth, "validate", {"token": first}, second))[1]["code"] == "two_tokens"


async def test_refresh_gives_a_new_session_once(http: aiohttp.ClientSession, auth: FakeAuth) -> None:
    _, session = await post(http, auth, "register", ADA)
    status, renewed = await post(http, auth, "refresh", {"refresh_token": session["refresh_token"]})
    assert (status, renewed["user_id"]) == (200, session["user_id"])
    assert renewed["token"] != session["token"]
    status, refusal = await post(http, auth, "refresh", {"refresh_token": session["refresh_token"]})
    assert (status, refusal["code"]) == (401, "invalid_refresh_token")


async def test_an_expired_refresh_token_is_refused(http: aiohttp.ClientSession) -> None:
    async with FakeAuth(refresh_ttl_seconds=1e-9) as auth:
        _, session = await post(http, auth, "register", ADA)
        assert (await post(http, auth, "refresh", {"refresh_token": session["refresh_token"]}))[0] == 401


async def test_logout_revokes_the_token_and_the_refresh_tokens(
    http: aiohttp.ClientSession, auth: FakeAuth
) -> None:
    _, session = await post(http, auth, "register", ADA)
    assert (await post(http, auth, "logout", None, session["token"]))[0] == 200
    assert (await validate(http, auth, session["token"]))[1]["error"] == "the token has been revoked"
    assert (await post(http, auth, "refresh", {"refresh_token": session["refresh_token"]}))[0] == 401
    assert (await post(http, auth, "logout", None, session["token"]))[0] == 401


async def test_users_are_seen_by_themselves_only(http: aiohttp.ClientSession, auth: FakeAuth) -> None:
    _, session = await post(http, auth, "register", ADA)

    async def get(user_id: str, token: str) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with http.get(f"{auth.url}/api/v1/users/{user_id}", headers=headers) as response:
            return response.status, await response.json()

    status, user = await get(session["user_id"], session["token"])
    assert (status, sorted(user)) == (200, ["created", "email", "phone", "user_id", "username"])
    assert (await get("someone-else", session["token"]))[0] == 403
    assert (await get(session["user_id"], ""))[0] == 401
    assert (await get("u1", auth.mint("u1")))[0] == 404


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("register", {**ADA, "email": "no address"}, 400, "bad_field"),
        ("register", {**ADA, "password": "short"}, 400, "bad_field"),
        ("register", {**ADA, "username": " "}, 400, "bad_field"),
        ("register", {**ADA, "email": 7}, 400, "bad_field"),
        ("register", {**ADA, "email": "taken@example.test"}, 409, "email_taken"),
        ("login", {**ADA, "email": "taken@example.test"}, 401, "bad_credentials"),
        ("login", {**ADA, "email": "nobody@example.test"}, 401, "bad_credentials"),
        ("refresh", {"refresh_token": "made up"}, 401, "invalid_refresh_token"),
        ("refresh", {}, 400, "bad_field"),
        ("logout", {}, 401, "invalid_token"),
        ("nothing", {}, 404, "not_found"),
    ],
)
async def test_bad_input_is_refused_clearly(
    http: aiohttp.ClientSession, auth: FakeAuth, path: str, body: Any, status: int, code: str
) -> None:
    await post(http, auth, "register", {**ADA, "email": "taken@example.test", "password": "another one"})
    answer = await post(http, auth, path, body)
    assert (answer[0], answer[1]["code"]) == (status, code)
    assert answer[1]["error"]


async def test_stores_are_bounded_and_say_so(http: aiohttp.ClientSession) -> None:
    async with FakeAuth(max_users=1, max_revocations=1, max_refresh_tokens=2, max_body_bytes=1024) as auth:
        _, session = await post(http, auth, "register", ADA)
        status, refusal = await post(http, auth, "register", {**ADA, "email": "b@example.test"})
        assert (status, refusal["code"]) == (507, "store_full")
        assert "at most 1 users" in refusal["error"]
        assert "/_control/reset removes all users" in refusal["error"]
        assert (await post(http, auth, "login", ADA))[0] == 200
        assert (await post(http, auth, "login", ADA))[0] == 507
        assert (await post(http, auth, "logout", None, session["token"]))[0] == 200
        status, refusal = await post(http, auth, "logout", None, auth.mint("u2"))
        assert status == 507
        assert "reset" not in refusal["error"], "it does not clear the revoked tokens"
        assert (await post(http, auth, "login", {"email": "x" * 2000}))[0] == 413


async def test_expired_revocations_make_room() -> None:
    auth = FakeAuth(max_revocations=1)
    auth._mint.revoke("old", int(time.time()) - 1)
    auth.mint(kind="revoked")


async def test_reset_forgets_users_but_tokens_stay_as_they_are(
    http: aiohttp.ClientSession, auth: FakeAuth
) -> None:
    _, session = await post(http, auth, "register", ADA)
    revoked = auth.mint(kind="revoked")
    auth.reset()
    assert (await post(http, auth, "login", ADA))[0] == 401
    assert (await validate(http, auth, session["token"]))[0] == 200
    assert (await validate(http, auth, revoked))[0] == 401


async def test_tokens_and_passwords_are_in_no_log_and_no_repr(
    http: aiohttp.ClientSession, auth: FakeAuth
) -> None:
    _, session = await post(http, auth, "register", ADA)
    await validate(http, auth, session["token"])
    async with http.get(
        f"{auth.url}/health?token={session['token']}",
        headers={"Sec-WebSocket-Protocol": f"bearer, {session['token']}", "Cookie": f"t={session['token']}"},
    ):
        pass
    everything = repr(list(auth.log)) + repr(auth) + repr(auth._users.get(session["user_id"]))
    assert session["token"] not in everything
    assert ADA["password"] not in everything


def pem_of(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def test_the_signing_key_can_be_given() -> None:
    pem = pem_of(rsa.generate_private_key(public_exponent=65537, key_size=2048))
    given, same = FakeAuth(signing_key=pem), FakeAuth(signing_key=pem)
    assert given._mint.key.id == same._mint.key.id != FakeAuth()._mint.key.id
    assert same._mint.verify(given.mint("u1")).user_id == "u1"
    with pytest.raises(ValueError, match="an unencrypted private key"):
        FakeAuth(signing_key="nonsense")
    with pytest.raises(ValueError, match="an RSA key of 2048 bits or more"):
        FakeAuth(signing_key=pem_of(ec.generate_private_key(ec.SECP256R1())))


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ({"access_ttl_seconds": 0}, "access_ttl_seconds: 0 is given"),
        ({"refusal": "shrug"}, "refusal: 'shrug' is given; allowed: status, body"),
        ({"max_users": 0}, "users: a limit of 0 is given"),
        ({"max_body_bytes": 1}, "max_body_bytes: 1 is given"),
        ({"log_entries": 0}, "log_entries: 0 is given"),
    ],
)
def test_bad_settings_are_refused(setting: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        FakeAuth(**setting)


@pytest.mark.parametrize(
    "bad", [{"user_id": ""}, {"ttl_seconds": 0}, {"ttl_seconds": float("nan")}, {"kind": "odd"}]
)
def test_bad_mints_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(bad))):
        FakeAuth().mint(**bad)
