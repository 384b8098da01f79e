"""Studio's messages and events (spec §4)."""

from __future__ import annotations

from typing import Any

import pytest

from memmie_fake_studio import FakeStudio

BLOB = {"processor_id": "p1", "schema_id": "s1", "data": {"text": "hello"}}


def nested(levels: int) -> list[Any]:
    return [nested(levels - 1)] if levels else []


async def test_heartbeat_is_acknowledged_with_its_id(open_client: Any) -> None:
    async with open_client() as client:
        for request_id in ("1", 2, "\ud800", None):
            answer = await client.ask(id=request_id, type="heartbeat")
            assert (answer["type"], answer.get("id")) == ("ack", request_id)
            assert isinstance(answer["timestamp"], int)


async def test_the_greeting_is_sent_only_where_switched_on(open_client: Any) -> None:
    async with FakeStudio(greeting=True) as studio, open_client("u 1", at=studio) as client:
        greeting = await client.receive()
        assert greeting["type"] == "connected"
        assert greeting["data"] == {
            "status": "ready",
            "user_id": "u 1",
            "session_id": studio.connections[0].session_id,
        }
    async with open_client() as client:
        assert (await client.ask(type="heartbeat"))["type"] == "ack"


async def test_a_created_blob_answers_one_connection_and_is_an_event_for_the_users_others(
    open_client: Any,
) -> None:
    async with open_client("u1") as maker, open_client("u1") as other, open_client("u2") as stranger:
        reply = await maker.ask(id="7", type="create_blob", data={**BLOB, "metadata": {"k": 1}})
        assert (reply["id"], reply["type"]) == ("7", "blob.created")
        assert reply["data"]["user_id"] == "u1"
        assert reply["data"]["metadata"] == {"k": 1}
        event = await other.receive()
        assert (event["type"], event["data"]) == ("blob.created", reply["data"])
        assert "id" not in event
        # Neither the maker nor the stranger has anything before their own acks.
        for client in (maker, stranger):
            assert (await client.ask(type="heartbeat"))["type"] == "ack"


async def test_update_blob_raises_its_version(open_client: Any) -> None:
    async with open_client() as client, open_client() as other:
        blob = (await client.ask(type="create_blob", data=BLOB))["data"]
        await other.receive()
        updated = await client.ask(type="update_blob", data={"id": blob["id"], "data": [1]})
        assert (updated["type"], updated["data"]["version"], updated["data"]["data"]) == (
            "blob.updated",
            2,
            [1],
        )
        assert (await other.receive())["type"] == "blob.updated"


async def test_a_derived_blob_is_two_events(open_client: Any) -> None:
    async with open_client() as client, open_client() as other:
        parent = (await client.ask(type="create_blob", data=BLOB))["data"]
        child = (await client.ask(type="create_blob", data={**BLOB, "parent_id": parent["id"]}))["data"]
        assert [(await other.receive())["type"] for _ in range(3)] == [
            "blob.created",
            "blob.created",
            "blob.derived",
        ]
        assert child["parent_id"] == parent["id"]


@pytest.mark.parametrize(
    ("request_", "complaint"),
    [
        ({"type": "dance"}, "type 'dance' is unknown; allowed: heartbeat,"),
        ({"type": 7}, "type is a whole number; a string is expected"),
        ({}, "type is missing"),
        ({"type": "subscribe"}, "subscribe: give bucket_ids, types or both"),
        ({"type": "subscribe", "data": {"types": "blob.*"}}, "types is a string; a list is expected"),
        (
            {"type": "subscribe", "data": {"types": [1]}},
            "types contains a whole number; a list of strings is expected",
        ),
        ({"type": "subscribe", "data": {"types": [str(n) for n in range(1001)]}}, "at most 1000 types"),
        ({"type": "heartbeat", "data": []}, "data is a list; an object is expected"),
        (
            {"type": "create_blob", "data": {"schema_id": "s", "data": 1}},
            "the blob lacks processor_id; it needs",
        ),
        ({"type": "create_blob", "data": {"processor_id": "p", "schema_id": "s"}}, "the blob lacks data; it"),
        ({"type": "create_blob", "data": {"title": "t"}}, "the blob lacks processor_id, schema_id, data; it"),
        ({"type": "create_blob", "data": {**BLOB, "schema_id": " "}}, "schema_id is missing or empty"),
        (
            {"type": "create_blob", "data": {**BLOB, "schema_id": []}},
            "schema_id is a list; a string is expected",
        ),
        ({"type": "create_blob", "data": {**BLOB, "parent_id": "nope"}}, "blobs: there is no item 'nope'"),
        (
            {"type": "create_blob", "data": {**BLOB, "bucket_ids": ["nope"]}},
            "buckets: there is no item 'nope'",
        ),
        ({"type": "update_blob", "data": {"id": "nope"}}, "blobs: there is no item 'nope'"),
        ({"type": "create_bucket", "data": {}}, "name is missing"),
        ({"type": "create_blob", "data": {**BLOB, "data": nested(200)}}, "nested too deeply"),
    ],
)
async def test_a_bad_request_is_an_error_with_its_id_and_the_connection_stays(
    open_client: Any, request_: dict[str, Any], complaint: str
) -> None:
    async with open_client() as client:
        answer = await client.ask(id="9", **request_)
        assert (answer.get("id"), answer["type"]) == (None if "nested" in complaint else "9", "error")
        assert complaint in answer["error"]
        assert (await client.ask(type="heartbeat"))["type"] == "ack"


