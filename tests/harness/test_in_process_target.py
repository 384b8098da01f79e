from __future__ import annotations

import socket

import pytest

from memmie_fake_auth import FakeAuth
from memmie_fake_studio import FakeStudio
from memmie_harness.targets import InProcessTarget, TargetError
from memmie_harness.targets.line_stream import LineStream
from memmie_harness.wiring import gateway_environment

# A gateway without requests needs neither Auth nor Studio.
ALONE = gateway_environment(auth_url="http://127.0.0.1:9", studio_ws_urls=["ws://127.0.0.1:9/ws"])


async def test_starts_waits_until_ready_logs_and_stops() -> None:
    lines: list[str] = []
    async with FakeAuth(port=0) as auth, FakeStudio(port=0, auth_url=auth.url) as studio:
        target = InProcessTarget(
            gateway_environment(
                auth_url=auth.url, studio_ws_urls=[studio.ws_url], extra={"LOG_FORMAT": "json"}
            ),
            on_line=lines.append,
        )
        await target.start()
        listening = await target.wait_for_log(lambda record: record["event"] == "listening")
        assert listening["url"] == target.url
        await target.stop()

    assert [record["event"] for record in target.logs()][-1] == "stopped"
    assert target.log_tail() == "\n".join(lines)
    with pytest.raises(TargetError, match="the gateway was stopped"):
        await target.wait_for_log(lambda record: record["event"] == "never")


async def test_two_gateways_keep_apart() -> None:
    first, second = InProcessTarget(ALONE), InProcessTarget(ALONE)
    await first.start(until_ready=False)
    await second.start(until_ready=False)
    try:
        assert first.url != second.url
        assert second.url not in first.log_tail()
        assert first.url not in second.log_tail()
    finally:
        await first.stop()
        await second.stop()


async def test_a_gateway_that_is_never_ready_is_stopped_again() -> None:
    target = InProcessTarget(ALONE, start_seconds=0.2)
    with pytest.raises(TargetError, match=r"/ready did not answer 200 within 0\.2 s"):
        await target.start()
    with pytest.raises(TargetError, match="does not run"):
        _ = target.url


async def test_an_invalid_setting_is_reported_with_the_exit_code_of_a_process() -> None:
    with pytest.raises(TargetError, match="MAX_CONNECTIONS_PER_IP") as caught:
        await InProcessTarget({**ALONE, "MAX_CONNECTIONS_PER_IP": "many"}).start()
    assert caught.value.exit_code == 2


async def test_a_port_in_use_is_reported() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        target = InProcessTarget({**ALONE, "PORT": str(taken.getsockname()[1])})
        with pytest.raises(OSError, match="in use"):
            await target.start()
    await target.stop()


def test_a_line_stream_passes_on_complete_lines() -> None:
    lines: list[str] = []
    stream = LineStream(lines.append)
    for text in ("a", "b\nc\n\nd", "", "e\n"):
        assert stream.write(text) == len(text)

    assert lines == ["ab", "c", "", "de"]
    assert stream.writable()
    assert not stream.isatty()
