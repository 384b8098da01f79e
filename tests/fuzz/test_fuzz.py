"""The fuzzer's targets on every day: the whole corpus, and a few hundred changes of it. `nox -s fuzz` goes on for longer."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fuzz.targets import LONGEST, TARGETS

CORPUS = Path(__file__).parent / "corpus"
FILES = sorted(path.relative_to(CORPUS) for path in CORPUS.glob("*/*"))


def test_each_target_has_a_corpus() -> None:
    assert {path.parts[0] for path in FILES} == TARGETS.keys()


@pytest.mark.parametrize("path", FILES, ids=str)
def test_the_corpus(path: Path) -> None:
    TARGETS[path.parts[0]]((CORPUS / path).read_bytes())


@st.composite
def changed(draw: st.DrawFn, name: str) -> bytes:
    """An input of the corpus with parts of others, of itself, and of noise in it."""
    inputs = [(CORPUS / path).read_bytes() for path in FILES if path.parts[0] == name]
    data = draw(st.sampled_from(inputs))
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(data)))
        end = draw(st.integers(start, min(len(data), start + 20)))
        other = draw(st.sampled_from(inputs))
        begin = draw(st.integers(0, len(other)))
        part = draw(st.binary(max_size=8) | st.just(other[begin : begin + 40]) | st.sampled_from(BITS))
        data = data[:start] + part + data[end:]
    return data[:LONGEST]


BITS = [
    b"\r\n",
    b"\r\n\r\n",
    b"\n",
    b": ",
    b"%",
    b"%5F",
    b"&",
    b";",
    b"=",
    b"\0",
    b"\xff",
    b"user_id",
    b"token=",
    b"\x80",
]


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_changes_of_the_corpus(name: str, data: st.DataObject) -> None:
    TARGETS[name](data.draw(changed(name)))
