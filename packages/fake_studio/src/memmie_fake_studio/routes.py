"""Studio's HTTP routes (spec §4), each for the user whose token it is."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from aiohttp import web

from memmie_fake_base.bodies import read_object
from memmie_fake_base.problems import Problem
from memmie_fake_studio.export import export

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from memmie_fake_studio.announcing import Announcer
    from memmie_fake_studio.content import Blob, Book, Content
    from memmie_fake_studio.guard import Guard

_PAGE = 100
_LONGEST_PAGE = 1000


class Routes:
    """The HTTP side of the content; changes are announced to the user's WebSockets, too."""

    def __init__(self, content: Content, announcer: Announcer, guard: Guard) -> None:
        self._content = content
        self._announcer = announcer
        self._user_of = guard.user_of

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
        user_id = await self._user_of(request)
        return _json(self._content.create_book(user_id, await read_object(request)), status=201)

    async def _list_books(self, request: web.Request) -> web.Response:
        user_id = await self._user_of(request)
        return _page(
            request, "books", [book for book in self._content.books.values() if book.user_id == user_id]
        )

    async def _book(self, request: web.Request) -> web.Response:
        user_id = await self._user_of(request)
        return _json(self._content.book(user_id, request.match_info["id"]))

    async def _export_book(self, request: web.Request) -> web.Response:
        user_id = await self._user_of(request)
        book = self._content.book(user_id, request.match_info["id"])
        return export(book, request.query.get("format", "text"))

    async def _add_chapter(self, request: web.Request) -> web.Response:
        user_id = await self._user_of(request)
        body = await read_object(request)
        return _json(self._content.add_chapter(user_id, request.match_info["id"], body), status=201)

    async def _create_blob(self, request: web.Request) -> web.Response:
        user_id = await self._user_of(request)
        blob = self._content.create_blob(user_id, await read_object(request))
        self._announcer.blob_created(blob)
        return _json(blob, status=201)

    async def _list_blobs(self, request: web.Request) -> web.Response:
        user_id = await self._user_of(request)
        bucket_id = request.query.get("bucket_id")
        blobs = [
            blob
            for blob in self._content.blobs.values()
            if blob.user_id == user_id and (bucket_id is None or bucket_id in blob.bucket_ids)
        ]
        return _page(request, "blobs", blobs)

    async def _blob(self, request: web.Request) -> web.Response:
        user_id = await self._user_of(request)
        return _json(self._content.blob(user_id, request.match_info["id"]))

    async def _create_bucket(self, request: web.Request) -> web.Response:
        user_id = await self._user_of(request)
        bucket = self._content.create_bucket(user_id, await read_object(request))
        self._announcer.bucket_created(bucket)
        return _json(bucket, status=201)

    async def _bucket(self, request: web.Request) -> web.Response:
        user_id = await self._user_of(request)
        return _json(self._content.bucket(user_id, request.match_info["id"]))

    async def _tree(self, request: web.Request) -> web.Response:
        user_id = await self._user_of(request)
        return web.json_response(self._content.tree(user_id, request.match_info["id"]))

    async def _put_in_bucket(self, request: web.Request) -> web.Response:
        user_id = await self._user_of(request)
        body = await read_object(request)
        bucket = self._content.put_in_bucket(user_id, request.match_info["id"], body)
        self._announcer.bucket_updated(bucket)
        return _json(bucket)


def _json(thing: Any, status: int = 200) -> web.Response:
    return web.json_response(asdict(thing), status=status)


def _page(request: web.Request, name: str, things: Sequence[Blob | Book]) -> web.Response:
    """Return `limit` things from `offset` on, and how many there are in all."""
    limit, offset = _number(request, "limit", _PAGE), _number(request, "offset", 0)
    shown = [asdict(thing) for thing in things[offset : offset + min(limit, _LONGEST_PAGE)]]
    return web.json_response({name: shown, "total": len(things)})


def _number(request: web.Request, name: str, default: int) -> int:
    given = request.query.get(name)
    if given is None:
        return default
    if not given.isascii() or not given.isdigit() or len(given) > 9:
        raise Problem(400, "bad_query", f"{name}: {given!r} given, a whole number from 0 is allowed")
    return int(given)
