"""Conversations that go on in the chat of the site that knows them."""

import asyncio
import json
import logging
from contextlib import aclosing
from urllib.parse import parse_qs

import pytest

from proxy.errors import RateLimited, UpstreamTimeout
from proxy.sandbox.web_accounts import sandbox_psid
from proxy.scheduling import web_chats
from proxy.scheduling.web_chats import LiveChats
from proxy.upstreams.base import Order, Timeouts
from proxy.upstreams.gemini_web import GeminiWeb
from tests.proxy.upstreams.web_accounts import (
    GENERATE,
    SHORT,
    order,
    png,
    served,
    text_of,
)

BRIEF = Timeouts(connect=1.0, first_byte=0.5, idle=0.5, total=5.0)
SYSTEM = {"parts": [{"text": "Always end with over."}]}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with served(tmp_path_factory.mktemp("web")) as running:
        yield running


@pytest.fixture
async def web(site):
    adapter = GeminiWeb(None, "", ca_file=site.ca_file, chats=LiveChats())
    yield adapter
    await adapter.aclose()


def user(text, *more):
    return {"role": "user", "parts": [{"text": text}, *more]}


def model(text):
    return {"role": "model", "parts": [{"text": text}]}


def asked(*contents, timeouts=SHORT, name="gemini-flash", **fields):
    body = {"contents": list(contents), **fields}
    return Order(method="generateContent", model=name, body=body, timeouts=timeouts)


def prompts(site, account):
    """What was typed on an account's behalf: (text, chat, temporary) each."""
    found = []
    for request in site.people.requests:
        mine = request["account"].endswith(f"-{account.id:06d}")
        if mine and "StreamGenerate" in request["path"]:
            form = parse_qs(request["body"])
            slots = json.loads(json.loads(form["f.req"][0])[1])
            found.append((slots[0][0], slots[2][0], slots[45] == 1))
    return found


def person(site, account, behaviour="ok"):
    return site.people.person(sandbox_psid(behaviour, account.id))


async def begun(web, account, *, name="gemini-flash", **fields):
    """A conversation's first two turns."""
    first = user("My name is Ada.")
    event = await web.answer(account, asked(first, name=name, **fields))
    return [first, model(text_of(event.data))]


async def test_the_next_turn_sends_only_what_is_new(web, site):
    account = site.account()
    told = await begun(web, account, systemInstruction=SYSTEM)
    again = asked(*told, user("What is my name?"), systemInstruction=SYSTEM)
    event = await web.answer(account, again)
    assert text_of(event.data) == "Your name is Ada. over"
    first, second = prompts(site, account)
    assert "Always end with over." in first[0]
    assert second == ("What is my name?", *person(site, account).talks.ids(), False)


async def test_a_conversation_goes_on_turn_by_turn(web, site):
    account = site.account()
    contents = await begun(web, account)
    for number in range(4):
        contents.append(user(f"Say exactly: turn {number}"))
        event = await web.answer(account, asked(*contents))
        contents.append(model(text_of(event.data)))
    texts = [text for text, _, _ in prompts(site, account)]
    assert texts[1:] == [f"Say exactly: turn {number}" for number in range(4)]
    assert len(person(site, account).talks) == 1


async def streamed(web, account, request):
    chunks = []
    async with aclosing(web.stream(account, request)) as batches:
        async for batch in batches:
            chunks += [event.data for event in batch]
    return chunks


async def test_a_streamed_conversation_goes_on_as_sdks_hand_it_back(web, site):
    account = site.account()
    config = {"thinkingConfig": {"includeThoughts": True}}
    first = user("count to 30")
    request = asked(first, generationConfig=config)
    chunks = await streamed(web, account, request)
    # Google's SDK makes one content of each chunk, thoughts included.
    pieces = [chunk["candidates"][0]["content"] for chunk in chunks]
    assert len(pieces) > 3
    await streamed(web, account, asked(first, *pieces, user("Say exactly: on")))
    assert prompts(site, account)[-1][0] == "Say exactly: on"


async def test_without_the_setting_chats_are_temporary_and_told_anew(site):
    adapter, account = site.adapter(), site.account()
    told = await begun(adapter, account)
    await adapter.answer(account, asked(*told, user("What is my name?")))
    await adapter.aclose()
    assert [temporary for _, _, temporary in prompts(site, account)] == [True, True]
    assert len(person(site, account).talks) == 0
    assert "My name is Ada." in prompts(site, account)[-1][0]


