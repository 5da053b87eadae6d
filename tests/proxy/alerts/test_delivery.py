"""Alerts are told together, once, and later if they must be."""

import datetime
import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from accounts.models import Account
from accounts.pace import Pace
from gemproxy.lib import clock
from proxy import jobs, runner
from proxy.alerts import delivery
from proxy.models import Alert, JobRun
from tests.receivers import Webhook, webhook

pytestmark = pytest.mark.django_db
MINUTE = datetime.timedelta(minutes=1)
DAY = datetime.timedelta(days=1)


@pytest.fixture
def hook(settings: Any) -> Iterator[Webhook]:
    with webhook() as taken:
        settings.ALERT_WEBHOOK_URL = taken.url
        yield taken


def alert(key: str = "a", **fields: Any) -> Alert:
    values: dict[str, Any] = {
        "channel": "webhook",
        "key": key,
        "what": "incident_opened",
        "text": f"Trouble {key}.",
        "at": clock.now(),
    }
    return Alert.objects.create(**{**values, **fields})


def test_what_is_due_goes_out_in_one_message_and_once(hook: Webhook) -> None:
    alert("a", about={"incident": 7})
    alert("b")
    assert delivery.send_news() == "told 2 by webhook"
    assert delivery.send_news() == "nothing to tell"
    [body] = hook.bodies
    assert [found["text"] for found in body["alerts"]] == ["Trouble a.", "Trouble b."]
    assert body["alerts"][0]["incident"] == 7
    told = Alert.objects.get(key="a")
    assert told.sent_at is not None
    assert told.next_try_at is None


def test_an_account_that_fails_reaches_the_webhook(hook: Webhook) -> None:
    delivery.send_news()
    for number in range(2):
        Account.add(kind="gemini_api", secret=f"AIzaSy{'k' * 32}{number}")
    bad = Account.objects.first()
    assert bad is not None
    bad.move("needs_attention", cause="leaked", advice="Make a new one.")
    delivery.send_news()
    [text] = hook.texts
    assert "needs attention: Key blocked. Make a new one." in text


def test_a_failed_delivery_waits_and_says_so(
    hook: Webhook, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    hook.statuses += [500, 500]
    row = alert()
    with pytest.raises(delivery.Undelivered, match="Webhook: answered 500; 1 wait"):
        delivery.send_news()
    row.refresh_from_db()
    assert (row.attempts, row.error, row.claim) == (1, "answered 500", "")
    wait = row.next_try_at - clock.now()
    assert datetime.timedelta(0) < wait <= delivery.FIRST_PAUSE
    assert delivery.send_news() == "nothing to tell"
    Alert.objects.update(next_try_at=clock.now())
    with pytest.raises(delivery.Undelivered):
        delivery.send_news()
    Alert.objects.update(next_try_at=clock.now())
    assert delivery.send_news() == "told 1 by webhook"
    assert "hidden-word" not in caplog.text


def test_pauses_double_up_to_an_hour() -> None:
    minutes = [delivery.pause_after(n) / MINUTE for n in (1, 2, 3, 6, 7, 50)]
    assert minutes == [1, 2, 4, 32, 60, 60]


def test_after_a_day_it_is_given_up(hook: Webhook) -> None:
    hook.statuses += [500]
    row = alert(created_at=clock.now() - DAY)
    with pytest.raises(delivery.Undelivered, match="1 given up after a day"):
        delivery.send_news()
    row.refresh_from_db()
    assert row.next_try_at is None
    assert row.sent_at is None


def test_one_channel_that_fails_does_not_stop_the_other(
    hook: Webhook, settings: Any, mailoutbox: list[Any]
) -> None:
    settings.ALERT_EMAILS = ["olga@example.org"]
    hook.statuses += [500]
    alert("a")
    alert("a", channel="email")
    with pytest.raises(delivery.Undelivered, match=r"Webhook: .*Told 1 by e-mail"):
        delivery.send_news()
    assert [mail.to for mail in mailoutbox] == [["olga@example.org"]]
    assert Alert.objects.get(channel="email").sent_at is not None


def test_what_a_dead_sender_took_is_told_by_the_next(hook: Webhook) -> None:
    alert()
    assert len(delivery._claimed("webhook")) == 1
    assert delivery.send_news() == "nothing to tell"
    Alert.objects.update(next_try_at=clock.now() - MINUTE)
    assert delivery.send_news() == "told 1 by webhook"


def test_a_flood_goes_out_in_parts(
    hook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "MOST_AT_ONCE", 3)
    for number in range(5):
        alert(str(number), at=clock.now() - (5 - number) * MINUTE)
    delivery.send_news()
    delivery.send_news()
    sizes = [[found["text"] for found in body["alerts"]] for body in hook.bodies]
    assert [len(texts) for texts in sizes] == [3, 2]
    assert sizes[0][0] == "Trouble 0."


@pytest.mark.django_db(transaction=True)
def test_two_senders_at_once_tell_each_thing_once(hook: Webhook) -> None:
    for number in range(20):
        alert(str(number))
    together = threading.Barrier(4)
    said: list[str] = []

    def send() -> None:
        try:
            together.wait(timeout=30)
            said.append(delivery.send_news())
        finally:
            connection.close()

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(said) == 4
    told = [found["text"] for body in hook.bodies for found in body["alerts"]]
    assert len(told) == len(set(told)) == 20


def test_the_jobs_page_reads_why_alerts_do_not_arrive(hook: Webhook) -> None:
    hook.statuses += [500]
    alert()
    with pytest.raises(runner.JobFailed):
        runner.run_job("send alerts")
    run = JobRun.objects.get(job="send alerts")
    assert run.state == "failed"
    assert run.result.startswith("Webhook: answered 500; 1 wait for another try.")
    # What the job must remember is not lost by the failure.
    assert "looked" in run.memory


def test_without_a_channel_the_job_does_nothing() -> None:
    assert runner.run_job("send alerts").startswith("switched off (ALERT_WEBHOOK_URL")
    assert jobs.send_alerts() == "nothing to tell"


def test_old_alerts_are_deleted() -> None:
    alert("old", created_at=clock.now() - 31 * DAY)
    alert("young", created_at=clock.now() - 29 * DAY)
    delivery.prune(Pace(clock.monotonic() + 20))
    assert Alert.objects.get().key == "young"


def test_a_test_alert_is_sent_by_command(
    hook: Webhook, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("send_test_alert")
    assert capsys.readouterr().out == "Webhook: sent\n"
    assert "This is a test" in hook.texts[0]
    hook.statuses += [403]
    with pytest.raises(CommandError, match="1 of 1"):
        call_command("send_test_alert")
    assert capsys.readouterr().out == "Webhook: answered 403\n"
    assert Alert.objects.count() == 0


def test_a_test_alert_without_a_channel_says_what_to_set() -> None:
    with pytest.raises(CommandError, match="Set ALERT_WEBHOOK_URL"):
        call_command("send_test_alert")
