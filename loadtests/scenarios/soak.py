"""soak: a million numbered messages each way; is any lost, doubled, overtaken or damaged?"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Final

from loadtests.scenarios.options import whole
from loadtests.scenarios.scenario import Scenario
from loadtests.users.soaking import WINDOW, SoakUser
from loadtests.users.swarm import Swarm

MOST_SECONDS: Final = 3600.0


class Soak(Scenario):
    """Very many messages, each of them counted."""

    name = "soak"
    about = "Numbered, checksummed messages of mixed sizes both ways: none may be lost, doubled or overtaken."
    teaches = f"""\
Each user has a blob and updates it with a text that holds its number, a checksum and 16 bytes to 64 KiB of padding.
Studio's reply holds the whole blob: the text, and its version, which counts the updates that Studio has seen. So the
numbers show what happened on the way up, the versions what happened on the way down. {WINDOW} messages of a connection
are on their way at a time, so latencies are mostly waiting in line. Ends when all are answered."""
    connections = 20
    timed = False
    pinned = False
    user_classes = (SoakUser,)
    figures = (
        "messages each way", "messages each way per second", "lost", "lost on the way up", "lost on the way down",
        "duplicated", "reordered", "damaged",
    )  # fmt: skip

    def add_options(self, parser: ArgumentParser) -> None:
        """Add how many."""
        parser.add_argument(
            "--messages",
            type=whole(1, 1_000_000_000),
            default=1_000_000,
            metavar="N",
            help="messages each way, shared out among the connections (default: %(default)s)",
        )

    def run(self, swarm: Swarm, options: Namespace) -> None:
        """Send, wait, count."""
        recorder = swarm.recorder
        recorder.measure()
        began = recorder.at
        users = swarm.ramp(SoakUser, options.connections)
        swarm.until(lambda: all(user.done for user in users), "all answered", within=MOST_SECONDS)
        took = recorder.at - began
        recorder.event("all are answered")
        recorder.answered = sum(user.upward.arrived for user in users)
        recorder.unanswered = options.messages - recorder.answered
        recorder.figure("messages each way", recorder.answered)
        recorder.figure("messages each way per second", recorder.answered / took)
        # A reply that is missing is a count that is missing, too, below the highest that came; a message that never
        # reached Studio was not counted. One that came twice, or was overtaken, either way, shows in the numbers.
        # A damaged one is not lost: it came.
        damaged = sum(user.damaged for user in users)
        lost = max(0, sum(user.upward.lost(user.goal) for user in users) - damaged)
        missing_counts = sum(user.downward.lost(user.downward.highest) for user in users)
        lost_downward = min(lost, max(0, missing_counts - damaged))
        recorder.figure("lost", lost)
        recorder.figure("lost on the way up", lost - lost_downward)
        recorder.figure("lost on the way down", lost_downward)
        recorder.figure("duplicated", sum(user.upward.duplicated for user in users))
        recorder.figure("reordered", sum(user.upward.reordered for user in users))
        recorder.figure("damaged", damaged)
