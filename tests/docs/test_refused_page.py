"""The code of docs/connect.md for a refused page, in Chromium and at a gateway with `BROWSER_REFUSALS`."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from tests.docs.page import Page, opened

from memmie_fake_auth import FakeAuth
from memmie_fake_studio import FakeStudio
from memmie_harness.fixture_types import MintToken
from memmie_harness.targets import Target

TEXT = (Path(__file__).parents[2] / "docs" / "connect.md").read_text(encoding="utf-8")
[HANDLER] = re.findall(r"<!-- page refused.js -->\n```js\n(.*?)```", TEXT, re.DOTALL)

ASK = """
new Promise((done) => {
  const told = [];
  const signIn = (reason) => told.push(`sign in: ${reason}`);
  const show = (text) => told.push(text);
  const retryLater = () => told.push("retry");
  const socket = new WebSocket(URL, PROTOCOLS);
  socket.onopen = () => told.push(`open ${socket.protocol}`);
  HANDLER
  const handler = socket.onclose;
  socket.onclose = (event) => { handler(event); done([event.code, event.reason, event.wasClean, ...told]); };
})
"""


async def told(page: Page, url: str, *protocols: str) -> Any:
    """Let the page open a WebSocket; return how it ended, and what the code of the docs did."""
    ask = ASK.replace("HANDLER", HANDLER).replace("URL", json.dumps(url))
    return await page.evaluate(ask.replace("PROTOCOLS", json.dumps(protocols)))


@pytest.mark.slow
@pytest.mark.memmie(
    target="inprocess", studios=1, env={"BROWSER_REFUSALS": "true", "MAX_CONNECTIONS_PER_USER": "1"}
)
async def test_a_page_reads_why_it_is_refused(
    memmie_gateway: Target,
    memmie_studios: list[FakeStudio],
    memmie_auth: FakeAuth,
    memmie_token: MintToken,
    tmp_path: Path,
) -> None:
    url = memmie_gateway.ws_url
    async with opened(f"{memmie_gateway.url}/health", tmp_path / "profile") as page:
        assert await told(page, url) == [4401, "token_missing", True, "open ", "sign in: token_missing"]
        assert await told(page, url, "bearer", "bad") == [
            4401, "token_invalid", True, "open bearer", "sign in: token_invalid",
        ]  # fmt: skip
        assert await told(page, url, "x.y.z") == [1006, "", False, "retry"], (
            "no subprotocol could be selected"
        )
        memmie_studios[0].script("refuse", status=418, times=1)
        assert await told(page, url, "bearer", memmie_token("u2")) == [
            4418, "studio_refused", True, "open bearer", "refused: studio_refused",
        ]  # fmt: skip
        protocols = json.dumps(["bearer", memmie_token("u1")])
        first = f"new Promise((done) => {{ window.kept = new WebSocket({json.dumps(url)}, {protocols}); kept.onopen = done; }})"
        await page.evaluate(f"{first}.then(() => true)")
        assert await told(page, url, "bearer", memmie_token("u1")) == [
            4429, "too_many_connections_of_user", True, "open bearer", "retry",
        ]  # fmt: skip
        await memmie_auth.stop()
        assert await told(page, url, "bearer", "unknown") == [
            4503, "auth_unavailable", True, "open bearer", "retry",
        ]  # fmt: skip
