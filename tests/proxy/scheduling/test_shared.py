"""Quota windows and seats that processes count together."""

import asyncio
import datetime
import math
import secrets
from collections.abc import AsyncIterator, Callable
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from proxy.scheduling import shared as module
from proxy.scheduling.shared import Candidate, Seed, SharedWindows, Taken, Usage

pytestmark = pytest.mark.redis

DAY = "2026-05-04"
NOON = datetime.datetime(
    2026, 5, 4, 12, tzinfo=ZoneInfo("America/Los_Angeles")
).timestamp()
PATIENCE = 20


@pytest.fixture
async def shared(redis_url: str) -> AsyncIterator[SharedWindows]:
    made = SharedWindows(redis_url)
    yield made
    await made.aclose()


@pytest.fixture
def name() -> str:
    return f"test-{secrets.token_hex(6)}"


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let requests count for a moment only."""
    monkeypatch.setattr(module, "COUNTS_MS", 50)
    monkeypatch.setattr(module, "SENDING_MS", 100)


def one(name: str, **fields: Any) -> Candidate:
    values: dict[str, Any] = {
        "account_id": 1,
        "window": name,
        "seat": name,
        "concurrency": 0,
        "rpm": None,
        "tpm": None,
        "rpd": None,
        "tokens": 0,
        "day": DAY,
    }
    return Candidate(**{**values, **fields})


async def take(shared: SharedWindows, *candidates: Candidate) -> Taken:
    return await shared.reserve(candidates, now=NOON)


async def used(shared: SharedWindows, name: str) -> Usage:
    return (await shared.usage([name], day=DAY))[name]


async def until(fits: Callable[[], Any]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not await fits():
            await asyncio.sleep(0.01)


async def test_the_first_candidate_that_fits_is_taken(
    shared: SharedWindows, name: str
) -> None:
    full, free = one(f"{name}:a", rpm=1), one(f"{name}:b", rpm=1)
    assert (await take(shared, full)).index == 0
    taken = await take(shared, full, free)
    assert taken.index == 1
    (wait,) = taken.waits
    assert 50 < wait <= 63.25
    assert (await used(shared, f"{name}:b")).requests == 1


async def test_when_nobody_fits_each_says_when_it_might(
    shared: SharedWindows, name: str
) -> None:
    minute = one(f"{name}:m", rpm=1)
    day = one(f"{name}:d", rpd=1)
    seat = one(f"{name}:s", concurrency=1)
    for candidate in (minute, day, seat):
        await take(shared, candidate)
    taken = await take(shared, minute, day, seat)
    assert taken.index == -1
    assert 50 < taken.waits[0] <= 63.25
    assert taken.waits[1] == 12 * 3600
    assert taken.waits[2] == math.inf


async def test_nobody_to_ask_is_nobody_taken(shared: SharedWindows) -> None:
    assert (await take(shared)).index == -1


@pytest.mark.parametrize("limit", ["rpm", "tpm", "rpd"])
async def test_a_limit_of_zero_lets_nothing_through(
    shared: SharedWindows, name: str, limit: str
) -> None:
    taken = await take(shared, one(name, **{limit: 0}))
    assert taken.index == -1
    assert taken.waits[0] > 0


async def test_many_at_once_get_exactly_what_the_limit_allows(
    redis_url: str, name: str
) -> None:
    processes = [SharedWindows(redis_url) for _ in range(2)]
    candidate = one(name, rpm=15)
    taken = await asyncio.gather(
        *(take(processes[number % 2], candidate) for number in range(60))
    )
    assert sum(each.index == 0 for each in taken) == 15
    for process in processes:
        await process.aclose()


async def test_hundreds_may_ask_at_the_same_moment(
    shared: SharedWindows, name: str
) -> None:
    # Once: the client's own pool refuses the 101st who asks at once.
    candidate = one(name, rpm=15)
    taken = await asyncio.gather(*(take(shared, candidate) for _ in range(400)))
    assert sum(each.index == 0 for each in taken) == 15


async def test_tokens_of_a_minute_are_a_limit_of_their_own(
    shared: SharedWindows, name: str
) -> None:
    candidate = one(name, tpm=100, tokens=40)
    answers = [(await take(shared, candidate)).index for _ in range(3)]
    assert answers == [0, 0, -1]
    small = one(name, tpm=100, tokens=20)
    assert (await take(shared, small)).index == 0
    assert (await used(shared, name)).tokens == 100


async def test_a_request_larger_than_the_quota_goes_when_nothing_else_counts(
    shared: SharedWindows, name: str
) -> None:
    huge = one(name, tpm=100, tokens=5000)
    assert (await take(shared, huge)).index == 0
    refused = await take(shared, huge)
    assert refused.index == -1
    assert refused.waits[0] > 50


async def test_the_wait_for_tokens_is_for_as_many_as_are_needed(
    shared: SharedWindows, name: str
) -> None:
    await shared.seed([Seed(window=name, day=DAY, requests_today=2, tokens_today=80,
                            minute=((50.0, 40), (10.0, 40)))])  # fmt: skip
    some = await take(shared, one(name, tpm=100, tokens=50))
    more = await take(shared, one(name, tpm=100, tokens=90))
    assert some.waits[0] < 10.3 < 40 < more.waits[0] < 50.3


async def test_what_is_settled_corrects_the_tokens(
    shared: SharedWindows, name: str
) -> None:
    candidate = one(name, tokens=40)
    taken = await take(shared, candidate)
    await shared.settle(taken, candidate, tokens=7, sent=True)
    found = await used(shared, name)
    assert (found.requests, found.tokens) == (1, 7)
    assert (found.requests_today, found.tokens_today) == (1, 7)


async def test_unknown_tokens_stay_as_reserved(
    shared: SharedWindows, name: str
) -> None:
    candidate = one(name, tokens=40)
    taken = await take(shared, candidate)
    await shared.settle(taken, candidate, tokens=None, sent=True)
    assert (await used(shared, name)).tokens == 40
    assert (await used(shared, name)).tokens_today == 40


async def test_what_was_never_sent_counts_nowhere(
    shared: SharedWindows, name: str
) -> None:
    candidate = one(name, rpm=1, tpm=50, rpd=1, concurrency=1, tokens=40)
    for _ in range(2):
        taken = await take(shared, candidate)
        assert taken.index == 0
        await shared.settle(taken, candidate, tokens=None, sent=False)
    assert await used(shared, name) == Usage(0, 0, 0, 0, ())


async def test_settling_ends_the_time_of_sending(
    shared: SharedWindows, name: str
) -> None:
    candidate = one(name)
    taken = await take(shared, candidate)
    ((before, _),) = (await used(shared, name)).ends
    await shared.settle(taken, candidate, tokens=3, sent=True)
    ((after, tokens),) = (await used(shared, name)).ends
    assert after <= 60.25 < before <= 63.25
    assert tokens == 3


@pytest.mark.usefixtures("short")
async def test_a_request_counts_no_longer_than_its_minute(
    shared: SharedWindows, name: str
) -> None:
    candidate = one(name, rpm=1, tpm=10, tokens=10)
    await take(shared, candidate)

    async def fits() -> bool:
        return (await take(shared, candidate)).index == 0

    await until(fits)
    found = await used(shared, name)
    assert (found.requests_today, found.tokens_today) == (2, 20)
    assert found.tokens <= 10


@pytest.mark.usefixtures("short")
async def test_a_stream_longer_than_its_minute_still_settles_the_day(
    shared: SharedWindows, name: str
) -> None:
    candidate = one(name, tokens=10)
    taken = await take(shared, candidate)

    async def over() -> bool:
        return (await used(shared, name)).requests == 0

    await until(over)
    await shared.settle(taken, candidate, tokens=90, sent=True)
    assert await used(shared, name) == Usage(0, 0, 1, 90, ())


async def test_accounts_that_share_a_bucket_share_its_window(
    shared: SharedWindows, name: str
) -> None:
    first = one(name, account_id=1, seat=f"{name}:1", rpm=1)
    second = one(name, account_id=2, seat=f"{name}:2", rpm=1)
    assert (await take(shared, first)).index == 0
    assert (await take(shared, second)).index == -1


async def test_days_are_counted_apart(shared: SharedWindows, name: str) -> None:
    await take(shared, one(name, rpd=1))
    assert (await take(shared, one(name, rpd=1))).index == -1
    assert (await take(shared, one(name, rpd=1, day="2026-05-05"))).index == 0


async def test_a_seat_is_free_once_it_is_given_back(
    shared: SharedWindows, name: str
) -> None:
    candidate = one(name, concurrency=2)
    first = await take(shared, candidate)
    assert (await take(shared, candidate)).index == 0
    assert (await take(shared, candidate)).index == -1
    await shared.settle(first, candidate, tokens=None, sent=True)
    assert (await take(shared, candidate)).index == 0


async def test_closing_gives_all_seats_back(redis_url: str, name: str) -> None:
    one_process, other = SharedWindows(redis_url), SharedWindows(redis_url)
    candidate = one(name, concurrency=1)
    await take(one_process, candidate)
    assert (await take(other, candidate)).index == -1
    await one_process.aclose()
    assert (await take(other, candidate)).index == 0
    await other.aclose()


async def test_a_seat_of_a_dead_process_comes_free(
    redis_url: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SEAT_MS", 100)
    dead, alive = SharedWindows(redis_url), SharedWindows(redis_url)
    candidate = one(name, concurrency=1)
    await take(dead, candidate)

    async def free() -> bool:
        return (await take(alive, candidate)).index == 0

    await until(free)
    await dead.aclose()
    await alive.aclose()


async def test_a_living_process_keeps_its_seats(
    shared: SharedWindows, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RENEW_SECONDS", 0.01)
    await take(shared, one(name, concurrency=1))
    key = module._seat_key(name)
    client = shared._here().redis
    ((member, first),) = await client.zrange(key, 0, -1, withscores=True)

    async def renewed() -> bool:
        return await client.zscore(key, member) > first

    await until(renewed)


async def test_a_seat_given_back_is_not_renewed(
    shared: SharedWindows, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RENEW_SECONDS", 0.01)
    candidate = one(name, concurrency=1)
    taken = await take(shared, candidate)
    await shared.settle(taken, candidate, tokens=None, sent=True)
    here = shared._here()
    assert here.renewing is not None
    await asyncio.wait_for(here.renewing, PATIENCE)
    assert await here.redis.zcard(module._seat_key(name)) == 0


async def test_who_leaves_while_asking_takes_nothing_along(
    shared: SharedWindows, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    candidate = one(name, rpm=1, rpd=1, concurrency=1)
    here = shared._here()
    real, asked, answer = here.reserve, asyncio.Event(), asyncio.Event()

    async def slow(**parts: Any) -> Any:
        found = await real(**parts)
        asked.set()
        await answer.wait()
        return found

    monkeypatch.setattr(here, "reserve", slow)
    asking = asyncio.create_task(take(shared, candidate))
    await asked.wait()
    monkeypatch.setattr(here, "reserve", real)
    assert (await take(shared, candidate)).index == -1
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    answer.set()

    async def free() -> bool:
        return (await take(shared, candidate)).index == 0

    await until(free)


async def test_one_reservation_is_one_round_trip(
    shared: SharedWindows, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    candidates = [one(f"{name}:{number}", rpm=1) for number in range(32)]
    await take(shared, candidates[0])
    client = shared._here().redis
    commands = []
    real = client.execute_command

    async def counted(*arguments: Any, **options: Any) -> Any:
        commands.append(arguments[0])
        return await real(*arguments, **options)

    monkeypatch.setattr(client, "execute_command", counted)
    for place in range(1, 32):
        assert (await take(shared, *candidates)).index == place
    assert commands == ["EVALSHA"] * 31


async def test_every_key_ends_by_itself(shared: SharedWindows, name: str) -> None:
    candidate = one(name, rpm=5, concurrency=2, tokens=5)
    taken = await take(shared, candidate)
    await take(shared, candidate)
    await shared.seed([Seed(window=name, day=DAY, requests_today=9, tokens_today=9,
                            minute=((1.0, 1),) * 3)])  # fmt: skip
    await shared.settle(taken, candidate, tokens=9, sent=True)
    client = shared._here().redis
    for key in module._keys(candidate):
        assert 0 < await client.pttl(key) <= 2 * 86_400_000, key


@pytest.fixture
async def forgetful(shared: SharedWindows) -> SharedWindows:
    """A Redis that has lost the mark."""
    await shared._here().redis.delete(module.MARK)
    return shared


async def test_lost_counters_are_noticed_once(
    forgetful: SharedWindows, name: str
) -> None:
    noticed: list[int] = []
    forgetful.on_lost = lambda: noticed.append(1)
    for _ in range(3):
        await take(forgetful, one(name))
    assert noticed == [1]
    await forgetful.seed([])
    await take(forgetful, one(name))
    assert noticed == [1]


async def test_what_the_ledger_knows_fills_an_empty_window(
    shared: SharedWindows, name: str
) -> None:
    seed = Seed(
        window=name,
        day=DAY,
        requests_today=40,
        tokens_today=900,
        minute=((5.0, 10), (59.0, 20), (61.0, 99)),
    )
    assert await shared.seed([seed]) == 1
    found = await used(shared, name)
    assert (found.requests, found.tokens) == (2, 30)
    assert (found.requests_today, found.tokens_today) == (40, 900)
    (first, first_tokens), (second, second_tokens) = found.ends
    assert first < 1.3 < 55 < second < 55.3
    assert (first_tokens, second_tokens) == (20, 10)


async def test_seeding_twice_counts_once(shared: SharedWindows, name: str) -> None:
    seed = Seed(window=name, day=DAY, requests_today=4, tokens_today=9,
                minute=((5.0, 10), (9.0, 20)))  # fmt: skip
    await shared.seed([seed])
    assert await shared.seed([seed]) == 0
    found = await used(shared, name)
    assert (found.requests, found.tokens, found.requests_today) == (2, 30, 4)


async def test_many_windows_are_seeded_a_few_at_a_time(
    shared: SharedWindows, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SEEDED_AT_ONCE", 2)
    windows = [f"{name}:{number}" for number in range(5)]
    seeds = [
        Seed(window=window, day=DAY, requests_today=number + 1, tokens_today=1)
        for number, window in enumerate(windows)
    ]
    assert await shared.seed(seeds) == 5
    found = await shared.usage(windows, day=DAY)
    assert [found[window].requests_today for window in windows] == [1, 2, 3, 4, 5]


async def test_requests_counted_since_the_loss_are_not_counted_twice(
    shared: SharedWindows, name: str
) -> None:
    await take(shared, one(name, tokens=5))
    seed = Seed(window=name, day=DAY, requests_today=10, tokens_today=50,
                minute=((0.0, 5), (30.0, 20)))  # fmt: skip
    await shared.seed([seed])
    found = await used(shared, name)
    assert (found.requests, found.tokens) == (2, 25)
    assert (found.requests_today, found.tokens_today) == (10, 50)


async def test_counters_never_shrink_by_seeding(
    shared: SharedWindows, name: str
) -> None:
    for _ in range(3):
        await take(shared, one(name, tokens=5))
    seed = Seed(window=name, day=DAY, requests_today=1, tokens_today=1)
    assert await shared.seed([seed]) == 0
    assert (await used(shared, name)).requests_today == 3


async def test_usage_of_no_window_is_nothing(shared: SharedWindows, name: str) -> None:
    assert await shared.usage([], day=DAY) == {}
    assert await used(shared, name) == Usage(0, 0, 0, 0, ())


async def test_a_loop_of_its_own_has_a_client_of_its_own(
    shared: SharedWindows, name: str
) -> None:
    candidate = one(name, rpm=2)

    async def elsewhere() -> int:
        index = (await take(shared, candidate)).index
        await shared.aclose()
        return index

    assert (await take(shared, candidate)).index == 0
    assert await asyncio.to_thread(lambda: asyncio.run(elsewhere())) == 0
    assert (await take(shared, candidate)).index == -1
