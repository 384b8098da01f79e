"""Who a client is: what an identity holds, and what it does not show."""

from __future__ import annotations

from memmie_gateway.core.identity import Authenticator, Identity


def test_claims_are_read_anew_each_time() -> None:
    identity = Identity("u1", 5, b"d", b'{"roles":["admin"]}')
    identity.claims["roles"].append("root")
    assert identity.claims == {"roles": ["admin"]}


def test_there_may_be_no_claims() -> None:
    assert Identity("u1").claims == {}


def test_it_shows_neither_the_user_nor_the_claims() -> None:
    identity = Identity("u1", 5, b"d", b'{"email":"me"}')
    assert repr(identity) == str(identity) == f"{identity}" == "Identity(expires=5)"


def test_an_authenticator_that_knows_returns_at_once() -> None:
    class Knows:
        """Knows everybody."""

        def authenticate(self, token: str) -> Identity:
            return Identity(token)

    authenticator: Authenticator = Knows()
    assert authenticator.authenticate("T") == Identity("T")
