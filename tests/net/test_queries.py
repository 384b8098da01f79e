"""The query that Studio sees: signed bytes stay as they are, and neither a token nor another user is in it (spec §3)."""

from __future__ import annotations

from urllib.parse import parse_qsl

import pytest
from tests.net.pair import Dial, StartGateway
from tests.net.scripted_studio import ScriptedStudio
from tests.net.wire import Head, upgrade_request
from tests.unit.core.handshakes import USER_ID

from memmie_fake_auth import FakeAuth


async def asked(
    start_gateway: StartGateway, dial: Dial, studio: ScriptedStudio, request: bytes, **settings: str
) -> Head:
    """Return the head that Studio gets for this request."""
    client = await dial(await start_gateway(**settings))
    client.write(request)
    return (await studio.arrival()).head


@pytest.mark.parametrize(
    "query",
    [
        "x=x%20y&plus=x+y",
        "flag",
        "at=12:30",
        "latin=%F6",
        "case=%c3%a9",
        "a=1;b=2;;&&c=",
        "q=(a|b)'\"~!*,/?@",
    ],
)
async def test_the_bytes_of_a_query_do_not_change(
    start_gateway: StartGateway, dial: Dial, auth: FakeAuth, studio: ScriptedStudio, query: str
) -> None:
    request = upgrade_request(target=f"/ws?{query}&token={auth.mint()}")
    assert (await asked(start_gateway, dial, studio, request)).target == f"/ws?user_id=u1&{query}"


async def test_no_spelling_of_user_id_reaches_studio(
    start_gateway: StartGateway, dial: Dial, auth: FakeAuth, studio: ScriptedStudio
) -> None:
    fields = [f"{separator}{name}=root" for name, separator in zip(USER_ID, "&;" * 50, strict=False)]
    target = "/ws?user_id=root" + "".join(fields) + "&a=1;b=2"
    seen = (await asked(start_gateway, dial, studio, upgrade_request(auth.mint(), target=target))).target
    assert seen == "/ws?user_id=u1&a=1;b=2"


async def test_a_token_behind_a_semicolon_is_a_token(
    start_gateway: StartGateway, dial: Dial, auth: FakeAuth, studio: ScriptedStudio
) -> None:
    request = upgrade_request(target=f"/ws?room=7;%74oken={auth.mint()};v=2")
    assert (await asked(start_gateway, dial, studio, request)).target == "/ws?user_id=u1&room=7;v=2"


async def test_no_copy_of_the_token_reaches_studio(
    start_gateway: StartGateway, dial: Dial, auth: FakeAuth, studio: ScriptedStudio
) -> None:
    token = auth.mint()
    encoded = "".join(f"%{ord(character):02x}" for character in token)
    extra = [
        f'Cookie: theme=dark; session={token}; quoted="{token}"; encoded={encoded}; lang=en',
        f"Referer: https://app.test/chat?token={token}",
        f"X-Auth-Token: {token}",
        f"X-Original-URL: /ws?token={token}",
    ]
    target = f"/ws?a=1&jwt={token}&session={encoded};{token}&b=2&token={token}"
    head = await asked(start_gateway, dial, studio, upgrade_request(token, target=target, extra=extra))
    assert token not in str(head)
    assert encoded not in str(head)
    assert head.target == "/ws?user_id=u1&a=1&b=2"
    assert head.get("cookie") == "theme=dark; lang=en"
    assert head.get("referer") == "https://app.test/chat"


async def test_a_query_that_is_no_text_is_no_error(
    start_gateway: StartGateway, dial: Dial, auth: FakeAuth, studio: ScriptedStudio
) -> None:
    request = upgrade_request(auth.mint(), target="/ws?%FF%FE=%ED%A0%80&%=%zz&token=%FF")
    head = await asked(start_gateway, dial, studio, request)
    assert head.target == "/ws?user_id=u1&%FF%FE=%ED%A0%80&%=%zz"
    assert [value for name, value in parse_qsl(head.target.partition("?")[2]) if name == "user_id"] == ["u1"]
