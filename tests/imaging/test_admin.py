"""The gallery shows every picture with its facts; actions do what they say."""

import datetime
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from accounts.models import Account, Token
from gemproxy.lib import clock
from imaging import library, marks
from imaging.models import Blob, Image
from tests.imaging.pictures import saved

pytestmark = pytest.mark.django_db
LIST = "/admin/imaging/image/"


@pytest.fixture
def desk(client: Client, operator: Any) -> Client:
    client.force_login(operator)
    return client


def page(image: Image) -> str:
    return f"{LIST}{image.pk}/change/"


def act(client: Client, action: str, *images: Image, **form: str) -> Any:
    keys = [image.pk for image in images]
    form = {"action": action, "_selected_action": keys, **form}
    return client.post(LIST, form, follow=True)


def test_the_gallery_shows_pictures_by_signed_thumbnails(
    desk: Client, alice: Any, django_assert_max_num_queries: Any
) -> None:
    token, _ = Token.issue(user=alice, name="laptop")
    for number in range(5):
        saved(prompt=f"cat {number}", user_id=alice.pk, token_id=token.pk, model="m-1")
    with django_assert_max_num_queries(20):
        answer = desk.get(LIST)
    assert answer.text.count('class="gp-shot"') == 5
    assert answer.text.count("/thumbnail?until=") == 5
    for words in ("cat 0", "m-1", "alice", "laptop", "64 x 48", "Not looked for"):
        assert words in answer.text


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q=red", {"red"}),
        ("q=req_blue", {"blue"}),
        ("model=m-2", {"blue"}),
        ("days=1", {"red", "blue"}),
        ("days=30", {"red", "blue", "old"}),
        ("days=nonsense", {"red", "blue", "old"}),
        ("mark__exact=removed", {"old"}),
        ("mark_variant=v1-48", {"old"}),
        ("state=down", {"blue"}),
        ("state=waiting", {"red"}),
        ("account_id=7", {"old"}),
        ("token_id=8", {"old"}),
        ("token_id=x", set()),
    ],
)
def test_pictures_are_filtered_and_searched(
    desk: Client, query: str, found: set[str]
) -> None:
    red = saved(prompt="red", model="m-1")
    blue = saved(prompt="blue", model="m-2", request_id="req_blue")
    old = saved(prompt="old", model="m-1", account_id=7, token_id=8)
    Image.objects.filter(pk=old.pk).update(
        created_at=clock.now() - datetime.timedelta(days=5),
        mark="removed",
        mark_variant="v1-48",
    )
    Blob.objects.filter(pk=red.blob_id).update(state=Blob.State.PENDING)
    library.take_down([blue], "olga")
    rows = desk.get(f"{LIST}?{query}").context["cl"].result_list
    assert {row.prompt for row in rows} == found


def test_a_picture_s_page_tells_where_it_comes_from(desk: Client, alice: Any) -> None:
    account = Account.add(kind="gemini_api", secret="AIzaSyD-" + "g" * 31, label="Main")
    first = saved(prompt="first", user_id=alice.pk)
    second = saved(
        prompt="<b>second</b>",
        parent=first.name,
        account_id=account.pk,
        request_id="req_2",
        cost=Decimal("0.039"),
    )
    third = saved(prompt="third", parent=second.name)
    text = desk.get(page(third)).text
    assert page(first) in text
    assert page(second) in text
    text = desk.get(page(second)).text
    assert "<b>second" not in text
    for words in (page(third), "Main", "req_2", "0.039", second.blob.sha256):
        assert words in text
    Image.objects.filter(pk=second.pk).update(
        original=second.blob, mark_score=3.5, mark_strength=1.0, mark_box=[1, 2, 3, 4]
    )
    text = desk.get(page(second)).text
    assert "/original?until=" in text
    assert "score 3.50, strength 1.00, box 1 2 3 4" in text


