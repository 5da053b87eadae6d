"""An address leads back to its picture only for who may see it."""

from typing import Any

import pytest

from imaging import library, links
from imaging.addresses import LONGEST, picture_at
from imaging.models import Blob, Image
from imaging.storages.kinds import storage
from imaging.storages.local import LocalStorage
from tests.imaging.pictures import saved

pytestmark = pytest.mark.django_db


@pytest.fixture
def image() -> Image:
    return saved(caller="t1", user_id=5)


def seen(address: str, caller: str = "t1", user_id: int | None = 5) -> str | None:
    found = picture_at(address, caller=caller, user_id=user_id)
    return found.name if found else None


def unsigned(image: Image) -> str:
    return links.path(image).partition("?")[0]


@pytest.mark.parametrize("base", ["", "http://127.0.0.1:8100", "https://elsewhere"])
def test_a_signed_link_shows_it_to_anybody(image: Image, base: str) -> None:
    assert seen(base + links.path(image), "t2", 6) == image.name


def test_without_a_good_signature_it_is_for_its_owner_alone(image: Image) -> None:
    for address in (
        unsigned(image),
        links.path(image, seconds=-5),
        links.path(image)[:-3] + "AAA",
        links.path(image).replace("until=", "until=9"),
    ):
        assert seen(address) == image.name
        assert seen(address, "t9", 5) == image.name
        assert seen(address, "t1", 6) == image.name
        assert seen(address, "t2", 6) is None
        assert seen(address, "t2", None) is None


def test_a_picture_of_nobody_is_not_for_callers_without_a_name() -> None:
    image = saved(caller="", user_id=None)
    assert seen(unsigned(image), "", None) is None


def test_where_pictures_are_public_the_name_is_enough(
    image: Image, settings: Any
) -> None:
    settings.IMAGE_PUBLIC_URLS = True
    assert seen(links.path(image), "t2", 6) == image.name


def test_what_was_taken_down_or_is_gone_is_not_found(image: Image) -> None:
    address = links.path(image)
    library.take_down([image], "an operator")
    assert seen(address) is None
    library.restore([image])
    assert seen(address) == image.name
    library.delete([image])
    assert seen(address) is None


@pytest.mark.parametrize(
    "address",
    [
        "",
        "data:image/png;base64,AAAA",
        "https://example.com/cat.png",
        f"/images/{'0' * 40}.png",
        f"/images/{'0' * 40}/thumbnail",
        "/images/short.png",
        f"/aa/{'0' * 40}.png",
        "http://[bad/images/x.png",
        "/images/" + "0" * LONGEST,
    ],
)
def test_what_is_not_ours_is_nothing(address: str) -> None:
    assert seen(address) is None


@pytest.mark.parametrize("way", ["public_url", "timed_url"])
def test_a_storages_own_address_is_for_the_owner_alone(
    image: Image, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    def opened(_storage: Any, name: str, *_: Any) -> str:
        return f"https://bucket.example/pre/{name}"

    monkeypatch.setattr(LocalStorage, way, opened)
    assert storage("local").public_url("x") or way == "timed_url"
    address = links.link(image)
    assert address.startswith("https://bucket.example/")
    for found in (address, f"{address}?signature=other"):
        assert seen(found) == image.name
        assert seen(found, "t2", 6) is None
    assert seen(address.replace("bucket.example", "other.example")) is None
    assert seen(address.replace("/pre/", "/")) is None


def test_of_those_with_the_same_bytes_the_callers_own_is_found(
    image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        LocalStorage, "public_url", lambda _self, name: f"https://b/{name}"
    )
    twin = saved(library.content(image), caller="t2", user_id=6)
    assert Blob.objects.count() == 1 or twin.blob_id == image.blob_id
    assert seen(links.link(twin), "t2", 6) == twin.name
    assert seen(links.link(twin), "t1", 5) == image.name
