"""The account list says what is wrong now, why, until when, and what to do."""

import datetime
import re
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from accounts.models import Account, CoolDown
from gemproxy.lib import clock
from proxy.admin import standing as module
from proxy.admin.standing import ahead, because, standing
from proxy.scheduling.store import Store, StoredLimit, StoredRest

LIST = "/admin/accounts/account/"
KEY = "AIzaSyD-standing-key-00000000000000000"
MINUTE = datetime.timedelta(minutes=1)


@pytest.fixture
def admin(client: Client, operator: Any) -> Client:
    client.force_login(operator)
    return client


def add(label: str, state: str = "active", **fields: Any) -> Account:
    made = Account.add(kind="gemini_api", secret=KEY + label, label=label)
    assert made is not None
    made.move(state, **fields)
    return made


def rest(account: Account, model: str, cause: str, minutes: float = 10, **more: Any):
    now = clock.now().timestamp()
    Store().keep_rest(
        StoredRest(account_id=account.pk, model=model, cause=cause, since=now - 60,
                   until=now + minutes * 60, **more)
    )  # fmt: skip


def text_of(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def row(admin: Client, label: str, query: str = "") -> str:
    """Return the text of an account's row of the list."""
    rows = re.findall(r"<tr.*?</tr>", admin.get(LIST + query).text, re.DOTALL)
    return next((text_of(one) for one in rows if f">{label}<" in one), "")


def labels(admin: Client, query: str) -> list[str]:
    """Return the accounts that are listed, sorted."""
    answer = admin.get(LIST + query)
    return sorted(one.label for one in answer.context["cl"].result_list)


def test_an_account_in_order_says_only_that(admin: Client) -> None:
    add("fine")
    found = row(admin, "fine")
    assert "Active" in found
    assert "until" not in found
    assert "since" not in found


def test_a_refused_account_says_why_and_links_to_the_cure(admin: Client) -> None:
    add("bad", "needs_attention", cause="leaked", advice="Make a new key.",
        link="https://example.org/keys")  # fmt: skip
    found = row(admin, "bad")
    for words in ("Needs attention", "Key blocked", "until you act", "Make a new key."):
        assert words in found
    link = '<a class="gp-link gp-line" href="https://example.org/keys"'
    assert f'{link} target="_blank" rel="noopener noreferrer">' in admin.get(LIST).text


def test_without_a_link_of_its_own_the_causes_is_shown(admin: Client) -> None:
    add("bad", "needs_attention", cause="leaked")
    assert "aistudio.google.com" in row(admin, "bad")


def test_a_refused_account_whose_cause_nobody_knows_still_has_a_next_step(
    admin: Client,
) -> None:
    add("odd", "needs_attention", cause="never_heard_of")
    found = row(admin, "odd")
    assert "Never heard of" in found
    assert "Test it" in found


def test_a_disabled_account_says_who_did_it(admin: Client) -> None:
    add("off").disable("olga")
    found = row(admin, "off")
    assert "disabled by olga" in found
    assert "until you enable it" in found


def test_a_resting_account_says_until_when(admin: Client) -> None:
    add("cool").cool(clock.now() + 90 * MINUTE + MINUTE / 2, "olga")
    found = row(admin, "cool")
    for words in ("Resting", "Set aside by hand, by olga", "in 1 h 30 min", "Clear it"):
        assert words in found


def test_a_resting_model_is_named_the_longest_first(admin: Client) -> None:
    account = add("part")
    rest(account, "gemini-flash", "quota_minute", 1)
    rest(account, "gemini-pro", "quota_day", 400)
    found = row(admin, "part")
    assert "Partly resting" in found
    assert "gemini-pro: The day&#x27;s quota" in found
    assert "; 1 more" in found


def test_a_rest_of_the_whole_account_outweighs_those_of_models(admin: Client) -> None:
    account = add("both")
    rest(account, "m", "quota_day", 400)
    rest(account, "", "token_endpoint", 1)
    found = row(admin, "both")
    assert "Partly" not in found
    assert "sign-in service" in found


def test_a_rest_that_is_over_is_not_shown(admin: Client) -> None:
    account = add("back")
    rest(account, "m", "quota_minute", -0.5)
    assert "resting" not in row(admin, "back").lower()


def test_the_worst_stands_first(admin: Client) -> None:
    rest(add("c-part"), "m", "quota_day")
    add("e-off", "disabled")
    rest(add("b-whole"), "", "operator")
    add("a-bad", "needs_attention", cause="leaked")
    add("d-fine")
    listed = [one.label for one in admin.get(LIST).context["cl"].result_list]
    assert listed == ["a-bad", "b-whole", "c-part", "d-fine", "e-off"]


@pytest.fixture
def mixed(db: None) -> None:
    add("refused", "needs_attention", cause="leaked")
    rest(add("whole"), "", "operator")
    rest(add("models"), "m", "quota_day")
    rest(add("over"), "m", "quota_day", -0.5)
    add("fine")


@pytest.mark.usefixtures("mixed")
@pytest.mark.parametrize(
    ("query", "listed"),
    [
        ("?cause=leaked", ["refused"]),
        ("?cause=quota_day", ["models"]),
        ("?cause=operator", ["whole"]),
        ("?cause=made_up", []),
        ("?rest=whole", ["whole"]),
        ("?rest=models", ["models"]),
        ("?rest=none", ["fine", "over", "refused"]),
        ("?rest=made_up", ["fine", "models", "over", "refused", "whole"]),
        ("?state__exact=needs_attention", ["refused"]),
    ],
)
def test_the_list_is_filtered_by_what_is_wrong_now(
    admin: Client, query: str, listed: list[str]
) -> None:
    assert labels(admin, query) == listed


@pytest.mark.usefixtures("mixed")
def test_only_causes_that_there_are_can_be_chosen(admin: Client) -> None:
    text = admin.get(LIST).text
    for cause in ("leaked", "quota_day", "operator"):
        assert f"cause={cause}" in text
    assert "cause=quota_minute" not in text


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (42.5, "in 42 s"),
        (60.5, "in 1 min"),
        (3599.5, "in 59 min"),
        (7199.5, "in 1 h 59 min"),
        (100_000, "in 1 d 3 h"),
    ],
)
def test_ends_are_told_to_the_minute(
    monkeypatch: pytest.MonkeyPatch, seconds: float, words: str
) -> None:
    now = clock.now()
    monkeypatch.setattr(module.clock, "now", lambda: now)
    found = ahead(now + datetime.timedelta(seconds=seconds))
    assert f">{words}<" in found
    assert f"{now + datetime.timedelta(seconds=seconds):%H:%M:%S}" in found


