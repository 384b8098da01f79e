"""storm: every connection is cut at once; how soon are all back?"""

from __future__ import annotations

import time
from argparse import ArgumentParser, Namespace

from loadtests.scenarios.options import add_every
from loadtests.scenarios.returns import FIGURES, ramp_returning, tell_returns
from loadtests.scenarios.scenario import Scenario
from loadtests.stack.auth_log import questions
from loadtests.users.returning import ReturningUser
from loadtests.users.swarm import SETTLE_SECONDS, Swarm


class Storm(Scenario):
    """All connections are cut at once."""

    name = "storm"
    about = "Every connection is cut at once: how soon all are back, and how often Auth was asked."
    teaches = f"""\
When all connections are open and have been served for a third of the time, and after {SETTLE_SECONDS:g} s more to settle, the client
resets every one of them (RST), as a failing network or load balancer does. Each user comes back after a random part of
a second, and again with longer pauses where it is refused. A user is back when its first message is answered; when all
are, it goes on for another third. Auth is to be asked once for each token: the gateway remembers its answers, and asks
once for those who come at the same moment. `closed` counts the connections that the gateway ended for itself."""
    seconds = 15
    measured = "before the cut"
    part = 3
    user_classes = (ReturningUser,)
    figures = (*FIGURES, "closed", "Auth calls", "Auth calls after the cut", "Auth calls per token")

    def add_options(self, parser: ArgumentParser) -> None:
        """Add the pace."""
        add_every(parser)

    def run(self, swarm: Swarm, options: Namespace) -> None:
        """Ramp, cut, and wait for them."""
        recorder, auth_url = swarm.recorder, swarm.environment.system.auth_url
        asked_at_start = questions(auth_url) if auth_url else 0
        users = ramp_returning(swarm, options.connections)
        swarm.measure(options.seconds / self.part)
        asked_before = questions(auth_url) if auth_url else 0
        swarm.settle()  # answering that has kept the machine busy
        recorder.event(f"{options.connections} connections are cut")
        cut_at = time.monotonic()
        for user in users:
            user.cut()
        swarm.until(lambda: all(user.served for user in users), "all back")
        recorder.event("all are back")
        swarm.rest(options.seconds / 3)
        closed = recorder.closes.total()  # the cuts are not among them
        swarm.stop()
        tell_returns(recorder, users, since=cut_at)
        recorder.figure("closed", closed)
        if auth_url:
            asked = questions(auth_url)
            calls = asked - asked_at_start
            recorder.figure("Auth calls", calls)
            recorder.figure("Auth calls after the cut", asked - asked_before)
            if calls:  # a gateway that asks this Auth nothing has not shown that it asks seldom
                recorder.figure("Auth calls per token", calls / len(swarm.environment.tokens))