def test_a_circle_of_parents_ends(desk: Client) -> None:
    first = saved()
    second = saved(parent=first.name)
    Image.objects.filter(pk=first.pk).update(parent=second)
    assert desk.get(page(first)).status_code == 200


def test_facts_of_deleted_owners_do_not_break_the_page(desk: Client) -> None:
    image = saved(account_id=99, token_id=99, user_id=99)
    assert desk.get(page(image)).status_code == 200
    assert desk.get(LIST).status_code == 200


def test_a_takedown_asks_for_its_reason_first(desk: Client, operator: Any) -> None:
    image = saved()
    asked = act(desk, "take_down", image)
    assert "Take down 1 picture?" in asked.text
    assert not library.find(image.name).is_taken_down
    done = act(desk, "take_down", image, confirmed="yes", reason="a complaint")
    assert "Took down 1 picture." in done.text
    found = library.find(image.name)
    assert found.blob.taken_down_by == "olga"
    assert found.blob.takedown_reason == "a complaint"
    shown = desk.get(page(image)).text
    assert "by olga: a complaint" in shown
    assert "/images/" not in shown
    assert "Taken down" in desk.get(LIST).text
    assert "Restored 1 picture." in act(desk, "restore", image).text
    assert not library.find(image.name).is_taken_down


def test_a_reason_that_is_too_long_is_asked_for_again(desk: Client) -> None:
    image = saved()
    act(desk, "take_down", image, confirmed="yes", reason="x" * 301)
    assert not library.find(image.name).is_taken_down


def test_deleting_takes_the_bytes_along(desk: Client) -> None:
    one, two = saved(), saved()
    act(desk, "delete_selected", one, post="yes")
    desk.post(f"{LIST}{two.pk}/delete/", {"post": "yes"})
    assert not Image.objects.exists()
    assert not Blob.objects.exists()


def test_who_may_only_look_changes_nothing(client: Client, bob: Any) -> None:
    bob.is_staff = True
    bob.save()
    bob.user_permissions.set(Permission.objects.filter(codename="view_image"))
    client.force_login(bob)
    image = saved()
    assert client.get(LIST).status_code == 200
    act(client, "take_down", image, confirmed="yes")
    act(client, "delete_selected", image, post="yes")
    assert not library.find(image.name).is_taken_down


def test_the_page_of_marks_needs_the_right_to_see_pictures(
    client: Client, bob: Any
) -> None:
    bob.is_staff = True
    bob.save()
    client.force_login(bob)
    assert client.get(f"{LIST}marks/").status_code == 403


def marked(account: int | None, mark: str, days: int = 0) -> None:
    image = saved(account_id=account)
    made = clock.now() - datetime.timedelta(days=days)
    Image.objects.filter(pk=image.pk).update(mark=mark, created_at=made)


def test_the_share_of_marks_is_told_by_account_and_day(desk: Client) -> None:
    account = Account.add(kind="gemini_api", secret="AIzaSyD-" + "m" * 31, label="Main")
    for mark in ("removed", "residual", "none", "untried"):
        marked(account.pk, mark)
    marked(account.pk, "none", days=1)
    marked(None, "removed", days=marks.DAYS - 1)
    marked(999, "removed", days=marks.DAYS)
    marked(998, "failed")
    found = marks.shares()
    assert list(found) == ["no account", f"Main (#{account.pk})", "#998 (deleted)"]
    *_, before, today = found[f"Main (#{account.pk})"]
    assert (today.looked, today.accepted, today.percent) == (3, 2, 67)
    assert (before.looked, before.accepted, before.percent) == (1, 0, 0)
    assert found["no account"][0].percent == 100
    text = desk.get(f"{LIST}marks/").text
    for words in ("Main", "67 %", "2 of 3", "#998 (deleted)"):
        assert words in text


def test_the_page_of_marks_may_be_empty(desk: Client) -> None:
    assert "No mark was looked for" in desk.get(f"{LIST}marks/").text
