"""The store of recent values: each until its end, and not too many."""

from __future__ import annotations

from memmie_gateway.core.auth.recent import RecentStore


def store(*names: str, size: int = 3, until: float = 10) -> RecentStore[str]:
    """Make a store in which each name is its own value, stored at the time 0."""
    made: RecentStore[str] = RecentStore(size)
    for name in names:
        made.put(name.encode(), name, until=until, now=0)
    return made


def test_a_value_is_there_until_its_end() -> None:
    values = store("a")
    assert [values.get(b"a", now) for now in (0, 9.9, 10)] == ["a", "a", None]
    assert values.get(b"b", 0) is None


def test_a_new_value_replaces_the_old_one_even_if_it_has_ended() -> None:
    values = store("a", "b")
    values.put(b"a", "new", until=20, now=1)
    values.put(b"b", "ended", until=1, now=1)
    assert [values.get(key, 15) for key in (b"a", b"b")] == ["new", None]
    assert values.get(b"b", 1) is None


def test_the_oldest_makes_room() -> None:
    values = store("a", "b", "c", "a", "d")
    assert [values.get(key, 0) for key in (b"a", b"b", b"c", b"d")] == ["a", None, "c", "d"]
    assert repr(values) == "<RecentStore 3 of 3>"


def test_a_value_can_be_dropped() -> None:
    values = store("a")
    values.drop(b"a")
    values.drop(b"a")
    assert values.get(b"a", 0) is None


def test_what_has_ended_takes_no_room() -> None:
    values = store("a", "b")
    values.put(b"c", "c", until=30, now=5)
    assert [values.count(now) for now in (9, 10, 29, 30, 31)] == [3, 1, 1, 0, 0]
    values.put(b"d", "d", until=40, now=35)
    assert values.count(35) == 1
