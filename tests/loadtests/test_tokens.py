"""Tokens of a load: minted for users that no other run has had, and what is said where there are none."""

from __future__ import annotations

import importlib.util
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from loadtests.common.errors import UsageError

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("locust") is None, reason="the load group is not installed"
)

BROKEN_AFTER = 3


class Mint(BaseHTTPRequestHandler):
    """An Auth whose tokens have the names of their users, and which breaks after some."""

    minted: list[str]

    def do_POST(self) -> None:
        user_id: str = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["user_id"]
        self.minted.append(user_id)
        body = json.dumps({"token": f"token of {user_id}"}).encode()
        self.send_response(500 if len(self.minted) > BROKEN_AFTER else 201)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def auth_url() -> Iterator[str]:
    handler = type("FreshMint", (Mint,), {"minted": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_each_run_has_users_of_its_own(auth_url: str) -> None:
    from loadtests.users.tokens import mint  # noqa: PLC0415 - needs the load group

    first, second = mint(auth_url, 1), mint(auth_url, 2)
    names = [first.user_id(0), second.user_id(0), second.user_id(1)]
    assert len(set(names)) == 3
    assert [first.of(0), second.of(0), second.of(1)] == [f"token of {name}" for name in names]


def test_an_auth_that_breaks_is_told_once(auth_url: str, capfd: pytest.CaptureFixture[str]) -> None:
    from loadtests.users.tokens import mint  # noqa: PLC0415 - needs the load group

    with pytest.raises(UsageError, match="answered 500 instead of a token"):
        mint(auth_url, 10)
    assert capfd.readouterr() == ("", "")
