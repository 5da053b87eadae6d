"""The sandbox's Code Assist backend: strict about tokens, projects and fields."""

import json

import pytest

from proxy.sandbox import code_assist
from proxy.sandbox.code_assist_faults import REFUSALS
from proxy.sandbox.logins import project_of, refresh_token
from tests.proxy.sandbox.calling import picture_part, text_of

MODEL = "gemini-2.5-flash"
METADATA = {"metadata": {"pluginType": "GEMINI"}}


@pytest.fixture
def backend(sandbox, client):
    return Backend(sandbox, client)


class Backend:
    """Calls with the tokens of logins."""

    def __init__(self, sandbox, client):
        self.logins = sandbox.state.logins
        self.client = client

    async def call(self, method, body, behaviour="ok", query="", **headers):
        access = self.logins.grant(refresh_token(behaviour))
        return await self.client.post(
            f"/v1internal:{method}{query}",
            json=body,
            headers={"authorization": f"Bearer {access}", **headers},
        )

    async def look(self, name, behaviour="ok"):
        access = self.logins.grant(refresh_token(behaviour))
        headers = {"authorization": f"Bearer {access}"}
        return await self.client.get(f"/v1internal/{name}", headers=headers)


def envelope(behaviour="ok", model=MODEL, **request):
    contents = [{"role": "user", "parts": [{"text": "Say hello."}]}]
    return {
        "model": model,
        "project": project_of(refresh_token(behaviour)),
        "user_prompt_id": "p",
        "request": {"contents": contents, **request},
    }


async def test_an_answer_is_wrapped_and_has_a_trace(backend):
    response = await backend.call("generateContent", envelope())
    body = response.json()
    assert body.keys() == {"response", "traceId"}
    assert text_of(body["response"])
    assert "responseId" not in body["response"]


async def test_a_stream_wraps_each_chunk(backend):
    response = await backend.call("streamGenerateContent", envelope(), query="?alt=sse")
    events = [
        json.loads(block.removeprefix("data: "))
        for block in response.text.split("\r\n\r\n")
        if block
    ]
    assert len(events) > 1
    assert all(event.keys() == {"response", "traceId"} for event in events)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"surprise": 1}, "surprise"),
        ({"generationConfig": {"imageConfig": {}}}, "imageConfig"),
        ({"generationConfig": {"_responseJsonSchema": {}}}, "_responseJsonSchema"),
        ({"tools": [{"fileSearch": {}}]}, "fileSearch"),
        ({"serviceTier": "flex"}, "serviceTier"),
        (
            {"toolConfig": {"includeServerSideToolInvocations": True}},
            "includeServerSideToolInvocations",
        ),
        ({"contents": [{"role": "system", "parts": [{"text": "x"}]}]}, "valid role"),
        ({"contents": [{"parts": [{"text": "x"}]}]}, "valid role"),
        ({"contents": [{"role": "user", "parts": [{}]}]}, "oneof"),
    ],
)
async def test_what_the_backend_does_not_know_is_refused(backend, change, named):
    response = await backend.call("generateContent", envelope(**change))
    assert response.status_code == 400
    assert named in response.json()["error"]["message"]


async def test_unknown_fields_of_the_envelope_are_refused(backend):
    response = await backend.call("generateContent", {**envelope(), "stream": True})
    assert response.status_code == 400


@pytest.mark.parametrize("project", ["", "not-yours"])
async def test_the_project_must_be_the_accounts(backend, project):
    body = {**envelope(), "project": project}
    response = await backend.call("generateContent", body)
    assert response.status_code == 403
    reason = response.json()["error"]["details"][0]["reason"]
    assert reason == "IAM_PERMISSION_DENIED"


@pytest.mark.parametrize(
    "model",
    ["gemini-2.5-flash-image", "gemini-embedding-001", "models/gemini-2.5-pro", ""],
)
async def test_models_that_such_accounts_lack_are_not_found(backend, model):
    response = await backend.call("generateContent", envelope(model=model))
    assert response.status_code == 404


