"""Web accounts by the unmodified, pinned package against an imitation of the site."""

import asyncio
import base64
import dataclasses
import importlib.metadata
import io
import subprocess
import sys
from contextlib import aclosing

import pytest
from PIL import Image

from proxy.errors import (
    AccountRefused,
    BadAnswer,
    ConnectFailed,
    RateLimited,
    StreamCut,
    UpstreamFault,
    UpstreamRefused,
    UpstreamTimeout,
)
from proxy.sandbox.web_accounts import sandbox_psid
from proxy.upstreams.base import Order, Timeouts
from proxy.upstreams.gemini_web import GeminiWeb
from tests.proxy.upstreams.web_accounts import (
    GENERATE,
    PAGE,
    SHORT,
    order,
    png,
    served,
    text_of,
)

BRIEF = Timeouts(connect=1.0, first_byte=0.5, idle=0.5, total=5.0)
PATIENT = Timeouts()


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with served(tmp_path_factory.mktemp("web")) as running:
        yield running


@pytest.fixture
async def web(site):
    adapter = site.adapter()
    yield adapter
    await adapter.aclose()


async def collected(web, account, asked, seen=None):
    """All chunks; those that came before a fault are left in ``seen``."""
    chunks = [] if seen is None else seen
    async with aclosing(web.stream(account, asked)) as batches:
        async for batch in batches:
            chunks += [event.data for event in batch]
    return chunks


def test_the_package_is_the_version_that_the_guard_was_written_for():
    assert importlib.metadata.version("gemini_webapi") == "2.1.1"


async def test_a_question_is_answered(web, site):
    event = await web.answer(site.account(), order("Say exactly: hëllo 😀 <b>&x"))
    assert text_of(event.data) == "hëllo 😀 <b>&x"
    assert event.data["candidates"][0]["finishReason"] == "STOP"
    assert event.data["modelVersion"] == "3 Flash"


async def test_a_streamed_answer_is_the_whole_one_in_pieces(web, site):
    chunks = await collected(web, site.account(), order("count to 60"))
    assert len(chunks) > 3
    assert "".join(map(text_of, chunks)) == " ".join(map(str, range(1, 61)))
    finishes = [c["candidates"][0].get("finishReason") for c in chunks]
    assert finishes == [None] * (len(chunks) - 1) + ["STOP"]


async def test_one_prompt_is_sent_once_and_as_a_temporary_chat(web, site):
    before = site.count(GENERATE)
    await web.answer(site.account(), order("Hello"))
    assert site.count(GENERATE) == before + 1
    body = [r for r in site.people.requests if "StreamGenerate" in r["path"]][-1]
    assert "%22Hello%22" in body["body"] or "Hello" in body["body"]


async def test_a_conversation_reaches_the_model_with_its_roles(web, site):
    asked = Order(
        method="generateContent",
        model="gemini-pro",
        body={
            "systemInstruction": {"parts": [{"text": "Always end with over."}]},
            "contents": [
                {"role": "user", "parts": [{"text": "My name is Ada."}]},
                {"role": "model", "parts": [{"text": "Hello Ada."}]},
                {"role": "user", "parts": [{"text": "What is my name?"}]},
            ],
        },
        timeouts=SHORT,
    )
    event = await web.answer(site.account(), asked)
    assert text_of(event.data) == "Your name is Ada. over"
    assert event.data["modelVersion"] == "3.1 Pro"


async def test_pictures_and_files_go_in_under_names_that_say_what_they_are(web, site):
    parts = [
        {"text": "What do you see?"},
        {"inlineData": {"mimeType": "image/png", "data": png(30, 20)}},
    ]
    event = await web.answer(site.account(), order(parts=parts))
    assert text_of(event.data) == "I see a 30x20 red image."


async def test_a_document_goes_in(web, site):
    data = base64.b64encode(b"a plain note").decode()
    parts = [
        {"text": "Say exactly: "},
        {"inlineData": {"mimeType": "text/plain", "data": data}},
    ]
    event = await web.answer(site.account(), order(parts=parts))
    assert "a plain note" in text_of(event.data)
    assert "text/plain" in text_of(event.data)


