"""The key that signs tokens, and its public part as a JWKS document (RFC 7517)."""

from __future__ import annotations

import functools
import hashlib
from typing import Any, Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

ALGORITHM: Final = "RS256"
"""The signature algorithm of every token."""


class SigningKey:
    """An RSA key for RS256 (RFC 7518 §3.3).

    Args:
        pem: the private key in PEM; empty takes one that is made once per process, because that takes 0.1 s.

    Attributes:
        private: the private key.
        public: the public key.
        id: the key id (`kid`), derived from the public key.

    Raises:
        ValueError: `pem` is not an unencrypted RSA private key of 2048 bits or more.
    """

    def __init__(self, pem: str = "") -> None:
        self.private = _load(pem) if pem else _process_key()
        self.public = self.private.public_key()
        der = self.public.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.id = hashlib.sha256(der).hexdigest()[:16]

    def jwks(self) -> dict[str, Any]:
        """Return the JWKS document."""
        key = RSAAlgorithm.to_jwk(self.public, as_dict=True)
        key.pop("key_ops", None)
        return {"keys": [{**key, "use": "sig", "alg": ALGORITHM, "kid": self.id}]}


def new_pem() -> str:
    """Return a new private key in PEM."""
    return (
        _new_key()
        .private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        .decode("ascii")
    )


def _new_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@functools.cache
def _process_key() -> rsa.RSAPrivateKey:
    return _new_key()


def _load(pem: str) -> rsa.RSAPrivateKey:
    try:
        key = serialization.load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError):
        raise ValueError("signing_key: an unencrypted private key in PEM is expected") from None
    if not isinstance(key, rsa.RSAPrivateKey) or key.key_size < 2048:
        raise ValueError("signing_key: an RSA key of 2048 bits or more is expected")
    return key
