"""Every connection is cut at once: how soon all are back, and how often Auth was asked.

When all connections are open and have been served for a third of the time, and after 2 s more to settle, the client
resets every one of them (RST), as a failing network or load balancer does. Each user comes back after a random part of
a second, and again with longer pauses if it is refused. A user is back when its first message is answered; when all
are, it goes on for another third. Auth must be asked once for each token: the gateway remembers its answers, and asks
once for all that come at the same moment. `closed` counts the connections that the gateway ended for itself.
"""

from loadtests.scenarios.comeback import FIGURES, Comeback
from loadtests.scenarios.director import Director
from loadtests.scenarios.play import play
from loadtests.stack.asking import auth_questions
from loadtests.users.crowd import CUT, MARK
from loadtests.users.returning import ReturningUser

__all__ = ["ReturningUser"]


class Storm(Comeback):
    """All connections are cut at once."""

    seconds = 15
    measured = "before the cut"
    distributed = True
    figures = (*FIGURES, "closed", "Auth calls", "Auth calls after the cut", "Auth calls per token")

    def run(self, director: Director) -> None:
        """Connect, cut, and wait for everyone."""
        auth_url = director.system.auth_url
        at_start = auth_questions(auth_url) if auth_url else 0
        self.connect(director)
        director.measure(director.seconds / self.part)
        before = auth_questions(auth_url) if auth_url else 0
        director.settle()  # answering that has kept the machine busy
        director.event(f"{director.options.num_users} connections are cut")
        director.order(MARK)
        director.order(CUT)
        self.wait_for_all(director)
        director.rest(director.seconds / 3)
        closed = director.counted().closes.total()  # without the cuts
        director.leave()
        self.tell_returns(director)
        director.figure("closed", closed)
        if auth_url:
            now = auth_questions(auth_url)
            director.figure("Auth calls", now - at_start)
            director.figure("Auth calls after the cut", now - before)
            if now > at_start:  # a gateway that asks this Auth nothing has not shown that it asks seldom
                director.figure("Auth calls per token", (now - at_start) / self.accounts(director.options))


SCENARIO = Storm()
play(SCENARIO)
