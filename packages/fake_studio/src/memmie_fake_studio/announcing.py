"""Which events a change to the content makes, and who gets them (spec §4)."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from memmie_fake_studio.connection import Connection
    from memmie_fake_studio.content import Blob, Bucket
    from memmie_fake_studio.hub import Hub


class Announcer:
    """Tells a user's connections what has changed; `by` is the one that changed it, which gets a reply instead."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def blob_created(self, blob: Blob, by: Connection | None = None) -> None:
        """Announce a blob, and that it was derived where it has a parent."""
        self._blob("blob.created", blob, by)
        if blob.parent_id is not None:
            self._blob("blob.derived", blob, by)

    def blob_updated(self, blob: Blob, by: Connection | None = None) -> None:
        """Announce a blob's new version."""
        self._blob("blob.updated", blob, by)

    def bucket_created(self, bucket: Bucket, by: Connection | None = None) -> None:
        """Announce a bucket."""
        self._bucket("bucket.created", bucket, by)

    def bucket_updated(self, bucket: Bucket) -> None:
        """Announce that a bucket holds other blobs than before."""
        self._bucket("bucket.updated", bucket, None)

    def _blob(self, event_type: str, blob: Blob, by: Connection | None) -> None:
        self._hub.publish(blob.user_id, event_type, asdict(blob), bucket_ids=blob.bucket_ids, but=by)

    def _bucket(self, event_type: str, bucket: Bucket, by: Connection | None) -> None:
        self._hub.publish(bucket.user_id, event_type, asdict(bucket), bucket_ids=[bucket.id], but=by)
