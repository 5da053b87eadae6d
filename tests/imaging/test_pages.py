"""The gallery in the portal: a person's own pictures, and nobody else's."""

import datetime
import re
from typing import Any

import pytest
from django.test import Client
from django.utils.html import escape

from accounts.models import Token
from accounts.pages.security import POLICY
from gemproxy.lib import clock
from imaging import gallery, library
from imaging.models import Blob, Image
from tests.imaging.pictures import drawn, saved
from tests.imaging.portal import gone, listed, of, page

pytestmark = pytest.mark.django_db


def at(image: Image, text: str) -> Image:
    made = datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.UTC)
    Image.objects.filter(pk=image.pk).update(created_at=made)
    return image


def test_strangers_are_led_to_the_sign_in(client: Client, alice: Any) -> None:
    image = of(alice)
    for path in ("/pictures/", page(image)):
        answer = client.get(path)
        assert answer.status_code == 302
        assert answer["Location"].startswith("/sign-in/")
    answer = client.post("/pictures/delete/", {"name": image.name, "confirmed": 1})
    assert answer["Location"].startswith("/sign-in/")
    assert not gone(image)


def test_i_see_my_pictures_newest_first_and_nobody_elses(
    mine: Client, alice: Any, bob: Any
) -> None:
    at(of(alice, prompt="a fox"), "2026-01-02")
    at(of(alice, prompt="a hen"), "2026-01-03")
    of(bob, prompt="a secret")
    saved(prompt="of nobody")
    now = datetime.datetime(2026, 1, 4, tzinfo=datetime.UTC)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clock, "now", lambda: now)
        assert listed(mine) == ["a hen", "a fox"]


def test_pages_run_only_our_scripts_and_are_not_kept(mine: Client, alice: Any) -> None:
    image = of(alice)
    for path in ("/pictures/", page(image)):
        answer = mine.get(path)
        assert answer["Content-Security-Policy"] == POLICY
        assert answer["Cache-Control"] == "no-store"
        assert not re.search(r'style="|onclick|src="http', answer.content.decode())


def test_every_source_on_the_pages_opens(mine: Client, alice: Any) -> None:
    image = of(alice, prompt="a fox")
    seen = set()
    for path in ("/pictures/", page(image)):
        text = mine.get(path).content.decode()
        seen |= set(re.findall(r'(?:src|href)="(/images/[^"]+)"', text))
    assert len(seen) == 2
    for source in seen:
        assert Client().get(source.replace("&amp;", "&")).status_code == 200


def test_an_empty_gallery_says_so(mine: Client) -> None:
    assert b"No pictures yet" in mine.get("/pictures/").content
    assert b"No picture fits" in mine.get("/pictures/?q=fox").content


def test_a_prompt_cannot_write_markup(mine: Client, alice: Any) -> None:
    prompt = '<script>alert("x")</script>'
    image = of(alice, prompt=prompt)
    for path in ("/pictures/", page(image)):
        text = mine.get(path).content.decode()
        assert prompt not in text
        assert escape(prompt) in text


@pytest.mark.parametrize(
    ("query", "prompts"),
    [
        ({"q": "FOX"}, ["a red fox", "a fox"]),
        ({"q": "fox%"}, []),
        ({"model": "painter"}, ["a hen"]),
        ({"edits": "on"}, ["a red fox"]),
        ({"since": "2026-01-02"}, ["a red fox", "a hen"]),
        ({"until": "2026-01-02"}, ["a hen", "a fox"]),
        ({"since": "2026-01-02", "until": "2026-01-02"}, ["a hen"]),
        ({"q": "fox", "edits": "on", "model": "drawer"}, ["a red fox"]),
    ],
)
def test_filters_choose(
    mine: Client,
    alice: Any,
    settings: Any,
    query: dict[str, str],
    prompts: list[str],
) -> None:
    settings.IMAGE_RETENTION_DAYS = 0
    first = at(of(alice, prompt="a fox", model="drawer"), "2026-01-01T23:59:59")
    at(of(alice, prompt="a hen", model="painter"), "2026-01-02T23:59:59")
    edit = of(alice, prompt="a red fox", model="drawer", parent=first.name)
    at(edit, "2026-01-03")
    assert listed(mine, **query) == prompts


