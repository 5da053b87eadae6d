"""The stand: what it puts into the pool, what it waits for, and that it clears up."""

import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from accounts.models import Account
from proxy.faultlab.credentials import PROVIDERS
from proxy.faultlab.row import Kind
from proxy.faultlab.stand import LABEL, Stand, StandBroken, eventually
from proxy.models import Route

GATEWAY, SANDBOX = "http://gateway.test", "http://127.0.0.1:8199"
WEB = "http://127.0.0.1:8198"


def secret(account: Account) -> str:
    return Account.objects.get(pk=account.pk).secret.reveal()


class Asked:
    """Stands for both servers and notes what they were asked."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []
        self.lists = True
        self.status = 200

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        names = Route.objects.values_list("name", flat=True) if self.lists else ()
        data = [{"id": name} for name in names]
        return httpx.Response(self.status, json={"data": data, "requests": 3})

    def paths(self) -> list[str]:
        return [f"{request.method} {request.url.path}" for request in self.requests]


@pytest.fixture
def asked() -> Asked:
    return Asked()


@pytest.fixture
def stand(db: None, asked: Asked) -> Iterator[Stand]:
    with Stand(f"{GATEWAY}/", "gp-token", f"{SANDBOX}/", f"{WEB}/") as made:
        for client in (made.gateway, made.sandbox):
            client._transport.close()
            client._transport = httpx.MockTransport(asked)
        yield made


def test_an_account_is_labelled_and_goes_to_the_sandbox(stand: Stand) -> None:
    account = stand.add(priority=3)
    assert (account.label, account.priority) == (LABEL, 3)
    assert account.base_url == SANDBOX
    assert secret(account).startswith("AIzaSySandbox-ok-")


def test_accounts_never_share_a_key(stand: Stand) -> None:
    keys = {secret(stand.add()) for _ in range(5)}
    assert len(keys) == 5


def test_a_dead_port_refuses_and_stays_taken(stand: Stand) -> None:
    first, second = (stand.add(place="dead port").base_url for _ in range(2))
    assert first == second
    with pytest.raises(httpx.ConnectError):
        httpx.get(first)


def test_the_place_without_tls_is_another_way_out(stand: Stand) -> None:
    assert stand.add(place="no tls").base_url == "https://localhost:8199"


def test_the_sandbox_is_told_about_an_accounts_key(stand: Stand, asked: Asked) -> None:
    account = stand.add()
    stand.tell(account, "perday", {"limit": 3})
    [request] = asked.requests
    body = httpx.Response(200, content=request.content).json()
    assert request.url.path == "/sandbox/keys"
    assert body["key"] == secret(account)
    assert (body["behaviour"], body["limit"]) == ("perday", 3)


@pytest.mark.parametrize(
    ("kind", "where", "field", "begins"),
    [
        ("gemini_web", f"{WEB}/sandbox/accounts", "psid", "g.a000Sandbox-ok-"),
        ("code_assist", f"{SANDBOX}/sandbox/logins", "login", "1//0gSandbox-ok-"),
        ("xai", f"{SANDBOX}/sandbox/keys", "key", "xai-Sandbox-ok-"),
    ],
)
def test_each_kind_is_told_of_by_what_its_provider_knows(
    stand: Stand, asked: Asked, kind: Kind, where: str, field: str, begins: str
) -> None:
    account = stand.add(kind)
    stand.tell(account, "slow", {})
    [request] = asked.requests
    body = httpx.Response(200, content=request.content).json()
    assert (str(request.url), body["behaviour"]) == (where, "slow")
    assert body[field].startswith(begins)
    assert body[field] in secret(account)


def test_accounts_are_reached_where_their_provider_is(stand: Stand) -> None:
    assert stand.add("xai").base_url == f"{SANDBOX}/api.x.ai"
    assert stand.add("code_assist").base_url == SANDBOX
    made = [stand.add("gemini_web").pk for _ in range(2)]
    rows = Account.objects.filter(pk__in=made)
    ways = [row.proxy_url.reveal() for row in rows]
    assert ways[0] != ways[1]
    assert {httpx.URL(way).netloc for way in ways} == {httpx.URL(WEB).netloc}


def test_a_web_account_needs_the_web_sandbox(stand: Stand) -> None:
    stand.web_url = ""
    with pytest.raises(StandBroken, match=r"gemini\.google\.com does not run"):
        stand.add("gemini_web")


def test_a_behaviour_that_the_sandbox_refuses_breaks_the_stand(
    stand: Stand, asked: Asked
) -> None:
    account = stand.add()
    asked.status = 400
    with pytest.raises(StandBroken, match="refuses nonsense"):
        stand.tell(account, "nonsense", {})


def test_only_other_usable_accounts_are_strangers(stand: Stand) -> None:
    stand.add()
    other = Account.add(kind="gemini_api", secret="AIzaSy" + "o" * 33, label="other")
    out = Account.add(kind="gemini_api", secret="AIzaSy" + "p" * 33, label="out")
    assert out is not None
    out.disable("olga")
    assert stand.strangers() == [other]


def test_what_it_made_is_taken_away_and_nothing_else(
    stand: Stand, asked: Asked
) -> None:
    other = Account.add(kind="gemini_api", secret="AIzaSy" + "o" * 33)
    key = secret(stand.add())
    stand.settle()
    routes = Route.objects.filter(name__startswith="fault-lab-")
    assert routes.count() == 2
    stand.__exit__()
    assert list(Account.objects.all()) == [other]
    assert not routes.exists()
    assert f"DELETE /sandbox/keys/{key}" in asked.paths()


def test_it_waits_until_the_gateway_lists_a_new_mark(
    stand: Stand, asked: Asked
) -> None:
    asked.lists = False

    def soon() -> None:
        asked.lists = True

    timer = threading.Timer(0.2, soon)
    timer.start()
    stand.settle()
    timer.join()
    assert len(asked.paths()) > 1
    assert set(asked.paths()) == {"GET /v1/models"}


@pytest.mark.parametrize("kind", PROVIDERS)
def test_each_time_it_settles_the_model_has_a_name_of_its_own(
    stand: Stand, kind: Kind
) -> None:
    names = []
    for _ in range(3):
        stand.settle(kind)
        names.append(stand.model)
    assert len({*names, stand.other_model}) == 4
    served = {route.name: route.targets.first() for route in Route.objects.all()}
    targets = [served[name] for name in (stand.model, stand.other_model)]
    assert [target.kind for target in targets] == [kind, kind]
    assert tuple(target.upstream_model for target in targets) == PROVIDERS[kind].models
    assert not served.keys() & set(names[:-1])


def test_a_gateway_that_refuses_the_token_is_told_at_once(
    stand: Stand, asked: Asked
) -> None:
    asked.status = 401
    with pytest.raises(StandBroken, match="refuses the token"):
        stand.settle()


def test_the_token_goes_to_the_gateway_only(stand: Stand, asked: Asked) -> None:
    stand.settle()
    stand.stats()
    heads: list[Any] = [r.headers.get("authorization") for r in asked.requests]
    assert heads == ["Bearer gp-token", None]


def test_waiting_ends_with_what_was_waited_for() -> None:
    values = iter([0, "", "found"])
    assert eventually(lambda: next(values), "something") == "found"
    with pytest.raises(StandBroken, match="not within 0 s: something"):
        eventually(lambda: False, "something", 0.05)
