"""The events that a change to the content causes (spec §4)."""

from __future__ import annotations

from dataclasses import asdict

from memmie_fake_studio.connection import Connection
from memmie_fake_studio.content import Blob, Bucket
from memmie_fake_studio.hub import Hub


class ContentEvents:
    """Publishes changes to a user's connections.

    In each method `by` is the connection that made the change; it gets a reply instead of the event.

    Args:
        hub: the live connections.
    """

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def blob_created(self, blob: Blob, by: Connection | None = None) -> None:
        """Publish `blob.created` and, for a blob with a parent, `blob.derived`."""
        self._blob("blob.created", blob, by)
        if blob.parent_id is not None:
            self._blob("blob.derived", blob, by)

    def blob_updated(self, blob: Blob, by: Connection | None = None) -> None:
        """Publish `blob.updated`."""
        self._blob("blob.updated", blob, by)

    def bucket_created(self, bucket: Bucket, by: Connection | None = None) -> None:
        """Publish `bucket.created`."""
        self._bucket("bucket.created", bucket, by)

    def bucket_updated(self, bucket: Bucket) -> None:
        """Publish `bucket.updated`, after blobs were put into the bucket."""
        self._bucket("bucket.updated", bucket, None)

    def _blob(self, event_type: str, blob: Blob, by: Connection | None) -> None:
        self._hub.publish(blob.user_id, event_type, asdict(blob), bucket_ids=blob.bucket_ids, but=by)

    def _bucket(self, event_type: str, bucket: Bucket, by: Connection | None) -> None:
        self._hub.publish(bucket.user_id, event_type, asdict(bucket), bucket_ids=[bucket.id], but=by)
