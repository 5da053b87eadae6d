"""Lines for places: fair between keys, bounded, honest about the wait."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from proxy.errors import Busy
from proxy.scheduling.queue import USUAL_STAY_SECONDS, Place, Queue

PATIENCE = 20.0
FIRST = [1, 2, 3]


class Time:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def unknown(place: int) -> None:
    return None


class Room:
    """A queue, callers in it, and the order in which they got what they waited for."""

    def __init__(self, most_running: int = 0, most_waiting: int = 1000) -> None:
        self.time = Time()
        self.queue = Queue(most_running, most_waiting, time=self.time)
        self.order: list[str] = []
        self.tasks: list[asyncio.Task[Any]] = []

    async def enter(self, key: str = "ann", **fields: Any) -> Place:
        values: dict[str, Any] = {
            "most": None, "patience": PATIENCE, "estimate": unknown, **fields,
        }  # fmt: skip
        model = values.pop("model", "flash")
        return await self.queue.enter(model, key, **values)

    async def waits(self, key: str, name: str = "", **fields: Any) -> asyncio.Task[Any]:
        """Have somebody wait for a place, leave it at once and be noted."""

        async def run() -> None:
            async with await self.enter(key, **fields):
                self.order.append(name or key)

        return await self._begin(run())

    async def stands(
        self, place: Place, name: str = "", *, seconds: float = PATIENCE
    ) -> asyncio.Task[Any]:
        async def run() -> None:
            await place.stand(seconds)
            self.order.append(name)

        return await self._begin(run())

    async def _begin(self, work: Any) -> asyncio.Task[Any]:
        task = asyncio.ensure_future(work)
        self.tasks.append(task)
        await settle()
        return task

    async def close(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


async def settle() -> None:
    """Let everybody do what he can do now."""
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.fixture
async def room() -> AsyncIterator[Room]:
    async with opened() as found:
        yield found


@asynccontextmanager
async def opened(*sizes: int) -> AsyncIterator[Room]:
    found = Room(*sizes)
    yield found
    await found.close()


def busy(info: pytest.ExceptionInfo[Busy]) -> tuple[int, str, float | None]:
    return info.value.status, info.value.code, info.value.retry_after


# Running


async def test_without_a_bound_everybody_runs_at_once(room: Room) -> None:
    places = [await room.enter() for _ in range(100)]
    assert room.queue.counts() == {"flash": (100, 0, 0)}
    for place in places:
        place.leave()
    assert room.queue.counts() == {}


@pytest.mark.parametrize(
    ("configured", "pool", "running"),
    [(0, None, 9), (0, 3, 3), (2, None, 2), (2, 3, 2), (3, 2, 2), (0, 0, 1)],
)
async def test_what_runs_is_bound_by_the_setting_and_by_the_pools_seats(
    configured: int, pool: int | None, running: int
) -> None:
    async with opened(configured, 1000) as room:
        for _ in range(9):
            await hold(room, pool)
        assert room.queue.counts()["flash"] == (running, 9 - running, 0)


async def hold(room: Room, most: int | None, key: str = "ann") -> asyncio.Task[Any]:
    """Take a place, after a wait if need be, and keep it."""

    async def run() -> None:
        async with await room.enter(key, most=most):
            await asyncio.Event().wait()

    return await room._begin(run())


async def test_models_have_lines_of_their_own(room: Room) -> None:
    first = await room.enter(model="flash", most=1)
    second = await room.enter(model="pro", most=1)
    assert room.queue.counts() == {"flash": (1, 0, 0), "pro": (1, 0, 0)}
    first.leave()
    assert room.queue.counts() == {"pro": (1, 0, 0)}
    second.leave()


async def test_a_place_left_twice_is_given_back_once(room: Room) -> None:
    first, second = await room.enter(most=2), await room.enter(most=2)
    first.leave()
    first.leave()
    async with second:
        assert room.queue.counts()["flash"] == (1, 0, 0)
    second.leave()
    assert room.queue.counts() == {}


async def test_a_wider_pool_lets_more_run_when_the_next_comes(room: Room) -> None:
    first = await room.enter(most=1)
    await room.waits("bob", most=1)
    assert room.order == []
    third = await room.enter("cy", most=3)
    await settle()
    assert room.order == ["bob"]
    first.leave()
    third.leave()


# Waiting for a place


async def test_one_key_is_served_in_the_order_of_its_requests(room: Room) -> None:
    place = await room.enter(most=1)
    for number in FIRST:
        await room.waits("ann", str(number), most=1)
    place.leave()
    await settle()
    assert room.order == ["1", "2", "3"]


async def test_keys_take_turns_whatever_they_have_waiting(room: Room) -> None:
    place = await room.enter(most=1)
    for number in range(4):
        await room.waits("ann", f"ann-{number}", most=1)
    for number in range(2):
        await room.waits("bob", f"bob-{number}", most=1)
    await room.waits("cy", "cy-0", most=1)
    place.leave()
    await settle()
    assert room.order == ["ann-0", "bob-0", "cy-0", "ann-1", "bob-1", "ann-2", "ann-3"]


async def test_who_comes_later_is_not_ahead_of_those_who_had_fewer_turns(
    room: Room,
) -> None:
    place = await room.enter(most=1)
    for number in FIRST:
        await room.waits("ann", f"ann-{number}", most=1)
    place.leave()
    await settle()
    place = await room.enter(most=1)
    await room.waits("ann", "ann-late", most=1)
    await room.waits("bob", "bob-late", most=1)
    place.leave()
    await settle()
    assert room.order[3:] == ["ann-late", "bob-late"]


async def test_who_leaves_the_line_is_not_given_a_place(room: Room) -> None:
    place = await room.enter(most=1)
    gone = await room.waits("ann", "gone", most=1)
    await room.waits("bob", "bob", most=1)
    gone.cancel()
    await settle()
    assert room.queue.counts()["flash"] == (1, 1, 0)
    place.leave()
    await settle()
    assert room.order == ["bob"]
    assert room.queue.counts() == {}


async def test_a_place_given_to_one_who_leaves_at_that_moment_goes_on(
    room: Room,
) -> None:
    place = await room.enter(most=1)
    gone = await room.waits("ann", "gone", most=1)
    await room.waits("bob", "bob", most=1)
    place.leave()
    gone.cancel()
    await settle()
    assert room.order == ["bob"]
    assert room.queue.counts() == {}


async def test_patience_that_ends_is_told_with_a_time_to_come_back(
    room: Room,
) -> None:
    place = await room.enter(most=1)
    with pytest.raises(Busy) as info:
        await room.enter(most=1, patience=0.01)
    assert busy(info) == (429, "queue_full", USUAL_STAY_SECONDS)
    assert info.value.should_retry
    assert room.queue.counts()["flash"] == (1, 0, 0)
    place.leave()


async def test_a_wait_known_to_be_too_long_is_refused_at_once(room: Room) -> None:
    place = await room.enter(most=1)
    with pytest.raises(Busy) as info:
        await room.enter(most=1, estimate=lambda place: 20.5 * place)
    assert busy(info) == (429, "queue_full", 21.0)
    place.leave()


async def test_the_estimate_is_asked_for_the_turn_one_would_have(room: Room) -> None:
    asked: list[int] = []

    def estimate(place: int) -> float:
        asked.append(place)
        return 1.0

    first = await room.enter(most=1)
    for number in range(3):
        await room.waits("ann", str(number), most=1, estimate=estimate)
    await room.waits("bob", "bob", most=1, estimate=estimate)
    assert asked == [1, 2, 3, 2]
    first.leave()


async def test_too_many_who_wait_are_refused_at_once() -> None:
    async with opened(1, 2) as room:
        place = await room.enter()
        await room.waits("ann", "1")
        await room.waits("bob", "2")
        with pytest.raises(Busy) as info:
            await room.enter("cy", estimate=lambda place: 2.0 * place)
        assert busy(info) == (429, "queue_full", 6.0)
        place.leave()
        await settle()
        assert room.order == ["1", "2"]


async def test_those_who_stand_count_among_the_waiting() -> None:
    async with opened(0, 1) as room:
        place = await room.enter()
        await room.stands(place)
        with pytest.raises(Busy):
            await room.enter("bob")
        assert (await room.enter("bob", model="pro")).position() == 1


# Being turned away


async def test_each_who_is_turned_away_gets_a_turn_of_his_own(room: Room) -> None:
    told = [room.queue.turn_away("flash", lambda n: 4.0 * n) for _ in FIRST]
    assert [fault.retry_after for fault in told] == [4.0, 8.0, 12.0]


async def test_a_promise_that_is_due_makes_room_for_another(room: Room) -> None:
    for _ in FIRST:
        room.queue.turn_away("flash", lambda n: 4.0 * n)
    room.time.now += 8.5
    assert room.queue.turn_away("flash", lambda n: 4.0 * n).retry_after == 8.0


async def test_those_turned_away_come_after_those_who_wait(room: Room) -> None:
    place = await room.enter(most=1)
    await room.waits("ann", most=1)
    await room.stands(place)
    assert room.queue.turn_away("flash", lambda n: float(n)).retry_after == 3.0
    assert room.queue.turn_away("pro", lambda n: float(n)).retry_after == 1.0


async def test_without_estimate_the_usual_stay_tells_the_wait(room: Room) -> None:
    for _ in range(60):
        place = await room.enter(most=2)
        room.time.now += 20.0
        place.leave()
        await hold_and_leave(room)
    holder = await room.enter(most=2)
    waits = [room.queue.turn_away("flash", unknown).retry_after for _ in range(4)]
    assert waits[0] == waits[1]
    assert waits[2] == waits[3]
    assert waits[2] is not None
    assert waits[0] is not None
    assert 1.8 <= waits[2] / waits[0] <= 2.2
    holder.leave()


async def hold_and_leave(room: Room) -> None:
    """Keep the line alive, as another request that is still running does."""
    place = await room.enter("keeper", most=2)
    place.leave()


async def test_a_wait_is_told_in_whole_seconds_and_at_least_one(room: Room) -> None:
    assert room.queue.turn_away("a", lambda n: 0.0).retry_after == 1.0
    assert room.queue.turn_away("b", lambda n: 1.2).retry_after == 2.0


# Standing


async def test_who_stands_is_woken_in_fair_order_one_at_a_time(room: Room) -> None:
    for name, key in (("a1", "ann"), ("a2", "ann"), ("b1", "bob")):
        await room.stands(await room.enter(key), name)
    assert room.queue.counts()["flash"] == (3, 0, 3)
    for expected in (["a1"], ["a1", "b1"], ["a1", "b1", "a2"]):
        room.queue.wake()
        await settle()
        assert room.order == expected


async def test_two_things_freed_at_once_wake_two(room: Room) -> None:
    for name in ("1", "2", "3"):
        await room.stands(await room.enter(name), name)
    room.queue.wake()
    room.queue.wake()
    await settle()
    assert room.order == ["1", "2"]


async def test_the_first_of_every_line_is_woken(room: Room) -> None:
    for model in ("flash", "pro"):
        for number in (1, 2):
            place = await room.enter(model=model)
            await room.stands(place, f"{model}-{number}")
    room.queue.wake()
    await settle()
    assert room.order == ["flash-1", "pro-1"]


async def test_the_end_of_what_held_all_back_wakes_all(room: Room) -> None:
    for number in range(50):
        await room.stands(await room.enter(f"k{number}"), str(number))
    room.queue.wake_all()
    await settle()
    assert len(room.order) == 50


async def test_one_who_is_held_is_not_woken_by_what_is_freed(room: Room) -> None:
    """He could not use it, and looking would only wake the next who is held."""

    async def look(name: str) -> None:
        place = await room.enter(name)
        while True:
            await place.stand(PATIENCE, held=True)
            room.order.append(name)
            room.queue.wake()

    for name in ("1", "2"):
        await room._begin(look(name))
    free = await room.enter("free")
    await room.stands(free, "free")
    room.queue.wake()
    await settle()
    assert room.order == ["free"]
    assert room.queue.counts()["flash"] == (3, 0, 2)
    room.queue.wake_all()
    await settle()
    assert room.order == ["free", "1", "2"]


async def test_one_who_was_held_has_his_old_turn_among_the_others(room: Room) -> None:
    first, second = await room.enter("ann"), await room.enter("bob")
    task = await room.stands(first, "held")
    await room.stands(second, "second")
    task.cancel()
    await settle()
    await first.stand(0, held=True)
    assert (first.position(), second.position()) == (1, 1)
    await room.stands(first, "first")
    assert (first.position(), second.position()) == (1, 2)


async def test_standing_ends_when_its_seconds_are_over(room: Room) -> None:
    place = await room.enter()
    await place.stand(0.01)
    await place.stand(-1)
    assert room.queue.counts()["flash"] == (1, 0, 0)
    place.leave()


async def test_positions_follow_the_fair_order(room: Room) -> None:
    places = [await room.enter(key) for key in ("ann", "ann", "bob")]
    for place in places:
        await room.stands(place)
    assert [place.position() for place in places] == [1, 3, 2]
    newcomer = await room.enter("cy")
    assert newcomer.position() == 3
    assert (await room.enter("ann")).position() == 4


async def test_who_looked_in_vain_keeps_his_turn(room: Room) -> None:
    first, second = await room.enter("ann"), await room.enter("bob")
    await room.stands(first, "first")
    await room.stands(second, "second")
    room.queue.wake()
    await settle()
    assert first.position() == 1
    await room.stands(first, "first again")
    assert [first.position(), second.position()] == [1, 2]
    assert room.order == ["first", "second"]
    await room.stands(second, "second again")
    assert [first.position(), second.position()] == [1, 2]


async def test_what_the_first_cannot_use_is_shown_to_the_next_until_the_last(
    room: Room,
) -> None:
    """The third can use what was freed; the two before him look in vain."""
    places = {name: await room.enter(name) for name in ("1", "2", "3", "4")}

    async def look(name: str) -> None:
        while True:
            await places[name].stand(PATIENCE)
            room.order.append(name)
            if name == "3":
                return

    for name in places:
        await room._begin(look(name))
    room.queue.wake()
    await settle()
    assert room.order == ["1", "2", "3"]
    assert room.queue.counts()["flash"] == (4, 0, 3)


async def test_of_a_crowd_only_a_few_look_at_what_nobody_can_use(room: Room) -> None:
    async def look(name: str) -> None:
        place = await room.enter(name)
        while True:
            await place.stand(PATIENCE)
            room.order.append(name)

    for number in range(100):
        await room._begin(look(str(number)))
    room.queue.wake()
    await settle()
    assert room.order == ["0", "1", "2", "3"]
    room.queue.wake()
    await settle()
    assert len(room.order) == 8


async def test_something_freed_while_nobody_stands_is_not_missed(room: Room) -> None:
    place = await room.enter()
    room.queue.wake()
    task = await room.stands(place, "looked again")
    assert task.done()
    await room.stands(place, "never")
    assert room.order == ["looked again"]


async def test_a_turn_of_one_who_leaves_at_that_moment_goes_on(room: Room) -> None:
    first, second = await room.enter("ann"), await room.enter("bob")
    gone = await room.stands(first, "gone")
    await room.stands(second, "second")
    room.queue.wake()
    gone.cancel()
    await settle()
    assert room.order == ["second"]


async def test_a_place_that_is_left_in_vain_wakes_the_next(room: Room) -> None:
    first, second = await room.enter("ann"), await room.enter("bob")
    await room.stands(first, "first")
    await room.stands(second, "second")
    room.queue.wake()
    await settle()
    first.leave()
    await settle()
    assert room.order == ["first", "second"]


async def test_who_goes_away_while_standing_frees_both_his_places(room: Room) -> None:
    async def run() -> None:
        async with await room.enter("ann", most=1) as place:
            await place.stand(PATIENCE)

    task = await room._begin(run())
    await room.waits("bob", "bob", most=1)
    assert room.queue.counts()["flash"] == (1, 1, 1)
    task.cancel()
    await settle()
    assert room.order == ["bob"]
    assert room.queue.counts() == {}


async def test_a_heavy_key_is_not_punished_for_what_it_got_before(room: Room) -> None:
    for _ in range(50):
        place = await room.enter("ann")
        await place.stand(0)
        place.leave()
    ann, bob = await room.enter("ann"), await room.enter("bob")
    line = room.queue._lines["flash"]
    line.spare = False
    await room.stands(bob, "bob-1")
    await room.stands(ann, "ann")
    await room.stands(await room.enter("bob"), "bob-2")
    for _ in FIRST:
        room.queue.wake()
    await settle()
    assert room.order == ["bob-1", "ann", "bob-2"]


# Many


@pytest.mark.parametrize("keys", [1, 7])
async def test_never_more_run_than_may_and_all_are_served(keys: int) -> None:
    async with opened(3, 1000) as room:
        running, most, served = 0, 0, 0

        async def run(number: int) -> None:
            nonlocal running, most, served
            async with await room.enter(f"key-{number % keys}"):
                running += 1
                most = max(most, running)
                await asyncio.sleep(0)
                running -= 1
                served += 1

        await asyncio.gather(*(run(number) for number in range(200)))
        assert (most, served) == (3, 200)
        assert room.queue.counts() == {}


async def test_what_is_remembered_of_keys_is_bounded(room: Room) -> None:
    keeper = await room.enter("keeper", most=2)
    for number in range(500):
        place = await room.enter(f"key-{number}", most=2)
        await place.stand(0)
        place.leave()
    assert len(room.queue._lines["flash"].standing._last_tags) < 50
    keeper.leave()


async def test_callers_who_leave_in_the_crowd_leave_nothing_behind() -> None:
    async with opened(2, 1000) as room:

        async def run() -> None:
            async with await room.enter() as place:
                await place.stand(0.001)

        tasks = [asyncio.ensure_future(run()) for _ in range(60)]
        await asyncio.sleep(0)
        for number, task in enumerate(tasks):
            if number % 3 == 0:
                task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        gone = [r for r in results if isinstance(r, asyncio.CancelledError)]
        assert len(gone) == 20
        assert [r for r in results if r is not None] == gone
        assert room.queue.counts() == {}
