"""Answers that are spoilt after they were made, whole and as streams."""

import json

import pytest

from proxy.sandbox.keys import sandbox_key
from tests.proxy.sandbox.calling import (
    OLD,
    answer,
    asking,
    call,
    finish_of,
    parts_of,
    stream,
    text_of,
)

COUNT = asking("count to 9")
COUNTED = "1 2 3 4 5 6 7 8 9"


async def blocks(client, behaviour):
    """The data of each event, not parsed."""
    response = await call(
        client,
        COUNT,
        to=OLD,
        method="streamGenerateContent",
        query="?alt=sse",
        key=sandbox_key(behaviour),
    )
    assert response.status_code == 200
    return [block.removeprefix("data: ") for block in response.text.split("\r\n\r\n")]


def joined(chunks):
    return "".join(text_of(chunk) for chunk in chunks)


@pytest.mark.parametrize("how", [answer, stream])
async def test_recitation_ends_an_answer_before_it_began(client, how):
    made = await how(client, COUNT, key=sandbox_key("recitation"))
    (response,) = made if isinstance(made, list) else [made]
    assert finish_of(response) == "RECITATION"
    assert parts_of(response) == []
    (source,) = response["candidates"][0]["citationMetadata"]["citationSources"]
    assert source["uri"].startswith("https://")


@pytest.mark.parametrize("how", [answer, stream])
async def test_all_of_the_limit_may_go_into_thoughts(client, how):
    made = await how(client, COUNT, key=sandbox_key("maxtokens"))
    (response,) = made if isinstance(made, list) else [made]
    assert finish_of(response) == "MAX_TOKENS"
    assert parts_of(response) == []
    usage = response["usageMetadata"]
    assert usage["thoughtsTokenCount"] >= 1024
    assert "candidatesTokenCount" not in usage
    told = usage["promptTokenCount"] + usage["thoughtsTokenCount"]
    assert usage["totalTokenCount"] == told


@pytest.mark.parametrize("how", [answer, stream])
async def test_usage_may_be_missing(client, how):
    made = await how(client, COUNT, key=sandbox_key("nousage"))
    chunks = made if isinstance(made, list) else [made]
    assert joined(chunks) == COUNTED
    assert not any("usageMetadata" in chunk for chunk in chunks)


async def test_the_last_chunk_may_come_twice(client):
    chunks = await stream(client, COUNT, to=OLD, key=sandbox_key("duplicate"))
    assert chunks[-1] == chunks[-2]
    assert [finish_of(chunk) for chunk in chunks[-3:]] == [None, "STOP", "STOP"]
    whole = await answer(client, COUNT, to=OLD, key=sandbox_key("duplicate"))
    assert text_of(whole) == COUNTED


async def test_one_event_in_the_middle_may_be_no_json(client):
    *found, end = await blocks(client, "oneline")
    bad = [index for index, block in enumerate(found) if not _is_json(block)]
    assert len(bad) == 1
    assert 0 < bad[0] < len(found) - 1
    good = [json.loads(block) for index, block in enumerate(found) if index not in bad]
    assert joined(good) == COUNTED
    assert finish_of(good[-1]) == "STOP"
    assert end == ""


async def test_a_short_answer_begins_well_before_its_bad_event(client):
    chunks = await call(
        client,
        asking("repeat: ab"),
        to=OLD,
        method="streamGenerateContent",
        query="?alt=sse",
        key=sandbox_key("oneline"),
    )
    first, second, *_ = chunks.text.split("\r\n\r\n")
    assert _is_json(first.removeprefix("data: "))
    assert not _is_json(second.removeprefix("data: "))


async def test_a_whole_answer_may_be_no_json(client):
    response = await call(client, COUNT, key=sandbox_key("oneline"))
    assert response.status_code == 200
    assert response.text.startswith('{"candidates"')
    assert not _is_json(response.text)


async def test_an_error_may_be_all_that_a_200_holds(client):
    (only, end) = await blocks(client, "erroronly")
    assert json.loads(only)["error"]["status"] == "UNAVAILABLE"
    assert end == ""
    whole = await call(client, COUNT, key=sandbox_key("erroronly"))
    assert whole.status_code == 200
    assert whole.json()["error"]["code"] == 503


def _is_json(text):
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
