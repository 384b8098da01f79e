"""Every connection is cut at once: how soon all are back, and how often Auth was asked.

When all connections are open and have been served for a third of the time, and after 2 s more to settle, the client
resets every one of them (RST), as a failing network or load balancer does. Each user comes back after a random part of
a second, and again with longer pauses if it is refused. A user is back when its first message is answered; when all
are, it goes on for another third. Auth must be asked once for each token: the gateway remembers its answers, and asks
once for all that come at the same moment. `closed` counts the connections that the gateway ended for itself.
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
