"""In the gallery people delete their own pictures, and guessing leads nowhere."""

from typing import Any

import pytest
from django.test import Client

from imaging import library
from imaging.models import Blob
from tests.imaging.pictures import drawn
from tests.imaging.portal import gone, listed, of, page

pytestmark = pytest.mark.django_db


def test_a_picture_that_was_taken_down_cannot_be_deleted(
    mine: Client, alice: Any
) -> None:
    image = of(alice)
    library.take_down([image], "olga")
    answer = mine.post("/pictures/delete/", {"name": image.name, "confirmed": "yes"})
    assert answer.status_code == 302
    assert not gone(image)


def test_deleting_asks_first(mine: Client, alice: Any) -> None:
    image = of(alice)
    answer = mine.post("/pictures/delete/", {"name": image.name})
    assert b"Delete 1 picture?" in answer.content
    assert not gone(image)
    answer = mine.post(
        "/pictures/delete/", {"name": image.name, "confirmed": "yes"}, follow=True
    )
    assert b"1 picture is deleted" in answer.content
    assert gone(image)
    assert not Blob.objects.exists()


def test_bytes_that_another_picture_has_stay(
    mine: Client, alice: Any, bob: Any
) -> None:
    image, other = of(alice, data=drawn()), of(bob, data=drawn())
    assert image.blob == other.blob
    mine.post("/pictures/delete/", {"name": image.name, "confirmed": "yes"})
    assert gone(image)
    assert library.content(other) == drawn()


def test_many_are_deleted_at_once_but_only_my_own(
    mine: Client, alice: Any, bob: Any
) -> None:
    one, two, kept = of(alice), of(alice), of(alice)
    theirs = of(bob)
    names = [one.name, two.name, theirs.name, "x", "\0", str(theirs.pk)]
    answer = mine.post("/pictures/delete/", {"name": names})
    assert theirs.name not in answer.content.decode()
    mine.post("/pictures/delete/", {"name": names, "confirmed": "yes"})
    assert [gone(image) for image in (one, two, kept, theirs)] == [
        True,
        True,
        False,
        False,
    ]


def test_deleting_nothing_says_so(mine: Client, alice: Any, bob: Any) -> None:
    of(alice)
    for names in ([], [of(bob).name], ["\0"]):
        answer = mine.post("/pictures/delete/", {"name": names}, follow=True)
        assert b"No picture is selected" in answer.content
    assert mine.get("/pictures/delete/").status_code == 405


def test_deleting_needs_the_pages_own_form(alice: Any) -> None:
    image = of(alice)
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(alice)
    answer = strict.post("/pictures/delete/", {"name": image.name, "confirmed": "yes"})
    assert answer.status_code == 403
    assert not gone(image)


def test_what_is_not_mine_looks_like_what_is_not_there(
    mine: Client, operator: Any, bob: Any
) -> None:
    theirs = of(bob)
    absent = mine.get(f"/pictures/{'0' * 40}/")
    assert absent.status_code == 404
    for guess in (theirs.name, theirs.pk, theirs.name.upper(), "%00", "..", "*"):
        answer = mine.get(f"/pictures/{guess}/")
        assert answer.status_code == 404
        assert answer.content == absent.content


def test_operators_see_only_their_own_here_too(
    client: Client, operator: Any, bob: Any
) -> None:
    theirs = of(bob)
    client.force_login(operator)
    assert listed(client) == []
    assert client.get(page(theirs)).status_code == 404


def test_a_source_from_the_page_opens_nothing_else(
    mine: Client, alice: Any, bob: Any
) -> None:
    image, theirs = of(alice), of(bob)
    source = mine.get(page(image)).context["source"]
    foreign = source.replace(image.name, theirs.name)
    assert Client().get(source).status_code == 200
    assert Client().get(foreign).status_code == 403
    for part in ("thumbnail", "original"):
        _, _, query = source.partition("?")
        assert Client().get(f"/images/{image.name}/{part}?{query}").status_code == 403
    for listing in ("/images/", "/images", "/images/..", "/images/*"):
        assert Client().get(listing).status_code in (403, 404)
