"""Who gets in: tokens, their end, their plan, operators."""

import datetime
import time
from typing import Any

import pytest

from accounts.authentication import KEPT_SECONDS
from accounts.models import Plan, Token, User
from gemproxy.lib import clock
from tests.clients.conftest import Gateway, eventually


def status(gateway: Gateway, token: str, path: str = "/v1/models") -> int:
    return gateway.get(path, headers={"Authorization": f"Bearer {token}"}).status_code


def issue(gateway: Gateway, **fields: Any) -> tuple[Token, str]:
    return Token.issue(**{"user": gateway.user, "name": "another", **fields})


def promptly(condition: Any, message: str) -> None:
    start = time.monotonic()
    eventually(condition, message)
    # Long before what is kept of a token would be looked up again.
    assert time.monotonic() - start < KEPT_SECONDS / 2


def test_a_revoked_token_is_refused_within_a_second(gateway: Gateway) -> None:
    token, text = issue(gateway)
    assert status(gateway, text) == 200
    token.revoke()
    promptly(lambda: status(gateway, text) == 401, "it still opens the door")


def test_a_token_of_a_deactivated_person_is_refused(gateway: Gateway) -> None:
    assert status(gateway, gateway.token) == 200
    gateway.user.is_active = False
    gateway.user.save()
    promptly(lambda: status(gateway, gateway.token) == 401, "it still opens")


def test_an_expired_token_is_refused_at_its_time(gateway: Gateway) -> None:
    soon = clock.now() + datetime.timedelta(seconds=1.5)
    _, text = issue(gateway, expires_at=soon)
    assert status(gateway, text) == 200
    eventually(lambda: status(gateway, text) == 401, "it still opens the door")
    assert clock.now() >= soon


def test_a_token_issued_after_a_refusal_opens_at_once(gateway: Gateway) -> None:
    token, text = issue(gateway)
    Token.objects.all().delete()
    eventually(lambda: status(gateway, text) == 401, "a deleted token opens")
    Token.objects.bulk_create([token])
    promptly(lambda: status(gateway, text) == 200, "the token does not open")


def test_only_operator_tokens_open_operator_endpoints(gateway: Gateway) -> None:
    path = "/api/operator/status"
    assert status(gateway, gateway.token, path) == 403
    assert status(gateway, "gp-none", path) == 401
    staff = User.objects.create_user("olga", is_staff=True)
    _, text = issue(gateway, user=staff, scope="operator")
    answer = gateway.get(path, headers={"Authorization": f"Bearer {text}"})
    assert answer.status_code == 200
    assert answer.json()["accounts"]["new"] + answer.json()["accounts"]["active"] == 1


def test_an_operator_token_ends_with_its_owners_staff_status(gateway: Gateway) -> None:
    staff = User.objects.create_user("olga", is_staff=True)
    _, text = issue(gateway, user=staff, scope="operator")
    assert status(gateway, text) == 200
    staff.is_staff = False
    staff.save()
    promptly(lambda: status(gateway, text) == 401, "it still opens the door")


def test_operator_endpoints_can_be_bound_to_networks(
    settings: Any, gateway: Gateway
) -> None:
    staff = User.objects.create_user("olga", is_staff=True)
    _, text = issue(gateway, user=staff, scope="operator")
    settings.ADMIN_ALLOWED_IPS = ["10.0.0.0/8"]
    assert status(gateway, text, "/api/operator/status") == 403
    settings.ADMIN_ALLOWED_IPS = ["127.0.0.0/8"]
    assert status(gateway, text, "/api/operator/status") == 200


def test_a_forged_forwarded_address_is_not_believed(
    settings: Any, gateway: Gateway
) -> None:
    staff = User.objects.create_user("olga", is_staff=True)
    _, text = issue(gateway, user=staff, scope="operator")
    settings.ADMIN_ALLOWED_IPS = ["10.0.0.0/8"]
    headers = {"Authorization": f"Bearer {text}", "X-Forwarded-For": "10.1.2.3"}
    assert gateway.get("/api/operator/status", headers=headers).status_code == 403
    settings.TRUSTED_PROXY_HOPS = 1
    assert gateway.get("/api/operator/status", headers=headers).status_code == 200


def use_plan(gateway: Gateway, **limits: Any) -> None:
    plan = Plan.objects.create(name="tight", **limits)
    gateway.user.plan = plan
    gateway.user.save()


