"""Refusals as Google words them: status, message and typed details of each."""

import pytest

from proxy.sandbox.faults import CREDENTIAL_FAULTS, REFUSALS
from proxy.sandbox.keys import sandbox_key
from tests.proxy.sandbox.calling import NEW, OLD, asking, call

TYPE = "type.googleapis.com/google.rpc."
MISBEHAVED = "AIzaSy" + "F" * 33


async def refused(client, behaviour, **how):
    response = await call(client, asking("hi"), key=sandbox_key(behaviour), **how)
    error = response.json()["error"]
    assert error["code"] == response.status_code
    return error


def detail(error, kind):
    (found,) = [d for d in error["details"] if d["@type"] == TYPE + kind]
    return found


@pytest.mark.parametrize(
    ("behaviour", "code", "status", "text"),
    [
        ("unauthenticated", 401, "UNAUTHENTICATED", "required authentication"),
        ("denied", 403, "PERMISSION_DENIED", "Your project has been denied access."),
        ("disabled", 403, "PERMISSION_DENIED", "or it is disabled."),
        ("suspended", 403, "PERMISSION_DENIED", "has been suspended."),
        ("terms", 403, "PERMISSION_DENIED", "violation of Terms of Service"),
        ("validation", 403, "PERMISSION_DENIED", "Verify your account to continue."),
        ("nomodel", 404, "NOT_FOUND", f"models/{NEW} is not found for API version"),
        ("spent", 429, "RESOURCE_EXHAUSTED", f"limit: 0, model: {NEW}"),
        ("capacity", 503, "UNAVAILABLE", f"No capacity available for model {NEW}"),
        ("schema", 400, "INVALID_ARGUMENT", "Cannot find field."),
    ],
)
async def test_a_fault_has_googles_status_and_words(
    client, behaviour, code, status, text
):
    error = await refused(client, behaviour)
    assert (error["code"], error["status"]) == (code, status)
    assert text in error["message"]


@pytest.mark.parametrize(
    ("behaviour", "reason", "domain"),
    [
        ("unauthenticated", "CREDENTIALS_MISSING", "googleapis.com"),
        ("disabled", "SERVICE_DISABLED", "googleapis.com"),
        ("suspended", "CONSUMER_SUSPENDED", "googleapis.com"),
        ("terms", "TOS_VIOLATION", "cloudcode-pa.googleapis.com"),
        ("validation", "VALIDATION_REQUIRED", "cloudcode-pa.googleapis.com"),
        ("capacity", "MODEL_CAPACITY_EXHAUSTED", "cloudcode-pa.googleapis.com"),
    ],
)
async def test_a_reason_is_told_for_programs(client, behaviour, reason, domain):
    info = detail(await refused(client, behaviour), "ErrorInfo")
    assert (info["reason"], info["domain"]) == (reason, domain)


async def test_a_disabled_api_says_where_to_enable_it(client):
    error = await refused(client, "disabled")
    url = detail(error, "ErrorInfo")["metadata"]["activationUrl"]
    assert url.startswith("https://console.developers.google.com/")
    assert detail(error, "Help")["links"][0]["url"] == url
    assert url in error["message"]


@pytest.mark.parametrize(
    ("behaviour", "name"), [("validation", "validation_url"), ("terms", "appeal_url")]
)
async def test_an_account_that_must_be_mended_says_where(client, behaviour, name):
    info = detail(await refused(client, behaviour), "ErrorInfo")
    assert info["metadata"][name].startswith("https://")


async def test_a_tier_without_quota_has_a_limit_of_zero(client):
    error = await refused(client, "spent", to=OLD)
    (violation,) = detail(error, "QuotaFailure")["violations"]
    assert violation["quotaValue"] == "0"
    assert violation["quotaDimensions"]["model"] == OLD


@pytest.mark.parametrize(
    ("status", "word"), [(503, "UNAVAILABLE"), (429, "RESOURCE_EXHAUSTED")]
)
async def test_a_lack_of_capacity_comes_with_either_status(client, status, word):
    body = {"key": MISBEHAVED, "behaviour": "capacity", "status": status}
    await client.post("/sandbox/keys", json=body)
    response = await call(client, asking("hi"), key=MISBEHAVED)
    assert (response.status_code, response.json()["error"]["status"]) == (status, word)


async def test_a_bad_schema_names_the_field(client):
    error = await refused(client, "schema")
    (violation,) = detail(error, "BadRequest")["fieldViolations"]
    assert violation["field"].startswith("generation_config.response_schema")
    assert violation["description"] == error["message"]


async def test_a_429_may_come_without_a_word(client):
    response = await call(client, asking("hi"), key=sandbox_key("bare"))
    assert (response.status_code, response.content) == (429, b"")


@pytest.mark.parametrize("behaviour", sorted(CREDENTIAL_FAULTS))
async def test_a_bad_credential_shows_when_models_are_listed(client, behaviour):
    headers = {"x-goog-api-key": sandbox_key(behaviour)}
    listed = await client.get("/v1beta/models", headers=headers)
    assert 400 <= listed.status_code < 404


@pytest.mark.parametrize("behaviour", sorted(REFUSALS.keys() - CREDENTIAL_FAULTS))
async def test_other_faults_do_not(client, behaviour):
    headers = {"x-goog-api-key": sandbox_key(behaviour)}
    assert (await client.get("/v1beta/models", headers=headers)).status_code == 200


async def test_a_fault_may_concern_one_model_only(client):
    body = {"key": MISBEHAVED, "behaviour": "perday", "model": OLD, "times": 1}
    await client.post("/sandbox/keys", json=body)
    # The other model neither shows the fault nor uses it up.
    codes = [
        (await call(client, asking("hi"), key=MISBEHAVED, to=to)).status_code
        for to in (NEW, OLD, OLD)
    ]
    assert codes == [200, 429, 200]
