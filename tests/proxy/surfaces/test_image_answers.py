"""From Gemini answers to the pictures that a caller gets."""

import base64
from typing import Any

import pytest
from PIL import Image

from gemproxy.lib.outbound import OutboundRefused
from imaging.decoding import opened
from imaging.finishing import Finishing
from proxy.calls import Event
from proxy.errors import BadAnswer, Fault, NoAccount, RateLimited, UpstreamRefused
from proxy.runtime import runtime
from proxy.surfaces import image_answers
from proxy.surfaces.image_answers import Harvest, harvest
from proxy.surfaces.image_requests import Commission
from proxy.wire.answer_media import KEPT
from proxy.wire.openai_images import gemini_body
from tests.imaging import samples
from tests.proxy.house import call
from tests.proxy.wire.chat_samples import b64
from tests.proxy.wire.image_samples import PRO, generation

#: The threads that work on pictures look after database connections of theirs.
pytestmark = pytest.mark.django_db
BASE = "https://pictures.test"
SPENT = {"promptTokenCount": 3, "candidatesTokenCount": 10, "totalTokenCount": 13}


def commission(finishing: Finishing | None = None, **fields: Any) -> Commission:
    wanted = generation(**fields)
    return Commission(
        request=wanted,
        upstream_model=PRO,
        body=gemini_body(wanted),
        finishing=finishing or Finishing(form=wanted.output_format),
    )


def drawing(data: bytes = b"", *, link: str = "", times: int = 1) -> Event:
    """Return an answer with a picture, which has a link if the library took it."""
    inline = {"mimeType": "image/png", "data": b64(data or samples.file())}
    part: dict[str, Any] = {"inlineData": inline}
    if link:
        part[KEPT] = {"name": "n", "link": link, "width": 40, "height": 30, "size": 9}
    return answer([part] * times)


def answer(parts: list[dict[str, Any]], **more: Any) -> Event:
    candidate = {"content": {"parts": parts}, "finishReason": "STOP", **more}
    return Event(b"", {"candidates": [candidate], "usageMetadata": SPENT})


async def of(
    monkeypatch: pytest.MonkeyPatch,
    asked: Commission,
    answers: list[Event],
    faults: tuple[Fault, ...] = (),
    base: str = BASE,
) -> Harvest:
    """Return the harvest of what the accounts answered."""

    async def answered(*_: Any) -> Any:
        return (answers, list(faults)), False

    monkeypatch.setattr(image_answers.delivery, "whole", answered)
    monkeypatch.setitem(runtime.__dict__, "gateway", None)
    return await harvest(call(copies=asked.request.copies), asked, base)


@pytest.mark.parametrize(
    ("link", "url"),
    [
        ("/images/n.png?until=5", f"{BASE}/images/n.png?until=5"),
        ("https://cdn.test/n.png", "https://cdn.test/n.png"),
    ],
)
async def test_a_kept_picture_is_handed_out_by_its_link(
    monkeypatch: pytest.MonkeyPatch, link: str, url: str
) -> None:
    asked = commission(response_format="url")
    found = await of(monkeypatch, asked, [drawing(link=link)])
    (picture,) = found.pictures
    assert (picture.url, picture.encoded, picture.size) == (url, "", "40x30")
    assert found.headers(1) == {}


