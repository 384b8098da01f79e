"""Socket.IO over WebSocket, translated for a backend with JSON messages; every packet is made by hand.

https://socket.io/docs/v4/engine-io-protocol, https://socket.io/docs/v4/socket-io-protocol
"""

from __future__ import annotations

import asyncio
import json
from typing import Final

from memmie_harness.conformance.checks import equal, true
from memmie_harness.conformance.group import FEATURE, Group, row
from memmie_harness.conformance.lab import Lab
from memmie_harness.conformance.model import Ended, Violation
from memmie_harness.conformance.pair import accept
from memmie_harness.conformance.peers import BINARY, TEXT
from memmie_harness.conformance.peers.auth import status
from memmie_harness.conformance.socketio_client import (
    ACK,
    CONNECT,
    CONNECT_ERROR,
    DISCONNECT,
    EVENT,
    PING,
    PONG,
    Client,
    backend_message,
    handshake,
    join,
    opened,
)
from memmie_harness.conformance.tests.hygiene import leaks
from memmie_harness.conformance.tests.limits import fill

GROUP = Group("socketio", "Socket.IO", needs=("auth", "socketio_path"))

RULE: Final = "spec §1, Socket.IO"
HYGIENE: Final = "spec §1 (a token is never sent to Studio, logged or used as a label)"


@GROUP.test(
    "open",
    "A client gets the packet `open` with its sid and the times of the heartbeat",
    level=FEATURE,
    rule=RULE,
)
async def opening(lab: Lab) -> None:
    data = (await opened(lab)).opening
    true("a sid", isinstance(data.get("sid"), str) and len(data["sid"]) >= 16, repr(data))
    for name in ("pingInterval", "pingTimeout", "maxPayload"):
        true(f"{name} in `open`", type(data.get(name)) is int and data[name] > 0, repr(data))
    equal("the upgrades of a client that has WebSocket", data.get("upgrades"), [])
    lab.no_arrival()


@GROUP.test(
    "connect",
    "CONNECT with a valid token is answered by CONNECT with an id, after the backend has accepted",
    level=FEATURE,
    rule=RULE,
)
async def connect(lab: Lab) -> None:
    client = await opened(lab)
    client.send(CONNECT + json.dumps({"token": lab.token}))
    studio = await lab.arrival()
    await client.side.expect_silence()
    accept(studio)
    data = await client.expect(CONNECT)
    true("an id", isinstance(data, dict) and isinstance(data.get("sid"), str) and data["sid"], repr(data))
    if user := lab.setup.offers.get("user_header"):
        equal("the user", studio.head.get(str(user).lower()), lab.user)


@GROUP.test(
    "token-in-handshake",
    "A token in the handshake connects a client whose CONNECT has none",
    level=FEATURE,
    rule=RULE,
    needs=["token_header"],
)
async def token_in_handshake(lab: Lab) -> None:
    side = await lab.dial()
    side.write(handshake(lab, token=lab.token))
    await lab.accepted(side)
    client = Client(side)
    await client.expect("0")
    client.send(CONNECT)
    accept(await lab.arrival())
    await client.expect(CONNECT)


@GROUP.test("event-up", "An event reaches the backend as type and data", level=FEATURE, rule=RULE)
async def event_up(lab: Lab) -> None:
    client, studio = await join(lab)
    client.send(EVENT + '["create_blob",{"name":"ü","n":[1,2.5,null]}]')
    client.send(EVENT + '["heartbeat"]')
    message = await backend_message(studio)
    equal(
        "type and data",
        (message.get("type"), message.get("data")),
        ("create_blob", {"name": "ü", "n": [1, 2.5, None]}),
    )
    true("no id, since no acknowledgement was asked for", message.get("id") is None, repr(message))
    equal("the type of the next message", (await backend_message(studio)).get("type"), "heartbeat")


@GROUP.test("event-down", "A message of the backend reaches the client as an event", level=FEATURE, rule=RULE)
async def event_down(lab: Lab) -> None:
    client, studio = await join(lab)
    studio.send(TEXT, json.dumps({"type": "blob.created", "data": {"id": 7}}))
    equal("the event", await client.expect(EVENT), ["blob.created", {"id": 7}])


