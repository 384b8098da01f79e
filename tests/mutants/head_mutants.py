"""Gateways that are wrong in how they read and write the heads of requests and answers."""

from __future__ import annotations

import re
from dataclasses import replace
from urllib.parse import parse_qsl, urlencode

from tests.mutants.registry import mutant
from tests.mutants.toy import Toy
from tests.mutants.verdicts import Verdict

from memmie_harness.conformance.peers import KEY, Head, accept_for


@mutant(
    *(f"refusals/{name}" for name in ("no-upgrade", "no-connection", "no-key", "short-key", "version-8")),
    *("refusals/post", "handshake/body-length"),
)
class TakesEveryRequestForAHandshake(Toy):
    def check_upgrade(self, head: Head) -> None:
        self.check_origin(head)


@mutant("handshake/answers-other-key")
class AnswersOneKeyOnly(Toy):
    def client_answer(self, head: Head, answer: Head, token: str) -> bytes:
        right = super().client_answer(head, answer, token)
        return re.sub(rb"Accept: [^\r]*", b"Accept: " + accept_for(KEY).encode(), right)


@mutant("handshake/no-content-length-in-101", "handshake/no-transfer-encoding-in-101")
class AnnouncesABodyOfThe101(Toy):
    def client_answer(self, head: Head, answer: Head, token: str) -> bytes:
        body = b"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n"
        return super().client_answer(head, answer, token)[:-2] + body


@mutant("forwarding/query-empty-value", "forwarding/query-brackets")
class WritesTheQueryAnew(Toy):
    def query(self, head: Head, token: str) -> str:
        return urlencode(parse_qsl(super().query(head, token)))


@mutant("forwarding/header-twice", "forwarding/header-blanks-inside", "forwarding/cookie")
class KeepsFieldsInADictionary(Toy):
    def client_fields(self, head: Head, token: str) -> list[str]:
        fields = dict(line.split(": ", 1) for line in super().client_fields(head, token))
        return [f"{name}: {' '.join(value.split()).replace('; ', ';')}" for name, value in fields.items()]


@mutant("identity/user-ampersand", "identity/user-hash", "identity/user-plus")
class DoesNotEncodeTheUser(Toy):
    def backend_request(self, host: str, head: Head, user: str, token: str) -> bytes:
        right = super().backend_request(host, head, "USER", token)
        return right.replace(b"USER", user.encode())


@mutant("auth/unknown", "auth/expired", "auth/revoked", "auth/says-401", "auth/says-not-valid")
class LetsInWhomAuthRefuses(Toy):
    async def ask(self, token: str) -> Verdict:
        verdict = await super().ask(token)
        return replace(verdict, status=200, user="anybody") if verdict.status == 401 else verdict


@mutant("identity/two-users")
class TakesTheFirstUserForAll(Toy):
    first = ""

    async def ask(self, token: str) -> Verdict:
        verdict = await super().ask(token)
        self.first = self.first or verdict.user
        return replace(verdict, user=self.first)


@mutant("hostile/blank-before-colon", "hostile/name-with-blank", "hostile/line-without-colon")
class ReadsEveryLineAsAField(Toy):
    def check_lines(self, raw: bytes) -> None:
        del raw
