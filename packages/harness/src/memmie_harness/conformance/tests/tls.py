"""WebSockets with TLS, as the gateway itself serves them."""

from __future__ import annotations

import ssl
import struct
from typing import Final

from memmie_harness.conformance.checks import equal, true
from memmie_harness.conformance.group import FEATURE, MUST, SHOULD, Group, row
from memmie_harness.conformance.lab import Lab
from memmie_harness.conformance.pair import Pair
from memmie_harness.conformance.peers import BINARY, CLOSE, TEXT
from memmie_harness.conformance.peers.certificate import HOST
from memmie_harness.conformance.peers.side import Side
from memmie_harness.conformance.tests.closes import may_be_sent

GROUP = Group("tls", "TLS", needs=("tls",))

SECURE: Final = "RFC 6455 §4.1"

TLS_1_0, TLS_1_1 = 0x0301, 0x0302

OLD_SUITES: Final = (0xC009, 0xC00A, 0xC013, 0xC014, 0x002F, 0x0035)
"""AES with SHA-1, which TLS 1.0 and 1.1 have, too."""

HANDSHAKE_RECORD: Final = 0x16


async def dial(lab: Lab, version: ssl.TLSVersion | None = None) -> Side:
    """Connect a client with TLS that trusts only the certificate of this gateway."""
    assert lab.stack.certificate is not None
    return await lab.dial_tls_port(lab.stack.certificate.client_context(version))


async def join(lab: Lab, version: ssl.TLSVersion | None = None) -> Pair:
    """Open a WebSocket over TLS."""
    return await lab.join(client=await dial(lab, version))


@GROUP.test(
    "exchange", "A handshake over TLS is accepted, and messages pass both ways", level=MUST, rule=SECURE
)
async def exchange(lab: Lab) -> None:
    pair = await join(lab)
    await pair.exchange()


@GROUP.table(
    level=MUST,
    rule="RFC 9325 §3.1.1",
    rows=[
        row("version-1-2", "A client with TLS 1.2 is accepted", ssl.TLSVersion.TLSv1_2),
        row("version-1-3", "A client with TLS 1.3 is accepted", ssl.TLSVersion.TLSv1_3, level=SHOULD),
    ],
)
async def version(lab: Lab, version: ssl.TLSVersion) -> None:
    pair = await join(lab, version)
    await pair.exchange()


@GROUP.table(
    level=MUST,
    rule="RFC 8996 §4, §5",
    rows=[
        row("old-version-1-0", "TLS 1.0 is refused", TLS_1_0),
        row("old-version-1-1", "TLS 1.1 is refused", TLS_1_1),
    ],
)
async def old_version(lab: Lab, version: int) -> None:
    client = await lab.dial_tls_port()
    client.write(client_hello(version))
    answer = await client.leftover(1)
    accepted = (
        len(answer) > 10 and answer[0] == HANDSHAKE_RECORD and answer[9:11] == struct.pack("!H", version)
    )
    true("an alert, or the end of the connection", not accepted, answer)


@GROUP.test(
    "certificate",
    "The certificate is the one that the gateway was given",
    level=FEATURE,
    rule="RFC 8446 §4.4.2",
)
async def certificate(lab: Lab) -> None:
    client = await dial(lab)
    shown = client.writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    assert lab.stack.certificate is not None
    true("the certificate of the profile", shown == lab.stack.certificate.der, "another certificate")


@GROUP.test(
    "forwarded-proto",
    "If the backend is told the scheme, it is https or wss",
    level=FEATURE,
    rule="spec §3, forwarded headers",
    needs=["forwarded_for"],
)
async def forwarded_proto(lab: Lab) -> None:
    pair = await join(lab)
    schemes = [value for name, value in pair.studio.head.fields if name == "x-forwarded-proto"]
    # Traefik names the scheme of the WebSocket's URL.
    true("`X-Forwarded-Proto: https` or wss, or none", set(schemes) <= {"https", "wss"}, repr(schemes))


