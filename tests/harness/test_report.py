from __future__ import annotations

import io
import json
import shlex
import sys
from dataclasses import replace

import pytest

from memmie_harness.dev.pages import refused_pages
from memmie_harness.dev.proof import Proof
from memmie_harness.dev.report import (
    SOCKET_IO,
    as_json,
    as_text,
    client_lines,
    http_line,
    page_line,
    variables_line,
    wants_colour,
)
from memmie_harness.dev.stack import Running

RUNNING = Running(
    gateway="http://127.0.0.1:8000",
    websocket="ws://127.0.0.1:8000/ws",
    auth="http://127.0.0.1:8001",
    studios=("http://127.0.0.1:8010", "http://127.0.0.1:8011"),
    user_id="dev",
    token="a.b-c_d",
    start_seconds=0.25,
    proof=Proof("heartbeat → ack through the gateway", 0.00125),
)


def test_json_is_one_line_with_everything() -> None:
    line = as_json(RUNNING)

    assert "\n" not in line
    assert json.loads(line) == {
        "gateway": "http://127.0.0.1:8000",
        "websocket": "ws://127.0.0.1:8000/ws",
        "auth": "http://127.0.0.1:8001",
        "studios": ["http://127.0.0.1:8010", "http://127.0.0.1:8011"],
        "user_id": "dev",
        "token": "a.b-c_d",
        "start_seconds": 0.25,
        "proof": "heartbeat → ack through the gateway",
        "round_trip_ms": 1.25,
    }


def test_text_has_every_address_and_the_token_once() -> None:
    text = as_text(RUNNING, colour=False)

    assert RUNNING.token is not None
    assert text.count(http_line(RUNNING)) == 1
    text = text.replace(http_line(RUNNING), "")  # it has the gateway's address in it, too
    # The gateway's two addresses share what follows the scheme.
    for expected in (RUNNING.gateway, RUNNING.websocket, RUNNING.auth, *RUNNING.studios, RUNNING.token):
        assert text.count(expected) == 1
    assert "heartbeat → ack through the gateway in 1.2 ms" in text
    assert SOCKET_IO in text
    assert all(f"  {line}\n" in text for line in (variables_line(RUNNING), *client_lines().values()))


def test_text_says_which_services_are_the_users_own() -> None:
    studio = "ws://localhost:9000/ws"
    auth = "http://localhost:9001"
    text = as_text(replace(RUNNING, studios=(studio,), auth=auth, token=None, user_id=None), colour=False)

    assert f"studio 1  {studio}  your own\n" in text
    assert f"auth      {auth}  your own\n" in text
    assert "TOKEN=a-token-of-your-Auth\n" in text
    # The fake Studio's heartbeat and the fake Auth's tokens mean nothing there.
    assert "heartbeat" not in text.partition("ready in")[0]
    assert "--token-for" not in text
    assert "curl" not in text
    assert "pages " not in text


def test_text_has_a_line_for_a_page_where_the_studio_is_ones_own() -> None:
    own = replace(RUNNING, studios=("ws://localhost:9000/ws",))
    assert page_line(own) == 'new WebSocket("ws://127.0.0.1:8000/ws", ["bearer", "TOKEN"])'
    assert f"  {page_line(own)}\n" in as_text(own, colour=False)


def test_text_says_which_pages_are_allowed() -> None:
    page, other = "http://localhost:5173", "http://localhost:5174"
    text = as_text(replace(RUNNING, pages=(page, other)), colour=False)

    fakes = " " * 10 + "at the fakes' own ports:"
    none = "none; --cors-origin ORIGIN allows one, here and at the gateway"
    assert f"pages     through the gateway: all\n{fakes} {page} {other} (--cors-origin)\n" in text
    assert f"pages     through the gateway: all\n{fakes} {none}\n" in as_text(RUNNING, colour=False)
    same = replace(RUNNING, pages=(page, other), allowed_origins=(page, other))
    assert f"pages     {page} {other}\n" in as_text(same, colour=False)
    limited = replace(RUNNING, pages=(page,), allowed_origins=(other,))
    assert f"through the gateway: {other} (ALLOWED_ORIGINS)\n{fakes} {page} (--cors-origin)\n" in as_text(
        limited, colour=False
    )


def test_a_page_that_the_gateway_refuses_is_pointed_out() -> None:
    page, other = "http://localhost:5173", "http://[::1]:5174"
    assert refused_pages([page, other], {}) == []
    assert refused_pages([page, other], {"ALLOWED_ORIGINS": "*"}) == []
    assert refused_pages([other, "http://a.b.c"], {"ALLOWED_ORIGINS": f"{other}, http://*.c"}) == []
    assert refused_pages([page, other], {"ALLOWED_ORIGINS": other}) == [
        f"--cors-origin allows pages of {page}, but the gateway refuses them: ALLOWED_ORIGINS is {other}"
    ]


def test_text_for_a_studio_that_speaks_socket_io_itself_has_no_line_that_it_refuses() -> None:
    own = replace(RUNNING, studios=("ws://localhost:9000/socket.io/",), passthrough=True)
    text = as_text(own, colour=False)
    assert '  io("http://127.0.0.1:8000", { query: { token: "a.b-c_d" } })\n' in text
    assert "URL=" not in text
    assert "auth: { token }" not in text


def test_colour_changes_nothing_but_colour() -> None:
    plain, painted = as_text(RUNNING, colour=False), as_text(RUNNING, colour=True)

    assert "\x1b" not in plain
    assert "\x1b[32mready\x1b[0m" in painted
    for code in ("0", "1", "2", "32"):
        painted = painted.replace(f"\x1b[{code}m", "")
    assert painted == plain


def test_lines_to_paste_are_what_the_clients_take() -> None:
    # Each was run against the stack by hand; this holds them to what worked.
    assert {name: shlex.split(line) for name, line in client_lines().items()} == {
        "websocat": ["websocat", "-H=Authorization: Bearer $TOKEN", "$URL"],
        "wscat": ["wscat", "-H", "Authorization: Bearer $TOKEN", "-c", "$URL"],
        "python": [sys.executable, "-m", "websockets", "$URL?token=$TOKEN"],
    }
    blobs = "http://127.0.0.1:8000/api/v1/blobs"
    blob = '{"processor_id":"p1","schema_id":"s1","data":"hello"}'
    assert shlex.split(http_line(RUNNING)) == [
        *("curl", "-H", "Authorization: Bearer $TOKEN"),
        *("-d", blob, blobs),
    ]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "environment", "expected"),
    [
        (Terminal(), {}, True),
        (Terminal(), {"NO_COLOR": ""}, True),
        (Terminal(), {"NO_COLOR": "1"}, False),
        (Terminal(), {"NO_COLOR": "0"}, False),
        (Terminal(), {"TERM": "dumb"}, False),
        (io.StringIO(), {}, False),
    ],
)
def test_colour_is_for_terminals_whose_user_wants_it(
    stream: io.StringIO, environment: dict[str, str], *, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert wants_colour(stream) is expected