async def test_a_file_that_is_no_base64_is_the_callers_fault(web, site):
    parts = [{"inlineData": {"mimeType": "image/png", "data": "%%%"}}]
    with pytest.raises(UpstreamRefused, match=r"base64|empty"):
        await web.answer(site.account(), order(parts=[{"text": "x"}, *parts]))


async def test_a_generated_picture_comes_in_full_size(web, site):
    event = await web.answer(site.account(), order("Draw a picture of a red fox"))
    parts = event.data["candidates"][0]["content"]["parts"]
    inline = parts[-1]["inlineData"]
    picture = Image.open(io.BytesIO(base64.b64decode(inline["data"])))
    assert inline["mimeType"] == "image/png"
    assert picture.size == (1024, 1024)
    assert "googleusercontent" not in text_of(event.data)


async def test_a_picture_in_a_stream_comes_with_its_last_chunk(web, site):
    chunks = await collected(
        web, site.account(), order("a red fox", model="gemini-flash-image")
    )
    with_picture = [
        "inlineData" in part
        for chunk in chunks
        for part in chunk["candidates"][0]["content"]["parts"]
    ]
    assert with_picture.count(True) == 1
    assert with_picture[-1]


async def test_without_its_full_size_a_picture_comes_as_its_preview(web, site):
    event = await web.answer(site.account("nofull"), order("Draw an image of a cat"))
    inline = event.data["candidates"][0]["content"]["parts"][-1]["inlineData"]
    assert Image.open(io.BytesIO(base64.b64decode(inline["data"]))).size == (512, 512)


async def test_a_picture_that_cannot_be_fetched_fails_the_answer(web, site):
    with pytest.raises(UpstreamFault):
        await web.answer(site.account("nomedia"), order("Draw an image of a cat"))


async def test_a_refused_picture_is_an_answer_in_words(web, site):
    event = await web.answer(site.account("refusal"), order("Draw an image of a cat"))
    assert text_of(event.data) == "I can't create that picture."


async def test_thoughts_are_shown_to_those_who_ask(web, site):
    config = {"thinkingConfig": {"includeThoughts": True}}
    chunks = await collected(
        web, site.account(), order("Hello", generationConfig=config)
    )
    parts = [p for c in chunks for p in c["candidates"][0]["content"]["parts"]]
    thoughts = "".join(p["text"] for p in parts if p.get("thought"))
    assert thoughts.startswith("**Reading the request**")
    assert "Hello" in text_of({"candidates": [{"content": {"parts": parts}}]})


async def test_thoughts_are_not_shown_to_others(web, site):
    event = await web.answer(site.account(), order("Hello"))
    parts = event.data["candidates"][0]["content"]["parts"]
    assert not any(part.get("thought") for part in parts)


async def test_settings_that_cannot_be_followed_are_named(web, site):
    config = {"temperature": 0.1, "maxOutputTokens": 5, "topP": None}
    event = await web.answer(site.account(), order("Hi", generationConfig=config))
    assert event.data["gemproxy"] == {
        "dropped": ["temperature", "maxOutputTokens"],
        "usage": "estimated",
    }


async def test_token_counts_are_estimates_and_say_so(web, site):
    event = await web.answer(site.account(), order("count to 40"))
    usage = event.data["usageMetadata"]
    assert usage["estimated"] is True
    assert usage["candidatesTokenCount"] > 20
    counted = usage["promptTokenCount"] + usage["candidatesTokenCount"]
    assert usage["totalTokenCount"] == counted


async def test_a_stop_sequence_ends_the_answer(web, site):
    config = {"stopSequences": ["30 31"]}
    asked = order("count to 60", generationConfig=config)
    chunks = await collected(web, site.account(), asked)
    text = "".join(map(text_of, chunks))
    assert text == " ".join(map(str, range(1, 30))) + " "
    whole = await web.answer(site.account(), asked)
    assert text_of(whole.data) == text


