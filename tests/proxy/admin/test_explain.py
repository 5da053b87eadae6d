"""Who would answer now: for a request and for a route, and why the others would not."""

import asyncio
import re
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.contrib.auth.models import Permission
from django.test import Client

from accounts.credentials.websession import session_secret
from accounts.models import Account, UsageRecord
from gemproxy.lib import clock
from proxy.admin import explain as module
from proxy.catalog import Catalog
from proxy.models import Incident, Route, Target
from proxy.scheduling.pool import Pool
from proxy.scheduling.store import Store, StoredLimit, StoredRest
from tests.accounts.rows import record
from tests.proxy.scheduling.pools import member, pool_of, route, take

KEY = "AIzaSyD-explained-key-0000000000000000"
MODEL = "flash"


@pytest.fixture
def admin(client: Client, operator: Any) -> Client:
    client.force_login(operator)
    return client


@pytest.fixture(autouse=True)
def way(db: None) -> Route:
    """The only route."""
    Route.objects.all().delete()
    made = Route.objects.create(name=MODEL)
    Target.objects.create(route=made, upstream_model="m")
    return made


@pytest.fixture
def live(monkeypatch: pytest.MonkeyPatch) -> Callable[[Pool], None]:
    """Let this process serve requests from a pool."""

    def serve(pool: Pool) -> None:
        catalog = Catalog()
        catalog.load()
        gateway = SimpleNamespace(catalog=catalog, pool=pool)
        running = SimpleNamespace(started=True, gateway=gateway)
        monkeypatch.setattr(module, "runtime", running)

    return serve


def add(label: str, state: str = "active", **fields: Any) -> Account:
    made = Account.add(kind="gemini_api", secret=KEY + label, label=label)
    assert made is not None
    made.move(state, **fields)
    return made


def rest(account: Account, cause: str, seconds: float, **more: Any) -> None:
    now = clock.now().timestamp()
    Store().keep_rest(
        StoredRest(account_id=account.pk, model="m", cause=cause, since=now - 30,
                   until=now + seconds, **more)
    )  # fmt: skip


