"""Several backends: a user stays on one, users are spread, and a backend that is down is avoided."""

from __future__ import annotations

from collections import Counter

from memmie_harness.conformance.checks import equal, true
from memmie_harness.conformance.group import FEATURE, Group
from memmie_harness.conformance.lab import Lab
from memmie_harness.conformance.model import Violation
from memmie_harness.conformance.pair import Pair

GROUP = Group("balancing", "Several backends", needs=("auth", "studios"))


async def join_as(lab: Lab, user: str) -> Pair:
    """Open a connection of this user."""
    return await lab.join(lab.request(token=lab.mint(user)))


@GROUP.test(
    "sticky", "All connections of a user are on one backend", level=FEATURE, rule="spec §3", needs=["sticky"]
)
async def sticky(lab: Lab) -> None:
    for number in range(5):
        user = f"{lab.user}-{number}"
        names = {(await join_as(lab, user)).studio.name for _ in range(3)}
        equal(f"the number of backends of user {number}", len(names), 1)


@GROUP.test(
    "sticky-after-all-left",
    "A user who comes back is on the same backend",
    level=FEATURE,
    rule="spec §3",
    needs=["sticky"],
)
async def sticky_again(lab: Lab) -> None:
    for number in range(3):
        user = f"{lab.user}-{number}"
        first = await join_as(lab, user)
        first.client.leave()
        await first.studio.leftover()
        equal("the backend", (await join_as(lab, user)).studio.name, first.studio.name)


@GROUP.test("spread", "Many users use every backend", level=FEATURE, rule="spec §3")
async def spread(lab: Lab) -> None:
    seen = Counter([(await join_as(lab, f"{lab.user}-{number}")).studio.name for number in range(40)])
    equal("the number of backends", len(seen), lab.setup.studios)


@GROUP.test(
    "failover",
    "If a backend is down, its users are connected to another one",
    level=FEATURE,
    rule="spec §3",
    needs=["failover"],
    own_gateway=True,
)
async def failover(lab: Lab) -> None:
    await lab.stack.studios[0].stop()
    for number in range(8):
        pair = await join_as(lab, f"{lab.user}-{number}")
        await pair.exchange()
        true("another backend than the first", pair.studio.name != "studio 1", pair.studio.name)


@GROUP.test(
    "all-down",
    "If every backend is down, a client gets 5xx; when they are back, it is connected",
    level=FEATURE,
    rule="spec §3",
    needs=["failover"],
    own_gateway=True,
)
async def all_down(lab: Lab) -> None:
    for studio in lab.stack.studios:
        await studio.stop()
    await lab.refused(lab.request(), 500, 502, 503, 504)
    for studio in lab.stack.studios:
        await studio.start()

    await lab.until_joined(instead_of=range(500, 505))


async def users_of(lab: Lab, studio: str, count: int) -> list[str]:
    """Return users whose connections go to this backend; they have none when this returns."""
    users: list[str] = []
    for number in range(40 * count):
        pair = await join_as(lab, f"{lab.user}-{number}")
        if pair.studio.name == studio:
            users.append(f"{lab.user}-{number}")
        await end(pair)
        if len(users) == count:
            return users
    raise Violation(f"{count} users on {studio}", f"{len(users)} of {40 * count}")


async def end(pair: Pair) -> None:
    """Close a connection from both sides."""
    pair.client.send_close(1000)
    pair.studio.send(8, (await pair.studio.closing_frame()).payload)
    await pair.client.closing_frame()
    pair.studio.leave()
    pair.client.leave()


async def break_as(lab: Lab, user: str) -> str:
    """Open a connection of a user, and reset it at the backend if this is the first; return the backend."""
    pair = await join_as(lab, user)
    if pair.studio.name == "studio 1":
        pair.studio.reset()
        await pair.client.expect_close_or_end()
    else:
        await end(pair)
    return pair.studio.name


@GROUP.test(
    "ejection",
    "A backend that accepts connections but breaks them gets no more, if this happens to many users",
    level=FEATURE,
    rule="spec §3, ejection",
    needs=["ejection_users", "sticky"],
    own_gateway=True,
    seconds=60,
)
async def ejection(lab: Lab) -> None:
    users = await users_of(lab, "studio 1", int(lab.setup.number("ejection_users")) + 1)

    async def avoided() -> bool:
        return "studio 1" not in [await break_as(lab, user) for user in users]

    await lab.until("no connection to the backend that breaks them", avoided, within=5, every=0.2)
    for user in users:
        await (await join_as(lab, user)).exchange()


@GROUP.test(
    "ejection-one-user",
    "One user whose connections break does not cost a backend its other users",
    level=FEATURE,
    rule="spec §3, ejection",
    needs=["ejection_users", "sticky"],
    own_gateway=True,
    seconds=60,
)
async def ejection_one_user(lab: Lab) -> None:
    other, broken = await users_of(lab, "studio 1", 2)
    for _ in range(int(lab.setup.number("ejection_users")) + 3):
        await break_as(lab, broken)
    for _ in range(3):
        pair = await join_as(lab, other)
        equal("the backend of another user", pair.studio.name, "studio 1")


@GROUP.test(
    "one-bad-backend",
    "If one backend answers every handshake with 500, clients are connected to the others all the time",
    level=FEATURE,
    rule="spec §3, evidence from connections of clients",
    needs=["failover"],
    own_gateway=True,
)
async def one_bad_backend(lab: Lab) -> None:
    for number in range(24):
        client, studio = await lab.knock(lab.request(token=lab.mint(f"{lab.user}-{number}")))
        while studio.name == "studio 1":
            studio.write(b"HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n")
            studio = await lab.arrival()
        pair = await lab.take(client, studio)
        await pair.exchange()