def test_a_plan_limits_requests_per_minute(gateway: Gateway) -> None:
    use_plan(gateway, requests_per_minute=3)
    answers = [gateway.chat("hello") for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    last = answers[-1]
    assert last.json()["error"]["code"] == "rate_limit_exceeded"
    assert "3 requests a minute" in last.json()["error"]["message"]
    assert 0 < int(last.headers["retry-after"]) <= 60


def test_native_callers_hear_of_a_limit_in_googles_shape(gateway: Gateway) -> None:
    use_plan(gateway, requests_per_minute=1)
    body = {"contents": [{"parts": [{"text": "hi"}]}]}
    path = "/v1beta/models/gemini-2.5-flash:generateContent"
    gateway.post(path, json=body)
    error = gateway.post(path, json=body).json()["error"]
    assert error["status"] == "RESOURCE_EXHAUSTED"
    assert any("RetryInfo" in detail["@type"] for detail in error["details"])


def test_a_plan_limits_models_and_the_list_shows_only_those(gateway: Gateway) -> None:
    use_plan(gateway, models=["gemini-2.5-*"])
    assert gateway.chat("hello", model="gemini-3-flash-preview").status_code == 403
    assert gateway.chat("hello").status_code == 200
    names = [model["id"] for model in gateway.get("/v1/models").json()["data"]]
    assert names
    assert all(name.startswith("gemini-2.5-") for name in names)


def test_a_prefix_does_not_get_around_the_allowed_models(gateway: Gateway) -> None:
    use_plan(gateway, models=["gemini-2.5-flash"])
    assert gateway.chat("hello", model="models/gemini-2.5-flash").status_code == 200
    assert gateway.chat("hello", model="models/gemini-2.5-pro").status_code == 403


@pytest.mark.parametrize("path", ["/health", "/healthz", "/wake"])
def test_health_tells_a_stranger_nothing_more(gateway: Gateway, path: str) -> None:
    with gateway.client() as client:
        del client.headers["Authorization"]
        answer = client.get(path)
    assert answer.status_code == 200
    assert answer.json().keys() == {"status"}


def test_info_and_model_cards_are_for_token_holders(gateway: Gateway) -> None:
    info = gateway.get("/api/info").json()
    assert info.keys() == {"service", "version", "features", "endpoints"}
    cards = gateway.get("/api/models").json()
    assert {"id", "name", "description"} == cards["models"][0].keys()
    assert "gemini-2.5-flash" in cards["categories"]["text"]
    assert "gemini-2.5-flash-image" in cards["categories"]["image"]
    assert cards["default"] == "gemini-3-flash-preview"


def test_plain_generation_answers_with_text_and_model(gateway: Gateway) -> None:
    answer = gateway.post("/v1/generate", json={"prompt": "count to 3"})
    assert answer.json() == {"text": "1 2 3", "model": "gemini-3-flash-preview"}
    assert gateway.post("/v1/generate", json={"prompt": " "}).status_code == 400


def test_a_usage_row_tells_the_whole_story(gateway: Gateway) -> None:
    gateway.get("/v1/models")
    gateway.chat("count to 3", stream=True)
    row = gateway.row()
    assert (row.surface, row.method, row.streamed) == (
        "openai.chat",
        "generateContent",
        True,
    )
    assert (row.model_asked, row.model_served) == ("gemini-2.5-flash",) * 2
    assert (row.status, row.outcome, row.finish) == (200, "ok", "STOP")
    assert row.user_id == gateway.user.pk
    assert row.token.name == "test"
    assert row.account.label == "ok-1"
    assert row.total_tokens == (
        row.prompt_tokens + row.output_tokens + row.thoughts_tokens
    )
    assert row.usage_metadata["totalTokenCount"] == row.total_tokens
    assert row.duration_ms >= row.first_token_ms >= 0
    assert row.client_ip == "127.0.0.1"
    assert row.user_agent.startswith("python-httpx")
    assert row.request_id.startswith("req_")


def test_refused_requests_have_a_row_too(gateway: Gateway) -> None:
    gateway.post("/v1/chat/completions", content=b"{")
    row = gateway.row()
    assert (row.status, row.outcome, row.cause) == (400, "fault", "invalid_json")


@pytest.mark.parametrize("native", [False, True], ids=["openai", "native"])
def test_the_row_of_an_unknown_model_names_it(gateway: Gateway, native: bool) -> None:
    if native:
        gateway.post("/v1beta/models/none-such:generateContent", json={"contents": []})
    else:
        gateway.chat("hello", model="none-such")
    row = gateway.row()
    assert (row.status, row.cause) == (404, "model_not_found")
    assert row.model_asked == "none-such"


def test_a_forbidden_model_of_many_texts_reaches_no_provider(gateway: Gateway) -> None:
    use_plan(gateway, models=["gemini-2.5-flash"])
    texts = [f"text {number}" for number in range(350)]
    body = {"model": "gemini-embedding-001", "input": texts}
    assert gateway.post("/v1/embeddings", json=body).status_code == 403
    assert gateway.sandbox.stats()["requests"] == 0
