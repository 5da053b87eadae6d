"""What the ledger remembers for a process that has just started."""

import datetime
import logging
from pathlib import Path
from typing import Any

import pytest

from accounts.models import Account, UsageRecord
from gemproxy.lib import clock
from proxy import entries
from proxy.scheduling import history
from proxy.scheduling.history import Outcome, Used
from proxy.spool import Spool, spool_folder
from tests.accounts.rows import record

pytestmark = pytest.mark.django_db

NOW = datetime.datetime(2026, 5, 4, 18, 0, tzinfo=datetime.UTC)
NOW_S = NOW.timestamp()
# California is seven hours behind in May.
MIDNIGHT = datetime.datetime(2026, 5, 4, 7, 0, tzinfo=datetime.UTC)


def ago(**parts: float) -> datetime.datetime:
    return NOW - datetime.timedelta(**parts)


def tried(account: int, start_ms: int = 0, code: str = "ok", **more: Any) -> Any:
    return {"account": account, "start_ms": start_ms, "ms": 300, "code": code, **more}


def asked(*attempts: Any, **fields: Any) -> UsageRecord:
    values = {"started_at": ago(seconds=10), "model_served": "up", "prompt_tokens": 7}
    return record(attempts=list(attempts), **{**values, **fields})


@pytest.fixture
def spool(settings: Any, tmp_path: Path) -> Spool:
    settings.VAR_DIR = str(tmp_path)
    return Spool(spool_folder())


def test_attempts_of_the_last_minute_come_back_in_order() -> None:
    asked(tried(2), started_at=ago(seconds=5))
    asked(tried(1), started_at=ago(seconds=50))
    assert history.recent(NOW_S) == [
        Used(1, "up", NOW_S - 50, 7),
        Used(2, "up", NOW_S - 5, 7),
    ]


def test_an_attempt_began_when_it_began_and_not_with_its_request() -> None:
    asked(tried(1), tried(2, 90_000), started_at=ago(seconds=100))
    assert history.recent(NOW_S) == [Used(2, "up", NOW_S - 10, 7)]


def test_what_is_older_than_asked_for_does_not_count() -> None:
    asked(tried(1), started_at=ago(seconds=62))
    assert history.recent(NOW_S) == []
    assert history.recent(NOW_S, seconds=63) != []


def test_tokens_belong_to_the_attempt_that_answered() -> None:
    asked(tried(1, 0, "bad_gateway"), tried(2, 500))
    assert [(use.account_id, use.tokens) for use in history.recent(NOW_S)] == [
        (1, 0),
        (2, 7),
    ]


def test_an_attempt_knows_its_own_model() -> None:
    asked(tried(1, model="other"), tried(2))
    assert [use.model for use in history.recent(NOW_S)] == ["other", "up"]


@pytest.mark.parametrize("code", sorted(history.UNCOUNTED))
def test_what_the_provider_did_not_count_is_left_out(code: str) -> None:
    asked(tried(1, code=code))
    assert history.recent(NOW_S) == []
    assert history.today(NOW_S) == {}


@pytest.mark.parametrize("code", ["ok", "timeout", "overloaded", "client_closed", ""])
def test_whatever_arrived_counts(code: str) -> None:
    asked(tried(1, code=code))
    assert len(history.recent(NOW_S)) == 1
    assert history.today(NOW_S) == {(1, "up"): (1, 7)}


@pytest.mark.parametrize(
    "attempts",
    [None, "text", {"account": 1}, [None], ["x"], [{"start_ms": 1}],
     [{"account": None}], [{"account": "x"}], [{"account": 1, "start_ms": []}]],
    ids=str,
)  # fmt: skip
def test_what_is_no_attempt_is_passed_over(attempts: Any) -> None:
    asked(tried(3))
    if attempts is not None:
        record(started_at=ago(seconds=3), attempts=attempts)
    assert [use.account_id for use in history.recent(NOW_S)] == [3]
    assert list(history.today(NOW_S)) == [(3, "up")]
    assert len(history.outcomes(NOW_S)) == 1


def test_a_day_begins_at_midnight_in_california() -> None:
    second = datetime.timedelta(seconds=1)
    asked(tried(1), started_at=MIDNIGHT - second)
    asked(tried(1), started_at=MIDNIGHT)
    asked(tried(1), tried(1, 2000), started_at=MIDNIGHT - second)
    assert history.today(NOW_S) == {(1, "up"): (2, 14)}


@pytest.mark.parametrize(
    ("now", "midnight"),
    [
        ("2026-05-04T06:59:59+00:00", "2026-05-03T07:00:00+00:00"),
        ("2026-05-04T07:00:00+00:00", "2026-05-04T07:00:00+00:00"),
        ("2026-01-10T07:59:00+00:00", "2026-01-09T08:00:00+00:00"),
        # The clocks go forward on 8 March and back on 1 November.
        ("2026-03-08T20:00:00+00:00", "2026-03-08T08:00:00+00:00"),
        ("2026-11-01T20:00:00+00:00", "2026-11-01T07:00:00+00:00"),
    ],
)
def test_midnight_in_california_follows_its_clocks(now: str, midnight: str) -> None:
    read = datetime.datetime.fromisoformat
    found = history.pacific_midnight(read(now).timestamp())
    assert found == read(midnight)