@pytest.mark.parametrize(
    "change",
    [
        lambda told: [user("My name is Eva."), told[1]],
        lambda told: [told[0], model("Something else.")],
        lambda told: [user("My name is Ada.", inline()), told[1]],
        lambda told: [told[0], user("And more."), told[1]],
        lambda told: [*told, user("What?"), model("That.")],
    ],
    ids=["another question", "another answer", "a picture", "a turn more", "longer"],
)
async def test_a_history_that_differs_is_told_anew(web, site, change):
    account = site.account()
    told = await begun(web, account)
    await web.answer(account, asked(*change(told), user("What is my name?")))
    text, chat, _ = prompts(site, account)[-1]
    assert chat == ""
    assert "<|im_start|>assistant" in text


def inline():
    return {"inlineData": {"mimeType": "image/png", "data": png()}}


async def test_another_system_text_is_another_conversation(web, site):
    account = site.account()
    told = await begun(web, account, systemInstruction=SYSTEM)
    await web.answer(account, asked(*told, user("What is my name?")))
    assert prompts(site, account)[-1][1] == ""


async def test_another_model_is_another_conversation(web, site):
    account = site.account()
    told = await begun(web, account)
    event = await web.answer(account, asked(*told, user("And?"), name="gemini-pro"))
    assert event.data["modelVersion"] == "3.1 Pro"
    assert prompts(site, account)[-1][1] == ""


async def test_another_account_never_goes_on_with_a_chat(web, site):
    told = await begun(web, site.account())
    other = site.account()
    await web.answer(other, asked(*told, user("What is my name?")))
    assert prompts(site, other)[-1][1] == ""


async def test_a_request_for_a_picture_goes_on_in_the_chat(web, site):
    account = site.account()
    told = await begun(web, account)
    request = asked(*told, user("a red fox"), name="gemini-flash-image")
    event = await web.answer(account, request)
    assert prompts(site, account)[-1][0] == "Generate an image:\n\na red fox"
    parts = event.data["candidates"][0]["content"]
    await web.answer(account, asked(*told, user("a red fox"), parts, user("Thanks")))
    assert prompts(site, account)[-1][0] == "Thanks"
    assert len(person(site, account).talks) == 1


@pytest.mark.parametrize("lost", ["deleted", "1050"])
async def test_a_chat_that_is_gone_gives_way_unseen(web, site, lost, caplog):
    account = site.account()
    told = await begun(web, account)
    talks = person(site, account).talks
    (cid,) = talks.ids()
    if lost == "deleted":
        talks.delete(cid)
    else:
        talks.find(cid).model = "another"
    request = asked(*told, user("What is my name?"))
    with caplog.at_level(logging.DEBUG):
        chunks = await streamed(web, account, request)
    assert "".join(map(text_of, chunks)) == "Your name is Ada."
    sent = [
        (chat, "My name is Ada." in text) for text, chat, _ in prompts(site, account)
    ]
    assert sent[1:] == [(cid, False), ("", True)]
    assert cid not in caplog.text


async def test_a_conversation_goes_on_in_the_chat_that_took_over(web, site):
    account = site.account()
    told = await begun(web, account)
    person(site, account).talks.delete(*person(site, account).talks.ids())
    told.append(user("What is my name?"))
    event = await web.answer(account, asked(*told))
    told.append(model(text_of(event.data)))
    await web.answer(account, asked(*told, user("Say exactly: on")))
    assert prompts(site, account)[-1][0] == "Say exactly: on"


async def test_a_failure_that_is_not_the_chats_is_told_at_once(web, site):
    account = site.account()
    told = await begun(web, account)
    psid = sandbox_psid("ok", account.id)
    site.people.tell({"psid": psid, "behaviour": "limit"})
    before = site.count(GENERATE)
    with pytest.raises(RateLimited):
        await web.answer(account, asked(*told, user("And?")))
    assert site.count(GENERATE) == before + 1


