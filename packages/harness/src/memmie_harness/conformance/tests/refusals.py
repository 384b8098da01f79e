"""Handshakes that must not succeed: invalid ones, and those of pages of other origins."""

from __future__ import annotations

from collections.abc import Sequence

from memmie_harness.conformance.checks import equal, true
from memmie_harness.conformance.group import FEATURE, MUST, Group, row
from memmie_harness.conformance.lab import Lab
from memmie_harness.conformance.model import Violation
from memmie_harness.conformance.peers import TEXT
from memmie_harness.conformance.peers.heads import KEY, Head
from memmie_harness.conformance.peers.side import Side

GROUP = Group("refusals", "Refused handshakes")


@GROUP.table(
    level=MUST,
    rule="RFC 6455 §4.2.1",
    needs=["checks_upgrade"],
    rows=[
        row("no-upgrade", "A request without Upgrade is refused", ["upgrade"], []),
        row(
            "other-upgrade", "A request for another protocol is refused", ["upgrade"], ["Upgrade: example/1"]
        ),
        row("no-connection", "A request without `Connection: Upgrade` is refused", ["connection"], []),
        row(
            "connection-close",
            "A request with `Connection: close` alone is refused",
            ["connection"],
            ["Connection: close"],
        ),
        row("no-key", "A request without a key is refused", ["sec-websocket-key"], []),
        row(
            "empty-key",
            "A request with an empty key is refused",
            ["sec-websocket-key"],
            ["Sec-WebSocket-Key: "],
        ),
        row(
            "short-key",
            "A key of 15 bytes is refused",
            ["sec-websocket-key"],
            ["Sec-WebSocket-Key: YSBjbGllbnQncyBub25j"],
        ),
        row(
            "long-key",
            "A key of 17 bytes is refused",
            ["sec-websocket-key"],
            ["Sec-WebSocket-Key: YSBjbGllbnQncyBub25jZXM="],
        ),
        row(
            "key-not-base64",
            "A key that is not base64 is refused",
            ["sec-websocket-key"],
            ["Sec-WebSocket-Key: !!!!!!!!!!!!!!!!!!!!!!=="],
        ),
        row("two-keys", "Two keys are refused", [], [f"Sec-WebSocket-Key: {KEY}"], rule="RFC 6455 §11.3.1"),
        row("no-version", "A request without a version is refused", ["sec-websocket-version"], []),
        row(
            "two-versions",
            "Two versions are refused",
            [],
            ["Sec-WebSocket-Version: 8"],
            rule="RFC 6455 §11.3.5",
        ),
    ],
)
async def invalid(lab: Lab, without: Sequence[str], lines: Sequence[str]) -> None:
    await lab.refused(lab.request(*lines, without=without))


@GROUP.table(
    level=MUST,
    rule="RFC 6455 §4.2.2",
    needs=["checks_upgrade"],
    rows=[
        row("version-8", "Version 8 is answered by a 4xx with `Sec-WebSocket-Version: 13`", "8"),
        row("version-0", "Version 0 is answered by a 4xx with `Sec-WebSocket-Version: 13`", "0"),
        row("version-14", "Version 14 is answered by a 4xx with `Sec-WebSocket-Version: 13`", "14"),
    ],
)
async def version(lab: Lab, version: str) -> None:
    answer = await lab.refused(
        lab.request(f"Sec-WebSocket-Version: {version}", without=["sec-websocket-version"])
    )
    versions = [each.strip() for each in answer.get("sec-websocket-version").split(",")]
    true("Sec-WebSocket-Version with 13", "13" in versions, repr(answer.fields))


@GROUP.test(
    "upgrade-in-426",
    "An answer 426 has `Upgrade: websocket`",
    level=MUST,
    rule="RFC 9110 §15.5.22",
    needs=["checks_upgrade"],
)
async def upgrade_in_426(lab: Lab) -> None:
    answer = await lab.refused(lab.request(without=["upgrade", "connection"]))
    true(
        "`Upgrade: websocket` if the status is 426",
        answer.status != 426 or "websocket" in answer.get("upgrade").lower(),
        repr(answer.fields),
    )