def test_accounts_and_models_are_counted_apart() -> None:
    asked(tried(1))
    asked(tried(1, model="other"))
    asked(tried(2))
    asked(tried(2), started_at=ago(hours=3))
    assert history.today(NOW_S) == {
        (1, "up"): (1, 7),
        (1, "other"): (1, 7),
        (2, "up"): (2, 14),
    }


def test_a_huge_day_is_summed_by_the_database_and_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(history, "MOST_ROWS", 2)
    account = Account.add(kind="gemini_api", secret="AIzaSyD-huge-day-key-00000001")
    for _ in range(3):
        asked(tried(99, code="timeout"), tried(account.pk), account=account)
    asked(tried(account.pk, code="rate_limit_exceeded"), account=account,
          cause="rate_limit_exceeded")  # fmt: skip
    asked(account=None)
    asked(tried(account.pk), account=account, started_at=MIDNIGHT.replace(day=3))
    with caplog.at_level(logging.WARNING):
        assert history.today(NOW_S) == {(account.pk, "up"): (3, 21)}
    assert "without their failed attempts" in caplog.text


def test_outcomes_come_oldest_first_with_code_and_length() -> None:
    asked(tried(1, 0, "bad_gateway", blame="upstream"), tried(2, 500))
    assert history.outcomes(NOW_S) == [
        Outcome(1, "up", NOW_S - 10, "bad_gateway", 300, "upstream"),
        Outcome(2, "up", NOW_S - 9.5, "ok", 300),
    ]


def test_outcomes_are_of_the_last_hour_and_not_too_many() -> None:
    for minutes in (1, 2, 3, 61):
        asked(tried(minutes), started_at=ago(minutes=minutes))
    assert [o.account_id for o in history.outcomes(NOW_S)] == [3, 2, 1]
    assert [o.account_id for o in history.outcomes(NOW_S, minutes=2)] == [2, 1]
    assert [o.account_id for o in history.outcomes(NOW_S, most=1)] == [1]


def test_what_was_before_an_operator_cleared_is_forgiven() -> None:
    cleared = Account.add(kind="gemini_api", secret="AIzaSyD-cleared-key-0000000001")
    Account.objects.filter(pk=cleared.pk).update(cleared_at=ago(minutes=5))
    for minutes in (1, 9):
        asked(tried(cleared.pk, code="timeout"), started_at=ago(minutes=minutes))
    asked(tried(cleared.pk + 1, code="timeout"), started_at=ago(minutes=9))
    assert [(o.account_id, o.at) for o in history.outcomes(NOW_S)] == [
        (cleared.pk + 1, NOW_S - 540),
        (cleared.pk, NOW_S - 60),
    ]


def test_shared_trouble_is_not_held_against_accounts() -> None:
    asked(tried(1, code="timeout", shared=True), tried(2, 500))
    assert [outcome.account_id for outcome in history.outcomes(NOW_S)] == [2]
    assert [use.account_id for use in history.recent(NOW_S)] == [1, 2]


def in_spool(spool: Spool, *attempts: Any, **fields: Any) -> entries.Entry:
    values: dict[str, Any] = {
        "request_id": "spooled",
        "started_at": ago(seconds=20),
        "surface": "s",
        "method": "generateContent",
        "model_asked": "m",
        "model_served": "up",
        "status": 200,
        "outcome": "ok",
        "prompt_tokens": 5,
        "attempts": list(attempts),
    }
    entry = entries.Entry(**{**values, **fields})
    spool.append([entries.to_line(entry)])
    return entry


def test_rows_in_the_spool_count_too(spool: Spool) -> None:
    in_spool(spool, tried(1))
    in_spool(spool, tried(2), request_id="old", started_at=ago(days=2))
    spool.release()
    assert history.recent(NOW_S) == [Used(1, "up", NOW_S - 20, 5)]
    assert history.today(NOW_S) == {(1, "up"): (1, 5)}
    assert [o.account_id for o in history.outcomes(NOW_S)] == [1]


def test_a_row_in_spool_and_database_counts_once(spool: Spool) -> None:
    entries.store([in_spool(spool, tried(1))])
    spool.release()
    assert len(history.recent(NOW_S)) == 1
    assert history.today(NOW_S) == {(1, "up"): (1, 5)}
    assert len(history.outcomes(NOW_S)) == 1


def test_a_line_that_cannot_be_read_is_passed_over(spool: Spool) -> None:
    in_spool(spool, tried(1))
    spool.append([b"half a li\n", b"[]\n"])
    spool.release()
    assert len(history.recent(NOW_S)) == 1


def test_a_file_that_is_gone_is_passed_over(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_spool(spool, tried(1))
    spool.release()
    asked(tried(2))

    def gone(path: Path, *_: Any) -> Any:
        raise FileNotFoundError(path)

    monkeypatch.setattr(Path, "open", gone)
    assert [use.account_id for use in history.recent(NOW_S)] == [2]


def test_an_empty_ledger_remembers_nothing(spool: Spool) -> None:
    now = clock.now().timestamp()
    assert history.recent(now) == []
    assert history.today(now) == {}
    assert history.outcomes(now) == []


def test_what_is_read_is_bounded_by_the_index(
    django_assert_max_num_queries: Any, spool: Spool
) -> None:
    for _ in range(20):
        asked(tried(1), tried(2))
    with django_assert_max_num_queries(5):
        history.recent(NOW_S)
        history.today(NOW_S)
        history.outcomes(NOW_S)
