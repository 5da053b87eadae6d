"""The gallery in a real browser: light and dark, desk and phone, by keyboard."""

import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Drawing

from accounts.models import Token
from imaging import library
from imaging.models import Image
from imaging.storages import kinds
from tests.browser.chromium import Page
from tests.imaging.pictures import saved

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True, databases="__all__"),
]
CONTRAST = Path(__file__).with_name("contrast.js").read_text()
PHONE = (390, 844)
DESK = (1280, 900)
#: Where screenshots go, if somebody wants to look at them.
SHOTS = os.environ.get("GALLERY_SHOTS", "")
Enter = Callable[[Any], Page]


@pytest.fixture(autouse=True)
def _own_storages(settings: Any, tmp_path: Path) -> Iterator[None]:
    settings.VAR_DIR = tmp_path
    settings.IMAGE_STORAGE_DIR = tmp_path / "images"
    kinds.storage.cache_clear()
    yield
    kinds.storage.cache_clear()


def flat(size: tuple[int, int], colour: str) -> bytes:
    """Return a small file: the test server cannot stream large ones."""
    file = io.BytesIO()
    Drawing.new("RGB", size, colour).save(file, "PNG")
    return file.getvalue()


def filled(person: Any) -> Image:
    """Give a person a picture, an edit of it, a tall one and one taken down."""
    token = Token.issue(user=person, name="laptop")[0]
    about = {"caller": "c", "user_id": person.pk, "token_id": token.pk}
    about |= {"model": "gemini-2.5-flash-image"}
    first = saved(flat((400, 300), "darkred"), prompt="a red fox " * 30, **about)
    edit = saved(
        flat((640, 480), "navy"),
        prompt="make it blue",
        parent=first.name,
        **about,
    )
    saved(flat((100, 900), "green"), parent=edit.name, **about)
    down = saved(flat((64, 48), "gold"), prompt="x" * 200, **about)
    library.take_down([down], "olga", "somebody complained")
    return edit


def wrong_with(page: Page, width: int) -> list[str]:
    found = [*page.problems, *page.js(CONTRAST)]
    page.problems.clear()
    broad = page.js("document.documentElement.scrollWidth")
    return found + ([f"scrolls sideways: {broad}"] if broad > width else [])


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_pages_of_the_gallery_fit_and_can_be_read(
    enter: Enter, live_server: Any, alice: Any, size: tuple[int, int], dark: bool
) -> None:
    edit = filled(alice)
    down = Image.objects.get(prompt="x" * 200)
    page = enter(alice)
    page.look(*size, dark=dark)
    paths = {
        "list": "/pictures/",
        "nothing": "/pictures/?q=nothing",
        "mistake": "/pictures/?since=x",
        "picture": f"/pictures/{edit.name}/",
        "down": f"/pictures/{down.name}/",
    }
    for name, path in paths.items():
        page.open(live_server.url + path)
        assert wrong_with(page, size[0]) == [], path
        if SHOTS:
            file = Path(SHOTS) / f"{name}-{size[0]}-{'dark' if dark else 'light'}.png"
            page.screenshot(file, whole=True)


def test_boxes_have_their_size_before_pictures_arrive(
    enter: Enter, live_server: Any, alice: Any
) -> None:
    filled(alice)
    page = enter(alice)
    page.open(f"{live_server.url}/pictures/")
    heights = "[...document.querySelectorAll('.frame')].map(f => f.offsetHeight)"
    loaded = page.js(heights)
    assert len(set(loaded)) == 1
    page.js("document.querySelectorAll('.frame img').forEach(i => i.src = 'data:,')")
    assert page.js(heights) == loaded


def test_pictures_are_really_shown(enter: Enter, live_server: Any, alice: Any) -> None:
    edit = filled(alice)
    page = enter(alice)
    for path, count in (("/pictures/", 3), (f"/pictures/{edit.name}/", 3)):
        page.open(live_server.url + path)
        page.js(
            "Promise.all([...document.images].map(i => (i.loading = 'eager', i.decode())))"
        )
        widths = page.js(
            "[...document.querySelectorAll('main img')].map(i => i.naturalWidth)"
        )
        assert len(widths) == count
        assert all(widths)
    assert not page.problems


def test_pictures_are_selected_and_deleted_by_keyboard(
    enter: Enter, live_server: Any, alice: Any
) -> None:
    filled(alice)
    page = enter(alice)
    page.open(f"{live_server.url}/pictures/")
    page.js("document.querySelectorAll('.pick input').forEach(i => i.checked = true)")
    page.js("document.querySelector('.paging button').focus()")
    page.press("Enter", loads=True)
    assert page.js("document.querySelector('h1').innerText") == "Delete 3 pictures?"
    assert wrong_with(page, DESK[0]) == []
    page.js("document.querySelector('button.danger').focus()")
    page.press("Enter", loads=True)
    assert page.js("location.pathname") == "/pictures/"
    assert "3 pictures are deleted" in page.js("document.body.innerText")
    assert Image.objects.count() == 1


def test_the_link_is_copied(enter: Enter, live_server: Any, alice: Any) -> None:
    edit = filled(alice)
    page = enter(alice)
    page.call("Browser.grantPermissions", permissions=["clipboardReadWrite"])
    page.open(f"{live_server.url}/pictures/{edit.name}/")
    page.click("[data-copy=picture-link]")
    copied = (
        "new Promise(done => setTimeout(() => "
        "done(navigator.clipboard.readText()), 200))"
    )
    assert f"/images/{edit.name}.png?until=" in page.js(copied)
