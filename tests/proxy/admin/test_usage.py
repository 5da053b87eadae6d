"""A request's page tells whom it asked, how that ended, and who was passed over."""

import re
from typing import Any

import pytest
from django.test import Client

from accounts.models import Account
from proxy.admin import usage as module
from proxy.admin.usage import needs_of, story
from tests.accounts.rows import record

KEY = "AIzaSyD-usage-key-00000000000000000000"


@pytest.fixture
def admin(client: Client, operator: Any) -> Client:
    client.force_login(operator)
    return client


def add(label: str) -> int:
    made = Account.add(kind="gemini_api", secret=KEY + label, label=label)
    assert made is not None
    return int(made.pk)


def words(html: object) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", str(html)).split())


def page(admin: Client, **fields: Any) -> str:
    row = record(**fields)
    return admin.get(f"/admin/accounts/usagerecord/{row.pk}/change/").text


def cells(html: str) -> list[list[str]]:
    """Return the texts of the tables' cells, row by row."""
    rows = re.findall(r"<tr>(.*?)</tr>", html, re.DOTALL)
    found = [re.findall(r"<td.*?</td>", row, re.DOTALL) for row in rows]
    return [
        [words(cell).replace("&#x27;", "'") for cell in row] for row in found if row
    ]


def test_attempts_are_a_table(admin: Client) -> None:
    first, second = add("first"), add("second")
    attempts = [
        {"account": first, "model": "m", "why": "adaptive, 1 of 2", "start_ms": 3,
         "ms": 640, "code": "rate_limit_exceeded", "cause": "quota_minute",
         "blame": "account"},
        {"account": second, "model": "n", "why": "canary", "start_ms": 1700,
         "ms": 90_000, "code": "ok"},
    ]  # fmt: skip
    text = page(admin, attempts=attempts)
    assert cells(text)[:2] == [
        ["1", "first", "m",
         "Failed The quota of this minute is used up rate_limit_exceeded: quota_minute",
         "The account", "3 ms", "640 ms", "adaptive, 1 of 2"],
        ["2", "second", "n", "Answered", "-", "1.7 s", "1 min 30 s", "canary"],
    ]  # fmt: skip
    assert f'href="/admin/accounts/account/{first}/change/">first</a>' in text


@pytest.mark.parametrize(
    ("attempt", "outcome", "blame"),
    [
        ({"code": "ok"}, "Answered", "-"),
        (
            {"code": "upstream_error", "blame": "upstream"},
            "Failed The provider failed upstream_error",
            "The provider",
        ),
        (
            {"code": "connection_failed", "blame": "egress", "shared": True},
            "Failed The provider could not be reached connection_failed",
            "Shared trouble The way out",
        ),
        (
            # To a caller the same word means something else.
            {"code": "permission_denied", "blame": "account"},
            "Failed Permission denied to the key's project permission_denied",
            "The account",
        ),
        (
            {"code": "client_closed"},
            "Left The caller went away before the answer was whole client_closed",
            "-",
        ),
        ({"code": "new_code", "blame": "gateway"}, "Failed New code new_code",
         "The gateway"),
        ({"code": "overloaded", "blame": "model"},
         "Failed The provider is overloaded overloaded", "The model"),
        ({"code": "content_filter", "blame": "caller"},
         "Failed The provider blocked a prompt content_filter", "The caller"),
        ({}, "-", "-"),
    ],
)  # fmt: skip
def test_an_outcome_is_told_in_words(
    db: None, attempt: dict[str, Any], outcome: str, blame: str
) -> None:
    (found,) = story(record(attempts=[{"account": 1, **attempt}]))["attempts"]
    assert words(found.outcome).replace("&#x27;", "'") == outcome
    assert words(found.blame) == blame


def test_attempts_of_earlier_versions_and_gone_accounts_are_shown(db: None) -> None:
    row = record(attempts=[{"account": 77}, {}, "junk"])
    first, second = story(row)["attempts"]
    assert first.account == "#77 (deleted)"
    assert (first.model, first.why, first.start, first.length) == ("-", "-", "-", "-")
    assert second.account == "-"