def test_an_end_that_has_passed_is_told_as_such() -> None:
    assert "ago" in ahead(clock.now() - MINUTE)
    assert ahead(None) == "-"


@pytest.mark.parametrize(
    ("cause", "by", "words"),
    [
        ("operator", "olga", "Set aside by hand, by olga"),
        ("disabled by olga", "olga", "Disabled by olga"),
        ("quota_minute", "", "The quota of this minute is used up"),
        ("", "olga", ""),
    ],
)
def test_a_cause_is_told_with_its_author_once(cause: str, by: str, words: str) -> None:
    assert because(cause, by) == words


def test_how_an_account_stands_needs_no_database() -> None:
    until = clock.now() + MINUTE
    account = Account(state="active", state_since=clock.now())
    found = standing(account, [CoolDown(cause="quota_day", model="m", until=until)])
    assert (found.word, found.until) == ("Partly resting", until)
    assert standing(account, []).word == "Active"


@pytest.fixture
def page(admin: Client) -> str:
    """The page of an account to which much has happened."""
    account = add("busy")
    rest(account, "gemini-pro", "quota_day", evidence="429 <b>limit: 100</b>")
    rest(account, "", "strikes", strikes=4)
    limit = {"model": "gemini-pro", "rpm": 15, "tpm": 250_000, "bucket": "b"}
    Store().keep_limit(StoredLimit(account_id=account.pk, **limit))
    Store().keep_limit(StoredLimit(account_id=add("twin").pk, **limit))
    account.disable("olga")
    return text_of(admin.get(f"{LIST}{account.pk}/change/").text)


@pytest.mark.parametrize(
    "words",
    [
        "Rests now",
        "The whole account",
        "4 failures in a row.",
        "429 &lt;b&gt;limit: 100&lt;/b&gt;",
        "Learned limits",
        "250k",
        "1 other account of its project",
        "Timeline",
        "Disabled by olga",
        "Scheduling",
        "Requests per day",
    ],
)
def test_an_accounts_page_tells_all_that_is_known(page: str, words: str) -> None:
    assert words in page


def test_the_timeline_is_bounded_and_begins_with_the_latest(
    admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.admin.timeline.EventInline.most", 2)
    account = add("old")
    for number in range(4):
        account.events.create(state="resting", model=f"m-{number}", cause="quota_day")
    text = admin.get(f"{LIST}{account.pk}/change/").text
    assert text.index("m-3") < text.index("m-2")
    assert "m-1" not in text


def test_who_may_only_look_sees_the_page(client: Client, bob: Any) -> None:
    # Once: a read-only field that was named like an action was called as a method.
    bob.is_staff = True
    bob.save()
    looks = [f"view_{name}" for name in ("account", "cooldown", "accountevent")]
    bob.user_permissions.set(Permission.objects.filter(codename__in=looks))
    client.force_login(bob)
    account = add("seen")
    rest(account, "m", "quota_day")
    text = client.get(f"{LIST}{account.pk}/change/").text
    assert "Partly resting" in text
    assert "Rests now" in text
    assert account.cool_downs.exists()


def test_pages_cost_no_query_for_each_row(
    admin: Client, django_assert_max_num_queries: Any
) -> None:
    account = add("busy")
    for number in range(30):
        rest(account, f"m-{number}", "quota_day")
        Store().keep_limit(
            StoredLimit(account_id=account.pk, model=f"m-{number}", bucket=f"{number}")
        )
    with django_assert_max_num_queries(14):
        assert "m-29" in admin.get(f"{LIST}{account.pk}/change/").text
