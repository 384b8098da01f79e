"""The control group of rechecks: what Auth says about the tokens of other users.

A refused token may be revoked, or Auth may have a fault and refuse every token. What Auth says about some other users in
the same seconds tells one from the other.
"""

from __future__ import annotations

import itertools
import random
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Final, NamedTuple

MAX_USERS: Final = 20
"""Maximum number of users in an opinion, and of extra questions in `WINDOW_SECONDS`."""

WINDOW_SECONDS: Final = 60.0
"""Answers that are older do not count."""

ENOUGH_USERS: Final = 5
"""Number of users from which on Auth can be doubted; the one whose token was refused is one of them."""

DOUBT_SHARE: Final = 1 / 5
"""If Auth refuses more than this share of the other users, the fault is Auth's."""


class Opinion(NamedTuple):
    """What Auth has said about other users.

    Attributes:
        refused: number of users that Auth refused.
        asked: number of users that Auth answered about.
        enough: whether there are enough of them to decide, or too few users to ask about.
    """

    refused: int
    asked: int
    enough: bool

    @property
    def doubtful(self) -> bool:
        """Whether Auth refuses so many users that a refusal proves nothing."""
        return self.asked + 1 >= ENOUGH_USERS and self.refused > self.asked * DOUBT_SHARE


class ControlGroup:
    """The users with live sessions, and Auth's latest answer about each.

    Args:
        rng: chooses users.
    """

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._tokens: dict[str, list[bytes]] = {}  # by user
        self._answers: OrderedDict[str, tuple[float, bool]] = OrderedDict()  # user: when, and whether refused
        self._chosen: deque[float] = deque()  # when extra questions were chosen

    def __repr__(self) -> str:
        return f"<ControlGroup users={len(self._tokens)} answers={len(self._answers)}>"

    def add(self, user_id: str, digest: bytes) -> None:
        """Add a token that was not there before."""
        self._tokens.setdefault(user_id, []).append(digest)

    def remove(self, user_id: str, digest: bytes) -> None:
        """Remove a token."""
        tokens = self._tokens[user_id]
        tokens.remove(digest)
        if not tokens:
            del self._tokens[user_id]

    def note(self, user_id: str, now: float, *, refused: bool) -> None:
        """Remember an answer about a token of a user, in place of an earlier one.

        The token must have been asked about by its turn or as an extra question, and not because it was refused before:
        tokens that were refused are asked about more often, so Auth would seem to refuse more than it does.
        """
        answers = self._answers
        answers[user_id] = (now, refused)
        answers.move_to_end(user_id)
        while next(iter(answers.values()))[0] <= now - WINDOW_SECONDS:
            answers.popitem(last=False)

    def choose(
        self, user_id: str, since: float, now: float, *, may_ask: Callable[[bytes], bool]
    ) -> list[bytes]:
        """Choose a token each of random other users, for extra questions.

        Args:
            user_id: the user that is not asked about.
            since: users with an answer since this time are not asked about either.
            now: the time.
            may_ask: tells whether a token may be asked about.
        """
        chosen = self._chosen
        while chosen and chosen[0] <= now - WINDOW_SECONDS:
            chosen.popleft()
        room = MAX_USERS - len(chosen)
        if not room:
            return []
        users = [
            user
            for user in self._tokens
            if user != user_id and (user not in self._answers or self._answers[user][0] < since)
        ]
        found: list[bytes] = []
        for user in self._rng.sample(users, min(len(users), 2 * MAX_USERS)):
            tokens = [digest for digest in self._tokens[user] if may_ask(digest)]
            if tokens and len(found) < room:
                found.append(self._rng.choice(tokens))
        chosen.extend([now] * len(found))
        return found

    def opinion(self, user_id: str, since: float) -> Opinion:
        """Return what Auth has said since then about up to `MAX_USERS` users other than this one, the latest ones."""
        latest = itertools.takewhile(lambda item: item[1][0] >= since, reversed(self._answers.items()))
        others = itertools.islice((refused for user, (_, refused) in latest if user != user_id), MAX_USERS)
        answers = list(others)
        users = len(self._tokens) + (user_id not in self._tokens)
        return Opinion(sum(answers), len(answers), len(answers) + 1 >= ENOUGH_USERS or users < ENOUGH_USERS)
