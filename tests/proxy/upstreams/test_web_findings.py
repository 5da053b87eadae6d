"""What a web account's answer tells beside its text, and what is looked at after it."""

import base64
import datetime
import io
import logging
from contextlib import aclosing

import pytest
from gemini_webapi.constants import AccountStatus
from PIL import Image

from gemproxy.lib import clock
from proxy.errors import AccountRefused, UpstreamRefused
from proxy.sandbox.web_accounts import sandbox_psid
from proxy.upstreams.web_guard import GuardedClient, check_account, seconds_to_reset
from tests.proxy.upstreams.web_accounts import order, png, served, text_of

FOUND = (
    "![A cat sleeping](https://example.com/cats/one.jpg)\n"
    "![A cat awake](https://example.com/cats/two%20%28large%29.jpg)"
)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with served(tmp_path_factory.mktemp("web")) as running:
        yield running


@pytest.fixture
async def web(site):
    adapter = site.adapter()
    yield adapter
    await adapter.aclose()


async def streamed(web, account, asked):
    chunks = []
    async with aclosing(web.stream(account, asked)) as batches:
        async for batch in batches:
            chunks += [event.data for event in batch]
    return chunks


async def test_pictures_found_on_the_web_end_the_answer_as_links(web, site):
    event = await web.answer(site.account(), order("Find pictures of cats"))
    text = text_of(event.data)
    assert text.endswith(f"\n\n{FOUND}")
    assert text.count("one.jpg") == 1


async def test_pictures_found_on_the_web_come_once_at_the_end_of_a_stream(web, site):
    chunks = await streamed(web, site.account(), order("Find some images of cats"))
    assert "".join(map(text_of, chunks)).endswith(f"\n\n{FOUND}")
    assert not any("example.com/cats" in text_of(chunk) for chunk in chunks[:-1])


async def test_pictures_on_the_web_are_not_downloaded(web, site):
    site.people.requests.clear()
    await web.answer(site.account(), order("Find pictures of cats"))
    assert {r["host"] for r in site.people.requests} == {"gemini.google.com"}


async def test_an_answer_that_was_stopped_shows_no_pictures(web, site):
    asked = order(
        "Find photos of cats", generationConfig={"stopSequences": ["sandbox"]}
    )
    event = await web.answer(site.account(), asked)
    assert text_of(event.data) == "This is the "


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_a_smaller_model_than_was_asked_for_is_named(web, site, stream, caplog):
    account = site.account("silentflash")
    asked = order("Hello", model="gemini-pro")
    with caplog.at_level(logging.WARNING):
        if stream:
            chunks = await streamed(web, account, asked)
        else:
            chunks = [(await web.answer(account, asked)).data]
    assert {chunk["modelVersion"] for chunk in chunks} == {"3 Flash"}
    assert chunks[-1]["usageMetadata"]["servedModel"] == "3 Flash"
    assert f"account {account.id} was asked for 3.1 Pro" in caplog.text


async def test_the_model_that_was_asked_for_is_nothing_to_tell(web, site, caplog):
    event = await web.answer(site.account(), order("Hello", model="gemini-pro"))
    assert event.data["modelVersion"] == "3.1 Pro"
    assert "servedModel" not in event.data["usageMetadata"]
    assert "was asked for" not in caplog.text


@pytest.mark.parametrize(
    ("candidate", "told"),
    [
        ([None] * 40, ""),
        ([], ""),
        ([*[None] * 39, ["fbb1"]], "3 Flash"),
        ([*[None] * 42, "3 Flash"], "3 Flash"),
        ([*[None] * 58, {"1": "3 Flash"}], ""),
        ([*[None] * 39, ["fbb1"], None, None, "3.1 Pro"], ""),
        ([*[None] * 42, "Nobody knows it"], ""),
    ],
)
def test_only_a_known_name_counts_as_another_model(candidate, told):
    flash, pro = Offered("fbb1", "3 Flash"), Offered("9d8c", "3.1 Pro")
    client = GuardedClient("g.a000-not-a-session")
    client.list_models = lambda: [flash, pro]
    client._parse_candidate([*candidate], "c", "r", "rc")
    assert client.served_instead("rc", pro) == told


class Offered:
    def __init__(self, model_id, display_name):
        self.model_id, self.display_name = model_id, display_name


def test_what_answers_said_of_their_models_is_forgotten_in_time():
    client = GuardedClient("g.a000-not-a-session")
    for number in range(1000):
        client._parse_candidate([None], "c", "r", f"rc{number}")
    assert len(client._served) == 100


async def test_a_picture_in_the_alphabet_of_googles_sdk_arrives_whole(web, site):
    data = png(31, 17, "blue")
    url_safe = data.replace("+", "-").replace("/", "_").rstrip("=")
    assert url_safe != data
    inline = {"inlineData": {"mimeType": "image/png", "data": url_safe}}
    asked = order(parts=[{"text": "What do you see?"}, inline])
    event = await web.answer(site.account(), asked)
    assert text_of(event.data) == "I see a 31x17 blue image."
    uploads = list(site.people.everybody())[-1].uploads.values()
    _, _, stored = list(uploads)[-1]
    assert Image.open(io.BytesIO(stored)).size == (31, 17)
    assert stored == base64.b64decode(data)


@pytest.mark.parametrize("data", ["%%%%", "YWJj!", "Y", "", "é"])
async def test_what_is_no_base64_is_refused(web, site, data):
    inline = {"inlineData": {"mimeType": "image/png", "data": data}}
    with pytest.raises(UpstreamRefused, match=r"base64|empty"):
        await web.answer(site.account(), order(parts=[{"text": "x"}, inline]))


async def test_a_guests_answer_is_not_passed_on_when_it_is_cut(web, site):
    config = {"stopSequences": ["30 31"]}
    asked = order("count to 60", generationConfig=config)
    with pytest.raises(AccountRefused):
        await streamed(web, site.account("guest"), asked)


async def test_an_account_without_models_is_no_working_account(web, site):
    account = site.account()
    await web.answer(account, order("Hello"))
    psid = sandbox_psid("ok", account.id)
    site.people.tell({"psid": psid, "behaviour": "nomodels"})
    assert await web.probe(account, order().timeouts)
    client = GuardedClient("g.a000-not-a-session")
    client.account_status = AccountStatus.AVAILABLE
    with pytest.raises(AccountRefused) as caught:
        check_account(client)
    assert caught.value.code == "no_models"


def window(percentage, hours):
    at = clock.now() + datetime.timedelta(hours=hours)
    return {"usage_percentage": percentage, "reset_at": at.isoformat()}


@pytest.mark.parametrize(
    ("day", "week", "hours"),
    [
        ((100, 3), (40, 50), 3),
        ((30, 3), (100, 50), 50),
        ((100, 3), (100, 50), 50),
        ((99, 3), (99, 50), 3),
        ((None, 3), None, 3),
        ((100, -1), (20, 50), 50),
        (None, None, None),
    ],
)
def test_a_used_up_account_is_back_when_its_last_full_window_ends(day, week, hours):
    client = GuardedClient("g.a000-not-a-session")
    given = {"current_5h": day, "weekly": week}
    client._usage_info = {name: of and window(*of) for name, of in given.items()}
    seconds = seconds_to_reset(client)
    assert seconds == (None if hours is None else pytest.approx(hours * 3600, abs=60))
