"""A certificate for 127.0.0.1 that has signed itself, for tests that speak TLS."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from pathlib import Path

from tests.docs.programs import missing


def make_certificate(folder: Path) -> Path:
    """Write a key and its certificate into one file, and return it; skip the test where that is not possible."""
    openssl = shutil.which("openssl")
    if openssl is None:
        missing("openssl, which makes a certificate, is not installed")
    file = folder / "both.pem"
    subject = ["-subj", "/CN=tls.test", "-addext", "subjectAltName=IP:127.0.0.1"]
    made = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command = [*made, *subject, "-days", "2", "-keyout", str(file), "-out", str(file.with_suffix(".crt"))]
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - our own words
    file.write_text(file.read_text() + file.with_suffix(".crt").read_text())
    return file


def server_side(certificate: Path) -> ssl.SSLContext:
    """Return the context of a server that shows this certificate."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    return context


def client_side(certificate: Path) -> ssl.SSLContext:
    """Return the context of a client that trusts this certificate."""
    return ssl.create_default_context(cafile=certificate)
