"""Who the user is: the backend learns it from the gateway, and no spelling of the client gets through."""

from __future__ import annotations

from urllib.parse import unquote, unquote_plus

from memmie_harness.conformance.checks import equal, true
from memmie_harness.conformance.group import FEATURE, Group, row
from memmie_harness.conformance.lab import Lab
from memmie_harness.conformance.pair import accept
from memmie_harness.conformance.tests.forwarding import query_of, values

GROUP = Group("identity", "The user's identity", needs=("auth",))

RULE = "spec §3 (fields that a server may read as `user_id`)"
EVIL = "intruder"


def may_be_read_as(name: str, wanted: str) -> bool:
    """Tell whether a server may read the name of a query's field as `wanted`."""
    for _ in range(3):
        name = unquote_plus(name)
    plain = name.strip().lower().removesuffix("[]").strip()
    return plain.replace(".", "_").replace(" ", "_") == wanted.lower()


@GROUP.test(
    "in-query",
    "The backend gets the user in the query, once",
    level=FEATURE,
    rule="spec §3",
    needs=["user_query"],
)
async def in_query(lab: Lab) -> None:
    _, studio = await lab.knock()
    name = lab.setup.text("user_query")
    fields = [field.partition("=") for field in query_of(studio.head).split("&")]
    equal(name, [unquote(value) for key, _, value in fields if key == name], [lab.user])


@GROUP.test(
    "in-header",
    "The backend gets the user in a header field, once",
    level=FEATURE,
    rule="spec §3",
    needs=["user_header"],
)
async def in_header(lab: Lab) -> None:
    _, studio = await lab.knock()
    equal(lab.setup.text("user_header"), values(studio.head, lab.setup.text("user_header")), [lab.user])


@GROUP.table(
    level=FEATURE,
    rule=RULE,
    needs=["user_query", "forwards_query"],
    rows=[
        row("query-plain", "`user_id` of the client does not arrive", "user_id"),
        row("query-twice", "Two `user_id` of the client do not arrive", "user_id=x&user_id"),
        row("query-encoded", "`%75ser_id` does not arrive", "%75ser_id"),
        row(
            "query-all-encoded",
            "`user_id` with every character encoded does not arrive",
            "%75%73%65%72%5f%69%64",
        ),
        row("query-encoded-underscore", "`user%5Fid` does not arrive", "user%5Fid"),
        row("query-encoded-twice", "`%2575ser_id` does not arrive", "%2575ser_id"),
        row("query-upper-case", "`USER_ID` does not arrive", "USER_ID"),
        row("query-mixed-case", "`User_Id` does not arrive", "User_Id"),
        row("query-brackets", "`user_id[]` does not arrive", "user_id[]"),
        row("query-encoded-brackets", "`user_id%5B%5D` does not arrive", "user_id%5B%5D"),
        row("query-dot", "`user.id` does not arrive", "user.id"),
        row("query-plus", "`user+id` does not arrive", "user+id"),
        row("query-blank", "`user%20id` does not arrive", "user%20id"),
        row("query-blank-before", "`%20user_id` does not arrive", "%20user_id"),
        row("query-blank-behind", "`user_id%20` does not arrive", "user_id%20"),
        row("query-tab-behind", "`user_id%09` does not arrive", "user_id%09"),
        row("query-after-semicolon", "`user_id` behind a semicolon does not arrive", "a=1;user_id"),
        row("query-after-empty-field", "`user_id` behind an empty field does not arrive", "&&user_id"),
    ],
)
async def no_spelling(lab: Lab, name: str) -> None:
    _, studio = await lab.knock(lab.request(query=f"before=1&{name}={EVIL}&after=2"))
    query = query_of(studio.head)
    wanted = lab.setup.text("user_query")
    fields = [field.partition("=") for part in query.split("&") for field in part.split(";")]
    users = [(key, value) for key, _, value in fields if may_be_read_as(key, wanted)]
    equal("what may be read as the user", users, [(wanted, lab.user)])
    true("the client's other fields", "before=1" in query and "after=2" in query, query)


@GROUP.table(
    level=FEATURE,
    rule="spec §3, dropped headers",
    needs=["user_header"],
    rows=[
        row("header-plain", "The header of the user that a client sends does not arrive", "{}"),
        row("header-lower-case", "The header in lower case does not arrive", "lower"),
        row("header-upper-case", "The header in upper case does not arrive", "upper"),
        row("header-underscores", "The header with underscores does not arrive", "underscores"),
        row("header-twice", "The header twice does not arrive", "twice"),
    ],
)
async def no_header(lab: Lab, spelling: str) -> None:
    name = lab.setup.text("user_header")
    spelt = {
        "lower": name.lower(),
        "upper": name.upper(),
        "underscores": name.replace("-", "_"),
    }.get(spelling, name)
    lines = [f"{spelt}: {EVIL}"] * (2 if spelling == "twice" else 1)
    _, studio = await lab.knock(lab.request(*lines))
    seen = [value for key, value in studio.head.fields if key.replace("_", "-") == name.lower()]
    equal(name, seen, [lab.user])


@GROUP.table(
    level=FEATURE,
    rule="spec §3 (the query has `user_id`, percent-encoded)",
    needs=["user_query"],
    rows=[
        row("user-ampersand", "A user with `&` and `=` cannot add a field", "a&admin=1"),
        row("user-hash", "A user with `#` is encoded", "a#b"),
        row("user-percent", "A user with `%` is encoded", "a%41"),
        row("user-plus", "A user with `+` is encoded", "a+b"),
        row("user-blank", "A user with a blank is encoded", "a b"),
        row("user-slash", "A user with `/` and `?` is encoded", "a/../b?c"),
        row("user-utf-8", "A user with letters outside ASCII is encoded as UTF-8", "Zoë-€-😀"),
        row("user-semicolon", "A user with `;` is encoded", "a;admin=1"),
    ],
)
async def odd_user(lab: Lab, prefix: str) -> None:
    user = f"{prefix}-{lab.marker}"
    _, studio = await lab.knock(lab.request(token=lab.mint(user), query="mine=1"))
    query, name = query_of(studio.head), lab.setup.text("user_query")
    fields = [field.partition("=") for field in query.split("&")]
    equal(name, [unquote(value) for key, _, value in fields if key == name], [user])
    raw = next(value for key, _, value in fields if key == name)
    true("a value of unreserved characters and percent-encoding", not set(raw) & set("&;=+#?/ "), raw)
    accept(studio)


@GROUP.test(
    "two-users",
    "Two users at the same time are not confused",
    level=FEATURE,
    rule="spec §2",
    needs=["user_query"],
)
async def two_users(lab: Lab) -> None:
    name = lab.setup.text("user_query")
    for number in range(4):
        user = f"{lab.user}-{number}"
        _, studio = await lab.knock(lab.request(token=lab.mint(user)))
        true(f"{name}={user}", f"{name}={user}" in query_of(studio.head).split("&"), query_of(studio.head))
