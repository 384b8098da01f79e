"""A Studio that refuses a client speaks to it: status, headers and body pass (spec §1)."""

from __future__ import annotations

import pytest
from tests.net.pair import Dial, StartGateway
from tests.net.scripted_studio import ScriptedStudio
from tests.net.wire import Head, upgrade_request

from memmie_fake_auth import FakeAuth


async def refused(
    start_gateway: StartGateway, dial: Dial, auth: FakeAuth, studio: ScriptedStudio, answer: bytes
) -> Head:
    """Return what the client gets where Studio answers this."""
    client = await dial(await start_gateway())
    client.write(upgrade_request(auth.mint(), extra=["X-Request-ID: id-1"]))
    (await studio.arrival()).write(answer)
    head = await client.read_head()
    assert await client.read_rest() == b""
    return head


async def test_a_refusal_passes_with_its_headers(
    start_gateway: StartGateway, dial: Dial, auth: FakeAuth, studio: ScriptedStudio
) -> None:
    head = await refused(
        start_gateway,
        dial,
        auth,
        studio,
        b"HTTP/1.1 429 Slow down\r\nRetry-After: 17\r\nWWW-Authenticate: Bearer\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n"
        b"Content-Type: application/problem+json\r\nX-Reason: busy\r\nCache-Control: max-age=1\r\nX-Request-ID: other\r\n"
        b"Connection: X-Hop, keep-alive\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"4\r\nbusy\r\n0\r\n\r\n",
    )
    assert (head.status, head.body) == (429, b"busy")
    assert dict(head.fields) == {
        "content-length": "4",
        "connection": "close",
        "x-request-id": "id-1",
        "retry-after": "17",
        "www-authenticate": "Bearer",
        "set-cookie": "b=2",
        "content-type": "application/problem+json",
        "x-reason": "busy",
        "cache-control": "max-age=1",
    }
    assert [value for name, value in head.fields if name == "set-cookie"] == ["a=1", "b=2"]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 499])
async def test_a_refusal_gets_no_content_type(
    start_gateway: StartGateway, dial: Dial, auth: FakeAuth, studio: ScriptedStudio, status: int
) -> None:
    answer = f"HTTP/1.1 {status} No\r\nContent-Length: 2\r\n\r\nno".encode()
    head = await refused(start_gateway, dial, auth, studio, answer)
    assert (head.status, head.body, head.get("content-type")) == (status, b"no", "")
    assert head.get("cache-control") == "no-store"
