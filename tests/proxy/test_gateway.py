"""The story of one request: attempts, faults, rows."""

import asyncio
import logging
from typing import Any

import pytest

from accounts.callers import Limits
from proxy.dispatch import MOST_ATTEMPTS
from proxy.errors import (
    AccountRefused,
    BadAnswer,
    Busy,
    ConnectFailed,
    Forbidden,
    LimitReached,
    ModelNotFound,
    NoAccount,
    Overloaded,
    RateLimited,
    StreamCut,
    UpstreamRefused,
    UpstreamTimeout,
)
from tests.proxy.house import House, ask, call, text, thought

both = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
LATER = [AccountRefused(), RateLimited(), Overloaded(), ConnectFailed(), BadAnswer()]
MALFORMED = {"candidates": [{"finishReason": "MALFORMED_FUNCTION_CALL"}]}


@both
async def test_an_answer_comes_with_its_row(house: House, stream: bool) -> None:
    assert await ask(house, call(stream)) == ["fine"]
    row = await house.row()
    assert (row.status, row.outcome, row.cause, row.finish) == (200, "ok", "", "STOP")
    assert (row.model_asked, row.model_served) == ("m-1", "up-1")
    assert (row.prompt_tokens, row.total_tokens) == (3, 5)
    (attempt,) = row.attempts
    assert (attempt["account"], attempt["code"]) == (row.account_id, "ok")
    assert (attempt["model"], attempt["ms"] >= 0) == ("up-1", True)
    assert attempt["why"]


async def test_the_row_is_there_before_the_last_chunk(house: House) -> None:
    house.script([text("a", None), text("b", None), text("c")])
    seen = []
    async for batch in house.gateway.stream(call(True)):
        done = batch[0].data["candidates"][0].get("finishReason")
        seen.append((bool(done), len(house.gateway.tasks._running)))
        if done:
            assert (await house.row()).outcome == "ok"
    assert seen == [(False, 0), (False, 0), (True, 0)]


async def test_the_row_is_there_before_a_whole_answer(house: House) -> None:
    await house.gateway.answer(call())
    assert not house.gateway.tasks._running
    assert (await house.row()).outcome == "ok"


@both
@pytest.mark.parametrize("fault", LATER, ids=lambda f: type(f).__name__)
async def test_another_account_takes_over(
    house: House, stream: bool, fault: Exception
) -> None:
    house.script(fault, text("second"))
    assert await ask(house, call(stream)) == ["second"]
    row = await house.row()
    assert [a["code"] for a in row.attempts] == [fault.code, "ok"]  # type: ignore[attr-defined]
    assert sorted(house.upstream.accounts) == house.ids


@both
async def test_what_the_provider_refuses_is_not_tried_elsewhere(
    house: House, stream: bool
) -> None:
    house.script(UpstreamRefused("no such field"))
    with pytest.raises(UpstreamRefused):
        await ask(house, call(stream))
    row = await house.row()
    assert (row.status, row.outcome, row.blame) == (400, "fault", "caller")
    assert len(row.attempts) == 1


@both
@pytest.mark.parametrize("accounts", [MOST_ATTEMPTS + 5])
async def test_attempts_have_an_end(house: House, stream: bool) -> None:
    house.script(*[RateLimited() for _ in range(MOST_ATTEMPTS + 5)])
    with pytest.raises(RateLimited):
        await ask(house, call(stream))
    assert len((await house.row()).attempts) == MOST_ATTEMPTS
    assert len(set(house.upstream.accounts)) == MOST_ATTEMPTS


@both
@pytest.mark.parametrize("accounts", [3])
async def test_the_truest_fault_is_raised(house: House, stream: bool) -> None:
    limits = RateLimited(retry_after=50), RateLimited(retry_after=20)
    house.script(BadAnswer(), *limits, BadAnswer(), BadAnswer())
    with pytest.raises(RateLimited) as caught:
        await ask(house, call(stream))
    # The first account rests for its three failures, and is free before the others.
    assert 5 < caught.value.retry_after < 20
    assert (await house.row()).status == 429


@both
@pytest.mark.parametrize("accounts", [0])
async def test_an_empty_pool_is_told(house: House, stream: bool) -> None:
    with pytest.raises(NoAccount):
        await ask(house, call(stream))
    row = await house.row()
    assert (row.status, row.attempts, row.account_id) == (503, [], None)


@both
async def test_an_unknown_model_has_a_row(house: House, stream: bool) -> None:
    with pytest.raises(ModelNotFound):
        await ask(house, call(stream, model="nonsense" * 40))
    row = await house.row()
    assert (row.status, row.cause, row.blame) == (404, "model_not_found", "caller")
    assert len(row.model_asked) == 120


@both
async def test_a_model_outside_the_plan_reaches_nobody(
    house: House, stream: bool
) -> None:
    with pytest.raises(Forbidden):
        await ask(house, call(stream, Limits(models=("other-*",))))
    assert house.upstream.orders == []
    assert (await house.row()).cause == "model_not_allowed"


@both
async def test_an_unhealthy_ledger_takes_no_requests(
    house: House, stream: bool
) -> None:
    house.gateway.ledger.healthy = False
    with pytest.raises(Busy):
        await ask(house, call(stream))
    assert house.upstream.orders == []


@both
@pytest.mark.parametrize("accounts", [1, 2])
async def test_an_empty_answer_is_tried_once_more(house: House, stream: bool) -> None:
    house.script(MALFORMED, text("then"))
    assert await ask(house, call(stream)) == ["then"]
    assert [a["code"] for a in (await house.row()).attempts] == ["upstream_empty", "ok"]


