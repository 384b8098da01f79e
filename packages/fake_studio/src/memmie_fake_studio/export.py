"""Exporting a book as text, Markdown or JSON."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Final

from aiohttp import web

from memmie_fake_base.problems import Problem
from memmie_fake_studio.content import Book


def _text(book: Book) -> web.Response:
    parts = [book.title, *([f"by {book.author}"] if book.author else [])]
    parts += [f"{chapter['title']}\n\n{chapter['content']}" for chapter in book.chapters]
    return _utf8(parts, "text/plain")


def _markdown(book: Book) -> web.Response:
    parts = [f"# {book.title}", *([f"*{book.author}*"] if book.author else [])]
    parts += [f"## {chapter['title']}\n\n{chapter['content']}" for chapter in book.chapters]
    return _utf8(parts, "text/markdown")


def _json(book: Book) -> web.Response:
    return web.json_response(asdict(book))


def _utf8(parts: list[str], content_type: str) -> web.Response:
    # A JSON string may contain lone surrogates, which UTF-8 cannot encode.
    body = ("\n\n".join(parts) + "\n").encode("utf-8", "replace")
    return web.Response(body=body, content_type=content_type, charset="utf-8")


_FORMATS: Final[dict[str, Callable[[Book], web.Response]]] = {
    "text": _text,
    "markdown": _markdown,
    "json": _json,
}
"""The formats, by name."""


def export(book: Book, format_name: str) -> web.Response:
    """Return a book in the named format.

    Raises:
        Problem: 400, the format is unknown.
    """
    render = _FORMATS.get(format_name)
    if render is None:
        raise Problem(400, "bad_format", f"format {format_name!r} is unknown; allowed: {', '.join(_FORMATS)}")
    return render(book)