def test_a_day_begins_in_the_time_zone_of_the_gateway(
    mine: Client, alice: Any, settings: Any
) -> None:
    settings.IMAGE_RETENTION_DAYS = 0
    settings.TIME_ZONE = "Asia/Tokyo"
    at(of(alice, prompt="a fox"), "2026-01-01T15:00:00")
    assert listed(mine, since="2026-01-02") == ["a fox"]
    assert listed(mine, until="2026-01-01") == []


def test_pictures_of_one_token_can_be_chosen(mine: Client, alice: Any) -> None:
    laptop = Token.issue(user=alice, name="laptop")[0]
    phone = Token.issue(user=alice, name="phone")[0]
    of(alice, prompt="a fox", token_id=laptop.pk)
    of(alice, prompt="a hen", token_id=phone.pk)
    assert listed(mine, token=phone.pk) == ["a hen"]


def test_filters_offer_and_take_only_what_is_mine(
    mine: Client, alice: Any, bob: Any
) -> None:
    theirs = Token.issue(user=bob, name="bobs-laptop")[0]
    of(bob, prompt="a secret", model="hidden-model", token_id=theirs.pk)
    of(alice, prompt="a fox", model="drawer")
    text = mine.get("/pictures/").content.decode()
    assert "bobs-laptop" not in text
    assert "hidden-model" not in text
    for query in ({"token": theirs.pk}, {"model": "hidden-model"}, {"q": "secret"}):
        assert listed(mine, **query) == []


@pytest.mark.parametrize(
    "query",
    [
        {"since": "yesterday"},
        {"since": "0001-01-01"},
        {"until": "9999-12-31"},
        {"q": "a" * 201},
        {"q": "a\0b"},
        {"token": "9" * 30},
        {"token": "x\0"},
        {"model": "unknown"},
    ],
)
def test_a_wrong_filter_is_named_and_shows_nothing(
    mine: Client, alice: Any, query: dict[str, str]
) -> None:
    of(alice)
    answer = mine.get("/pictures/", query)
    assert answer.status_code == 200
    assert list(answer.context["form"].errors) == list(query)
    assert answer.context["cards"] == []


def test_pages_follow_each_other_without_a_gap(
    mine: Client, alice: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gallery, "PAGE", 2)
    same = clock.now() - datetime.timedelta(hours=1)
    for number in range(5):
        of(alice, prompt=f"p{number}", model="m")
    Image.objects.update(created_at=same)
    seen: list[str] = []
    path = "/pictures/?model=m"
    while path:
        answer = mine.get(path)
        seen += [card["image"].prompt for card in answer.context["cards"]]
        # A new picture on top must not shift what follows.
        of(alice, prompt="new", model="m")
        older = answer.context["older"]
        assert not older or "model=m" in older
        path = f"/pictures/?{older}" if older else ""
    old = [prompt for prompt in seen if prompt != "new"]
    assert sorted(old) == [f"p{number}" for number in range(5)]


@pytest.mark.parametrize(
    "place", ["x", "1", "1-2", f"999999999999999999-{'a' * 40}", f"-1-{'a' * 40}", "\0"]
)
def test_a_place_that_is_none_is_not_found(mine: Client, place: str) -> None:
    assert mine.get("/pictures/", {"before": place}).status_code == 404


def test_pictures_whose_time_is_over_are_not_shown(mine: Client, alice: Any) -> None:
    image = of(alice, expires_at=clock.now() - datetime.timedelta(seconds=1))
    of(alice, prompt="later", expires_at=clock.now() + datetime.timedelta(hours=1))
    assert listed(mine) == ["later"]
    assert mine.get(page(image)).status_code == 404


def test_the_page_of_a_picture_tells_what_is_known(mine: Client, alice: Any) -> None:
    token = Token.issue(user=alice, name="laptop")[0]
    image = of(alice, prompt="a fox", model="drawer", token_id=token.pk, cost="0.039")
    text = mine.get(page(image)).content.decode()
    for told in (
        "a fox",
        "drawer",
        "64 × 48, PNG",
        "0.0390 USD",
        "laptop",
        token.prefix,
    ):
        assert told in text
    assert "Not looked for" in text


