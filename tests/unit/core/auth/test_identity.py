"""The identity of a client, and its claims."""

from __future__ import annotations

import json

import pytest

from memmie_gateway.core.auth.identity import Identity


def test_only_the_user_is_needed() -> None:
    assert Identity("u1") == Identity("u1", expires=0, digest=b"", claims_json=b"")


@pytest.mark.parametrize(
    ("claims_json", "expected"),
    [
        (b"", {}),
        (b"{}", {}),
        (b'{"plan":"pro","scopes":["a","b"],"n":1.5}', {"plan": "pro", "scopes": ["a", "b"], "n": 1.5}),
        ('{"name":"é"}'.encode(), {"name": "é"}),
    ],
)
def test_claims(claims_json: bytes, expected: dict[str, object]) -> None:
    assert Identity("u1", claims_json=claims_json).claims == expected


def test_changed_claims_are_only_a_copy() -> None:
    identity = Identity("u1", claims_json=json.dumps({"scopes": ["a"]}).encode())
    identity.claims["scopes"].append("admin")
    assert identity.claims == {"scopes": ["a"]}


def test_a_repr_tells_neither_the_user_nor_the_digest_nor_the_claims() -> None:
    identity = Identity("SECRET", 12.5, b"SECRET", b'{"name":"SECRET"}')
    assert repr(identity) == "Identity(expires=12.5)"
    assert "SECRET" not in f"{identity} {[identity]}"
