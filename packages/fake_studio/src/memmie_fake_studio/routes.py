"""Studio's HTTP routes (spec §4)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any, Final

from aiohttp import web

from memmie_fake_base.bodies import read_object
from memmie_fake_base.problems import Problem
from memmie_fake_studio.authentication import Authenticator
from memmie_fake_studio.content import Blob, Book, Content
from memmie_fake_studio.events import ContentEvents
from memmie_fake_studio.export import export

_PAGE: Final = 100
"""How many items a page has by default."""

_MAX_PAGE: Final = 1000
"""How many items a page may have."""


class Routes:
    """The HTTP routes to the content; changes are also published to the user's WebSockets.

    Args:
        content: where everything is stored.
        events: publishes changes.
        authenticator: authenticates each request but health checks.
    """

    def __init__(self, content: Content, events: ContentEvents, authenticator: Authenticator) -> None:
        self._content = content
        self._events = events
        self._authenticate = authenticator.authenticate

    def all(self) -> Iterable[web.AbstractRouteDef]:
        """Return the routes."""
        return [
            web.get("/health", self._health),
            web.post("/api/v1/books", self._create_book),
            web.get("/api/v1/books", self._list_books),
            web.get("/api/v1/books/{id}", self._book),
            web.get("/api/v1/books/{id}/export", self._export_book),
            web.post("/api/v1/books/{id}/chapters", self._add_chapter),
            web.post("/api/v1/blobs", self._create_blob),
            web.get("/api/v1/blobs", self._list_blobs),
            web.get("/api/v1/blobs/{id}", self._blob),
            web.post("/api/v1/buckets", self._create_bucket),
            web.get("/api/v1/buckets/{id}", self._bucket),
            web.get("/api/v1/buckets/{id}/tree", self._tree),
            web.post("/api/v1/buckets/{id}/blobs", self._put_in_bucket),
        ]

    async def _health(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "healthy", "service": "studio"})

    async def _create_book(self, request: web.Request) -> web.Response:
        user_id = await self._authenticate(request)
        return _json(self._content.create_book(user_id, await read_object(request)), status=201)

    async def _list_books(self, request: web.Request) -> web.Response:
        user_id = await self._authenticate(request)
        return _page(
            request, "books", [book for book in self._content.books.values() if book.user_id == user_id]
        )

    async def _book(self, request: web.Request) -> web.Response:
        user_id = await self._authenticate(request)
        return _json(self._content.book(user_id, request.match_info["id"]))

    async def _export_book(self, request: web.Request) -> web.Response:
        user_id = await self._authenticate(request)
        book = self._content.book(user_id, request.match_info["id"])
        return export(book, request.query.get("format", "text"))

    async def _add_chapter(self, request: web.Request) -> web.Response:
        user_id = await self._authenticate(request)
        body = await read_object(request)
        return _json(self._content.add_chapter(user_id, request.match_info["id"], body), status=201)

    async def _create_blob(self, request: web.Request) -> web.Response:
        user_id = await self._authenticate(request)
        blob = self._content.create_blob(user_id, await read_object(request))
        self._events.blob_created(blob)
        return _json(blob, status=201)

    async def _list_blobs(self, request: web.Request) -> web.Response:
        user_id = await self._authenticate(request)
        bucket_id = request.query.get("bucket_id")
        blobs = [
            blob
            for blob in self._content.blobs.values()
            if blob.user_id == user_id and (bucket_id is None or bucket_id in blob.bucket_ids)
        ]
        return _page(request, "blobs", blobs)

    async def _blob(self, request: web.Request) -> web.Response:
        user_id = await self._authenticate(request)
        return _json(self._content.blob(user_id, request.match_info["id"]))

    async def _create_bucket(self, request: web.Request) -> web.Response:
        user_id = await self._authenticate(request)
        bucket = self._content.create_bucket(user_id, await read_object(request))
        self._events.bucket_created(bucket)
        return _json(bucket, status=201)

    async def _bucket(self, request: web.Request) -> web.Response:
        user_id = await self._authenticate(request)
        return _json(self._content.bucket(user_id, request.match_info["id"]))

    async def _tree(self, request: web.Request) -> web.Response:
        user_id = await self._authenticate(request)
        return web.json_response(self._content.tree(user_id, request.match_info["id"]))

    async def _put_in_bucket(self, request: web.Request) -> web.Response:
        user_id = await self._authenticate(request)
        body = await read_object(request)
        bucket = self._content.put_in_bucket(user_id, request.match_info["id"], body)
        self._events.bucket_updated(bucket)
        return _json(bucket)


def _json(thing: Any, status: int = 200) -> web.Response:
    return web.json_response(asdict(thing), status=status)


def _page(request: web.Request, name: str, things: Sequence[Blob | Book]) -> web.Response:
    """Return `limit` items beginning with number `offset`, and the total number of items."""
    limit, offset = _number(request, "limit", _PAGE), _number(request, "offset", 0)
    shown = [asdict(thing) for thing in things[offset : offset + min(limit, _MAX_PAGE)]]
    return web.json_response({name: shown, "total": len(things)})


def _number(request: web.Request, name: str, default: int) -> int:
    given = request.query.get(name)
    if given is None:
        return default
    if not given.isascii() or not given.isdigit() or len(given) > 9:
        raise Problem(
            400, "bad_query", f"{name}: {given!r} is given; allowed: a whole number from 0 to 999999999"
        )
    return int(given)
