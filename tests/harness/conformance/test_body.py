from __future__ import annotations

import asyncio
import contextlib
from types import SimpleNamespace
from typing import cast

import pytest

from memmie_harness.conformance.http_client import expect_cut
from memmie_harness.conformance.model import Ended, Violation
from memmie_harness.conformance.peers import parse_head
from memmie_harness.conformance.peers.body import Body
from memmie_harness.conformance.peers.side import Side

REQUEST = "POST / HTTP/1.1"
ANSWER = "HTTP/1.1 200 OK"


class Bytes:
    """What has come on a connection that has ended."""

    def __init__(self, data: bytes) -> None:
        self.reader = asyncio.StreamReader()
        self.reader.feed_data(data)
        self.reader.feed_eof()

    async def read(self, size: int) -> bytes:
        try:
            return await self.reader.readexactly(size)
        except asyncio.IncompleteReadError:
            raise Ended("more", "the end") from None

    async def read_until(self, mark: bytes) -> bytes:
        try:
            return await self.reader.readuntil(mark)
        except asyncio.IncompleteReadError:
            raise Ended("more", "the end") from None

    async def read_rest(self) -> bytes:
        return await self.reader.read()


def body(first_line: str, data: bytes, *fields: str) -> Body:
    return Body(Bytes(data), parse_head("\r\n".join([first_line, *fields, "", ""]).encode()))


async def test_parts_of_a_body_do_not_depend_on_its_chunks() -> None:
    chunked = body(REQUEST, b"3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nA: 1\r\n\r\n", "Transfer-Encoding: chunked")
    assert [await chunked.part(2), await chunked.part(4)] == [b"ab", b"cdef"]
    assert await chunked.rest() == b"g"
    assert chunked.trailers == b"A: 1\r\n"


async def test_a_length_counts_what_was_read_before() -> None:
    known = body(REQUEST, b"abcdef", "Content-Length: 5")
    assert [await known.part(2), await known.rest()] == [b"ab", b"cde"]


@pytest.mark.parametrize(("first_line", "expected"), [(REQUEST, b""), (ANSWER, b"abc")])
async def test_only_an_answer_may_end_with_its_connection(first_line: str, expected: bytes) -> None:
    assert await body(first_line, b"abc").rest() == expected


@pytest.mark.parametrize(
    ("data", "fields"),
    [(b"3\r\nabc\r\n", ["Transfer-Encoding: chunked"]), (b"abc", ["Content-Length: 4"])],
)
async def test_a_body_that_is_cut_has_no_end(data: bytes, fields: list[str]) -> None:
    with pytest.raises(Ended):
        await body(ANSWER, data, *fields).rest()


async def test_chunks_that_are_none_or_too_few_are_a_violation() -> None:
    with pytest.raises(Violation, match="the size of a chunk"):
        await body(ANSWER, b"-3\r\nabc\r\n", "Transfer-Encoding: chunked").rest()
    with pytest.raises(Violation, match="2 bytes of a body"):
        await body(ANSWER, b"1\r\na\r\n0\r\n\r\n", "Transfer-Encoding: chunked").part(2)


@pytest.mark.parametrize(
    ("data", "looks_complete"),
    [(b"", False), (b"HTTP/1.1 502 Bad Gateway\r\n\r\n", False), (b"0\r\n\r\n", True)],
)
async def test_a_body_behind_which_no_chunk_comes_does_not_look_complete(
    data: bytes, *, looks_complete: bool
) -> None:
    half = body(ANSWER, b"4\r\nhalf\r\n" + data, "Transfer-Encoding: chunked")
    assert await half.part(4) == b"half"
    client = cast("Side", SimpleNamespace(name="client"))
    with pytest.raises(Violation, match="not complete") if looks_complete else contextlib.nullcontext():
        await expect_cut(client, half)
