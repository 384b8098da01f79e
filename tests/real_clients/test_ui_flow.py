"""The flow of the product's own UI, in a page of another origin and with everything through one gateway (spec §1, §4, §5)."""

from __future__ import annotations

import asyncio
import json

import pytest
from tests.real_clients.crowd import Programs
from tests.real_clients.stack import Stack
from tests.real_clients.streaming_studio import StreamingStudio

from memmie_harness.conformance.peers import PATIENCE

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="package")]

OPEN = {
    "socketio": """
        (gateway, token) => new Promise((done, refused) => {
          const socket = io(gateway, { auth: { token } });
          socket.on("connect_error", refused);
          socket.on("connect", () => done({
            ask: async (type, data) => (await socket.emitWithAck(type, data)).type,
            on: (type, told) => socket.on(type, told),
            leave: () => socket.disconnect(),
          }));
        })
    """,
    "websocket": """
        (gateway, token) => new Promise((done, refused) => {
          const socket = new WebSocket(`${gateway.replace("http", "ws")}/ws`, ["bearer", token]);
          const answers = new Map(), listeners = new Map();
          socket.onclose = ({ code, reason }) => refused(new Error(`${code} ${reason}`));
          socket.onmessage = ({ data }) => {
            const message = JSON.parse(data);
            if (answers.has(message.id)) answers.get(message.id)(message.type);
            else listeners.get(message.type)?.(message.data);
          };
          socket.onopen = () => done({
            ask: (type, data) => new Promise((answer) => {
              answers.set(`${answers.size}`, answer);
              socket.send(JSON.stringify({ id: `${answers.size - 1}`, type, data }));
            }),
            on: (type, told) => listeners.set(type, told),
            leave: () => socket.close(),
          });
        })
    """,
}
"""How a page opens a connection, which can ask for an answer and listens to events."""

FLOW = """
(async (gateway, name, open) => {
  async function post(path, body, token) {
    const headers = { "Content-Type": "application/json", ...(token && { Authorization: `Bearer ${token}` }) };
    const answer = await fetch(gateway + path, { method: "POST", headers, body: JSON.stringify(body) });
    return [answer.status, await answer.json()];
  }
  const blob = (by) => ({ processor_id: "p", schema_id: "s", data: { by } });
  const email = `${name}@example.org`, password = "secret password", steps = [];
  steps.push((await post("/auth/register", { email, password, username: name }))[0]);
  const [status, { token }] = await post("/auth/login", { email, password });
  steps.push(status);

  const first = await open(gateway, token), second = await open(gateway, token);
  steps.push(await first.ask("subscribe", { types: ["blob.*"] }));
  const seen = [];
  const all = new Promise((done) => first.on("blob.created", ({ data }) => seen.push(data.by) === 2 && done()));
  steps.push(await second.ask("create_blob", blob("second connection")));
  steps.push((await post("/api/v1/blobs", blob("POST"), token))[0]);
  await all;
  first.leave();
  second.leave();
  return [steps, seen];
})
"""


@pytest.mark.parametrize("kind", OPEN)
async def test_a_page_signs_in_connects_and_sees_two_blobs(
    stack: Stack, programs: Programs, kind: str
) -> None:
    async with StreamingStudio() as other:
        gateway = await stack.gateway(STUDIO_WS_URLS=f"{stack.studio.ws_url},{other.ws_url}")
        async with asyncio.timeout(PATIENCE):
            steps, seen = await programs.page.evaluate(
                f"{FLOW}({json.dumps(gateway.url)}, {json.dumps(kind)}, {OPEN[kind]})"
            )
    assert steps == [201, 200, "ack", "blob.created", 201]
    assert seen == ["second connection", "POST"]