@GROUP.table(
    level=MUST,
    rule="RFC 6455 §4.2.1",
    needs=["checks_upgrade"],
    rows=[
        row("post", "POST is not a handshake", b"GET ", b"POST "),
        row("head", "HEAD is not a handshake", b"GET ", b"HEAD "),
        row("http-1-0", "HTTP/1.0 is not a handshake", b" HTTP/1.1", b" HTTP/1.0"),
        row("unknown-method", "An unknown method is not a handshake", b"GET ", b"BREW "),
    ],
)
async def request_line(lab: Lab, old: bytes, new: bytes) -> None:
    client = await lab.dial()
    client.write(lab.request().replace(old, new, 1))
    if new == b"HEAD ":
        head = await client.read_until(
            b"\r\n\r\n"
        )  # no body follows, whatever Content-Length says (RFC 9110 §9.3.2)
        true("an answer 4xx", b" 4" in head[:10], head)
        lab.no_arrival()
        return
    await lab.refusal(client, *range(400, 600))


async def refused_somehow(lab: Lab) -> tuple[Side, Head]:
    """Return a client that was refused and its answer; which invalid handshake is refused is up to other tests."""
    for field in ("sec-websocket-key", "upgrade", "sec-websocket-version"):
        client = await lab.dial()
        client.write(lab.request(without=[field]))
        answer, arrival = await lab.answer_or_arrival(client)
        if arrival is None and isinstance(answer, Head) and 400 <= answer.status < 500:
            return client, answer
    raise Violation(
        "a refusal of a request without key, without Upgrade or without a version", "none of them is refused"
    )


@GROUP.test(
    "refusal-is-complete",
    "A refusal has a body of the announced length, or ends with the connection",
    level=MUST,
    rule="RFC 9112 §6.3",
    needs=["checks_upgrade"],
)
async def refusal_is_complete(lab: Lab) -> None:
    client, answer = await refused_somehow(lab)
    if "close" in answer.get("connection").lower():
        equal("what comes after the answer", await client.expect_end(), b"")


@GROUP.test(
    "refused-one-harms-nobody",
    "After a refused handshake, others of the same user succeed",
    level=MUST,
    rule="RFC 6455 §4.2.1",
    needs=["checks_upgrade"],
)
async def harms_nobody(lab: Lab) -> None:
    for _ in range(3):
        await refused_somehow(lab)
    pair = await lab.join()
    pair.client.send(TEXT, "fine")
    await pair.studio.expect_message(TEXT, "fine")


@GROUP.table(
    level=FEATURE,
    rule="RFC 6455 §10.2, spec §1, origins",
    needs=["checks_origin"],
    rows=[
        row("origin-other-host", "A page of another host gets 403", "https://evil.test"),
        row("origin-subdomain", "A page of a subdomain of the allowed host gets 403", "https://x.{host}"),
        row(
            "origin-longer-name",
            "A page of a host that only begins like the allowed one gets 403",
            "{origin}.evil.test",
        ),
        row(
            "origin-ends-alike",
            "A page of a host that only ends like the allowed one gets 403",
            "https://evil-{host}",
        ),
        row("origin-other-scheme", "A page of another scheme gets 403", "http://{host}"),
        row("origin-other-port", "A page of another port gets 403", "{origin}:8443"),
        row("origin-null", "The origin null gets 403", "null"),
        row(
            "origin-two",
            "Two origins get 4xx, although one is allowed",
            "{origin}\r\nOrigin: https://evil.test",
        ),
    ],
)
async def other_origin(lab: Lab, pattern: str) -> None:
    origin = lab.setup.text("checks_origin")
    value = pattern.format(origin=origin, host=origin.partition("://")[2])
    await lab.refused(lab.request(f"Origin: {value}"), *((403,) if "\r" not in value else ()))


@GROUP.table(
    level=FEATURE,
    rule="RFC 6455 §10.2, spec §1, origins",
    needs=["checks_origin"],
    rows=[
        row("origin-allowed", "A page of the allowed origin is accepted", ["Origin: {}"]),
        row("origin-none", "A client without an origin, which is not a browser, is accepted", []),
    ],
)
async def allowed_origin(lab: Lab, lines: list[str]) -> None:
    pair = await lab.join(lab.request(*(line.format(lab.setup.text("checks_origin")) for line in lines)))
    await pair.exchange()
