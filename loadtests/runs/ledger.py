"""A ledger of numbered messages: what was lost, doubled or overtaken on one connection in one direction."""

from __future__ import annotations


class Ledger:
    """Takes the numbers of messages as they arrive; they were sent as 1, 2, 3 and so on.

    Attributes:
        duplicated: messages that came more than once.
        reordered: messages that came after a later one.
    """

    def __init__(self) -> None:
        self.duplicated = 0
        self.reordered = 0
        self._next = 1
        self._missing: set[int] = set()

    @property
    def arrived(self) -> int:
        """How many different messages have come."""
        return self._next - 1 - len(self._missing)

    @property
    def highest(self) -> int:
        """The highest number that has come; 0 for none."""
        return self._next - 1

    def take(self, number: int) -> None:
        """Enter a message."""
        if number == self._next:
            self._next += 1
        elif number > self._next:
            self._missing.update(range(self._next, number))
            self._next = number + 1
        elif number in self._missing:
            self._missing.remove(number)
            self.reordered += 1
        else:
            self.duplicated += 1

    def lost(self, sent: int) -> int:
        """Return how many of the first `sent` messages have not come; what came beyond them makes up for none."""
        return max(0, sent - self._next + 1) + sum(number <= sent for number in self._missing)