async def test_several_accounts_answer_at_once(web, site):
    accounts = [site.account() for _ in range(8)]
    asked = [order(f"Say exactly: answer {n}") for n in range(8)]
    events = await asyncio.gather(*map(web.answer, accounts, asked))
    assert [text_of(e.data) for e in events] == [f"answer {n}" for n in range(8)]
    assert web.open_sessions() == 8


async def test_a_session_is_used_again(web, site):
    account, before = site.account(), site.count(PAGE)
    for _ in range(3):
        await web.answer(account, order("Hello"))
    assert site.count(PAGE) == before + 1


@pytest.mark.parametrize(
    ("behaviour", "fault", "cause"),
    [
        ("expired", AccountRefused, "cookies_expired"),
        ("unavailable", UpstreamFault, "web_unavailable"),
        ("rejected", AccountRefused, "account_rejected"),
        ("untrusted", AccountRefused, "account_untrusted"),
        ("terms", AccountRefused, "terms_pending"),
        ("oldterms", AccountRefused, "terms_pending"),
        ("guardian", AccountRefused, "guardian"),
        ("approval", AccountRefused, "guardian"),
        ("region", AccountRefused, "region"),
        ("nomodels", AccountRefused, "no_models"),
        ("pageblocked", ConnectFailed, "ip_blocked"),
        ("pagebroken", UpstreamFault, "upstream_error"),
        ("rpcbroken", UpstreamFault, "upstream_error"),
        ("expiring", BadAnswer, "web_session_suspect"),
        ("guest", AccountRefused, "cookies_expired"),
        ("temporary", UpstreamFault, "upstream_error"),
        ("limit", RateLimited, "web_usage_limit"),
        ("mixed", UpstreamFault, "web_conversation"),
        ("nomodel", UpstreamFault, "model_missing"),
        ("blocked", ConnectFailed, "ip_blocked"),
        ("distrusted", UpstreamFault, "web_session_distrusted"),
        ("http400", BadAnswer, "web_session_suspect"),
        ("http429", ConnectFailed, "ip_blocked"),
        ("http500", UpstreamFault, "upstream_error"),
        ("garbage", UpstreamFault, "upstream_error"),
        ("emptybody", UpstreamFault, "upstream_error"),
        ("queue", UpstreamFault, "upstream_error"),
        ("truncated", StreamCut, "stream_cut"),
        ("cut", StreamCut, "stream_cut"),
    ],
)
async def test_every_failure_is_one_fault_after_one_prompt(
    web, site, behaviour, fault, cause
):
    before = site.count(GENERATE)
    with pytest.raises(fault) as caught:
        await web.answer(site.account(behaviour), order("count to 30"))
    assert caught.value.cause == cause
    assert site.count(GENERATE) - before <= 1


async def test_a_used_up_account_says_when_it_is_back(web, site):
    with pytest.raises(RateLimited) as caught:
        await web.answer(site.account("limit"), order())
    assert 3600 < caught.value.retry_after <= 5 * 3600


@pytest.mark.parametrize("behaviour", ["truncated", "cut", "stallmid"])
async def test_a_stream_that_breaks_shows_what_came_and_then_the_fault(
    web, site, behaviour
):
    seen = []
    asked = order("count to 90", timeouts=BRIEF)
    with pytest.raises((StreamCut, UpstreamTimeout)):
        await collected(web, site.account(behaviour), asked, seen)
    text = "".join(map(text_of, seen))
    assert " ".join(map(str, range(1, 91))).startswith(text)
    assert text
    assert "finishReason" not in seen[-1]["candidates"][0]


async def test_a_guests_answer_is_never_given_an_ending(web, site):
    seen = []
    with pytest.raises(AccountRefused):
        await collected(web, site.account("guest"), order("count to 60"), seen)
    assert all("finishReason" not in chunk["candidates"][0] for chunk in seen)


@pytest.mark.parametrize("behaviour", ["stall", "stallmid"])
async def test_silence_is_a_timeout_of_ours(web, site, behaviour):
    with pytest.raises(UpstreamTimeout) as caught:
        await web.answer(site.account(behaviour), order("count to 30", timeouts=BRIEF))
    assert caught.value.cause == "stalled"


