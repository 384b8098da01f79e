"""HTTP beside WebSocket: which pages may read answers (Fetch, §3.2)."""

from __future__ import annotations

from typing import Final

from memmie_harness.conformance.checks import equal, true
from memmie_harness.conformance.group import FEATURE, row
from memmie_harness.conformance.http_client import exchange, request
from memmie_harness.conformance.lab import Lab
from memmie_harness.conformance.peers import Head
from memmie_harness.conformance.tests.http_routes import GROUP

RULE: Final = "spec §3, pages and HTTP"
CORS: Final = "access-control-"
ORIGIN: Final = f"{CORS}allow-origin"
CREDENTIALS: Final = f"{CORS}allow-credentials"


def preflight(lab: Lab, origin: str) -> bytes:
    """Build the question of a browser before a page sends JSON with a token (Fetch, §4.8)."""
    lines = (
        f"Origin: {origin}",
        "Access-Control-Request-Method: PUT",
        "Access-Control-Request-Headers: authorization,content-type",
    )
    return request(lab, "/thing", *lines, method="OPTIONS", token="")


async def answered(lab: Lab, origin: str) -> Head:
    """Return the answer to a preflight, which the gateway gives without a token and without the backend."""
    _, seen = await lab.ask(preflight(lab, origin))
    lab.no_arrival()
    true("a status 2xx", 200 <= seen.status < 300, seen.raw)
    for field, names in (("headers", ("authorization", "content-type")), ("methods", ("put",))):
        allowed = seen.get(f"{CORS}allow-{field}").lower()
        true(f"{' and '.join(names)} among the {field}", all(name in allowed for name in names), seen.raw)
    return seen


@GROUP.table(
    level=FEATURE,
    rule=RULE,
    needs=["http_any_origin"],
    rows=[
        row("any-origin", "If every page is allowed, an answer says so by `*` alone", "https://page.test"),
        row("any-null", "The origin `null` is then answered by `*`, too", "null"),
    ],
)
async def any_origin(lab: Lab, origin: str) -> None:
    _, seen = await exchange(lab, request(lab, "/thing", f"Origin: {origin}"))
    for each in (seen, await answered(lab, origin)):
        equal(ORIGIN, each.get(ORIGIN), "*")
        equal(CREDENTIALS, each.get(CREDENTIALS), "")


@GROUP.test(
    "cors-of-the-backend",
    "What the backend says about pages does not reach them",
    level=FEATURE,
    rule=RULE,
    needs=["http_any_origin"],
)
async def of_the_backend(lab: Lab) -> None:
    lines = (f"{ORIGIN}: https://evil.test", f"{CREDENTIALS}: true", f"{CORS}expose-headers: x-secret")
    _, seen = await exchange(lab, request(lab, "/thing", "Origin: https://page.test"), 200, b"", *lines)
    equal(ORIGIN, seen.get(ORIGIN), "*")
    equal(CREDENTIALS, seen.get(CREDENTIALS), "")
    true("no x-secret", "x-secret" not in seen.get(f"{CORS}expose-headers"), seen.raw)


@GROUP.test(
    "listed-origin",
    "An origin that is allowed by its name is named in the answer, with credentials and `Vary`",
    level=FEATURE,
    rule=RULE,
    needs=["http_origin"],
)
async def listed(lab: Lab) -> None:
    origin = lab.setup.text("http_origin")
    _, seen = await exchange(lab, request(lab, "/thing", f"Origin: {origin}"))
    for each in (seen, await answered(lab, origin)):
        equal(ORIGIN, each.get(ORIGIN), origin)
        equal(CREDENTIALS, each.get(CREDENTIALS), "true")
        true("Origin in Vary", "origin" in each.get("vary").lower(), each.raw)


@GROUP.table(
    level=FEATURE,
    rule=RULE,
    needs=["http_origin"],
    rows=[
        row(
            "other-origin",
            "A page of another origin gets 403, and its request is not forwarded",
            "https://evil.test",
        ),
        row("null-origin", "The origin `null` is not one that is allowed by its name", "null"),
    ],
)
async def not_allowed(lab: Lab, origin: str) -> None:
    for raw in (request(lab, "/thing", f"Origin: {origin}"), preflight(lab, origin)):
        seen = await lab.refused(raw, 403)
        true("no permission to read it", seen.get(ORIGIN) not in {"*", origin}, seen.raw)
