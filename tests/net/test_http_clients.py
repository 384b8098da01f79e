"""Real clients of the HTTP routes: curl, and Node's `fetch`, which streams a request and its answer."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.docs.programs import missing, node, running
from tests.net.pair import StartGateway
from tests.net.scripted_http import ScriptedHttp, head

from memmie_fake_auth import FakeAuth

pytestmark = pytest.mark.one_loop


@pytest.fixture
async def studio() -> AsyncIterator[ScriptedHttp]:
    async with ScriptedHttp() as studio:
        yield studio


FETCH = """
const [url, token] = process.argv.slice(1);
const parts = new TransformStream();
const writer = parts.writable.getWriter();
const headers = { Authorization: `Bearer ${token}` };
const answer = fetch(url, { method: "POST", headers, body: parts.readable.pipeThrough(new TextEncoderStream()), duplex: "half" });
await writer.write("one");
await writer.write("two");
await writer.close();
const { status, body } = await answer;
console.log(status);
for await (const part of body.pipeThrough(new TextDecoderStream())) console.log(part);
const leaving = new AbortController();
const left = fetch(url + "/left", { headers, signal: leaving.signal });
left.catch(({ name }) => console.log(name));
process.stdin.on("data", () => { leaving.abort(); process.stdin.destroy(); });
"""


async def test_fetch_streams_both_ways_and_can_be_aborted(
    start_gateway: StartGateway, studio: ScriptedHttp, auth: FakeAuth
) -> None:
    gateway = await start_gateway()
    command = (*node(), "--input-type=module", "--eval", FETCH, "--", f"{gateway.url}/api/x", auth.mint())
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        assert process.stdin is not None
        asked = await studio.request()
        assert asked.head.get("transfer-encoding") == "chunked"
        assert await asked.read_chunks() == b"onetwo"
        asked.write(head("HTTP/1.1 201 Created", "Transfer-Encoding: chunked"))
        assert await process.stdout.readline() == b"201\n"
        for part in (b"three", b"four"):
            asked.write(b"%x\r\n%b\r\n" % (len(part), part))
            assert await process.stdout.readline() == part + b"\n"
        asked.write(b"0\r\n\r\n")
        assert (await asked.read_head()).target == "/api/x/left", "on the same connection"
        process.stdin.write(b"leave\n")
        assert await asked.read_rest() == b"", "the client has left, so the request has ended"
        assert await process.stdout.read() == b"AbortError\n"
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_curl(
    start_gateway: StartGateway, studio: ScriptedHttp, auth: FakeAuth, tmp_path: Path
) -> None:
    curl = shutil.which("curl")
    if curl is None:
        missing("curl is not installed")
    gateway = await start_gateway()
    token = auth.mint()

    async def ran(*arguments: str) -> tuple[int, str]:
        async with running(curl, "-s", "-i", "-H", f"Authorization: Bearer {token}", *arguments) as process:
            assert process.stdout is not None
            told = (await process.stdout.read()).decode()
            return await process.wait(), told

    url = f"{gateway.url}/api/x"
    body = tmp_path / "body"
    body.write_bytes(b"x" * 2_000_000)
    asking = asyncio.create_task(studio.request())
    curling = asyncio.create_task(ran("-X", "PUT", "-H", "Transfer-Encoding: chunked", "-d", "a body", url))
    asked = await asking
    assert await asked.read_chunks() == b"a body"
    asked.answer(b"done")
    code, told = await curling
    assert (code, told.endswith("\r\n\r\ndone")) == (0, True)

    again = asyncio.create_task(asked.read_head())
    posting = asyncio.create_task(ran("-H", "Expect: 100-continue", "--data-binary", f"@{body}", url))
    await again
    assert len(await asked.read(2_000_000)) == 2_000_000
    asked.answer(b"thanks")
    code, told = await posting
    assert code == 0
    assert told.startswith("HTTP/1.1 100 Continue")
    assert told.endswith("thanks")

    code, told = await ran("--path-as-is", f"{gateway.url}/api/../health")
    assert (code, told.split()[1]) == (0, "400")
    code, told = await ran("--http2", url)
    assert (code, told.split()[1]) == (0, "426")
