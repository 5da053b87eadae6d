"""Faults per key: every row of the error table, and every way to break."""

import json

import pytest

from proxy.sandbox.behaviours import NAMES
from proxy.sandbox.keys import sandbox_key
from tests.proxy.sandbox.calling import (
    NEW,
    OLD,
    answer,
    asking,
    call,
    events,
    finish_of,
    parts_of,
    stream,
    text_of,
)

COUNT = asking("count to 9")
MISBEHAVED = "AIzaSy" + "K" * 33


async def tell(client, behaviour, key=MISBEHAVED, **params):
    body = {"key": key, "behaviour": behaviour, **params}
    response = await client.post("/sandbox/keys", json=body)
    assert response.status_code == 200, response.text
    return key


async def refused(client, behaviour, **how):
    response = await call(client, COUNT, key=sandbox_key(behaviour), **how)
    return response.status_code, response.json()["error"]


@pytest.mark.parametrize(
    ("behaviour", "code", "status", "text"),
    [
        ("perminute", 429, "RESOURCE_EXHAUSTED", "You exceeded your current quota"),
        ("perday", 429, "RESOURCE_EXHAUSTED", "You exceeded your current quota"),
        (
            "overloaded",
            503,
            "UNAVAILABLE",
            "The model is overloaded. Please try again later.",
        ),
        ("internal", 500, "INTERNAL", "An internal error has occurred."),
        ("invalid", 400, "INVALID_ARGUMENT", "API key not valid."),
        (
            "leaked",
            403,
            "PERMISSION_DENIED",
            "Your API key was reported as leaked. Please use another API key.",
        ),
        (
            "billing",
            400,
            "FAILED_PRECONDITION",
            "User location is not supported for the API use.",
        ),
        ("prepay", 402, "RESOURCE_EXHAUSTED", "prepayment credits"),
        ("errormid", 503, "UNAVAILABLE", "The model is overloaded."),
    ],
)
async def test_a_key_shows_the_fault_its_text_names(
    client, behaviour, code, status, text
):
    found, error = await refused(client, behaviour)
    assert (found, error["code"], error["status"]) == (code, code, status)
    assert text in error["message"]


@pytest.mark.parametrize(
    ("behaviour", "quota", "delay", "value"),
    [
        (
            "perminute",
            "GenerateRequestsPerMinutePerProjectPerModel-FreeTier",
            "38.601s",
            "15",
        ),
        ("perday", "GenerateRequestsPerDayPerProjectPerModel-FreeTier", "0s", "250"),
    ],
)
async def test_a_spent_quota_is_told_in_detail(client, behaviour, quota, delay, value):
    _, error = await refused(client, behaviour, to=OLD)
    failure, link, retry = error["details"]
    (violation,) = failure["violations"]
    assert failure["@type"] == "type.googleapis.com/google.rpc.QuotaFailure"
    assert violation == {
        "quotaMetric": "generativelanguage.googleapis.com/generate_content_free_tier_requests",
        "quotaId": quota,
        "quotaDimensions": {"location": "global", "model": OLD},
        "quotaValue": value,
    }
    assert link["@type"] == "type.googleapis.com/google.rpc.Help"
    assert link["links"][0]["url"].startswith("https://")
    assert retry == {
        "@type": "type.googleapis.com/google.rpc.RetryInfo",
        "retryDelay": delay,
    }
    assert f"limit: {value}, model: {OLD}" in error["message"]
    assert f"Please retry in {delay}." in error["message"]


async def test_delay_and_limit_of_a_quota_can_be_chosen(client):
    key = await tell(client, "perminute", retry_delay="7s", limit=2)
    error = (await call(client, COUNT, key=key)).json()["error"]
    assert error["details"][2]["retryDelay"] == "7s"
    assert error["details"][0]["violations"][0]["quotaValue"] == "2"


@pytest.mark.parametrize("behaviour", ["invalid", "leaked", "billing"])
async def test_a_bad_credential_cannot_even_list(client, behaviour):
    headers = {"x-goog-api-key": sandbox_key(behaviour)}
    assert (await client.get("/v1beta/models", headers=headers)).status_code >= 400
    counted = await call(
        client, COUNT, key=sandbox_key(behaviour), method="countTokens"
    )
    assert counted.status_code >= 400


@pytest.mark.parametrize(
    "behaviour", ["perminute", "perday", "overloaded", "html", "slow"]
)
async def test_a_good_credential_can_list_whatever_else_fails(client, behaviour):
    headers = {"x-goog-api-key": sandbox_key(behaviour)}
    assert (await client.get("/v1beta/models", headers=headers)).status_code == 200


async def test_a_quota_holds_for_embeddings_too(client):
    body = {"content": {"parts": [{"text": "x"}]}}
    response = await call(
        client,
        body,
        to="gemini-embedding-001",
        method="embedContent",
        key=sandbox_key("perday"),
    )
    assert response.status_code == 429