@GROUP.test(
    "plain-http",
    "A handshake without TLS on the port with TLS does not reach a backend",
    level=FEATURE,
    rule="RFC 6455 §10.6",
)
async def plain_http(lab: Lab) -> None:
    client = await lab.dial_tls_port()
    client.write(lab.request())
    seen = await client.leftover(1)
    true("no answer 101", b" 101 " not in seen[:20], seen)
    lab.no_arrival()


@GROUP.table(
    level=MUST,
    rule=SECURE,
    rows=[
        row("large-up", "A message from the client that fills many TLS records arrives unchanged", "up"),
        row("large-down", "A message from the backend that fills many TLS records arrives unchanged", "down"),
    ],
)
async def large(lab: Lab, direction: str) -> None:
    pair = await join(lab)
    sender, receiver = (pair.client, pair.studio) if direction == "up" else (pair.studio, pair.client)
    payload = bytes(range(256)) * 2000
    sender.send(BINARY, payload)
    await receiver.expect_message(BINARY, payload)


@GROUP.test(
    "single-bytes",
    "A handshake and a message in TLS records of one byte each arrive",
    level=MUST,
    rule="RFC 8446 §5.1",
)
async def single_bytes(lab: Lab) -> None:
    client = await dial(lab)
    for byte in lab.request():
        client.write(bytes([byte]))
    pair = await lab.join(b"", client=client)
    for byte in client.frame(TEXT, "in single bytes"):
        client.write(bytes([byte]))
    await pair.studio.expect_message(TEXT, "in single bytes")


@GROUP.test(
    "stalled-handshake",
    "Clients that stop inside the TLS handshake do not delay others",
    level=FEATURE,
    rule="RFC 8446 §4.1.2",
)
async def stalled(lab: Lab) -> None:
    for _ in range(5):
        client = await lab.dial_tls_port()
        client.write(client_hello(TLS_1_1)[:20])
        await client.writer.drain()
    pair = await join(lab)
    await pair.exchange()


@GROUP.test(
    "closes",
    "The closing handshake passes over TLS, and then the connection ends",
    level=MUST,
    rule="RFC 6455 §7.1.1",
)
async def closes(lab: Lab) -> None:
    pair = await join(lab)
    pair.client.send(CLOSE, b"\x03\xe8bye")
    await pair.studio.expect_close(check=may_be_sent)
    pair.studio.send_close(1000)
    pair.studio.leave()
    await pair.client.expect_close(check=may_be_sent)
    equal("what comes after the Close frame", await pair.client.expect_end(), b"")


@GROUP.test(
    "reset",
    "If a client resets its TCP connection under TLS, the backend's connection ends",
    level=MUST,
    rule="RFC 6455 §7.1.7",
)
async def reset(lab: Lab) -> None:
    pair = await join(lab)
    await pair.exchange()
    pair.client.reset()
    await pair.studio.expect_close_or_end()


def client_hello(version: int) -> bytes:
    """Build a ClientHello in one record, for one version of TLS before 1.2 (RFC 4346 §7.4.1.2)."""
    suites = b"".join(struct.pack("!H", suite) for suite in OLD_SUITES)
    name = HOST.encode()
    server_name = struct.pack("!HBH", len(name) + 3, 0, len(name)) + name
    extensions = b"".join(
        struct.pack("!HH", number, len(data)) + data
        for number, data in (
            (0x0000, server_name),
            (0x000A, b"\x00\x04\x00\x17\x00\x1d"),  # the curves P-256 and X25519
            (0x000B, b"\x01\x00"),  # points are not compressed
        )
    )
    body = struct.pack("!H", version) + b"a client's nonce in 32 bytes !!!" + b"\x00"
    body += (
        struct.pack("!H", len(suites))
        + suites
        + b"\x01\x00"
        + struct.pack("!H", len(extensions))
        + extensions
    )
    message = b"\x01" + len(body).to_bytes(3, "big") + body
    return struct.pack("!BHH", HANDSHAKE_RECORD, TLS_1_0, len(message)) + message
