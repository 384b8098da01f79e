"""Several backends: a user stays on one, users are spread, and a backend that is down is avoided."""

from __future__ import annotations

from collections import Counter

from memmie_harness.conformance.checks import equal, true
from memmie_harness.conformance.group import FEATURE, Group
from memmie_harness.conformance.lab import Lab, Pair

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
