"""Another account takes over as long as nothing was sent."""

from typing import Any

import pytest

from accounts.models import Account
from tests.clients.conftest import Gateway, eventually

BROKEN = [
    "perminute",
    "perday",
    "overloaded",
    "internal",
    "invalid",
    "leaked",
    "billing",
    "prepay",
    "html",
]


@pytest.mark.parametrize("accounts", [[b, "ok"] for b in BROKEN], ids=BROKEN)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_another_account_answers(gateway: Gateway, stream: bool) -> None:
    answers = [gateway.chat("count to 3", stream=stream) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert {row.outcome for row in gateway.rows()} == {"ok"}
    assert max(len(row.attempts) for row in gateway.rows()) == 2


@pytest.mark.parametrize("accounts", [["invalid", "ok"]], ids=["invalid"])
def test_a_refused_key_is_set_aside_with_advice(gateway: Gateway) -> None:
    for _ in range(2):
        gateway.chat("hello")
    broken = eventually(
        Account.objects.filter(state="needs_attention").first, "it was not set aside"
    )
    assert broken.state_cause == "api_key_invalid"
    assert broken.state_advice

    def two_alone() -> bool:
        """Two answers in a row without trying it: round robin has let go of it."""
        used = [gateway.chat("hello") and gateway.rows()[-1] for _ in range(2)]
        return all(len(row.attempts) == 1 for row in used)

    eventually(two_alone, "the refused key is still tried")


@pytest.mark.parametrize(
    ("accounts", "status", "code"),
    [
        (["perminute"], 429, "rate_limit_exceeded"),
        (["perday"], 429, "insufficient_quota"),
        (["overloaded"], 503, "overloaded"),
        (["invalid"], 503, "upstream_auth"),
        (["html"], 502, "bad_gateway"),
        (["invalid", "perminute"], 429, "rate_limit_exceeded"),
    ],
    ids=["minute", "day", "overloaded", "invalid", "html", "truest of two"],
)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_when_nobody_can_the_truest_fault_is_told(
    settings: Any, gateway: Gateway, status: int, code: str, stream: bool
) -> None:
    settings.QUEUE_MAX_WAIT_MS = 0
    answer = gateway.chat("hello", stream=stream)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert gateway.row().status == status


@pytest.mark.parametrize("accounts", [["perminute"]])
def test_a_minute_quota_tells_when_to_come_back(gateway: Gateway) -> None:
    answer = gateway.chat("hello")
    assert answer.headers["retry-after"] == "39"


@pytest.mark.parametrize("accounts", [["perday"]])
def test_a_day_quota_tells_not_to_retry(gateway: Gateway) -> None:
    answer = gateway.chat("hello")
    assert answer.headers["x-should-retry"] == "false"


@pytest.mark.parametrize("accounts", [[]], ids=["empty"])
def test_an_empty_pool_says_so(gateway: Gateway) -> None:
    answer = gateway.chat("hello")
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "no_account"


@pytest.mark.parametrize(
    "accounts", [["cut", "ok"], ["cutclean", "ok"]], ids=["cut", "cut cleanly"]
)
def test_a_stream_cut_after_its_start_ends_with_an_error(gateway: Gateway) -> None:
    answers = [gateway.chat("count to 9", stream=True).text for _ in range(2)]
    broken = [text for text in answers if '"error"' in text]
    assert len(broken) == 1
    assert "[DONE]" not in broken[0]
    assert '"finish_reason":"stop"' not in broken[0]
    assert sorted(row.outcome for row in gateway.rows()) == ["fault", "ok"]


@pytest.mark.parametrize("accounts", [["errormid"]])
def test_an_error_inside_a_stream_becomes_an_error_frame(gateway: Gateway) -> None:
    text = gateway.chat("count to 9", stream=True).text
    assert '"error"' in text
    assert "[DONE]" not in text


@pytest.mark.parametrize("accounts", [["malformed", "ok"]])
def test_an_answer_without_content_is_tried_again(gateway: Gateway) -> None:
    for _ in range(2):
        assert gateway.chat("hello").json()["choices"][0]["message"]["content"]


@pytest.mark.parametrize("accounts", [["blocked"]])
def test_a_blocked_prompt_is_an_answer(gateway: Gateway) -> None:
    choice = gateway.chat("hello").json()["choices"][0]
    assert choice["finish_reason"] == "content_filter"
    assert choice["message"]["refusal"]


@pytest.mark.parametrize("accounts", [["ok", "ok", "ok"]], ids=["three"])
def test_accounts_take_turns(gateway: Gateway) -> None:
    for _ in range(6):
        gateway.chat("hello")
    used = [row.account_id for row in gateway.rows()]
    assert sorted(used.count(account) for account in set(used)) == [2, 2, 2]