def test_a_token_that_is_not_mine_is_not_named(
    mine: Client, alice: Any, bob: Any
) -> None:
    theirs = Token.issue(user=bob, name="bobs-laptop")[0]
    image = of(alice, token_id=theirs.pk)
    assert "bobs-laptop" not in mine.get(page(image)).content.decode()


def test_the_link_on_the_page_opens_for_others_and_its_end_is_said(
    mine: Client, alice: Any, settings: Any
) -> None:
    settings.PUBLIC_URL = "https://gate.example"
    data = drawn(seed=9)
    image = of(alice, data=data)
    answer = mine.get(page(image))
    link = answer.context["link"]
    assert link.startswith(f"https://gate.example/images/{image.name}.png?until=")
    assert Client().get(link.removeprefix("https://gate.example")).content == data
    left = (answer.context["link_ends_at"] - clock.now()).total_seconds()
    assert left == pytest.approx(settings.IMAGE_URL_SECONDS, abs=60)
    settings.IMAGE_PUBLIC_URLS = True
    answer = mine.get(page(image))
    assert answer.context["link_ends_at"] is None
    assert b"for as long as it is here" in answer.content


def test_the_chain_shows_parents_and_children_of_mine_only(
    mine: Client, alice: Any, bob: Any
) -> None:
    first = of(alice, prompt="one")
    second = of(alice, prompt="two", parent=first.name)
    third = of(alice, prompt="three", parent=second.name)
    foreign = of(bob, prompt="a secret")
    Image.objects.filter(pk=foreign.pk).update(parent=second)
    context = mine.get(page(second)).context
    assert [card["image"] for card in context["parents"]] == [first]
    assert [card["image"] for card in context["children"]] == [third]
    context = mine.get(page(third)).context
    assert [card["image"] for card in context["parents"]] == [first, second]
    Image.objects.filter(pk=first.pk).update(user=bob.pk)
    context = mine.get(page(third)).context
    assert [card["image"] for card in context["parents"]] == [second]


def test_a_circle_of_edits_ends(mine: Client, alice: Any) -> None:
    first = of(alice)
    second = of(alice, parent=first.name)
    Image.objects.filter(pk=first.pk).update(parent=second)
    assert mine.get(page(first)).status_code == 200


def test_the_original_is_offered_if_it_is_kept(mine: Client, alice: Any) -> None:
    image = of(alice)
    assert mine.get(page(image)).context["original"] == ""
    Image.objects.filter(pk=image.pk).update(original=of(alice).blob)
    source = mine.get(page(image)).context["original"]
    assert Client().get(source).status_code == 200
    Blob.objects.filter(originals=image).update(taken_down_at=clock.now())
    assert mine.get(page(image)).context["original"] == ""


def test_code_to_edit_it_again_is_ready(
    mine: Client, alice: Any, settings: Any
) -> None:
    settings.PUBLIC_URL = "https://gate.example"
    image = of(alice, model="it's")
    answer = mine.get(page(image))
    curl, python, script = (one.code for one in answer.context["snippets"])
    compile(python, "snippet", "exec")
    for code in (curl, python, script):
        assert answer.context["link"] in code
        assert "GEMPROXY_TOKEN" in code
    assert "-F model='it'\"'\"'s'" in curl
    assert f"-F image=@{image.file_name}" in curl
    assert "https://gate.example/v1/images/edits" in curl
    assert 'baseURL: "https://gate.example/v1"' in script


def test_a_picture_that_was_taken_down_says_why_and_is_not_shown(
    mine: Client, alice: Any
) -> None:
    image = of(alice, prompt="a fox")
    library.take_down([image], "olga", "A <complaint>")
    text = mine.get(page(image)).content.decode()
    assert "taken down by an operator" in text
    assert "Reason: A &lt;complaint&gt;" in text
    assert "olga" not in text
    for path in ("/pictures/", page(image)):
        assert "/images/" not in re.sub(
            r"/v1/images/", "", mine.get(path).content.decode()
        )


def test_the_list_asks_the_database_a_fixed_number_of_times(
    mine: Client, alice: Any, django_assert_max_num_queries: Any
) -> None:
    for _ in range(12):
        of(alice)
    with django_assert_max_num_queries(8):
        mine.get("/pictures/")