@GROUP.test("order", "A hundred events each way arrive in order", level=FEATURE, rule=RULE)
async def order(lab: Lab) -> None:
    client, studio = await join(lab)
    for number in range(100):
        client.send(EVENT + json.dumps(["up", number]))
        studio.send(TEXT, json.dumps({"type": "down", "data": number}))
    equal("the data", [(await backend_message(studio)).get("data") for _ in range(100)], list(range(100)))
    equal("the data", [(await client.expect(EVENT))[1] for _ in range(100)], list(range(100)))


@GROUP.test(
    "ack",
    "The backend's answer to an event acknowledges it, and other messages in between do not",
    level=FEATURE,
    rule=RULE,
)
async def ack(lab: Lab) -> None:
    client, studio = await join(lab)
    client.send(EVENT + '12["first",1]')
    client.send(EVENT + '13["second",2]')
    first, second = await backend_message(studio), await backend_message(studio)
    true(
        "two different ids",
        first.get("id") and second.get("id") and first["id"] != second["id"],
        repr([first, second]),
    )
    studio.send(TEXT, json.dumps({"type": "news", "data": "in between"}))
    studio.send(TEXT, json.dumps({"id": second["id"], "type": "ack", "data": "for the second"}))
    studio.send(TEXT, json.dumps({"id": first["id"], "type": "error", "error": "for the first"}))
    equal("the event", await client.expect(EVENT), ["news", "in between"])
    for number, words in (("13", "for the second"), ("12", "for the first")):
        packet = await client.packet()
        true(
            f"the acknowledgement {number} with {words!r}",
            packet.startswith(f"{ACK}{number}[") and words in packet,
            packet,
        )


@GROUP.test(
    "ids-of-two-clients",
    "Two clients of one user have different ids for events with the same number",
    level=FEATURE,
    rule=RULE,
)
async def ids_of_two(lab: Lab) -> None:
    ids = []
    for _ in range(2):
        client, studio = await join(lab)
        client.send(EVENT + '0["same",0]')
        ids.append((await backend_message(studio)).get("id"))
    true("two ids", all(ids) and ids[0] != ids[1], repr(ids))


@GROUP.table(
    level=FEATURE,
    rule=RULE,
    rows=[
        row("no-token", "CONNECT without a token gets CONNECT_ERROR with a code", None),
        row("bad-token", "CONNECT with an invalid token gets CONNECT_ERROR with a code", 401),
        row("auth-away", "If Auth is not available, CONNECT gets CONNECT_ERROR with a code", 500),
    ],
)
async def refused(lab: Lab, answer: int | None) -> None:
    client = await opened(lab)
    token = lab.secret(f"secret-{lab.marker}-token")
    if answer is not None:
        lab.stack.auth.answer(token, status(answer))
    client.send(CONNECT + (json.dumps({"token": token}) if answer is not None else ""))
    data = await client.expect(CONNECT_ERROR)
    fields = data if isinstance(data, dict) else {}
    true("code and message", isinstance(fields.get("message"), str) and fields.get("code"), repr(data))
    true("no token in the answer", token not in json.dumps(data), "the token")
    lab.no_arrival()


@GROUP.test(
    "user-full",
    "A user with the largest number of connections gets CONNECT_ERROR",
    level=FEATURE,
    rule="spec §8",
    needs=["connections_per_user", "token_header"],
)
async def user_full(lab: Lab) -> None:
    await fill(lab, int(lab.setup.number("connections_per_user")))
    client = await opened(lab)
    client.send(CONNECT + json.dumps({"token": lab.token}))
    await client.expect(CONNECT_ERROR)


@GROUP.test("other-namespace", "CONNECT to another namespace gets CONNECT_ERROR", level=FEATURE, rule=RULE)
async def other_namespace(lab: Lab) -> None:
    client, studio = await join(lab)
    client.send("40/admin,")
    packet = await client.packet()
    true("CONNECT_ERROR of this namespace", packet.startswith("44/admin,"), packet)
    client.send(EVENT + '["after",1]')
    equal("the type", (await backend_message(studio)).get("type"), "after")


@GROUP.test(
    "binary-event",
    "A binary event does not reach the backend, and the client is told",
    level=FEATURE,
    rule=RULE,
)
async def binary_event(lab: Lab) -> None:
    client, studio = await join(lab)
    client.send('451-["upload",{"_placeholder":true,"num":0}]')
    client.side.send(BINARY, b"\x00\x01\x02")
    try:
        true("an event, or the end", (await client.packet()).startswith(EVENT), "another packet")
    except Violation as violation:
        if "CLOSE" not in violation.seen and not isinstance(violation, Ended):
            raise
        return
    client.send(EVENT + '["after",1]')
    equal("the type of the next message", (await backend_message(studio)).get("type"), "after")


