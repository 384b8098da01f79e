"""Blobs, buckets and books, which Studio keeps for its users (spec §4): in memory, with limits."""

from __future__ import annotations

import time
import uuid
from collections.abc import Collection
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Protocol, TypeVar

from memmie_fake_base import BoundedStore
from memmie_fake_base.bodies import optional, required, strings
from memmie_fake_base.problems import Problem


def _now() -> int:
    return int(time.time())


def _new_id() -> str:
    return uuid.uuid4().hex


@dataclass(slots=True, kw_only=True)
class Blob:
    """A piece of content that a processor made; `created` and `updated` are unix seconds."""

    user_id: str
    processor_id: str
    schema_id: str
    data: Any
    bucket_ids: list[str]
    parent_id: str | None
    metadata: dict[str, Any]
    id: str = field(default_factory=_new_id)
    version: int = 1
    created: int = field(default_factory=_now)
    updated: int = field(default_factory=_now)


@dataclass(slots=True, kw_only=True)
class Bucket:
    """A named group of blobs; it may be nested in another bucket, its parent."""

    user_id: str
    name: str
    parent_id: str | None
    metadata: dict[str, Any]
    id: str = field(default_factory=_new_id)
    created: int = field(default_factory=_now)
    updated: int = field(default_factory=_now)


@dataclass(slots=True, kw_only=True)
class Book:
    """A book with its chapters, each `{"id", "title", "content"}`."""

    user_id: str
    title: str
    author: str
    description: str
    chapters: list[dict[str, str]] = field(default_factory=list)
    id: str = field(default_factory=_new_id)
    created: int = field(default_factory=_now)
    updated: int = field(default_factory=_now)


class _Owned(Protocol):
    user_id: str


T = TypeVar("T", bound=_Owned)

_MAX_CHAPTERS: Final = 1000
"""How many chapters a book may have."""

_MAX_DEPTH: Final = 100
"""How many levels of buckets may be nested."""


