"""The change feed as a running process hears it."""

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import OperationalError, connection, connections, transaction

from accounts import feed as feeds
from accounts.feed import Feed
from accounts.models import Account, Change, Token
from gemproxy.lib import bell, clock

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")


class Ear:
    """A subscriber that remembers what it heard."""

    def __init__(self) -> None:
        self.heard: queue.Queue[str] = queue.Queue()

    def __call__(self, key: str) -> None:
        self.heard.put(key)

    def next(self, seconds: float = 20) -> str:
        return self.heard.get(timeout=seconds)

    def silent(self, seconds: float = 0.3) -> bool:
        try:
            self.heard.get(timeout=seconds)
        except queue.Empty:
            return True
        return False


@pytest.fixture
def ear() -> Ear:
    return Ear()


@pytest.fixture
def listen(ear: Ear) -> Iterator[Callable[..., Feed]]:
    started: list[Feed] = []

    def start(topic: str = "token", **options: Any) -> Feed:
        feed = Feed(**{"poll_seconds": 0.05, "redis_url": ""} | options)
        feed.subscribe(topic, ear)
        feed.start()
        started.append(feed)
        return feed

    yield start
    for feed in started:
        feed.stop()


def in_thread(work: Callable[[], None]) -> threading.Thread:
    def run() -> None:
        try:
            work()
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_a_change_is_told_once_with_its_key(listen: Any, ear: Ear) -> None:
    listen()
    Change.note("token", 42)
    assert ear.next() == "42"
    assert ear.silent()


def test_what_changed_before_the_start_is_not_told(listen: Any, ear: Ear) -> None:
    Change.note("token", 1)
    listen()
    assert ear.silent()


def test_other_topics_are_not_told(listen: Any, ear: Ear) -> None:
    listen("route")
    Change.note("token", 1)
    Change.note("route", 2)
    assert ear.next() == "2"
    assert ear.silent(0.1)


def test_revocation_is_heard_at_the_default_pace(
    listen: Any, ear: Ear, alice: Any
) -> None:
    token, _ = Token.issue(user=alice, name="laptop")
    listen(poll_seconds=0.3)
    token.revoke()
    assert ear.next() == str(token.pk)


def test_a_bulk_change_is_told_as_everything(listen: Any, ear: Ear, alice: Any) -> None:
    Token.issue(user=alice, name="laptop")
    listen()
    Token.objects.filter(user=alice).update(name="desktop")
    assert ear.next() == ""


def test_many_keys_at_once_become_everything(listen: Any, ear: Ear) -> None:
    listen()
    Change.objects.bulk_create(Change(topic="token", key=str(n)) for n in range(300))
    assert ear.next() == ""
    assert ear.silent(0.1)


def test_a_change_that_is_rolled_back_is_not_told(listen: Any, ear: Ear) -> None:
    listen()

    class Regret(Exception):
        pass

    def note_and_regret() -> None:
        with transaction.atomic():
            Change.note("token", 1)
            raise Regret

    with pytest.raises(Regret):
        note_and_regret()
    Change.note("token", 2)
    assert ear.next() == "2"


@pytest.mark.postgres
def test_a_transaction_that_commits_late_is_told(listen: Any, ear: Ear) -> None:
    listen()
    written, go = threading.Event(), threading.Event()

    def slow() -> None:
        with transaction.atomic():
            Change.note("token", "early number")
            written.set()
            go.wait(5)

    thread = in_thread(slow)
    written.wait(5)
    Change.note("token", "late number")
    assert ear.next() == "late number"
    go.set()
    thread.join()
    assert ear.next() == "early number"


@pytest.mark.postgres
def test_a_transaction_open_at_the_start_is_told(listen: Any, ear: Ear) -> None:
    written, go = threading.Event(), threading.Event()

    def slow() -> None:
        with transaction.atomic():
            Change.note("token", "open")
            written.set()
            go.wait(5)

    thread = in_thread(slow)
    written.wait(5)
    Change.note("token", "before")
    listen()
    go.set()
    thread.join()
    assert ear.next() == "open"
    assert ear.silent(0.1)


