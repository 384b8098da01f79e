"""Studio's HTTP (spec §4): books, blobs, buckets, each for its owner."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from memmie_fake_auth import FakeAuth
from memmie_fake_studio import FakeStudio

BLOB = {"processor_id": "p1", "schema_id": "s1", "data": {"text": "hello"}}


class Api:
    """Studio's HTTP for one token."""

    def __init__(self, http: aiohttp.ClientSession, studio: FakeStudio, headers: dict[str, str]) -> None:
        self._http = http
        self._root = f"{studio.url}/api/v1/"
        self._headers = headers

    async def __call__(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        async with self._http.request(
            method, self._root + path, json=body, headers=self._headers
        ) as response:
            return response.status, await response.json()

    async def text(self, path: str) -> tuple[str, str]:
        async with self._http.get(self._root + path, headers=self._headers) as response:
            return response.content_type, await response.text()


@pytest.fixture
def api(http: aiohttp.ClientSession, auth: FakeAuth, studio: FakeStudio) -> Api:
    return Api(http, studio, {"Authorization": f"Bearer {auth.mint('u1')}"})


@pytest.fixture
def thief(http: aiohttp.ClientSession, auth: FakeAuth, studio: FakeStudio) -> Api:
    return Api(http, studio, {"Authorization": f"Bearer {auth.mint('u2')}"})


async def test_books_are_written_read_and_exported(api: Api, thief: Api) -> None:
    status, book = await api("POST", "books", {"title": "On Engines", "author": "Ada"})
    assert (status, book["user_id"], book["chapters"]) == (201, "u1", [])
    path = f"books/{book['id']}"
    status, _ = await api("POST", f"{path}/chapters", {"title": "One", "content": "It \ud800begins."})
    assert status == 201
    assert (await api("GET", path))[1]["chapters"][0]["title"] == "One"
    assert (await api("GET", "books"))[1]["total"] == 1
    assert (await thief("GET", "books"))[1] == {"books": [], "total": 0}
    assert await api.text(f"{path}/export") == ("text/plain", "On Engines\n\nby Ada\n\nOne\n\nIt ?begins.\n")
    assert await api.text(f"{path}/export?format=markdown") == (
        "text/markdown",
        "# On Engines\n\n*Ada*\n\n## One\n\nIt ?begins.\n",
    )
    assert (await api("GET", f"{path}/export?format=json"))[1]["title"] == "On Engines"
    status, refusal = await api("GET", f"{path}/export?format=pdf")
    assert (status, refusal["error"]) == (400, "format 'pdf' is unknown; allowed: text, markdown, json")


async def test_blobs_are_created_listed_and_published(api: Api, thief: Api, open_client: Any) -> None:
    async with open_client("u1") as client:
        status, refusal = await api("POST", "blobs", {"title": "t"})
        assert status == 400
        assert refusal["error"].startswith("the blob lacks processor_id, schema_id, data; it needs")
        status, blob = await api("POST", "blobs", BLOB)
        assert status == 201
        event = await client.receive()
        assert (event["type"], event["data"]) == ("blob.created", blob)
    assert await api("GET", f"blobs/{blob['id']}") == (200, blob)
    for _ in range(4):
        await api("POST", "blobs", BLOB)
    _, page = await api("GET", "blobs?limit=2&offset=1")
    assert (len(page["blobs"]), page["total"]) == (2, 5)
    assert (await thief("GET", "blobs"))[1]["total"] == 0
    for bad in ("limit=-1", "limit=x", "offset=1.5", "limit=" + "9" * 20):
        assert (await api("GET", f"blobs?{bad}"))[0] == 400


async def test_buckets_are_nested_and_hold_blobs(api: Api, open_client: Any) -> None:
    _, root = await api("POST", "buckets", {"name": "root"})
    _, child = await api("POST", "buckets", {"name": "child", "parent_id": root["id"]})
    _, blob = await api("POST", "blobs", {**BLOB, "bucket_ids": [root["id"]]})
    async with open_client("u1") as client:
        status, _ = await api("POST", f"buckets/{child['id']}/blobs", {"blob_id": blob["id"]})
        assert (status, (await client.receive())["type"]) == (200, "bucket.updated")
    _, tree = await api("GET", f"buckets/{root['id']}/tree")
    assert [each["id"] for each in tree["blobs"]] == [blob["id"]]
    assert [each["name"] for each in tree["children"]] == ["child"]
    assert [each["id"] for each in tree["children"][0]["blobs"]] == [blob["id"]]
    assert (await api("GET", f"blobs?bucket_id={child['id']}"))[1]["total"] == 1
    assert (await api("GET", f"buckets/{child['id']}"))[1]["parent_id"] == root["id"]


async def test_buckets_are_nested_at_most_a_hundred_deep(api: Api) -> None:
    parent: dict[str, str] = {}
    for _ in range(100):
        _, bucket = await api("POST", "buckets", {"name": "deeper", **parent})
        parent = {"parent_id": bucket["id"]}
    assert (await api("POST", "buckets", {"name": "too deep", **parent}))[0] == 400


async def test_another_users_things_are_403_and_missing_ones_404(api: Api, thief: Api) -> None:
    _, book = await api("POST", "books", {"title": "mine"})
    _, blob = await api("POST", "blobs", BLOB)
    _, bucket = await api("POST", "buckets", {"name": "mine"})
    calls: list[tuple[str, str, str, Any]] = [
        ("GET", "books/{}", book["id"], None),
        ("GET", "books/{}/export", book["id"], None),
        ("POST", "books/{}/chapters", book["id"], {"title": "x"}),
        ("GET", "blobs/{}", blob["id"], None),
        ("GET", "buckets/{}", bucket["id"], None),
        ("GET", "buckets/{}/tree", bucket["id"], None),
        ("POST", "buckets/{}/blobs", bucket["id"], {"blob_id": blob["id"]}),
    ]
    for method, path, thing, body in calls:
        assert (await thief(method, path.format(thing), body))[0] == 403, path
        assert (await thief(method, path.format("nothing"), body))[0] == 404, path
    _, own = await thief("POST", "buckets", {"name": "own"})
    assert (await thief("POST", f"buckets/{own['id']}/blobs", {"blob_id": blob["id"]}))[0] == 403


async def test_every_route_but_health_needs_a_token(http: aiohttp.ClientSession, studio: FakeStudio) -> None:
    nobody = Api(http, studio, {})
    for method, path in (("GET", "books"), ("POST", "blobs"), ("GET", "buckets/x/tree"), ("GET", "blobs/x")):
        assert (await nobody(method, path))[0] == 401
    # X-User-ID is trusted only by a Studio that has no Auth to ask.
    assert (await Api(http, studio, {"X-User-ID": "u1"})("GET", "books"))[0] == 401
    async with http.get(f"{studio.url}/health") as response:
        assert response.status == 200
    async with http.delete(f"{studio.url}/api/v1/books") as response:
        assert (response.status, response.headers["Allow"]) == (405, "GET,HEAD,POST")


async def test_behind_a_gateway_the_user_is_in_a_header(http: aiohttp.ClientSession, auth: FakeAuth) -> None:
    async with FakeStudio(auth_url=auth.url, behind_gateway=True) as studio:
        status, book = await Api(http, studio, {"X-User-ID": "user%201"})("POST", "books", {"title": "t"})
        assert (status, book["user_id"]) == (201, "user 1"), "percent-encoded, as the gateway sends it"
        headers = {"X-User-ID": "u1", "Authorization": f"Bearer {auth.mint(kind='expired')}"}
        assert (await Api(http, studio, headers)("GET", "books"))[0] == 401, "a token is validated"
        assert (await Api(http, studio, {})("GET", "books"))[0] == 401


async def test_refused_tokens_are_401(
    http: aiohttp.ClientSession, auth: FakeAuth, studio: FakeStudio
) -> None:
    for kind in ("expired", "revoked", "bad_signature"):
        token = auth.mint(kind=kind)
        assert (await Api(http, studio, {"Authorization": f"Bearer {token}"})("GET", "books"))[0] == 401


@pytest.mark.parametrize(
    ("fault", "parameters"),
    [
        ("error", {"status": 500}),
        ("error", {"status": 200, "body": "[]"}),
        ("html", {}),
        ("garbage", {}),
        ("reset", {}),
        ("hang", {}),
    ],
)
async def test_an_auth_that_gives_no_answer_is_503(
    http: aiohttp.ClientSession, auth: FakeAuth, fault: str, parameters: dict[str, Any]
) -> None:
    auth.script(fault, **parameters)
    async with FakeStudio(auth_url=auth.url, auth_timeout_seconds=0.1) as studio:
        status, refusal = await Api(http, studio, {"Authorization": "Bearer x"})("GET", "books")
    assert (status, refusal["code"]) == (503, "auth_unavailable")


async def test_without_an_auth_url_x_user_id_is_trusted(http: aiohttp.ClientSession) -> None:
    async with FakeStudio() as studio:
        assert (await Api(http, studio, {"X-User-ID": "u7"})("POST", "blobs", BLOB))[1]["user_id"] == "u7"
        assert (await Api(http, studio, {})("GET", "books"))[0] == 401


async def test_bounds_and_bad_bodies(http: aiohttp.ClientSession) -> None:
    async with FakeStudio(max_items=1, max_message_bytes=1000) as studio:
        api = Api(http, studio, {"X-User-ID": "u1"})
        assert (await api("POST", "books", {"title": "one"}))[0] == 201
        assert (await api("POST", "books", {"title": "two"}))[0] == 507
        assert (await api("POST", "books", {"title": "x" * 2000}))[0] == 413
        assert (await api("POST", "books", {"title": 1}))[0] == 400
        assert (await api("POST", "books", []))[0] == 400
