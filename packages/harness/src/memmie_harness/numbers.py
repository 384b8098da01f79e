"""The numbers of messages as they arrive: what was lost, duplicated or reordered."""

from __future__ import annotations


class Numbers:
    """The numbers of messages on one way, as they arrive; they were sent as 1, 2, 3 and so on.

    It knows no connection, so whoever numbers messages can use it.

    Attributes:
        duplicated: How many messages came more than once.
        reordered: How many messages came after a later one.
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
        """Enter a message that arrived."""
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
        """How many of the first `sent` messages have not come; what came beyond them does not make up for any."""
        return max(0, sent - self._next + 1) + sum(number <= sent for number in self._missing)

    def problems(self, sent: int) -> list[str]:
        """What was lost, duplicated or reordered of the first `sent` messages, in words; empty if nothing was."""
        found = {"lost": self.lost(sent), "duplicated": self.duplicated, "reordered": self.reordered}
        return [f"{count} {what}" for what, count in found.items() if count]