@GROUP.table(
    level=FEATURE,
    rule=RULE,
    rows=[
        row(
            "event-before-connect", "An event before CONNECT does not reach a backend", EVENT + '["early",1]'
        ),
        row("not-json", "An event that is not JSON ends the connection", EVENT + "[oops"),
        row("unknown-packet", "An unknown packet ends the connection", "9what"),
        row("unknown-message", "An unknown Socket.IO packet ends the connection", "49"),
    ],
)
async def nonsense(lab: Lab, packet: str) -> None:
    if packet.startswith(EVENT) and "early" in packet:
        client = await opened(lab)
    else:
        client, studio = await join(lab)
        lab.background(studio.expect_close_or_end())
    client.send(packet)
    await client.rest()
    lab.no_arrival()


@GROUP.table(
    level=FEATURE,
    rule=RULE,
    rows=[
        row(
            "backend-leaves-for-good",
            "After a close of the backend with 1000, the client is told not to come back",
            1000,
            [DISCONNECT],
        ),
        row(
            "backend-restarts",
            "After a close of the backend with 1012, the client is not told to stay away",
            1012,
            [],
        ),
    ],
)
async def backend_closes(lab: Lab, code: int, told: list[str]) -> None:
    client, studio = await join(lab)
    studio.send(TEXT, json.dumps({"type": "last", "data": 1}))
    studio.send_close(code)
    packets = await client.rest()
    true("the last event", packets and packets[0].startswith(EVENT + '["last"'), repr(packets))
    equal("the DISCONNECT packets", [packet for packet in packets if packet == DISCONNECT], told)


@GROUP.table(
    level=FEATURE,
    rule=RULE,
    rows=[
        row("client-disconnects", "DISCONNECT of the client closes the backend's connection", DISCONNECT),
        row("client-vanishes", "If a client resets its connection, the backend's ends", None),
    ],
)
async def client_leaves(lab: Lab, packet: str | None) -> None:
    client, studio = await join(lab)
    if packet is None:
        client.side.reset()
    else:
        client.send(packet)
    await studio.expect_close_or_end()


@GROUP.test("old-version", "Engine.IO 3 is refused", level=FEATURE, rule=RULE)
async def old_version(lab: Lab) -> None:
    await lab.refused(handshake(lab, version="3"))


@GROUP.test(
    "token-hidden", "Neither token nor sid reaches the backend or the log", level=FEATURE, rule=HYGIENE
)
async def token_hidden(lab: Lab) -> None:
    client, studio = await join(lab)
    sid = lab.secret(str(client.opening.get("sid")))
    for secret in (lab.token, sid):
        equal("the places of the handshake with the secret", leaks(studio.head, secret), [])
        if lab.setup.offers.get("log"):
            lines = [line for line in lab.stack.gateway.log_tail(10_000).splitlines() if secret in line]
            true("no log line with the secret", not lines, "\n".join(lines))


@GROUP.test(
    "heartbeat",
    "A client that answers pings stays connected, and the backend sees nothing of them",
    level=FEATURE,
    rule=RULE,
    needs=["socketio_ping_seconds"],
)
async def heartbeat(lab: Lab) -> None:
    client, studio = await join(lab)
    interval = lab.setup.number("socketio_ping_seconds")
    client.side.patience += interval
    studio.patience += 4 * interval
    first = asyncio.create_task(backend_message(studio))  # meanwhile it answers the gateway's own pings
    try:
        for _ in range(3):
            equal("the packet", await client.any_packet(), PING)
            client.send(PONG)
        client.send(EVENT + '["after",1]')
        message = await first
    finally:
        first.cancel()
    equal("the type of the first message", message.get("type"), "after")


@GROUP.test(
    "no-pong",
    "A client that does not answer a ping loses its connection, and the backend is told",
    level=FEATURE,
    rule=RULE,
    needs=["socketio_ping_seconds"],
    seconds=60,
)
async def no_pong(lab: Lab) -> None:
    client, studio = await join(lab)
    equal(
        "pingInterval in seconds",
        client.opening["pingInterval"] / 1000,
        lab.setup.number("socketio_ping_seconds"),
    )
    for side in (client.side, studio):
        side.patience += (client.opening["pingInterval"] + client.opening["pingTimeout"]) / 1000
    await client.rest()
    await studio.expect_close_or_end()