async def test_a_token_is_needed(backend, client):
    response = await client.post("/v1internal:loadCodeAssist", json=METADATA)
    assert response.status_code == 401
    key = {"x-goog-api-key": "AIza"}
    response = await backend.call("loadCodeAssist", METADATA, **key)
    assert response.status_code == 401


async def test_a_quota_project_in_a_header_is_refused(backend):
    header = {"x-goog-user-project": "p"}
    response = await backend.call("generateContent", envelope(), **header)
    assert response.status_code == 403


async def test_errors_of_streams_come_in_a_list(backend):
    body = envelope("license")
    response = await backend.call("streamGenerateContent", body, "license", "?alt=sse")
    assert response.json()[0]["error"]["code"] == 403


@pytest.mark.parametrize("name", sorted(REFUSALS))
async def test_every_refusal_can_be_had(backend, name):
    response = await backend.call("generateContent", envelope(name), name)
    assert response.status_code == response.json()["error"]["code"] >= 400


async def test_a_blocked_network_gets_a_web_page(backend):
    response = await backend.call("generateContent", envelope("automated"), "automated")
    assert response.status_code == 429
    assert response.headers["content-type"].startswith("text/html")


async def test_tokens_are_counted_without_a_project(backend):
    request = {
        "model": f"models/{MODEL}",
        "contents": envelope()["request"]["contents"],
    }
    response = await backend.call("countTokens", {"request": request})
    assert response.json().keys() == {"totalTokens"}
    refused = await backend.call("countTokens", {"request": request, "project": "p"})
    assert refused.status_code == 400


async def test_pictures_may_be_asked_about(backend):
    parts = [{"text": "What is this?"}, picture_part("red")]
    body = envelope(contents=[{"role": "user", "parts": parts}])
    response = await backend.call("generateContent", body)
    assert "red" in text_of(response.json()["response"]).lower()


async def test_an_account_introduces_itself(backend):
    found = (await backend.call("loadCodeAssist", METADATA)).json()
    assert found["currentTier"]["id"] == "standard-tier"
    assert found["cloudaicompanionProject"] == project_of(refresh_token())
    quota = {"project": found["cloudaicompanionProject"]}
    buckets = (await backend.call("retrieveUserQuota", quota)).json()["buckets"]
    assert MODEL in {bucket["modelId"] for bucket in buckets}


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [("consumer", "UNSUPPORTED_CLIENT"), ("verify", "VALIDATION_REQUIRED")],
)
async def test_closed_tiers_say_why(backend, behaviour, reason):
    found = (await backend.call("loadCodeAssist", METADATA, behaviour)).json()
    assert "currentTier" not in found
    assert found["ineligibleTiers"][0]["reasonCode"] == reason


async def test_joining_takes_a_while_and_then_holds(backend):
    found = (await backend.call("loadCodeAssist", METADATA, "new")).json()
    assert "currentTier" not in found
    body = {"tierId": "free-tier", **METADATA}
    name = (await backend.call("onboardUser", body, "new")).json()["name"]
    first, second = [(await backend.look(name, "new")).json() for _ in range(2)]
    assert "done" not in first
    assert second["done"]
    assert second["response"]["cloudaicompanionProject"]["id"]
    found = (await backend.call("loadCodeAssist", METADATA, "new")).json()
    assert found["currentTier"]["id"] == "free-tier"


async def test_the_free_tier_takes_no_project(backend):
    body = {"tierId": "free-tier", "cloudaicompanionProject": "p", **METADATA}
    response = await backend.call("onboardUser", body, "new")
    assert response.status_code == 400
    assert "Precondition" in response.json()["error"]["message"]


async def test_others_operations_are_not_found(backend):
    name = f"operations/{project_of(refresh_token('new'))}"
    assert (await backend.look(name)).status_code == 404


@pytest.mark.parametrize("body", [{}, {"metadata": {"pluginType": "MINE"}}])
async def test_who_asks_must_say_for_which_product(backend, body):
    assert (await backend.call("loadCodeAssist", body)).status_code == 400


async def test_unknown_methods_are_not_found(backend):
    assert (await backend.call("nonsense", {})).status_code == 404


def test_no_name_means_two_things():
    assert not code_assist.RUNNING & code_assist.STANDINGS - {"vpc"}
