"""The code of docs/connect.md for HTTP beside WebSocket, in Chromium: the flow of the product's own UI."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from tests.docs.page import opened
from tests.net.scripted_http import ScriptedHttp, head

from memmie_fake_auth import FakeAuth
from memmie_harness.client import connect
from memmie_harness.fixture_types import MintToken, StartGateway
from memmie_harness.targets import Target

TEXT = (Path(__file__).parents[2] / "docs" / "connect.md").read_text(encoding="utf-8")
CODE = dict(re.findall(r"<!-- page (\w+\.js) -->\n```js\n(.*?)```", TEXT, re.DOTALL))
SHOW = "window.shown = []; window.show = (what) => { shown.push(what); document.body.append('.'); };"


@pytest.mark.slow
@pytest.mark.memmie(target="inprocess")
async def test_a_page_signs_in_and_sees_what_it_and_others_create(
    memmie_gateway: Target, memmie_token: MintToken, tmp_path: Path
) -> None:
    gateway = f"window.gateway = {json.dumps(memmie_gateway.url)};"
    person = json.dumps({"email": "a@example.org", "password": "secret password", "username": "a"})
    blob = json.dumps({"processor_id": "p", "schema_id": "s", "data": {"by": "post"}})
    async with opened(f"{memmie_gateway.url}/health", tmp_path / "profile") as page:
        await page.evaluate(
            gateway + SHOW + CODE["http.js"] + "window.signIn = signIn; window.post = post; true"
        )
        user_id = await page.evaluate(f"post('/auth/register', {person}).then(({{ user_id }}) => user_id)")
        await page.evaluate(
            "signIn('a@example.org', 'secret password').then((create) => { window.create = create; return true; })"
        )
        assert await page.evaluate(f"create({blob}).then(({{ data }}) => data.by)") == "post"
        async with await connect(memmie_gateway.ws_url, memmie_token(user_id)) as second:
            create = {"type": "create_blob", "data": json.loads(blob) | {"data": {"by": "websocket"}}}
            await second.send(json.dumps(create))
            await page.until("shown.length === 2")
        seen = await page.evaluate("shown.map(({ type, data }) => [type, data.data.by])")
        assert seen == [["blob.created", "post"], ["blob.created", "websocket"]]
        refused = "post('/api/v1/blobs', {}, 'bad').catch(({ message }) => message)"
        assert await page.evaluate(refused) == "401 token_invalid"
        refused = "post('/auth/validate', {}).catch(({ message }) => message)"
        assert await page.evaluate(refused) == "404 not_found"


@pytest.mark.slow
@pytest.mark.memmie(target="inprocess")
async def test_a_page_of_another_origin_reads_a_stream_of_events(
    memmie_start_gateway: StartGateway, memmie_auth: FakeAuth, memmie_token: MintToken, tmp_path: Path
) -> None:
    """It gets another one by itself after its Studio has ended the first, with a new token if it must."""
    async with ScriptedHttp() as studio:
        target = await memmie_start_gateway({"STUDIO_WS_URLS": studio.url, "AUTH_CACHE_SECONDS": "0"})
        token = memmie_token("u1")
        facts = (
            f"window.gateway = {json.dumps(target.url)}; window.token = {json.dumps(token)}; "
            "window.newToken = () => token; Math.random = () => 0;"
            "EventSource = class extends EventSource { constructor(url) { super(url); window.events = this; } };"
        )
        begin = head("HTTP/1.1 200 OK", "Content-Type: text/event-stream")
        async with opened(f"http://127.0.0.1:{studio.port}/page", tmp_path / "profile") as page:
            await page.evaluate(facts + SHOW + CODE["events.js"] + "true")
            for number in range(3):
                asked = await studio.request()
                assert (asked.head.target, asked.head.get("x-user-id")) == ("/api/v1/events", "u1")
                asked.write(begin + b"retry: 10\ndata: %d\n\n" % number)
                await page.until(f"shown.length === {number + 1}")
                if number == 1:
                    memmie_auth.script("error", status=401, times=1)
                asked.leave()
            assert await page.evaluate("shown") == ["0", "1", "2"]
            await page.evaluate("events.close()")
            read = """
                fetch(`${gateway}/api/parts`, { headers: { Authorization: `Bearer ${token}` } }).then(async (answer) => {
                  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
                  for (let part; !(part = await reader.read()).done;) show(part.value);
                  show("end");
                }).catch(({ message }) => show(message)); true
            """
            await page.evaluate("shown.length = 0; " + read)
            asked = await studio.request()
            while asked.head.target != "/api/parts":  # an EventSource that was reconnecting
                asked.leave()
                asked = await studio.request()
            asked.write(head("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", "Content-Type: text/plain"))
            for part in (b"one", b"two"):
                asked.write(b"3\r\n%b\r\n" % part)
                await page.until(f"shown.includes('{part.decode()}')")
            asked.write(b"0\r\n\r\n")
            await page.until("shown.length === 3")
            assert await page.evaluate("shown") == ["one", "two", "end"]