def words(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def of_request(row: UsageRecord, query: str = "") -> str:
    return f"/admin/accounts/usagerecord/{row.pk}/explain/{query}"


def of_route(row: Route, query: str = "") -> str:
    return f"/admin/proxy/route/{row.pk}/explain/{query}"


def listed(answer: Any) -> list[str]:
    """Return the accounts on the page, in their order."""
    found = answer.context.get("candidates", [])
    return [re.sub(r"<[^>]+>", "", one.account) for one in found]


def line(answer: Any, label: str) -> str:
    """Return the text of an account's row."""
    rows = re.findall(r"<tr>.*?</tr>", answer.text, re.DOTALL)
    return next(words(one) for one in rows if f">{label}<" in one)


@pytest.fixture
def mixed() -> dict[str, Account]:
    """One account for each way to stand."""
    made = {
        name: add(name) for name in ("fine", "minute", "day", "struck", "spent", "busy")
    }
    made["bad"] = add("bad", "needs_attention", cause="leaked")
    made["off"] = add("off")
    made["off"].disable("olga")
    rest(made["minute"], "quota_minute", 40)
    rest(made["day"], "quota_day", 40_000, evidence="429 limit: 250")
    rest(made["struck"], "strikes", 90, strikes=4)
    spent = made["spent"]
    spent.rpd = 1
    spent.save()
    used = {"account": spent.pk, "model": "m", "code": "ok", "start_ms": 0, "ms": 700}
    record(account=spent, model_served="m", attempts=[used])
    return made


@pytest.mark.usefixtures("mixed")
def test_all_accounts_are_listed_the_ready_ones_first(
    admin: Client, way: Route
) -> None:
    found = listed(admin.get(of_route(way)))
    assert found[:2] == ["fine", "busy"]
    assert found[2:4] == ["minute", "struck"]
    assert set(found[4:6]) == {"day", "spent"}
    assert set(found[6:]) == {"bad", "off"}


@pytest.mark.usefixtures("mixed")
@pytest.mark.parametrize(
    ("label", "told"),
    [
        ("fine", ["Ready", "no known limit", "no call yet", "0 / 100"]),
        (
            "minute",
            ["At a limit", "The quota of this minute is used up", "in 3", "UTC"],
        ),
        ("day", ["The day's quota", "429 limit: 250", "in 11 h"]),
        ("struck", ["Resting", "Several requests in a row failed", "in 1 min"]),
        ("spent", ["The account's limit of this day", "1 / 1 a day", "0 % left"]),
        ("spent", ["100 % succeed", "700 ms"]),
        ("bad", ["Needs attention", "Key blocked", "until you act"]),
        ("off", ["Disabled by olga", "until you enable it"]),
    ],
)
def test_each_says_how_it_stands(
    admin: Client, way: Route, label: str, told: list[str]
) -> None:
    found = line(admin.get(of_route(way)), label).replace("&#x27;", "'")
    for part in told:
        assert part in found


@pytest.mark.usefixtures("mixed")
def test_counts_stand_on_top_and_each_lists_only_its_own(
    admin: Client, way: Route
) -> None:
    answer = admin.get(of_route(way))
    told = {one.reason: one.count for one in answer.context["groups"]}
    assert told == {
        "ready": 2, "quota_minute": 1, "quota_day": 1, "strikes": 1, "day_limit": 1,
        "needs_attention": 1, "disabled": 1,
    }  # fmt: skip
    for reason, only in (("ready", ["fine", "busy"]), ("quota_day", ["day"])):
        assert f'href="?reason={reason}"' in answer.text
        assert listed(admin.get(of_route(way, f"?reason={reason}"))) == only


def test_a_reason_that_holds_for_nobody_lists_nobody(admin: Client, way: Route) -> None:
    add("fine")
    answer = admin.get(of_route(way, "?reason=<b>"))
    assert listed(answer) == []
    assert "For this reason there is no account now" in answer.text
    assert "<b>" not in answer.text


def test_more_accounts_than_a_page_holds_are_counted_but_not_listed(
    admin: Client, way: Route, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_ROWS", 3)
    for number in range(5):
        add(f"a{number}")
    answer = admin.get(of_route(way))
    assert len(listed(answer)) == 3
    assert "The first 3 of 5 are shown" in answer.text
    assert "5 of 5" in words(answer.text)


class TestAnswer:
    """The first line says whether and when a request would be sent."""

    def test_at_once_if_somebody_is_ready(self, admin: Client, way: Route) -> None:
        rest(add("a"), "quota_minute", 40)
        add("b")
        text = words(admin.get(of_route(way)).text)
        assert "1 of 2 accounts can answer for flash ." in text
        assert "A request would be sent at once." in text

    def test_in_so_many_seconds_if_time_brings_somebody_back(
        self, admin: Client, way: Route
    ) -> None:
        rest(add("a"), "quota_minute", 40)
        text = words(admin.get(of_route(way)).text)
        assert re.search(r"The first account can answer in (39|40) s\.", text)

    def test_time_alone_does_not_help_if_only_people_can(
        self, admin: Client, way: Route
    ) -> None:
        add("a", "needs_attention", cause="leaked")
        assert "Time alone brings no account back" in admin.get(of_route(way)).text

    def test_without_accounts_it_says_so(self, admin: Client, way: Route) -> None:
        text = words(admin.get(of_route(way)).text)
        assert "0 of 0 accounts" in text
        assert "There is no account of the kinds" in text

    @pytest.mark.parametrize("how", ["disabled", "hollow"])
    def test_a_route_that_nobody_can_ask_says_so(
        self, admin: Client, way: Route, how: str
    ) -> None:
        add("a")
        if how == "disabled":
            Route.objects.update(enabled=False)
        else:
            way.targets.all().delete()
        answer = admin.get(of_route(way))
        assert "Callers get 404" in answer.text
        assert listed(answer) == []


class TestRequest:
    """A request's page asks its own question again."""

    def test_it_asks_for_the_model_the_caller_named(self, admin: Client) -> None:
        add("a")
        row = record(model_asked=f"models/{MODEL}", request_id="req-one")
        answer = admin.get(of_request(row))
        assert listed(answer) == ["a"]
        assert "the request came" in words(answer.text)
        assert f'href="/admin/accounts/usagerecord/{row.pk}/change/"' in answer.text

    def test_a_model_that_is_gone_is_named(self, admin: Client) -> None:
        answer = admin.get(of_request(record(model_asked="<i>gone</i>")))
        assert "No route answers to <strong>&lt;i&gt;gone" in answer.text

    def test_accounts_that_it_asked_say_how_that_ended(self, admin: Client) -> None:
        first, second = add("a"), add("b")
        tries = [
            {"account": first.pk, "code": "overloaded", "blame": "model"},
            {"account": second.pk, "code": "ok"},
        ]
        answer = admin.get(of_request(record(model_asked=MODEL, attempts=tries)))
        assert "Asked by this request: The provider is overloaded" in line(answer, "a")
        assert "Asked by this request: Answered" in line(answer, "b")

    def test_what_it_needed_leaves_out_kinds_that_cannot(
        self, admin: Client, live: Callable[[Pool], None]
    ) -> None:
        # The scripted adapter knows tools and embeddings only.
        live(pool_of(1))
        pictures = record(model_asked=MODEL, images=1)
        answer = admin.get(of_request(pictures))
        assert "0 of 1 account" in words(answer.text)
        assert "with images_out" in words(answer.text)
        assert "Its kind cannot do what the request needs" in answer.text
        vectors = record(model_asked=MODEL, method="embedContent")
        assert "1 of 1 account" in words(admin.get(of_request(vectors)).text)

    def test_what_a_target_imitates_is_said_of_its_accounts(
        self, admin: Client, way: Route
    ) -> None:
        way.targets.all().delete()
        flags = {"emulate_tools": True, "emulate_json_schema": True}
        way.targets.create(kind="gemini_web", upstream_model="web", **flags)
        psid = "g.a000Explained-0001_abcdefghijklmnopqrstuvwx"
        Account.add(
            kind="gemini_web", secret=session_secret(f"1PSID={psid}"), label="w"
        )
        assert "Imitates json_schema, tools" in line(admin.get(of_route(way)), "w")
        way.targets.update(emulate_tools=False, emulate_json_schema=False)
        assert "Imitates" not in admin.get(of_route(way)).text

    def test_its_own_page_leads_there(self, admin: Client) -> None:
        row = record()
        text = admin.get(f"/admin/accounts/usagerecord/{row.pk}/change/").text
        assert f'href="{of_request(row)}"' in text


def test_a_routes_page_leads_there(admin: Client, way: Route) -> None:
    text = admin.get(f"/admin/proxy/route/{way.pk}/change/").text
    assert f'href="{of_route(way)}">Who would answer now?</a>' in text
    assert "explain/" not in admin.get("/admin/proxy/route/add/").text


class TestSource:
    """A server tells what it knows itself; any other process what is stored."""

    def test_a_server_answers_from_memory(
        self, admin: Client, way: Route, live: Callable[[Pool], None]
    ) -> None:
        pool = pool_of(member(41, label="seated", concurrency=1))
        asyncio.run(take(pool, route=route("m")))
        live(pool)
        found = line(admin.get(of_route(way)), "seated")
        assert "Busy The account answers as many requests as it may" in found
        assert found.endswith("no call yet 1 0 / 100")

    def test_the_page_says_which_it_is(
        self, admin: Client, way: Route, live: Callable[[Pool], None]
    ) -> None:
        stored = admin.get(of_route(way)).text
        assert "read from the database" in stored
        live(pool_of(member(7, label="in memory")))
        answer = admin.get(of_route(way))
        assert "From the memory of this server process." in answer.text
        assert listed(answer) == ["in memory"]

    def test_stored_limits_and_rests_are_read(self, admin: Client, way: Route) -> None:
        account = add("a")
        limit = StoredLimit(account_id=account.pk, model="m", rpm=15)
        Store().keep_limit(limit)
        assert "0 / 15 a minute" in line(admin.get(of_route(way)), "a")

    def test_to_look_changes_nothing(
        self, admin: Client, way: Route, settings: Any
    ) -> None:
        # The pool of a server sets an account aside whose secret it cannot open.
        account = add("sealed")
        settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
        found = line(admin.get(of_route(way)), "sealed")
        account.refresh_from_db(fields=["state"])
        assert "Needs attention" in found
        assert account.state == "active"


def test_incidents_that_last_are_mentioned(admin: Client, way: Route) -> None:
    assert "incident" not in words(admin.get(of_route(way)).text).split("Usage")[-1]
    now = clock.now()
    values = {"what": "model", "which": "x", "since": now, "updated_at": now}
    Incident.objects.create(**values)
    Incident.objects.create(**values, until=now)
    assert "1 incident lasts now" in words(admin.get(of_route(way)).text)


class TestPermissions:
    """Who may not see accounts learns nothing of them here."""

    @pytest.fixture
    def page(self) -> tuple[str, str]:
        row = record(model_asked=MODEL)
        return of_request(row), f"/admin/accounts/usagerecord/{row.pk}/change/"

    @pytest.mark.parametrize(
        ("names", "status"),
        [
            (["view_usagerecord", "view_account"], 200),
            (["view_usagerecord"], 403),
            (["view_account"], 403),
            ([], 403),
        ],
    )
    def test_both_are_needed(
        self,
        client: Client,
        bob: Any,
        page: tuple[str, str],
        names: list[str],
        status: int,
    ) -> None:
        bob.is_staff = True
        bob.save()
        bob.user_permissions.set(Permission.objects.filter(codename__in=names))
        client.force_login(bob)
        assert client.get(page[0]).status_code == status
        if "view_usagerecord" in names:
            assert (page[0] in client.get(page[1]).text) is (status == 200)

    @pytest.mark.parametrize(
        ("names", "status"),
        [(["view_route", "view_account"], 200), (["view_route"], 403)],
    )
    def test_a_routes_page_needs_them_too(
        self, client: Client, bob: Any, way: Route, names: list[str], status: int
    ) -> None:
        bob.is_staff = True
        bob.save()
        bob.user_permissions.set(Permission.objects.filter(codename__in=names))
        client.force_login(bob)
        assert client.get(of_route(way)).status_code == status

    @pytest.mark.parametrize("key", ["0", "999999999999999999999", "abc", "1/2"])
    def test_rows_that_are_not_there_are_not_found(
        self, admin: Client, key: str
    ) -> None:
        url = f"/admin/accounts/usagerecord/{key}/explain/"
        assert admin.get(url).status_code == 404


def test_no_secret_is_on_the_page(admin: Client, way: Route) -> None:
    account = add("a")
    rest(account, "strikes", 60, evidence=f"refused {KEY}a")
    text = admin.get(of_route(way)).text
    assert "refused" in text
    assert KEY not in text


def test_many_accounts_cost_no_more_queries(
    admin: Client, way: Route, django_assert_max_num_queries: Any
) -> None:
    for number in range(30):
        rest(add(f"a{number}"), "quota_day", 400)
    with django_assert_max_num_queries(16):
        assert len(listed(admin.get(of_route(way)))) == 30
