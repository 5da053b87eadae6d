"""What operators are told of, each thing once."""

import datetime
from typing import Any

import pytest

from accounts.models import Account
from gemproxy.lib import clock
from proxy.alerts import news
from proxy.models import Alert, Incident, JobRun

pytestmark = pytest.mark.django_db
KEY = "AIzaSyD-first-key-0000000000000000000"
MINUTE = datetime.timedelta(minutes=1)


def account(number: int = 0, **fields: Any) -> Account:
    made = Account.add(kind="gemini_api", secret=f"{KEY}{number}", **fields)
    assert made is not None
    return made


def incident(**fields: Any) -> Incident:
    values: dict[str, Any] = {
        "what": "egress",
        "which": "direct",
        "cause": "connection_failed",
        "why": "3 accounts failed alike",
        "since": clock.now(),
        "updated_at": clock.now(),
        "account_count": 3,
    }
    return Incident.objects.create(**{**values, **fields})


def gathered(*channels: str) -> list[tuple[str, str]]:
    """Look for news; return what has been found so far."""
    news.gather(channels or ("webhook",))
    return list(Alert.objects.order_by("id").values_list("what", "text"))


@pytest.fixture
def began() -> None:
    """Alerts have been on for some minutes."""
    memory = {"began": (clock.now() - 5 * MINUTE).isoformat()}
    memory["looked"] = (clock.now() - MINUTE).isoformat()
    JobRun.objects.create(job=news.JOB, memory=memory)


def test_what_was_before_alerts_were_set_up_is_no_news() -> None:
    account(1)
    account(2).move("needs_attention", cause="leaked")
    incident(until=clock.now())
    assert gathered() == []


def test_an_account_that_needs_attention_is_told_once_with_what_to_do(
    began: None,
) -> None:
    account(1)
    bad = account(2, label="team key")
    bad.move("needs_attention", cause="leaked", advice="Make a new one.")
    for _ in range(2):
        [(what, text)] = gathered()
        assert what == "account_needs_attention"
        assert text == (
            "team key (Gemini API key) needs attention: Key blocked. Make a new one."
        )
    assert Alert.objects.get().about == {
        "account": bad.pk,
        "kind": "gemini_api",
        "cause": "leaked",
    }


def test_an_account_that_fails_again_is_told_again(began: None) -> None:
    account(1)
    bad = account(2)
    bad.move("needs_attention", cause="leaked")
    gathered()
    bad.move("active")
    bad.move("needs_attention", cause="leaked")
    assert len(gathered()) == 2


def test_without_advice_the_cause_says_what_to_do(began: None) -> None:
    account(1)
    account(2).move("needs_attention", cause="key_restricted")
    [(_, text)] = gathered()
    assert "edit them at Google" in text


@pytest.mark.parametrize(("by", "told"), [("clean-up", 1), ("", 1), ("olga", 0)])
def test_what_an_operator_disabled_is_no_news(began: None, by: str, told: int) -> None:
    account(1)
    account(2).disable(by)
    found = gathered()
    assert [what for what, _ in found] == ["account_disabled"] * told


def test_secrets_in_labels_are_not_told(began: None) -> None:
    account(1)
    account(2, label=KEY).move("needs_attention", cause="leaked")
    [(_, text)] = gathered()
    assert KEY not in text
    assert "[secret]" in text


def test_an_incident_is_told_when_it_opens_and_when_it_ends(began: None) -> None:
    trouble = incident()
    [(what, text)] = gathered()
    assert what == "incident_opened"
    assert "Egress direct" in text
    assert "3 accounts" in text
    Incident.objects.update(until=trouble.since + MINUTE)
    _, (what, text) = gathered()
    assert what == "incident_ended"
    assert text.startswith("Egress direct works again after 60 s of trouble: ")


def test_an_incident_that_was_over_before_anybody_looked_is_told_once(
    began: None,
) -> None:
    incident(until=clock.now())
    assert [what for what, _ in gathered()] == ["incident_ended"]


def test_the_last_usable_account_of_a_kind_is_missed_once_and_welcomed_back(
    began: None,
) -> None:
    last = account()
    assert gathered() == []
    last.disable("olga")
    for _ in range(2):
        [(what, text)] = gathered()
        assert what == "kind_out"
        assert "Gemini API key" in text
    last.enable("olga")
    _, (what, text) = gathered()
    assert what == "kind_back"
    assert len(gathered()) == 2


def test_a_kind_without_accounts_is_not_missed(began: None) -> None:
    last = account()
    last.disable("olga")
    gathered()
    last.delete()
    assert len(gathered()) == 1


def test_a_kind_that_is_out_when_alerts_begin_is_told() -> None:
    account().disable("olga")
    assert [what for what, _ in gathered()] == ["kind_out"]


def test_cookies_that_google_no_longer_renews_are_told_once_until_new_ones(
    began: None,
) -> None:
    web = Account.objects.create(
        kind="gemini_web", secret="x", fingerprint="f", facts={"web": {"failures": 2}}
    )
    assert gathered() == []
    web.facts = {"web": {"failures": 3, "pasted_at": 1.0}}
    web.save()
    for failures in (3, 4):
        web.facts["web"]["failures"] = failures
        web.save()
        [(what, text)] = gathered()
        assert what == "cookies_ending"
        assert "Gemini web cookies" in text
    web.facts["web"]["pasted_at"] = 2.0
    web.save()
    assert len(gathered()) == 2


def test_each_channel_gets_its_own(began: None) -> None:
    incident()
    gathered("webhook", "email")
    assert sorted(Alert.objects.values_list("channel", flat=True)) == [
        "email",
        "webhook",
    ]


def test_after_a_long_pause_a_day_is_told(began: None) -> None:
    now = clock.now()
    memory = {"began": (now - 9 * 1440 * MINUTE).isoformat()}
    memory["looked"] = (now - 3 * 1440 * MINUTE).isoformat()
    JobRun.objects.update(memory=memory)
    incident(since=now - 2000 * MINUTE, until=now - 1441 * MINUTE, which="old")
    incident(since=now - 1000 * MINUTE, until=now - 900 * MINUTE, which="of today")
    [(_, text)] = gathered()
    assert "of today" in text