async def test_under_a_host_that_is_not_ours_a_link_holds_the_picture(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = commission(response_format="url")
    kept = drawing(b"as kept", link="/images/n.png")
    (picture,) = (await of(monkeypatch, asked, [kept], base="")).pictures
    assert picture.url == f"data:image/png;base64,{b64(b'as kept')}"


async def test_a_kept_picture_goes_out_as_the_library_has_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # It was finished before it was kept; the bytes are not touched a second time.
    asked = commission(output_format="webp")
    found = await of(monkeypatch, asked, [drawing(b"as kept", link="/images/n.png")])
    assert base64.b64decode(found.pictures[0].base64) == b"as kept"
    assert found.pictures[0].url == ""


@pytest.mark.parametrize("as_url", [False, True])
async def test_a_picture_that_could_not_be_stored_is_finished_and_not_lost(
    monkeypatch: pytest.MonkeyPatch, as_url: bool
) -> None:
    form = "url" if as_url else "b64_json"
    asked = commission(output_format="jpeg", response_format=form)
    (picture,) = (await of(monkeypatch, asked, [drawing()])).pictures
    assert (picture.media_type, picture.size) == ("image/jpeg", "40x30")
    link = picture.url or picture.link
    head, _, data = link.partition(",")
    assert head == "data:image/jpeg;base64"
    assert bool(picture.url) is as_url
    assert opened(base64.b64decode(data)).format == "jpeg"


async def test_a_picture_that_cannot_be_finished_is_no_other_format(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = commission(output_format="webp")
    broken = drawing(samples.png_header(30, 30))
    with pytest.raises(BadAnswer, match="cannot be delivered"):
        await of(monkeypatch, asked, [broken])


async def test_what_came_is_delivered_and_what_failed_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = commission(n=4)
    filtered = answer([], finishReason="IMAGE_SAFETY")
    limited = RateLimited("The quota is used up.")
    found = await of(monkeypatch, asked, [drawing(), filtered, drawing()], (limited,))
    assert len(found.pictures) == 2
    assert found.missing[0] == "rate_limit_exceeded: The quota is used up."
    assert found.missing[1].startswith("moderation_blocked: ")
    header = found.headers(4)["x-gemproxy-missing"]
    assert header == "2 of 4: rate_limit_exceeded, moderation_blocked"
    assert found.usage.total == 3 * 13


@pytest.mark.parametrize(
    ("faults", "kind"),
    [
        ((NoAccount(), RateLimited()), RateLimited),
        ((RateLimited(), UpstreamRefused("filtered")), UpstreamRefused),
        ((NoAccount(),), NoAccount),
    ],
)
async def test_where_all_failed_the_truest_fault_is_raised(
    monkeypatch: pytest.MonkeyPatch, faults: tuple[Fault, ...], kind: type[Fault]
) -> None:
    with pytest.raises(kind):
        await of(monkeypatch, commission(n=2), [], faults)


async def test_words_instead_of_a_picture_are_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = answer([{"text": "I cannot draw that."}])
    with pytest.raises(UpstreamRefused, match=r"I cannot draw that\.") as caught:
        await of(monkeypatch, commission(), [said])
    assert (caught.value.status, caught.value.code) == (400, "image_generation_failed")


async def test_nobody_gets_more_pictures_than_he_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = await of(monkeypatch, commission(), [drawing(times=3)])
    assert len(found.pictures) == 1


async def test_a_second_picture_fills_the_place_of_a_missing_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = commission(n=2)
    found = await of(monkeypatch, asked, [drawing(times=2)], (NoAccount(),))
    assert (len(found.pictures), found.missing) == (2, [])


async def test_estimated_usage_is_said_to_be_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    guessed = drawing()
    guessed.data["gemproxy"] = {"usage": "estimated"}
    found = await of(monkeypatch, commission(n=2), [drawing(), guessed])
    assert found.estimated
    assert not (await of(monkeypatch, commission(), [drawing()])).estimated


def hosted() -> Event:
    file = {"mimeType": "image/jpeg", "fileUri": "https://imgen.test/1.jpg"}
    return answer([{"fileData": file}])


async def test_the_providers_own_address_is_handed_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = await of(monkeypatch, commission(response_format="url"), [hosted()])
    (picture,) = found.pictures
    assert (picture.url, picture.width) == ("https://imgen.test/1.jpg", 0)


async def test_a_picture_elsewhere_is_fetched_where_its_bytes_are_wanted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    async def fetched(url: str, **_: Any) -> tuple[str, bytes]:
        asked.append(url)
        return "image/jpeg", samples.file(form="jpeg")

    monkeypatch.setattr(image_answers, "fetch_media", fetched)
    (picture,) = (await of(monkeypatch, commission(), [hosted()])).pictures
    assert (picture.media_type, picture.size) == ("image/jpeg", "40x30")
    (other,) = (
        await of(monkeypatch, commission(output_format="png"), [hosted()])
    ).pictures
    assert other.media_type == "image/png"
    assert asked == ["https://imgen.test/1.jpg"] * 2


async def test_a_picture_that_cannot_be_fetched_is_the_providers_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def refused(*_: Any, **__: Any) -> tuple[str, bytes]:
        raise OutboundRefused("The server answered 404.")

    monkeypatch.setattr(image_answers, "fetch_media", refused)
    with pytest.raises(BadAnswer, match="could not be fetched: The server"):
        await of(monkeypatch, commission(), [hosted()])


@pytest.mark.parametrize(("form", "clear"), [("png", True), ("jpeg", False)])
async def test_a_transparent_edit_is_said_to_be_so_where_the_format_can(
    monkeypatch: pytest.MonkeyPatch, form: str, clear: bool
) -> None:
    asked = commission(output_format=form)
    asked.transparent = True
    image = Image.new("RGBA", (40, 30), (0, 0, 0, 0))
    found = await of(monkeypatch, asked, [drawing(samples.file(image))])
    assert found.pictures[0].transparent is clear
