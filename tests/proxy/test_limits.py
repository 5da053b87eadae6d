"""What a caller may do now."""

import contextlib

import pytest

from accounts.callers import Caller, Limits
from gemproxy.lib.live import MemoryLive
from proxy import limits
from proxy.errors import Forbidden, LimitReached
from tests.proxy.house import call


@pytest.fixture(autouse=True)
def state(monkeypatch: pytest.MonkeyPatch) -> MemoryLive:
    found = MemoryLive()
    monkeypatch.setattr(limits, "live", lambda: found)
    return found


@pytest.mark.parametrize(
    ("patterns", "model", "allowed"),
    [
        ((), "anything", True),
        (("gemini-2.5-*",), "gemini-2.5-flash", True),
        (("gemini-2.5-*",), "gemini-3-flash", False),
        (("a", "b"), "b", True),
        (("gemini-2.5-flash",), "gemini-2.5-flash-lite", False),
        (("Gemini-*",), "gemini-2", False),
        (("*",), "x", True),
        (("gemini-?",), "gemini-2", True),
    ],
)
def test_patterns_say_which_models(
    patterns: tuple[str, ...], model: str, allowed: bool
) -> None:
    caller = Caller(user_id=1, username="a", limits=Limits(models=patterns))
    assert limits.may_use(caller, model) is allowed


async def test_without_limits_nothing_is_taken_or_counted(state: MemoryLive) -> None:
    await limits.admit(call(), "m")
    assert state._places == {}


async def test_a_model_outside_the_plan_takes_no_place(state: MemoryLive) -> None:
    one = call(limits=Limits(models=("x",), concurrency=1, requests_per_minute=1))
    with pytest.raises(Forbidden) as caught:
        await limits.admit(one, "m-1")
    assert (caught.value.code, caught.value.param) == ("model_not_allowed", "model")
    assert state._places == {}


async def test_a_place_is_taken_and_given_back(state: MemoryLive) -> None:
    one = call(limits=Limits(concurrency=1))
    await limits.admit(one, "m")
    with pytest.raises(LimitReached):
        await limits.admit(call(limits=Limits(concurrency=1)), "m")
    await limits.leave(one)
    await limits.admit(call(limits=Limits(concurrency=1)), "m")


async def test_leaving_without_a_limit_asks_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "live", lambda: pytest.fail("asked"))
    await limits.leave(call())


async def test_one_who_was_refused_frees_no_other_place(state: MemoryLive) -> None:
    one, two = [call(limits=Limits(concurrency=1)) for _ in range(2)]
    await limits.admit(one, "m")
    with pytest.raises(LimitReached):
        await limits.admit(two, "m")
    await limits.leave(two)
    with pytest.raises(LimitReached):
        await limits.admit(two, "m")


async def test_the_minute_is_counted_by_token() -> None:
    one = Limits(requests_per_minute=1)
    await limits.admit(call(limits=one), "m")
    with pytest.raises(LimitReached, match="1 requests a minute") as caught:
        await limits.admit(call(limits=one), "m")
    assert 1 <= (caught.value.retry_after or 0) <= 61
    await limits.admit(
        call(caller=Caller(user_id=7, username="ann", token_id=4, limits=one)), "m"
    )


async def test_a_part_of_an_admitted_request_is_not_counted_again(
    state: MemoryLive,
) -> None:
    tight = Limits(requests_per_minute=1, concurrency=1)
    await limits.admit(call(limits=tight), "m")
    part = call(limits=tight, is_part=True)
    await limits.admit(part, "m")
    await limits.leave(part)
    assert len(state._places["places:t3"]) == 1


@pytest.mark.parametrize("ending", ["well", "badly"])
async def test_a_place_held_for_parts_is_given_back(
    state: MemoryLive, ending: str
) -> None:
    one = call(limits=Limits(concurrency=1))
    with contextlib.suppress(OSError):
        async with limits.place(one):
            assert state._places
            if ending == "badly":
                raise OSError
    assert state._places == {}


async def test_a_place_that_is_not_free_is_not_held(state: MemoryLive) -> None:
    await limits.admit(call(limits=Limits(concurrency=1)), "m")
    with pytest.raises(LimitReached):
        async with limits.place(call(limits=Limits(concurrency=1))):
            pytest.fail("went in")
    assert len(state._places["places:t3"]) == 1