async def test_what_breaks_after_the_first_word_is_not_repeated(web, site):
    account = site.account()
    told = await begun(web, account)
    psid = sandbox_psid("ok", account.id)
    site.people.tell({"psid": psid, "behaviour": "stallmid"})
    before = site.count(GENERATE)
    request = asked(*told, user("count to 90"), timeouts=BRIEF)
    with pytest.raises(UpstreamTimeout):
        await streamed(web, account, request)
    assert site.count(GENERATE) == before + 1


async def test_of_two_who_go_on_with_a_chat_one_tells_all_anew(web, site):
    account = site.account()
    told = await begun(web, account)
    requests = [asked(*told, user(f"Say exactly: {n}")) for n in range(2)]
    events = await asyncio.gather(*(web.answer(account, each) for each in requests))
    assert [text_of(event.data) for event in events] == ["0", "1"]
    chats = [chat for _, chat, _ in prompts(site, account)[1:]]
    assert sorted(map(bool, chats)) == [False, True]


async def test_the_same_turn_asked_twice_is_told_anew_the_second_time(web, site):
    account = site.account()
    told = await begun(web, account)
    for _ in range(2):
        await web.answer(account, asked(*told, user("What is my name?")))
    assert [bool(chat) for _, chat, _ in prompts(site, account)] == [False, True, False]


async def test_an_answer_cut_at_a_stop_sequence_is_not_gone_on_with(web, site):
    account = site.account()
    first = user("count to 60")
    config = {"stopSequences": ["30 31"]}
    event = await web.answer(account, asked(first, generationConfig=config))
    answer = model(text_of(event.data))
    await web.answer(account, asked(first, answer, user("And?")))
    assert prompts(site, account)[-1][1] == ""


async def test_a_chat_that_nobody_went_on_with_is_deleted(web, site, monkeypatch):
    account = site.account()
    talks = person(site, account).talks
    await begun(web, account)
    (old,) = talks.ids()
    now = web_chats._now() + web_chats.KEPT_SECONDS + 1
    monkeypatch.setattr(web_chats, "_now", lambda: now)
    await web.answer(account, order("Say exactly: other"))
    await until(lambda: old not in talks)
    assert len(talks) == 1


async def until(condition):
    ends = asyncio.get_running_loop().time() + 20
    while not condition():
        assert asyncio.get_running_loop().time() < ends
        await asyncio.sleep(0.01)


async def test_a_chat_that_went_on_is_not_deleted_by_its_first_turns_age(
    web, site, monkeypatch
):
    account = site.account()
    talks = person(site, account).talks
    told = await begun(web, account)
    now = [web_chats._now()]
    monkeypatch.setattr(web_chats, "_now", lambda: now[0])
    now[0] += web_chats.KEPT_SECONDS - 1
    request = [*told, user("Say exactly: on")]
    await web.answer(account, asked(*request))
    now[0] += 2
    await web.answer(account, asked(*request, model("on"), user("Say exactly: more")))
    assert [text for text, _, _ in prompts(site, account)][-1] == "Say exactly: more"
    assert len(talks) == 1


async def test_the_chat_of_an_answer_that_broke_is_deleted_later(
    web, site, monkeypatch
):
    account = site.account("stallmid")
    talks = person(site, account, "stallmid").talks
    with pytest.raises(UpstreamTimeout):
        await web.answer(account, asked(user("count to 90"), timeouts=BRIEF))
    (broken,) = talks.ids()
    site.people.tell({"psid": sandbox_psid("stallmid", account.id), "behaviour": "ok"})
    now = web_chats._now() + web_chats.AGAIN_SECONDS + 1
    monkeypatch.setattr(web_chats, "_now", lambda: now)
    await web.answer(account, order("Hello"))
    await until(lambda: broken not in talks)


async def test_tools_and_forms_of_an_answer_stay_in_temporary_chats(web, site):
    account = site.account()
    tools = [{"functionDeclarations": [{"name": "add"}]}]
    await web.answer(account, order("Hello", tools=tools))
    assert prompts(site, account) == [("Hello", "", True)]


async def test_who_holds_a_conversation_is_known_before_an_account_is_chosen(web, site):
    account = site.account()
    told = await begun(web, account)
    body = {"contents": [*told, user("And?")]}
    assert await web.holder("gemini-flash", body) == account.id
    assert await web.holder("gemini-pro", body) is None
    assert await web.holder("gemini-flash", {"contents": [user("And?")]}) is None
    assert await site.adapter().holder("gemini-flash", body) is None
