"""Where kept chats stand: sealed, for one who asks, for a while, in every process."""

import asyncio
import json
import logging

import pytest

from gemproxy.lib import live as live_module
from gemproxy.lib.live import RedisLive, live
from proxy.scheduling import web_chats
from proxy.scheduling.web_chats import KEPT_SECONDS, MOST_DELETED, LiveChats

HEAD = ["c_1", "r_1", "rc_1", *[None] * 6, "context"]


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.redis)])
async def chats(request, settings, account):
    settings.REDIS_URL = ""
    if request.param == "redis":
        settings.REDIS_URL = request.getfixturevalue("redis_url")
    yield LiveChats()
    shared = live()
    live_module._by_loop().pop(asyncio.get_running_loop(), None)
    if isinstance(shared, RedisLive):
        await shared.aclose()


@pytest.fixture
def account(request):
    """An id that no other test has, as Redis is shared."""
    return abs(hash(request.node.nodeid)) % 10**12


@pytest.fixture
def later(monkeypatch):
    """A clock that can be put forward."""
    moved = [web_chats._now()]
    monkeypatch.setattr(web_chats, "_now", lambda: moved[0])

    def put(seconds):
        moved[0] += seconds

    return put


def head(cid):
    return [cid, *HEAD[1:]]


async def test_a_chat_is_given_to_one_who_asks_and_then_to_nobody(chats, account):
    await chats.keep(account, "pro", "history", HEAD)
    assert await chats.take(account, "pro", "history") == HEAD
    assert await chats.take(account, "pro", "history") is None


async def test_of_many_who_ask_at_once_one_gets_it(chats, account):
    await chats.keep(account, "pro", "history", HEAD)
    asking = (chats.take(account, "pro", "history") for _ in range(8))
    found = await asyncio.gather(*asking)
    assert [each for each in found if each] == [HEAD]


async def test_a_taken_chat_may_be_kept_again(chats, account):
    await chats.keep(account, "pro", "one", HEAD)
    await chats.take(account, "pro", "one")
    later = ["c_1", "r_2", "rc_2", *[None] * 6, "more"]
    await chats.keep(account, "pro", "two", later)
    assert await chats.take(account, "pro", "two") == later
    await chats.keep(account, "pro", "one", HEAD)
    assert await chats.take(account, "pro", "one") == HEAD


@pytest.mark.parametrize("other", [(1, "pro", "h"), (0, "flash", "h"), (0, "pro", "x")])
async def test_nobody_elses_chat_is_given(chats, account, other):
    await chats.keep(account, "pro", "h", HEAD)
    assert await chats.take(account + other[0], *other[1:]) is None


async def test_whoever_answered_last_holds_the_conversation(chats, account):
    history = f"history {account}"
    assert await chats.holder("pro", history) is None
    for number in (account, account + 1):
        await chats.keep(number, "pro", history, HEAD)
        assert await chats.holder("pro", history) == number
    assert await chats.holder("flash", history) is None


async def test_what_is_stored_tells_nothing(chats, account, monkeypatch):
    stored = {}
    shared = live()
    kept = shared.set_many

    async def seen(values, seconds):
        stored.update(values)
        await kept(values, seconds)

    monkeypatch.setattr(shared, "set_many", seen)
    await chats.keep(account, "pro", "history", HEAD)
    sealed = {name: text for name, text in stored.items() if ":holder:" not in name}
    assert len(sealed) == 2
    for secret in ("c_1", "rc_1", "context", "history", str(account)):
        assert secret not in str(list(stored))
        assert secret not in str(sealed)


async def test_a_chat_sealed_with_a_lost_key_is_no_chat(chats, account, settings):
    await chats.keep(account, "pro", "history", HEAD)
    settings.ENCRYPTION_KEYS = ["another key of at least thirty-two letters"]
    assert await chats.take(account, "pro", "history") is None
    assert await chats.keep(account, "pro", "more", HEAD) == []


async def test_old_chats_are_named_once(chats, account, later):
    await chats.keep(account, "pro", "old", head("c_old"))
    later(KEPT_SECONDS + 1)
    assert await chats.keep(account, "pro", "new", head("c_new")) == ["c_old"]
    assert await chats.keep(account, "pro", "newer", head("c_newer")) == []


async def test_a_chat_that_is_used_is_not_named(chats, account, later):
    await chats.keep(account, "pro", "one", head("c_used"))
    later(KEPT_SECONDS - 1)
    assert await chats.take(account, "pro", "one")
    later(2)
    assert await chats.keep(account, "pro", "new", head("c_new")) == []
    later(KEPT_SECONDS)
    over = await chats.keep(account, "pro", "newer", head("c_newer"))
    assert sorted(over) == ["c_new", "c_used"]


async def test_a_few_are_named_at_a_time(chats, account, later):
    for number in range(MOST_DELETED + 2):
        await chats.keep(account, "pro", f"{number}", head(f"c_{number}"))
    later(KEPT_SECONDS + 1)
    first = await chats.keep(account, "pro", "new", head("c_new"))
    second = await chats.keep(account, "pro", "newer", head("c_newer"))
    assert (len(first), len(second)) == (MOST_DELETED, 2)
    assert not set(first) & set(second)


async def test_what_could_not_be_deleted_is_named_again(chats, account, later):
    await chats.remind(account, ["c_left"])
    assert await chats.keep(account, "pro", "x", head("c_x")) == []
    later(web_chats.AGAIN_SECONDS + 1)
    assert await chats.keep(account, "pro", "y", head("c_y")) == ["c_left"]


async def test_many_at_once_lose_no_chat(chats, account, later):
    keeping = (
        chats.keep(account, "pro", f"{n}", head(f"c_{n}")) for n in range(MOST_DELETED)
    )
    await asyncio.gather(*keeping)
    later(KEPT_SECONDS + 1)
    over = await chats.keep(account, "pro", "new", head("c_new"))
    assert sorted(over) == [f"c_{n}" for n in range(MOST_DELETED)]


async def test_a_list_that_is_held_for_ever_harms_no_answer(
    chats, account, monkeypatch, caplog
):
    monkeypatch.setattr(web_chats, "_PAUSE", 0.001)
    place = f"{web_chats._key('list', account)}:changing"
    assert await live().take_place(place, 1, "somebody")
    with caplog.at_level(logging.INFO):
        assert await chats.keep(account, "pro", "history", HEAD) == []
    await live().leave_place(place, "somebody")
    assert await chats.take(account, "pro", "history") == HEAD
    assert "c_1" not in caplog.text


@pytest.mark.redis
async def test_another_process_goes_on_with_a_chat(redis_url, settings, account):
    settings.REDIS_URL = redis_url

    def in_a_loop_of_its_own(work):
        async def run():
            try:
                return await work(LiveChats())
            finally:
                await live().aclose()

        return asyncio.run(run())

    def keep():
        in_a_loop_of_its_own(lambda chats: chats.keep(account, "pro", "h", HEAD))

    def take():
        return in_a_loop_of_its_own(lambda chats: chats.take(account, "pro", "h"))

    await asyncio.to_thread(keep)
    assert await asyncio.to_thread(take) == json.loads(json.dumps(HEAD))
