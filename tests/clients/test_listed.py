"""Addresses whose programs need no token."""

import json
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from accounts.authentication import LISTED
from accounts.models import Plan, UsageRecord, User
from proxy.runtime import runtime
from tests.clients.conftest import Gateway, eventually

HERE = ["127.0.0.0/8"]
BODY = {
    "model": "gemini-2.5-flash",
    "messages": [{"role": "user", "content": "将背景改为白色"}],
}


@pytest.fixture(autouse=True)
def nobody_known() -> None:
    """Forget the person of an earlier test, whose row went without a notice."""
    runtime.door.forget()


@pytest.fixture
def stranger(gateway: Gateway) -> Any:
    """Return a client without a token."""
    with httpx.Client(base_url=gateway.url, timeout=20) as client:
        yield client


def test_nobody_is_listed_unless_the_operator_says_so(
    settings: Any, stranger: httpx.Client
) -> None:
    assert stranger.get("/v1/models").status_code == 401
    settings.WHITELIST_IPS = ["10.0.0.0/8", "2001:db8::/32"]
    assert stranger.get("/v1/models").status_code == 401


def test_a_listed_address_calls_without_a_token_as_a_person_of_its_own(
    settings: Any, gateway: Gateway, stranger: httpx.Client
) -> None:
    settings.WHITELIST_IPS = HERE
    answer = stranger.post("/v1/chat/completions", json=BODY)
    assert answer.status_code == 200
    native = "/gemini/v1beta/models/gemini-2.5-flash:generateContent"
    turn = {"role": "user", "parts": [{"text": "你好"}]}
    assert stranger.post(native, json={"contents": [turn]}).status_code == 200
    person = User.objects.get(username=LISTED)
    assert not person.has_usable_password()
    assert not person.is_staff
    request_id = answer.headers["x-request-id"]
    eventually(
        lambda: UsageRecord.objects.filter(
            request_id=request_id, user=person, token=None
        ).exists(),
        "no usage row names the person",
    )


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer gp-wrong"},
        {"x-goog-api-key": "gp-wrong"},
        {"x-api-key": "gp-wrong"},
    ],
)
def test_a_wrong_token_is_refused_from_a_listed_address_too(
    settings: Any, stranger: httpx.Client, headers: dict[str, str]
) -> None:
    settings.WHITELIST_IPS = HERE
    assert stranger.get("/v1/models", headers=headers).status_code == 401


def test_who_is_listed_is_no_operator_whatever_rights_the_person_has(
    settings: Any, stranger: httpx.Client
) -> None:
    settings.WHITELIST_IPS = HERE
    User.objects.create_superuser(LISTED)
    assert stranger.get("/v1/models").status_code == 200
    assert stranger.get("/api/operator/status").status_code == 403


def test_switching_the_person_off_closes_the_door(
    settings: Any, stranger: httpx.Client
) -> None:
    settings.WHITELIST_IPS = HERE
    assert stranger.get("/v1/models").status_code == 200
    person = User.objects.get(username=LISTED)
    person.is_active = False
    person.save()
    eventually(
        lambda: stranger.get("/v1/models").status_code == 401, "it is still open"
    )


def test_the_persons_plan_limits_all_who_are_listed(
    settings: Any, stranger: httpx.Client
) -> None:
    settings.WHITELIST_IPS = HERE
    plan = Plan.objects.create(name="tight", requests_per_minute=2)
    User.objects.create_user(LISTED, plan=plan)
    found = [stranger.post("/v1/chat/completions", json=BODY) for _ in range(3)]
    assert [answer.status_code for answer in found] == [200, 200, 429]


def test_a_forwarded_address_counts_only_where_proxies_are_trusted(
    settings: Any, stranger: httpx.Client
) -> None:
    settings.WHITELIST_IPS = ["203.0.113.7"]
    headers = {"X-Forwarded-For": "203.0.113.7"}
    assert stranger.get("/v1/models", headers=headers).status_code == 401
    settings.TRUSTED_PROXY_HOPS = 1
    assert stranger.get("/v1/models", headers=headers).status_code == 200
    forged = {"X-Forwarded-For": "203.0.113.7, 198.51.100.9"}
    assert stranger.get("/v1/models", headers=forged).status_code == 401


@pytest.mark.parametrize("allowed", [[], ["*"], ["https://ours.example"]])
def test_a_strange_page_in_a_listed_browser_gets_nothing(
    settings: Any, stranger: httpx.Client, allowed: list[str]
) -> None:
    settings.WHITELIST_IPS = HERE
    settings.CORS_ALLOWED_ORIGINS = allowed
    headers = {"Origin": "https://evil.example", "Content-Type": "text/plain"}
    answer = stranger.post(
        "/v1/chat/completions", content=json.dumps(BODY), headers=headers
    )
    assert answer.status_code == 401
    ours = {"Origin": "https://ours.example"}
    expected = 200 if "https://ours.example" in allowed else 401
    assert stranger.get("/v1/models", headers=ours).status_code == expected


def test_large_bodies_are_taken_from_listed_addresses_only(
    settings: Any, stranger: httpx.Client
) -> None:
    words = {**BODY, "messages": [{"role": "user", "content": "a " * 700_000}]}
    refused = stranger.post("/v1/chat/completions", json=words)
    assert refused.status_code == 401
    settings.WHITELIST_IPS = HERE
    assert stranger.post("/v1/chat/completions", json=words).status_code == 200


def test_the_websocket_knows_listed_addresses(settings: Any, gateway: Gateway) -> None:
    address = gateway.url.replace("http", "ws", 1) + "/ws/chat"
    with connect(address) as socket, pytest.raises(ConnectionClosed):
        socket.recv(timeout=20)
    settings.WHITELIST_IPS = HERE
    with connect(address) as socket:
        socket.send(json.dumps(BODY))
        assert "choices" in json.loads(socket.recv(timeout=20))
    strange = connect(address, additional_headers={"Origin": "https://evil.example"})
    with strange as socket, pytest.raises(ConnectionClosed):
        socket.recv(timeout=20)