@pytest.mark.parametrize("broken", [None, "text", 5, {}])
def test_attempts_that_are_no_list_are_none(
    db: None, admin: Client, broken: Any
) -> None:
    row = record()
    row.attempts = broken
    row.decision = [] if broken is None else broken
    assert story(row)["attempts"] == []
    assert story(row)["passed_over"] == []


def test_a_request_that_asked_nobody_says_so(admin: Client) -> None:
    text = page(admin, attempts=[], decision={})
    assert "No account was asked." in text
    assert "Nothing was noted" in text


def test_very_many_attempts_are_cut(
    admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_ATTEMPTS", 2)
    text = page(admin, attempts=[{"account": n, "code": "ok"} for n in range(5)])
    assert len(cells(text)) == 2
    assert "3 more are not shown." in text


def test_a_decision_counts_reasons_and_names_some_accounts(admin: Client) -> None:
    first, second = add("first"), add("second")
    decision = {
        "tried": {"count": 1, "accounts": [second]},
        "minute_limit": {"count": 2, "accounts": [first, second]},
        "strikes": {"count": 27, "accounts": [first, 99]},
        "all_seats_taken": {"count": 1, "accounts": []},
    }
    found = cells(page(admin, decision=decision))
    assert found == [
        ["27", "Several requests in a row failed", "first , #99 (deleted) and 25 more"],
        ["2", "The account's limit of this minute is reached", "first , second"],
        ["1", "The account answers as many requests as it may at a time", "-"],
        ["1", "Asked by this request already", "second"],
    ]


def test_the_story_needs_one_query_however_long(
    db: None, django_assert_num_queries: Any
) -> None:
    keys = [add(f"a{n}") for n in range(20)]
    row = record(
        attempts=[{"account": key, "code": "ok"} for key in keys],
        decision={"strikes": {"count": 20, "accounts": keys}},
    )
    with django_assert_num_queries(1):
        found = story(row)
    assert "a19" in found["attempts"][19].account
    assert "a19" in found["passed_over"][0].accounts


def test_what_was_stored_is_shown_as_text(admin: Client) -> None:
    text = page(
        admin,
        attempts=[
            {"account": 1, "code": "<b>x</b>", "why": "<b>y</b>", "blame": "<b>"}
        ],
        decision={"<b>z</b>": {"count": 1, "accounts": ["<b>"]}},
    )
    assert "<b>" not in text


@pytest.mark.parametrize(
    ("fields", "needs"),
    [
        ({}, set()),
        ({"method": "embedContent"}, {"embeddings"}),
        ({"method": "batchEmbedContents"}, {"embeddings"}),
        ({"method": "countTokens"}, {"count_tokens"}),
        ({"images": 2}, {"images_out"}),
        (
            {
                "usage_metadata": {
                    "promptTokensDetails": [
                        {"modality": "TEXT", "tokenCount": 3},
                        {"modality": "IMAGE", "tokenCount": 258},
                        {"modality": "DOCUMENT"},
                    ],
                    "candidatesTokensDetails": [{"modality": "AUDIO"}],
                }
            },
            {"images_in", "files_in", "audio_out"},
        ),
        ({"usage_metadata": {"promptTokensDetails": "junk"}}, set()),
        (
            {"usage_metadata": {"promptTokensDetails": ["junk", {"modality": []}]}},
            set(),
        ),
        ({"usage_metadata": ["junk"]}, set()),
    ],
)
def test_needs_are_read_from_what_the_row_keeps(
    db: None, fields: dict[str, Any], needs: set[str]
) -> None:
    assert needs_of(record(**fields)) == needs


def test_the_log_is_registered_once_with_its_list(admin: Client) -> None:
    record(model_asked="listed-model")
    assert "listed-model" in admin.get("/admin/accounts/usagerecord/").text
