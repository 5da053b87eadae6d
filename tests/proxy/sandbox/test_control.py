"""The control endpoints: behaviours, counters, received requests."""

import httpx
import pytest

from proxy.sandbox.app import create_sandbox
from proxy.sandbox.keys import sandbox_key
from tests.proxy.sandbox.calling import asking, call, stream

REAL = "AIzaSy" + "R" * 32 + "7"


async def stats(client):
    return (await client.get("/sandbox/stats")).json()


async def received(client, last=1):
    response = await client.get(f"/sandbox/requests?last={last}")
    return response.json()["requests"]


async def test_a_fresh_sandbox_has_counted_nothing(client):
    assert await stats(client) == {
        "requests": 0,
        "open_streams": 0,
        "cancelled": 0,
        "by_key": {},
        "by_status": {},
    }


async def test_calls_are_counted_by_key_and_status(client):
    await call(client, asking("a"))
    await call(client, asking("a"), key=sandbox_key("overloaded", 4))
    await call(client, {}, key=REAL)
    await stream(client, asking("a"))
    counted = await stats(client)
    assert counted["requests"] == 4
    assert counted["by_key"] == {
        "Sandbox-ok-000001": 2,
        "Sandbox-overloaded-000004": 1,
        "AIzaSy…RRR7": 1,
    }
    assert counted["by_status"] == {"200": 2, "503": 1, "400": 1}
    assert (counted["open_streams"], counted["cancelled"]) == (0, 0)


async def test_a_received_request_is_kept_as_it_came(client):
    body = asking("hi", generation_config={"topK": 3.0})
    headers = {
        "x-goog-api-key": REAL,
        "x-trace": "7",
        "cookie": "session=secret-value-here",
    }
    await client.post(
        "/v1/models/m:streamGenerateContent?alt=sse", json=body, headers=headers
    )
    (kept,) = await received(client)
    assert (kept["method"], kept["path"]) == (
        "POST",
        "/v1/models/m:streamGenerateContent",
    )
    assert (kept["query"], kept["body"]) == ({"alt": "sse"}, body)
    assert kept["headers"]["x-trace"] == "7"
    assert kept["key"] == kept["headers"]["x-goog-api-key"] == "AIzaSy…RRR7"
    assert "secret" not in str(kept)


async def test_a_key_in_the_query_is_masked(client):
    await client.get(f"/v1beta/models?key={REAL}&pageSize=2")
    (kept,) = await received(client)
    assert kept["query"] == {"key": "AIzaSy…RRR7", "pageSize": "2"}
    assert REAL not in str(kept)


@pytest.mark.parametrize(
    ("body", "kept"), [(b"{broken", "{broken"), (b"\xff", "\ufffd"), (b"", None)]
)
async def test_a_body_that_is_no_json_is_kept_as_text(client, body, kept):
    await call(client, body)
    assert (await received(client))[0]["body"] == kept


async def test_the_last_requests_come_in_order(client):
    for text in "abc":
        await call(client, asking(text))
    texts = [
        each["body"]["contents"][0]["parts"][0]["text"]
        for each in await received(client, 2)
    ]
    assert texts == ["b", "c"]
    assert len(await received(client, 99)) == 3
    assert await received(client, 0) == []


async def test_control_calls_are_neither_counted_nor_kept(client):
    await client.post("/sandbox/keys", json={"key": REAL, "behaviour": "ok"})
    assert (await stats(client))["requests"] == 0
    assert await received(client, 9) == []


async def test_a_key_can_be_told_and_forgotten(client):
    told = await client.post("/sandbox/keys", json={"key": REAL, "behaviour": "leaked"})
    assert told.json() == {"key": "AIzaSy…RRR7", "behaviour": "leaked"}
    assert (await call(client, asking("a"), key=REAL)).status_code == 403
    assert (await client.delete(f"/sandbox/keys/{REAL}")).status_code == 200
    assert (await call(client, asking("a"), key=REAL)).status_code == 200
    assert (await client.delete(f"/sandbox/keys/{REAL}")).status_code == 404


async def test_what_is_told_wins_over_the_text_of_a_key(client):
    key = sandbox_key("overloaded")
    await client.post("/sandbox/keys", json={"key": key, "behaviour": "ok"})
    assert (await call(client, asking("a"), key=key)).status_code == 200
    await client.delete(f"/sandbox/keys/{key}")
    assert (await call(client, asking("a"), key=key)).status_code == 503


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"{", "Expecting"),
        (b"[]", "an object is expected"),
        (b"{}", "key is missing"),
        (b'{"key": "k", "behaviour": "odd"}', "unknown behaviour 'odd'"),
        (b'{"key": "k", "behaviour": "slow", "times": -1}', "times must be"),
        (b'{"key": "k", "behaviour": "slow", "times": true}', "times must be"),
        (
            b'{"key": "k", "behaviour": "slow", "second": 1}',
            "unknown parameter 'second'",
        ),
        (
            b'{"key": "k", "behaviour": "cut", "chunks": "1"}',
            "chunks has the wrong type",
        ),
        (
            b'{"key": "k", "behaviour": "cut", "chunks": true}',
            "chunks has the wrong type",
        ),
    ],
)
async def test_a_wish_that_cannot_be_followed_is_refused(client, body, text):
    response = await client.post("/sandbox/keys", content=body)
    assert response.status_code == 400
    assert text in response.json()["error"]


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/sandbox/keys"), ("GET", "/sandbox/nothing"), ("PUT", "/sandbox/stats")],
)
async def test_other_control_paths_do_not_exist(client, method, path):
    assert (await client.request(method, path)).status_code == 404


async def test_the_number_of_requests_must_be_a_number(client):
    assert (await client.get("/sandbox/requests?last=all")).status_code == 400


async def test_a_reset_forgets_everything(client):
    await client.post("/sandbox/keys", json={"key": REAL, "behaviour": "leaked"})
    await call(client, asking("a"), key=REAL)
    assert (await client.post("/sandbox/reset")).status_code == 200
    assert (await stats(client))["requests"] == 0
    assert await received(client, 9) == []
    assert (await call(client, asking("a"), key=REAL)).status_code == 200


async def test_seeded_keys_hold_from_the_start_and_after_a_reset():
    seeds = [{"key": REAL, "behaviour": "overloaded", "times": 1}]
    transport = httpx.ASGITransport(app=create_sandbox(seed_keys=seeds))
    async with httpx.AsyncClient(transport=transport, base_url="http://box") as client:
        for _ in range(2):
            codes = [
                (await call(client, asking("a"), key=REAL)).status_code
                for _ in range(2)
            ]
            assert codes == [503, 200]
            await client.post("/sandbox/reset")


def test_a_bad_seed_is_refused():
    with pytest.raises(ValueError, match="unknown behaviour"):
        create_sandbox(seed_keys=[{"key": REAL, "behaviour": "odd"}])
