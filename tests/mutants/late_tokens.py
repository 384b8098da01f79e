"""The parts of the toy gateway for tokens that come after the handshake: first-message auth, and renewal."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from dataclasses import dataclass

from tests.mutants.answers import PlainAnswer, RefusedError, plain
from tests.mutants.joint import CLOSE_SECONDS, Joint, ViolationError, read_frame
from tests.mutants.verdicts import Verdict, Verdicts

from memmie_harness.conformance.peers import CLOSE, CONT, PING, PONG, TEXT, Head, build, close_body

MAX_FIRST_MESSAGE = 16 * 1024
MAX_BODY = 64 * 1024
MAX_SKIPPED = 1 << 20


async def read_first_message(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float
) -> str:
    """Return the token of the first message.

    Raises:
        RefusedError: the first message has none, or does not come in time.
    """
    refusal = RefusedError(401, code=1008)
    text = b""
    try:
        async with asyncio.timeout(seconds):
            while True:
                frame = await read_frame(reader, from_client=True, room=MAX_FIRST_MESSAGE - len(text))
                if frame.opcode == PING:
                    writer.write(build(PONG, frame.payload))
                elif frame.opcode in {TEXT, CONT}:
                    text += frame.payload
                    if frame.fin:
                        break
                elif frame.opcode != PONG:
                    raise refusal
    except (ViolationError, TimeoutError):
        raise refusal from None
    with contextlib.suppress(ValueError, KeyError, TypeError):
        message = json.loads(text)
        if message["type"] == "auth" and message["data"]["token"]:
            return str(message["data"]["token"])
    raise refusal


async def refuse_by_close(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, refusal: RefusedError
) -> None:
    """Refuse a client that has its 101 already, and wait a short time for its own Close frame."""
    writer.write(build(CLOSE, close_body(refusal.code)))
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(CLOSE_SECONDS):
            try:
                while (await read_frame(reader, from_client=True, room=MAX_SKIPPED)).opcode != CLOSE:
                    pass
            except ViolationError:
                # Closing now would reset the connection, and the Close frame would be lost.
                while await reader.read(MAX_SKIPPED):
                    pass


@dataclass
class Lease:
    """A live connection, and the token with which it ends."""

    verdict: Verdict
    timer: asyncio.TimerHandle | None = None


class Leases(Verdicts):
    """Ends live connections with their tokens, and moves them to new ones."""

    leases: dict[Joint, Lease]

    def begin(self, joint: Joint, verdict: Verdict) -> None:
        """Begin a lease, or go on with another token."""
        lease = self.leases.setdefault(joint, Lease(verdict))
        lease.verdict = verdict
        if lease.timer is not None:
            lease.timer.cancel()
        if verdict.expires is not None:
            delay = max(0, verdict.expires - time.time())
            lease.timer = asyncio.get_running_loop().call_later(delay, joint.end, 4401)

    def over(self, joint: Joint) -> None:
        """End a lease."""
        lease = self.leases.pop(joint)
        if lease.timer is not None:
            lease.timer.cancel()

    async def renew(self, head: Head, reader: asyncio.StreamReader) -> None:
        """Answer `POST /token/renew`."""
        if not head.first_line.startswith("POST "):
            raise RefusedError(405, "Allow: POST")
        size = int(head.get("content-length") or "0")
        body = await reader.readexactly(size)
        if size > MAX_BODY:
            raise RefusedError(413)
        scheme, _, new = head.get("authorization").partition(" ")
        if scheme != "Bearer" or not new:
            raise RefusedError(401)
        verdict = await self.verdict(new)
        if verdict.status != 200:
            raise RefusedError(verdict.status)
        old = json.loads(body)["token"]
        joints = [joint for joint, lease in self.leases.items() if self.may_move(lease, old, verdict)]
        for joint in joints:
            self.begin(joint, verdict)
        raise PlainAnswer(plain(200, json.dumps({"moved": len(joints)}).encode()))

    def may_move(self, lease: Lease, old: str, new: Verdict) -> bool:
        """Tell whether a connection belongs to the old token, and to the user of the new one."""
        return lease.verdict.token == old and lease.verdict.user == new.user