def test_a_subscriber_that_fails_is_called_again_and_harms_nobody(
    listen: Any, ear: Ear, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    monkeypatch.setattr(feeds, "RETRY_SECONDS", 0.1)
    calls: queue.Queue[str] = queue.Queue()

    def clumsy(key: str) -> None:
        calls.put(key)
        if calls.qsize() == 1:
            raise ValueError("stumbled")

    feed = Feed(poll_seconds=0.05, redis_url="")
    feed.subscribe("token", clumsy)
    feed.subscribe("token", ear)
    feed.start()
    Change.note("token", 7)
    assert ear.next() == "7"
    threading.Event().wait(0.4)
    feed.stop()
    assert list(calls.queue) == ["7", ""]
    assert "stumbled" in caplog.text


def test_after_an_outage_everything_is_refreshed(
    listen: Any, ear: Ear, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    feed = listen("account")
    read = feed._read

    def away() -> dict[str, set[str]]:
        raise OperationalError("gone")

    monkeypatch.setattr(feed, "_read", away)
    threading.Event().wait(0.4)
    monkeypatch.setattr(feed, "_read", read)
    assert ear.next() == ""
    assert caplog.text.count("cannot be read") == 1


def test_after_a_long_sleep_everything_is_refreshed(
    listen: Any, ear: Ear, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    # The bell of this process lives on: it must not see the wrong time.
    settings.REDIS_URL = ""
    listen()
    now = clock.monotonic()
    monkeypatch.setattr(clock, "monotonic", lambda: now + 3600)
    assert ear.next() == ""
    Change.note("token", 5)
    assert ear.next() == "5"


def test_an_account_that_is_added_and_deleted_is_told(listen: Any, ear: Ear) -> None:
    listen("account")
    account = Account.add(kind="gemini_api", secret="AIza" + "x" * 35)
    key = str(account.pk)
    assert ear.next() == key
    account.delete()
    assert ear.next() == key


@pytest.mark.redis
def test_the_bell_wakes_a_feed_that_would_sleep_long(
    listen: Any, ear: Ear, redis_url: str, settings: Any
) -> None:
    settings.REDIS_URL = redis_url
    listen(poll_seconds=90, redis_url=redis_url)
    threading.Event().wait(0.3)
    Change.note("token", 3)
    assert ear.next(30) == "3"


def test_without_the_redis_it_was_told_of_the_feed_polls(
    listen: Any, ear: Ear, settings: Any, caplog: Any
) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    listen(redis_url=settings.REDIS_URL)
    Change.note("token", 3)
    assert ear.next() == "3"
    assert "Redis gives no change notice" in caplog.text
    assert "Redis takes no change notice" in caplog.text


def test_a_striker_rests_after_a_failure(caplog: Any) -> None:
    striker = bell.Striker("redis://127.0.0.1:1/0")
    for _ in range(50):
        striker.ring()
    assert caplog.text.count("takes no change notice") == 1


def test_a_quiet_feed_asks_only_for_new_rows(
    listen: Any, ear: Ear, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "WINDOW", 0.5)
    feed = listen()
    for number in range(20):
        Change.note("token", number)
    assert {ear.next() for _ in range(20)} == {str(n) for n in range(20)}
    threading.Event().wait(0.8)
    assert feed._window is not None
    assert feed._window.floor == Change.objects.latest("id").id


@pytest.mark.postgres
def test_a_killed_connection_is_replaced(listen: Any, ear: Ear) -> None:
    listen()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE"
            " datname = current_database() AND pid <> pg_backend_pid()"
        )
    Change.note("token", 9)
    assert ear.next() in ("9", "")


def test_a_feed_on_an_empty_table_hears_the_first_change(listen: Any, ear: Ear) -> None:
    Change.objects.all().delete()
    listen()
    Change.note("token", 1)
    assert ear.next() == "1"