async def test_a_sign_in_that_never_ends_is_given_up(web, site, monkeypatch):
    monkeypatch.setattr("proxy.upstreams.web_talk.SIGN_IN_SECONDS", 0.5)
    for behaviour in ("rpchang", "headstall"):
        with pytest.raises(UpstreamTimeout):
            await web.answer(site.account(behaviour), order())
    assert web.open_sessions() == 0


async def test_a_dead_proxy_is_a_fault_of_the_way_out(web, site):
    account = site.account(proxy_url="http://127.0.0.1:9")
    with pytest.raises(ConnectFailed) as caught:
        await web.answer(account, order())
    assert caught.value.cause == "connection_failed"


async def test_a_certificate_that_nobody_knows_is_refused(site):
    adapter = GeminiWeb(None, "")
    with pytest.raises(ConnectFailed):
        await adapter.answer(site.account(), order())
    await adapter.aclose()


async def test_a_model_that_the_site_does_not_offer_sends_the_request_elsewhere(
    web, site
):
    with pytest.raises(UpstreamFault) as caught:
        await web.answer(site.account(), order(model="gemini-ultra"))
    assert caught.value.cause == "model_missing"
    assert caught.value.elsewhere


@pytest.mark.parametrize("method", ["countTokens", "embedContent"])
async def test_other_methods_are_refused_by_name(web, site, method):
    asked = Order(method=method, model="gemini-flash", body={}, timeouts=SHORT)
    with pytest.raises(UpstreamRefused, match=method):
        await web.answer(site.account(), asked)


async def test_leaving_a_live_stream_ends_it_at_the_site(web, site):
    account = site.account("stallmid")
    stream = web.stream(account, order("count to 90", timeouts=PATIENT))
    await anext(stream)
    before = site.people.cancelled
    began = asyncio.get_running_loop().time()
    await stream.aclose()
    assert asyncio.get_running_loop().time() - began < 20
    while site.people.cancelled == before:
        assert asyncio.get_running_loop().time() - began < 20
        await asyncio.sleep(0.02)


async def test_cancelling_does_not_wait_for_the_answers_end(web, site):
    account = site.account("stall")
    task = asyncio.ensure_future(web.answer(account, order("x", timeouts=PATIENT)))
    while not site.people.open_streams:
        await asyncio.sleep(0.01)
    task.cancel()
    done, _ = await asyncio.wait({task}, timeout=20)
    assert done
    assert task.cancelled()


async def test_a_failing_request_leaves_its_neighbour_alone(web, site):
    account = site.account("stallmid")
    psid = sandbox_psid("stallmid", account.id)
    stream = web.stream(account, order("count to 90"))
    first = await anext(stream)
    site.people.tell({"psid": psid, "behaviour": "distrusted"})
    with pytest.raises(UpstreamFault):
        await web.answer(account, order("fails"))
    assert text_of(first[0].data)
    assert site.people.open_streams >= 1
    site.people.tell({"psid": psid, "behaviour": "ok"})
    assert (
        text_of((await web.answer(account, order("Say exactly: fine"))).data) == "fine"
    )
    await stream.aclose()


async def test_new_cookies_make_a_new_session_while_the_old_answer_ends(web, site):
    account = site.account("stallmid")
    psid = sandbox_psid("stallmid", account.id)
    stream = web.stream(account, order("count to 90"))
    await anext(stream)
    site.people.tell({"psid": psid, "behaviour": "ok"})
    site.people.person(psid).revision = 2
    renewed = site.account_of(psid, 2, id=account.id)
    event = await web.answer(renewed, order("Say exactly: new"))
    assert text_of(event.data) == "new"
    assert web.open_sessions() == 2
    await stream.aclose()
    await web.answer(renewed, order("Hello"))
    assert web.open_sessions() == 1


async def test_a_test_of_an_account_names_its_models(web, site):
    models = await web.probe(site.account(), SHORT)
    assert models == ["gemini-flash", "gemini-pro", "gemini-flash-lite"]


