"""The certificate that the kit gives to a gateway, and clients that trust no other."""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
import ssl
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HOST: Final = "gateway.test"
"""The name for which the certificate is valid, besides `localhost` and 127.0.0.1."""

_DAY: Final = dt.timedelta(days=1)


class Certificate:
    """A key and its certificate, which has signed itself and is valid for a few days."""

    def __init__(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
        now = dt.datetime.now(dt.UTC)
        names = [x509.DNSName(HOST), x509.DNSName("localhost")]
        address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _DAY)
            .not_valid_after(now + 7 * _DAY)
            .add_extension(x509.SubjectAlternativeName([*names, address]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(key, hashes.SHA256())
        )
        self._key = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        self._pem = certificate.public_bytes(serialization.Encoding.PEM)
        self.der = certificate.public_bytes(serialization.Encoding.DER)
        """The certificate as a server sends it."""

    def __repr__(self) -> str:
        """Leave out the key."""
        return f"<Certificate of {HOST}>"

    def write(self, certificate: Path, key: Path) -> None:
        """Write both in PEM; only this user can read the key."""
        certificate.write_bytes(self._pem)
        with os.fdopen(os.open(key, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(self._key)

    def client_context(self, version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
        """Return the context of a client that trusts only this certificate.

        Args:
            version: the only version of TLS to use; None leaves it to the peers.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=self._pem.decode())
        if version is not None:
            context.minimum_version = context.maximum_version = version
        return context
