"""The part of the toy gateway that says what each side gets of the other's request and answer."""

from __future__ import annotations

import asyncio
import re
import secrets
from contextvars import ContextVar
from urllib.parse import quote, unquote_plus

from tests.mutants.answers import tokens

from memmie_harness.conformance.peers import Head, accept_for, accepting_answer

SCHEME: ContextVar[str] = ContextVar("scheme", default="http")
"""The scheme of the connection that is served."""

DROPPED = {
    "host", "connection", "upgrade", "keep-alive", "proxy-connection", "proxy-authorization", "te", "trailer",
    "transfer-encoding", "content-length", "expect", "authorization", "origin", "x-user-id", "x-real-ip", "forwarded",
    "x-original-url", "x-request-id", "sec-websocket-protocol",
}  # fmt: skip
"""Fields of the client that the backend does not get as they are."""


class Rewriting:
    """Rewrites requests and answers."""

    def backend_request(self, host: str, head: Head, user: str, token: str) -> bytes:
        """Return the handshake for the backend."""
        query = "&".join(filter(None, [f"user_id={quote(user, safe='')}", self.query(head, token)]))
        lines = [
            f"Host: {host}",
            "Connection: Upgrade",
            "Upgrade: websocket",
            *self.fields(head, user, token),
        ]
        return "\r\n".join([f"GET /ws?{query} HTTP/1.1", *lines, "", ""]).encode("latin-1")

    def query(self, head: Head, token: str) -> str:
        """Return what the backend gets of the client's query, byte by byte."""
        kept = ""
        for separator, field in re.findall(r"(^|[&;])([^&;]*)", head.target.partition("?")[2]):
            if not self.is_dropped(field, token):
                kept += (separator if kept else "") + field
        return kept

    def is_dropped(self, field: str, token: str) -> bool:
        """Tell whether a field of the query must not reach the backend."""
        name, _, value = field.partition("=")
        return unquote_plus(name) == "token" or token in (name, value) or self.may_be_user(name)

    def may_be_user(self, name: str) -> bool:
        """Tell whether a server may read a field's name as `user_id`."""
        for _ in range(3):
            name = unquote_plus(name)
        plain = name.strip().lower().removesuffix("[]").strip()
        return plain.replace(".", "_").replace(" ", "_") == "user_id"

    def fields(self, head: Head, user: str, token: str) -> list[str]:
        """Return the header lines for the backend."""
        given = head.get("x-request-id")
        request_id = given if re.fullmatch(r"[\w.-]{1,64}", given) else secrets.token_hex(8)
        offered = [part.strip() for part in head.get("sec-websocket-protocol").split(",") if part.strip()]
        kept = [part for part in offered if part not in (token, "bearer")]
        return [
            f"X-User-ID: {user.encode().decode('latin-1')}",
            *self.forwarded(head),
            f"X-Request-ID: {request_id}",
            *([f"Sec-WebSocket-Protocol: {', '.join(kept)}"] if kept else []),
            *self.client_fields(head, token),
        ]

    def forwarded(self, head: Head) -> list[str]:
        """Return the fields about the client's address."""
        return [
            "X-Forwarded-For: 127.0.0.1",
            f"X-Forwarded-Proto: {SCHEME.get()}",
            f"X-Forwarded-Host: {head.get('host')}",
        ]

    def client_fields(self, head: Head, token: str) -> list[str]:
        """Return the fields of the client that the backend gets."""
        named = tokens(head.get("connection"))
        lines = []
        for name, (key, value) in zip(head.names, head.fields, strict=True):
            text = value
            if (
                key in DROPPED
                or key in named
                or "_" in key
                or key.startswith("x-forwarded-")
                or value == token
            ):
                continue
            if key == "cookie":
                text = "; ".join(part for part in value.split("; ") if token not in part)
            if key == "referer":
                text = value.partition("?")[0]
            lines.append(f"{name}: {text}")
        return lines

    def accepts(self, head: Head, answer: Head, status: int) -> bool:
        """Tell whether the answer of a backend opens a WebSocket (RFC 6455 §4.1)."""
        offered = tokens(head.get("sec-websocket-protocol"))
        selected = answer.get("sec-websocket-protocol").lower()
        return (
            status == 101
            and answer.get("upgrade").lower() == "websocket"
            and "upgrade" in tokens(answer.get("connection"))
            and answer.get("sec-websocket-accept") == accept_for(head.get("sec-websocket-key"))
            and (not selected or selected in offered)
            and not (answer.get("sec-websocket-extensions") and not head.get("sec-websocket-extensions"))
        )

    def client_answer(self, head: Head, answer: Head, token: str) -> bytes:
        """Return the 101 for the client."""
        del token
        offered = tokens(head.get("sec-websocket-protocol"))
        selected = answer.get("sec-websocket-protocol") or ("bearer" if "bearer" in offered else "")
        return accepting_answer(
            head.get("sec-websocket-key"),
            *([f"Sec-WebSocket-Protocol: {selected}"] if selected else []),
            *(
                f"Sec-WebSocket-Extensions: {value}"
                for key, value in answer.fields
                if key == "sec-websocket-extensions"
            ),
        )

    async def passed_refusal(self, answer: Head, reader: asyncio.StreamReader) -> bytes:
        """Return a 4xx of a backend for the client."""
        body = b""
        if "chunked" in answer.get("transfer-encoding"):
            while size := int(await reader.readuntil(b"\r\n"), 16):
                body += (await reader.readexactly(size + 2))[:-2]
        else:
            body = await reader.readexactly(int(answer.get("content-length") or "0"))
        named = [*tokens(answer.get("connection")), *DROPPED]
        kept = [
            f"{name}: {value}"
            for name, (key, value) in zip(answer.names, answer.fields, strict=True)
            if key not in named
        ]
        lines = [answer.first_line, *kept, "Connection: close", f"Content-Length: {len(body)}", "", ""]
        return "\r\n".join(lines).encode("latin-1") + body