async def test_a_test_of_an_expired_account_says_so(web, site):
    with pytest.raises(AccountRefused) as caught:
        await web.probe(site.account("expired"), SHORT)
    assert caught.value.cause == "cookies_expired"


async def test_nothing_stays_open_after_the_end(site):
    before = set(asyncio.all_tasks())
    adapter = site.adapter()
    for behaviour in ("ok", "distrusted", "expired"):
        asked = adapter.answer(site.account(behaviour), order())
        await asyncio.gather(asked, return_exceptions=True)
    await adapter.aclose()
    await asyncio.sleep(0.2)
    assert adapter.open_sessions() == 0
    assert set(asyncio.all_tasks()) == before


async def test_no_cookie_is_written_to_disk_or_found_there(web, site, tmp_path):
    await web.answer(site.account(), order())
    from gemini_webapi.utils.rotate_1psidts import _get_cookie_cache_dir

    assert not _get_cookie_cache_dir().exists()


def test_the_package_is_not_loaded_before_a_web_account_is_used():
    program = (
        "import sys; from proxy.upstreams.kinds import KINDS;"
        "KINDS['gemini_web'].adapter_class()(None, '');"
        "print('gemini_webapi' in sys.modules or 'curl_cffi' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


ADD = {
    "name": "add",
    "parametersJsonSchema": {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
        "required": ["a", "b"],
    },
}
NUMBERS = {"type": "ARRAY", "items": {"type": "INTEGER"}, "minItems": 2}


def imitating(text, **fields):
    emulates = frozenset({"tools", "json_schema"})
    return dataclasses.replace(order(text, **fields), emulates=emulates)


def calls_of(chunks):
    parts = [p for c in chunks for p in c["candidates"][0]["content"]["parts"]]
    found = [part["functionCall"] for part in parts if "functionCall" in part]
    return [(call["name"], call["args"]) for call in found]


@pytest.mark.parametrize("streamed", [False, True])
async def test_tools_are_imitated_if_the_order_wants_it(web, site, streamed):
    asked = imitating("add 2 and 3", tools=[{"functionDeclarations": [ADD]}])
    if streamed:
        chunks = await collected(web, site.account(), asked)
    else:
        chunks = [(await web.answer(site.account(), asked)).data]
    assert calls_of(chunks) == [("add", {"a": 2, "b": 3})]
    assert "".join(map(text_of, chunks)) == ""
    assert chunks[0]["gemproxy"]["emulated"] == ["tools"]


async def test_words_beside_tools_are_streamed(web, site):
    asked = imitating("count to 60", tools=[{"functionDeclarations": [ADD]}])
    chunks = await collected(web, site.account(), asked)
    assert len(chunks) > 3
    assert "".join(map(text_of, chunks)) == " ".join(map(str, range(1, 61)))


async def test_a_form_is_imitated_and_comes_in_one_piece(web, site):
    config = {"responseMimeType": "application/json", "responseSchema": NUMBERS}
    asked = imitating("4 and 5", generationConfig=config)
    chunks = await collected(web, site.account(), asked)
    assert [text_of(chunk) for chunk in chunks] == ["[4,5]"]


@pytest.mark.parametrize(
    "said",
    ['```toolcall\n{"name": "gone"}\n```', '```toolcall\n{"name": "gone", "argu'],
)
async def test_a_call_that_cannot_be_used_is_no_answer(web, site, said):
    tools = [{"functionDeclarations": [ADD]}]
    with pytest.raises(BadAnswer) as caught:
        await web.answer(site.account(), imitating(f"Say exactly: {said}", tools=tools))
    assert caught.value.cause == "imitation_failed"
    # The account is not to blame, nor is its session.
    assert (
        text_of((await web.answer(site.account(), order("Say exactly: a"))).data) == "a"
    )


async def test_without_the_order_nothing_is_imitated(web, site):
    asked = order("add 2 and 3", tools=[{"functionDeclarations": [ADD]}])
    event = await web.answer(site.account(), asked)
    assert calls_of([event.data]) == []
    assert "emulated" not in event.data["gemproxy"]
