"""All connections are cut at once: how soon is every user back, and how often does the gateway ask Auth?

All users connect and send heartbeats for a third of the time. 2 s later the client resets all connections (RST), as a
failing network or load balancer does. Each user waits for a random part of a second and connects again. If it is
refused, it tries again with longer pauses. A user is back when its first message is answered. When all users are back,
the run goes on for another third of the time.

The gateway must ask Auth only once for each token. It caches the answers of Auth. For simultaneous connections with
one token it sends only one request. `closed` counts connections that the gateway itself closed.
"""

from collections import Counter
from typing import ClassVar

from loadtests.scenarios.comeback import CUT, MARK, Comeback, ReturningUser
from loadtests.scenarios.director import Director
from loadtests.scenarios.play import play
from loadtests.stack import auth_questions

__all__ = ["ReturningUser"]


class Storm(Comeback):
    """All connections are cut at once."""

    seconds = 15
    measured = "before the cut"
    distributed = True
    figures: ClassVar = {
        "closed": "",
        "Auth calls": "",
        "Auth calls after the cut": "",
        "Auth calls per token": "",
    }

    def run(self, director: Director) -> None:
        """Ask Auth first."""
        self._at_start = auth_questions(director.system.auth_url)
        super().run(director)

    def strike(self, director: Director) -> None:
        """Cut everyone."""
        self._before = auth_questions(director.system.auth_url)
        director.settle()  # answering that has kept the machine busy
        director.event(f"{director.options.num_users} connections are cut")
        director.order(MARK)
        director.order(CUT)

    def tell(self, director: Director, closes: Counter[str]) -> None:
        """Tell what the gateway closed, and how often it asked Auth."""
        director.figures["closed"] = closes.total()
        if auth_url := director.system.auth_url:
            now = auth_questions(auth_url)
            director.figures["Auth calls"] = asked = now - self._at_start
            director.figures["Auth calls after the cut"] = now - self._before
            if asked:  # a gateway that asks this Auth nothing has not shown that it asks seldom
                director.figures["Auth calls per token"] = asked / self.accounts(director.options)


SCENARIO = play(Storm())