@both
@pytest.mark.parametrize("accounts", [1])
async def test_a_second_empty_answer_is_a_fault(house: House, stream: bool) -> None:
    house.script(MALFORMED, MALFORMED, text("never"))
    with pytest.raises(BadAnswer, match="MALFORMED_FUNCTION_CALL"):
        await ask(house, call(stream))
    assert len((await house.row()).attempts) == 2


@both
@pytest.mark.parametrize("accounts", [1, 2, 5])
async def test_native_callers_get_the_last_empty_answer(
    house: House, stream: bool
) -> None:
    # Once: with fewer accounts than MOST_EMPTY it becomes a 502 after all.
    house.script(*[MALFORMED] * 5)
    one = call(stream, keep_empty=True)
    if stream:
        batches = [batch async for batch in house.gateway.stream(one)]
        assert batches[0][0].data == MALFORMED
    else:
        assert (await house.gateway.answer(one)).data == MALFORMED
    row = await house.row()
    assert (row.outcome, row.finish) == ("ok", "MALFORMED_FUNCTION_CALL")


async def test_a_cut_before_any_content_goes_to_another_account(house: House) -> None:
    house.script([text("", None)], [text("whole")])
    assert await ask(house, call(True)) == ["whole"]


async def test_a_cut_after_content_is_told(house: House) -> None:
    house.script([text("half", None)], [text("never")])
    batches = house.gateway.stream(call(True))
    assert len(await anext(batches)) == 1
    with pytest.raises(StreamCut):
        await anext(batches)
    assert len(house.upstream.orders) == 1
    assert (await house.row()).cause == "stream_cut"


async def test_a_fault_after_content_goes_to_nobody_else(house: House) -> None:
    house.script([text("half", None), Overloaded("busy")])
    with pytest.raises(Overloaded):
        await ask(house, call(True))
    assert len(house.upstream.orders) == 1


async def test_thoughts_count_as_content(house: House) -> None:
    house.script([thought("hm"), Overloaded()])
    with pytest.raises(Overloaded):
        await ask(house, call(True))
    assert len(house.upstream.orders) == 1


async def test_nothing_of_a_failed_attempt_is_shown_or_counted(house: House) -> None:
    first = text("", None, usageMetadata={"promptTokenCount": 900})
    house.script([first, Overloaded()], [text("second")])
    assert await ask(house, call(True)) == ["second"]
    assert (await house.row()).prompt_tokens == 3


async def test_the_first_token_is_that_of_the_attempt_that_answered(
    house: House,
) -> None:
    slow = asyncio.Event()
    asyncio.get_running_loop().call_later(0.1, slow.set)
    house.script([text("", None), Overloaded()], [slow, text("second")])
    await ask(house, call(True))
    row = await house.row()
    assert row.first_token_ms is not None
    assert row.first_token_ms >= 90


@both
async def test_a_refused_body_is_mended_once(house: House, stream: bool) -> None:
    def repair(message: str, body: dict[str, Any]) -> dict[str, Any]:
        return {**body, "mended": message}

    house.script(UpstreamRefused("bad schema"), text("mended"))
    assert await ask(house, call(stream, repair=repair)) == ["mended"]
    assert house.upstream.orders[1].body["mended"] == "bad schema"
    assert "mended" not in house.upstream.orders[0].body
    house.script(UpstreamRefused("one"), UpstreamRefused("two"))
    with pytest.raises(UpstreamRefused, match="two"):
        await ask(house, call(stream, repair=repair))


async def test_what_cannot_be_mended_is_refused(house: House) -> None:
    house.script(UpstreamRefused("no"))
    with pytest.raises(UpstreamRefused):
        await ask(house, call(repair=lambda *_: None))
    assert len(house.upstream.orders) == 1


@both
async def test_after_the_deadline_nobody_else_is_tried(
    house: House, stream: bool
) -> None:
    slow = asyncio.Event()
    asyncio.get_running_loop().call_later(0.05, slow.set)
    house.script([slow, Overloaded()])
    with pytest.raises(UpstreamTimeout, match="deadline"):
        await ask(house, call(stream, deadline=0.02))
    assert len(house.upstream.orders) == 1
    assert house.upstream.orders[0].timeouts.total <= 0.02


async def test_timeouts_follow_the_settings(house: House, settings: Any) -> None:
    settings.UPSTREAM_TOTAL_SECONDS = 50
    settings.UPSTREAM_FIRST_BYTE_SECONDS = 20
    await ask(house, call())
    await ask(house, call(True))
    whole, streamed = [order.timeouts for order in house.upstream.orders]
    assert (whole.first_byte, whole.total) == (50, 50)
    assert (streamed.first_byte, streamed.total) == (20, 50)


async def test_a_refusal_before_the_gateway_has_a_row(house: House) -> None:
    await house.gateway.refuse(call(), LimitReached("too many"))
    row = await house.row()
    assert (row.status, row.cause, row.outcome) == (429, "rate_limit_exceeded", "fault")


async def test_the_log_line_tells_cause_and_attempts_and_no_content(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    house.script(text("hush-hush"))
    with caplog.at_level(logging.INFO, logger="proxy.gateway"):
        await ask(house, call(body={"contents": ["private"]}))
    assert "status=200 cause=ok" in caplog.text
    assert "attempts=1" in caplog.text
    assert "hush-hush" not in caplog.text
    assert "private" not in caplog.text


async def test_requests_do_not_wait_for_each_other(house: House) -> None:
    slow = asyncio.Event()
    house.script([slow, text("slow")])
    waiting = asyncio.ensure_future(ask(house, call()))
    await asyncio.sleep(0)
    assert await asyncio.wait_for(ask(house, call()), 20) == ["fine"]
    slow.set()
    assert await waiting == ["slow"]
