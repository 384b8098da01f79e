"""The control API: the same as in Python, from another process."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest
from websockets.exceptions import ConnectionClosed

from memmie_fake_auth import FakeAuth
from memmie_fake_base import token_digest
from memmie_fake_studio import FakeStudio


async def call(http: aiohttp.ClientSession, method: str, url: str, body: Any = None) -> tuple[int, Any]:
    async with http.request(method, url, json=body) as response:
        return response.status, await response.json() if response.content_type == "application/json" else None


async def test_faults_are_scripted_listed_and_deleted(http: aiohttp.ClientSession, auth: FakeAuth) -> None:
    url = f"{auth.url}/_control/faults"
    status, scripted = await call(
        http, "POST", url, {"fault": "error", "status": 503, "route": "/health", "times": 5}
    )
    assert (status, scripted["parameters"]["status"]) == (201, 503)
    assert (await call(http, "GET", f"{auth.url}/health"))[0] == 503
    listed = (await call(http, "GET", url))[1]
    assert listed["faults"] == [{**scripted, "struck": 1}]
    assert "hang" in listed["available"]
    assert (await call(http, "DELETE", f"{url}/{scripted['id']}"))[0] == 204
    assert (await call(http, "DELETE", f"{url}/{scripted['id']}"))[0] == 404
    assert (await call(http, "GET", f"{auth.url}/health"))[0] == 200


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ({"fault": "no"}, "fault: 'no' is unknown; allowed: burst, close,"),
        ({}, "fault is missing or empty; a string is expected"),
        ({"fault": "reset", "times": "x"}, "times is a string; a whole number is expected"),
        ({"fault": "error", "status": 1}, "status: 1 is given; allowed: 200-599"),
        ([], "a list is given; a JSON object is expected"),
    ],
)
async def test_bad_control_input_is_400_and_says_why(
    http: aiohttp.ClientSession, studio: FakeStudio, body: Any, complaint: str
) -> None:
    status, answer = await call(http, "POST", f"{studio.url}/_control/faults", body)
    assert status == 400
    assert complaint in answer["error"]


async def test_a_body_that_is_no_json_is_400(http: aiohttp.ClientSession, auth: FakeAuth) -> None:
    for body in (b"{", b"\xff", b"[" * 50_000):
        async with http.post(f"{auth.url}/_control/faults", data=body) as response:
            assert (response.status, (await response.json())["code"]) == (400, "bad_json")


async def test_the_log_is_filtered_and_control_requests_are_not_in_it(
    http: aiohttp.ClientSession, auth: FakeAuth
) -> None:
    await call(http, "GET", f"{auth.url}/health")
    await call(http, "GET", f"{auth.url}/nothing?token=secret&x=1")
    _, log = await call(http, "GET", f"{auth.url}/_control/log?kind=request&path=/nothing")
    (entry,) = log["entries"]
    assert (entry["method"], entry["status"], log["forgotten"]) == ("GET", 404, 0)
    assert entry["query"] == {"token": token_digest("secret"), "x": "1"}
    assert len(auth.log) == 2
    assert (await call(http, "GET", f"{auth.url}/_control/log?colour=red"))[0] == 400
    assert (await call(http, "POST", f"{auth.url}/_control/reset"))[0] == 204
    assert len(auth.log) == 0


async def test_emit_pushes_events(http: aiohttp.ClientSession, studio: FakeStudio, open_client: Any) -> None:
    async with open_client("u1") as client, open_client("u2"):
        body = {"user_id": "u1", "type": "processor.status", "data": {"ok": True}, "count": 2}
        assert await call(http, "POST", f"{studio.url}/_control/emit", body) == (200, {"sent": 2})
        for _ in range(2):
            event = await client.receive()
            assert (event["type"], event["data"]) == ("processor.status", {"ok": True})
    for bad in ({**body, "count": 0}, {**body, "cuont": 1}, {"type": "x"}):
        assert (await call(http, "POST", f"{studio.url}/_control/emit", bad))[0] == 400


async def test_connections_are_listed_closed_and_aborted(
    http: aiohttp.ClientSession, studio: FakeStudio, open_client: Any
) -> None:
    url = f"{studio.url}/_control/connections"
    async with open_client("u1") as first, open_client("u2") as second:
        listed = (await call(http, "GET", url))[1]["connections"]
        assert [each["user_id"] for each in listed] == ["u1", "u2"]
        assert listed[0]["session_id"] == studio.connections[0].session_id
        ids = [each["id"] for each in listed]
        assert (await call(http, "POST", f"{url}/{ids[0]}/close", {"code": 1005}))[0] == 400
        assert (await call(http, "POST", f"{url}/{ids[0]}/close", {"code": 4001, "reason": "bye"}))[0] == 204
        assert (await call(http, "POST", f"{url}/{ids[1]}/abort"))[0] == 204
        with pytest.raises(ConnectionClosed) as closed:
            await first.receive()
        with pytest.raises(ConnectionClosed) as aborted:
            await second.receive()
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4001, "bye")
    assert aborted.value.rcvd is None
    assert (await call(http, "POST", f"{url}/c99/abort"))[0] == 404


async def test_tokens_are_minted(http: aiohttp.ClientSession, auth: FakeAuth) -> None:
    url = f"{auth.url}/_control/tokens"
    status, minted = await call(http, "POST", url, {"user_id": "u1", "ttl_seconds": 60})
    assert (status, sorted(minted)) == (201, ["expires", "token"])
    _, verdict = await call(http, "POST", f"{auth.url}/api/v1/auth/validate", {"token": minted["token"]})
    assert (verdict["user_id"], verdict["expires"]) == ("u1", minted["expires"])
    for bad in ({}, {"user_id": "u1", "kind": "odd"}, {"user_id": "u1", "ttl_seconds": 0}, {"user": "u1"}):
        assert (await call(http, "POST", url, bad))[0] == 400
