from __future__ import annotations

from memmie_harness.wiring import gateway_environment


def test_joins_a_gateway_to_its_services_on_loopback() -> None:
    environment = gateway_environment(
        auth_url="http://127.0.0.1:1",
        studio_ws_urls=["ws://127.0.0.1:2/ws", "ws://127.0.0.1:3/ws"],
        port=8000,
        extra={"MAX_CONNECTIONS_PER_USER": 1},
    )
    assert environment == {
        "HOST": "127.0.0.1",
        "PORT": "8000",
        "AUTH_URL": "http://127.0.0.1:1",
        "STUDIO_WS_URLS": "ws://127.0.0.1:2/ws,ws://127.0.0.1:3/ws",
        "MAX_CONNECTIONS_PER_USER": "1",
    }


def test_extra_settings_win() -> None:
    environment = gateway_environment(auth_url="a", studio_ws_urls=["b"], extra={"AUTH_URL": "c"})
    assert environment["AUTH_URL"] == "c"
    assert environment["PORT"] == "0"