class Content:
    """Everything that is stored.

    Every method takes the user who makes the request. It raises `Problem`: 400 for a bad field, 403 for an item of
    another user, 404 for an unknown item, 507 when a limit is reached.

    Args:
        max_items: how many blobs, buckets and books are held, each.
    """

    def __init__(self, max_items: int) -> None:
        self.blobs: BoundedStore[Blob] = BoundedStore("blobs", max_items)
        self.buckets: BoundedStore[Bucket] = BoundedStore("buckets", max_items)
        self.books: BoundedStore[Book] = BoundedStore("books", max_items)

    def clear(self) -> None:
        """Remove everything."""
        for store in (self.blobs, self.buckets, self.books):
            store.clear()

    def create_blob(self, user_id: str, body: dict[str, Any]) -> Blob:
        """Create a blob."""
        missing = [name for name in ("processor_id", "schema_id") if body.get(name) in (None, "")]
        missing += ["data"] if "data" not in body else []
        if missing:
            raise Problem(
                400,
                "bad_field",
                f"the blob lacks {', '.join(missing)}; "
                "it needs processor_id and schema_id, two strings, and data, any JSON value",
            )
        blob = Blob(
            user_id=user_id,
            processor_id=required(body, "processor_id", str),
            schema_id=required(body, "schema_id", str),
            data=body["data"],
            bucket_ids=self._own_buckets(user_id, strings(body, "bucket_ids")),
            parent_id=optional(body, "parent_id", str),
            metadata=optional(body, "metadata", dict) or {},
        )
        if blob.parent_id is not None:
            self.blob(user_id, blob.parent_id)
        self.blobs[blob.id] = blob
        return blob

    def update_blob(self, user_id: str, body: dict[str, Any]) -> Blob:
        """Change a blob's data, buckets or metadata, and increment its version."""
        blob = self.blob(user_id, optional(body, "blob_id", str) or required(body, "id", str))
        bucket_ids = self._own_buckets(user_id, strings(body, "bucket_ids"))
        metadata = optional(body, "metadata", dict)
        blob.data = body.get("data", blob.data)
        blob.bucket_ids = bucket_ids if "bucket_ids" in body else blob.bucket_ids
        blob.metadata = blob.metadata if metadata is None else metadata
        blob.version += 1
        blob.updated = _now()
        return blob

    def blob(self, user_id: str, blob_id: str) -> Blob:
        """Return a blob."""
        return _owned(self.blobs, user_id, blob_id)

    def create_bucket(self, user_id: str, body: dict[str, Any]) -> Bucket:
        """Create a bucket."""
        bucket = Bucket(
            user_id=user_id,
            name=required(body, "name", str),
            parent_id=optional(body, "parent_id", str),
            metadata=optional(body, "metadata", dict) or {},
        )
        depth, above = 1, bucket.parent_id
        while above is not None:
            depth, above = depth + 1, self.bucket(user_id, above).parent_id
        if depth > _MAX_DEPTH:
            raise Problem(
                400, "bad_field", f"parent_id: buckets can be nested at most {_MAX_DEPTH} levels deep"
            )
        self.buckets[bucket.id] = bucket
        return bucket

    def bucket(self, user_id: str, bucket_id: str) -> Bucket:
        """Return a bucket."""
        return _owned(self.buckets, user_id, bucket_id)

    def put_in_bucket(self, user_id: str, bucket_id: str, body: dict[str, Any]) -> Bucket:
        """Put existing blobs into a bucket."""
        bucket = self.bucket(user_id, bucket_id)
        blob_ids = strings(body, "blob_ids") or [required(body, "blob_id", str)]
        for blob in [self.blob(user_id, blob_id) for blob_id in blob_ids]:
            if bucket_id not in blob.bucket_ids:
                blob.bucket_ids.append(bucket_id)
        bucket.updated = _now()
        return bucket

    def tree(self, user_id: str, bucket_id: str) -> dict[str, Any]:
        """Return a bucket with its blobs and, recursively, the buckets below it."""
        bucket = self.bucket(user_id, bucket_id)
        return {
            **asdict(bucket),
            "blobs": [asdict(blob) for blob in self.blobs.values() if bucket_id in blob.bucket_ids],
            "children": [
                self.tree(user_id, child.id)
                for child in self.buckets.values()
                if child.parent_id == bucket_id
            ],
        }

    def create_book(self, user_id: str, body: dict[str, Any]) -> Book:
        """Create a book."""
        book = Book(
            user_id=user_id,
            title=required(body, "title", str),
            author=optional(body, "author", str) or "",
            description=optional(body, "description", str) or "",
        )
        self.books[book.id] = book
        return book

    def book(self, user_id: str, book_id: str) -> Book:
        """Return a book."""
        return _owned(self.books, user_id, book_id)

    def add_chapter(self, user_id: str, book_id: str, body: dict[str, Any]) -> Book:
        """Append a chapter to a book."""
        book = self.book(user_id, book_id)
        if len(book.chapters) >= _MAX_CHAPTERS:
            raise Problem(507, "store_full", f"a book can have at most {_MAX_CHAPTERS} chapters")
        chapter = {"id": _new_id(), "title": required(body, "title", str)}
        book.chapters.append({**chapter, "content": optional(body, "content", str) or ""})
        book.updated = _now()
        return book

    def _own_buckets(self, user_id: str, bucket_ids: Collection[str]) -> list[str]:
        return [self.bucket(user_id, bucket_id).id for bucket_id in dict.fromkeys(bucket_ids)]


def _owned(store: BoundedStore[T], user_id: str, thing_id: str) -> T:
    thing = store.get(thing_id)
    if thing is None:
        raise Problem(404, "not_found", f"{store.what}: there is no item {thing_id!r}")
    if thing.user_id != user_id:
        raise Problem(403, "forbidden", f"{store.what}: the item {thing_id!r} belongs to another user")
    return thing