async def test_a_gateway_page_is_html(client):
    response = await call(client, COUNT, key=sandbox_key("html"))
    assert response.status_code == 502
    assert response.headers["content-type"].startswith("text/html")
    assert "<!DOCTYPE html>" in response.text


async def test_every_second_call_of_a_flaky_key_fails(client):
    codes = [
        (await call(client, COUNT, key=sandbox_key("flaky"))).status_code
        for _ in range(4)
    ]
    assert codes == [200, 503, 200, 503]


async def test_a_fault_may_last_for_some_calls_only(client):
    key = await tell(client, "overloaded", times=2)
    codes = [(await call(client, COUNT, key=key)).status_code for _ in range(4)]
    assert codes == [503, 503, 200, 200]


async def test_calls_that_do_not_show_a_fault_do_not_use_it_up(client):
    key = await tell(client, "overloaded", times=1)
    await client.get("/v1beta/models", headers={"x-goog-api-key": key})
    assert (await call(client, COUNT, key=key)).status_code == 503


async def test_a_slow_key_answers_late_but_well(client):
    key = await tell(client, "slow", seconds=0.01)
    assert text_of(await answer(client, COUNT, key=key)).startswith("1 2 3")


async def test_a_stream_may_end_cleanly_without_a_finish(client):
    key = await tell(client, "cutclean", chunks=3)
    chunks = await stream(client, COUNT, key=key)
    assert [text_of(chunk) for chunk in chunks] == ["1 ", "2 ", "3 "]
    assert not any(finish_of(chunk) for chunk in chunks)


async def test_a_short_stream_is_cut_before_its_finish_too(client):
    key = await tell(client, "cutclean", chunks=50)
    chunks = await stream(client, asking("repeat: a b"), to=OLD, key=key)
    assert [text_of(chunk) for chunk in chunks] == ["a "]
    assert finish_of(await answer(client, COUNT, key=key)) is None


@pytest.mark.parametrize("query", ["?alt=sse", ""], ids=["events", "array"])
async def test_an_error_may_come_in_the_middle(client, query):
    key = await tell(client, "errormid", chunks=2)
    response = await call(
        client, COUNT, key=key, method="streamGenerateContent", query=query
    )
    assert response.status_code == 200
    first, second, last = events(response.text) if query else json.loads(response.text)
    assert [text_of(first), text_of(second)] == ["1 ", "2 "]
    assert last["error"]["code"] == 503
    assert last["error"]["status"] == "UNAVAILABLE"


@pytest.mark.parametrize("how", [answer, stream])
async def test_a_malformed_call_has_no_content(client, how):
    made = await how(client, COUNT, key=sandbox_key("malformed"))
    (response,) = made if isinstance(made, list) else [made]
    assert finish_of(response) == "MALFORMED_FUNCTION_CALL"
    assert response["candidates"][0]["content"] == {"role": "model"}
    assert response["candidates"][0]["finishMessage"].startswith(
        "Malformed function call"
    )


@pytest.mark.parametrize("how", [answer, stream])
async def test_an_empty_answer_has_no_candidates(client, how):
    made = await how(client, COUNT, key=sandbox_key("empty"))
    (response,) = made if isinstance(made, list) else [made]
    assert set(response) == {"usageMetadata", "modelVersion", "responseId"}


@pytest.mark.parametrize("how", [answer, stream])
async def test_a_blocked_prompt_says_why_and_has_no_candidates(client, how):
    made = await how(client, COUNT, key=sandbox_key("blocked"))
    (response,) = made if isinstance(made, list) else [made]
    assert response["promptFeedback"] == {"blockReason": "PROHIBITED_CONTENT"}
    assert "candidates" not in response


@pytest.mark.parametrize("how", [answer, stream])
async def test_safety_ends_an_answer_in_its_middle(client, how):
    made = await how(client, COUNT, key=sandbox_key("safety"))
    chunks = made if isinstance(made, list) else [made]
    text = "".join(text_of(chunk) for chunk in chunks)
    assert text == "1 2 3 4 5"[: len(text)]
    assert 0 < len(text) < len("1 2 3 4 5 6 7 8 9")
    assert finish_of(chunks[-1]) == "SAFETY"
    assert chunks[-1]["candidates"][0]["safetyRatings"][0]["blocked"] is True


async def test_ok_is_ok(client):
    assert parts_of(await answer(client, COUNT, to=NEW, key=sandbox_key("ok")))


async def test_a_key_with_an_unknown_word_behaves(client):
    assert parts_of(await answer(client, COUNT, key=sandbox_key("whatever")))


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_behaviour_fits_into_a_key(name):
    assert len(sandbox_key(name, 999_999)) == 39