@pytest.mark.parametrize(
    "message", ["", "{", "[]", "7", "[" * 100_000, '{"id":NaN}', '{"id":1e999}', b'{"type":"heartbeat"}']
)
async def test_what_is_no_json_object_is_an_error(open_client: Any, message: str | bytes) -> None:
    async with open_client() as client:
        await client.ws.send(message)
        assert (await client.receive())["type"] == "error"
        assert (await client.ask(type="heartbeat"))["type"] == "ack"


async def test_another_users_blob_is_out_of_reach(open_client: Any) -> None:
    async with open_client("u1") as owner, open_client("u2") as thief:
        blob = (await owner.ask(type="create_blob", data=BLOB))["data"]
        answer = await thief.ask(type="update_blob", data={"id": blob["id"], "data": "mine"})
        assert answer["error"] == f"blobs: the item {blob['id']!r} belongs to another user"


async def test_subscribed_types_with_wildcards(studio: FakeStudio, open_client: Any) -> None:
    async with open_client() as client:
        assert (await client.ask(id=1, type="subscribe", data={"types": ["blob.*"]}))["type"] == "ack"
        assert await studio.emit("u1", "bucket.created") == 0
        assert await studio.emit("u1", "blob.updated") == 1
        assert (await client.receive())["type"] == "blob.updated"
        await client.ask(type="subscribe", data={"types": ["bucket.created"]})
        assert await studio.emit("u1", "bucket.created") == 1
        assert (await client.receive())["type"] == "bucket.created"
        await client.ask(type="unsubscribe", data={"types": ["blob.*"]})
        assert await studio.emit("u1", "blob.updated") == 0
        await client.ask(type="unsubscribe")
        assert await studio.emit("u1", "anything.at.all") == 1


async def test_subscribed_buckets(studio: FakeStudio, open_client: Any) -> None:
    async with open_client() as client, open_client() as other:
        wanted = (await client.ask(type="create_bucket", data={"name": "wanted"}))["data"]["id"]
        unwanted = (await client.ask(type="create_bucket", data={"name": "unwanted"}))["data"]["id"]
        assert [(await other.receive())["type"] for _ in range(2)] == ["bucket.created"] * 2
        assert (await other.ask(type="subscribe", data={"bucket_ids": [wanted]}))["type"] == "ack"
        await client.ask(type="create_blob", data={**BLOB, "bucket_ids": [unwanted]})
        await client.ask(type="create_blob", data={**BLOB, "bucket_ids": [unwanted, wanted]})
        assert (await other.receive())["data"]["bucket_ids"] == [unwanted, wanted]
        assert await studio.emit("u1", "processor.status") == 1  # to `client`, which wants all


async def test_content_is_bounded(open_client: Any) -> None:
    async with FakeStudio(max_items=1) as studio, open_client(at=studio) as client:
        assert (await client.ask(type="create_bucket", data={"name": "a"}))["type"] == "bucket.created"
        assert "at most 1 buckets" in (await client.ask(type="create_bucket", data={"name": "b"}))["error"]
        studio.reset()
        assert (await client.ask(type="create_bucket", data={"name": "c"}))["type"] == "bucket.created"
