"""Pictures are given to those who hold their address, and to nobody else."""

from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import AsyncClient, Client, RequestFactory

from gemproxy.lib import clock
from imaging import blobs, library, links
from imaging.models import Blob, Image
from imaging.ranges import Unsatisfiable, one_range
from imaging.storages.base import CHUNK, StorageTrouble
from imaging.storages.local import LocalStorage
from tests.imaging.pictures import drawn, fresh, saved

pytestmark = pytest.mark.django_db


@pytest.fixture
def image() -> Image:
    return saved(drawn(seed=3))


@pytest.fixture
def data() -> bytes:
    return drawn(seed=3)


def changed(url: str, **values: str) -> str:
    """Return an address with other query values."""
    parts = urlsplit(url)
    query = {name: value[0] for name, value in parse_qs(parts.query).items()} | values
    return parts.path + "?" + "&".join(f"{k}={v}" for k, v in query.items())


def test_a_signed_link_opens_the_picture(
    client: Client, image: Image, data: bytes
) -> None:
    answer = client.get(links.path(image))
    assert answer.status_code == 200
    assert answer.content == data
    assert answer.headers["Content-Type"] == "image/png"
    assert answer.headers["Content-Length"] == str(len(data))
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    name = f"{image.name[:12]}.png"
    assert answer.headers["Content-Disposition"] == f'inline; filename="{name}"'
    assert answer.headers["Cache-Control"] == "private, max-age=3600"


def test_the_name_without_its_extension_works_and_another_one_does_not(
    client: Client, image: Image
) -> None:
    query = links.path(image).partition("?")[2]
    assert client.get(f"/images/{image.name}?{query}").status_code == 200
    for other in ("jpg", "svg", "html", "png.html", ""):
        answer = client.get(f"/images/{image.name}.{other}?{query}")
        assert answer.status_code == 404


def test_strangers_learn_nothing_of_what_exists(client: Client, image: Image) -> None:
    there, nowhere = f"/images/{image.name}.png", f"/images/{'0' * 40}.png"
    for query in ("", "?until=99999999999&signature=x", "?until=x", "?signature=é"):
        answers = [client.get(path + query) for path in (there, nowhere)]
        assert {answer.status_code for answer in answers} == {403}
        assert answers[0].content == answers[1].content


@pytest.mark.parametrize(
    "values",
    [
        {"until": "99999999999"},
        {"until": "1"},
        {"until": "-1"},
        {"until": "٣"},
        {"until": "9" * 5000},
        {"signature": "A" * 32},
        {"signature": ""},
    ],
)
def test_a_link_that_was_changed_is_refused(
    client: Client, image: Image, values: dict[str, str]
) -> None:
    assert client.get(changed(links.path(image), **values)).status_code == 403


def test_a_link_is_good_for_its_own_picture_and_part(
    client: Client, image: Image
) -> None:
    other = saved()
    query = links.path(image).partition("?")[2]
    assert client.get(f"/images/{other.name}.png?{query}").status_code == 403
    assert client.get(f"/images/{image.name}/thumbnail?{query}").status_code == 403
    assert client.get(f"/images/{image.name}/original?{query}").status_code == 403


def test_a_link_ends(client: Client, image: Image, settings: Any) -> None:
    assert client.get(links.path(image, seconds=-1)).status_code == 403
    soon = client.get(links.path(image, seconds=60))
    assert int(soon.headers["Cache-Control"].rpartition("=")[2]) <= 60


def test_links_of_a_former_key_are_good_until_it_is_dropped(
    client: Client, image: Image, settings: Any
) -> None:
    url = links.path(image)
    former, settings.SECRET_KEY = settings.SECRET_KEY, "n" * 50
    assert client.get(url).status_code == 403
    settings.SECRET_KEY_FALLBACKS = [former]
    assert client.get(url).status_code == 200


def test_public_pictures_need_no_signature_but_their_originals_do(
    client: Client, image: Image, settings: Any
) -> None:
    settings.IMAGE_PUBLIC_URLS = True
    assert links.path(image) == f"/images/{image.name}.png"
    answer = client.get(links.path(image))
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "public, max-age=3600"
    assert client.get(f"/images/{'0' * 40}.png").status_code == 404
    assert client.get(f"/images/{image.name}/original").status_code == 403
    assert client.get(f"/images/{image.name}/thumbnail").status_code == 403


@pytest.mark.parametrize(
    "path",
    [
        "/images/",
        "/images/../secret_key",
        "/images/..%2f..%2fsecret_key",
        "/images/%2e%2e/secret_key",
        "/images/aa/" + "0" * 40 + ".png",
        "/images/x/thumbnail/y",
        "/images/%00",
    ],
)
@pytest.mark.parametrize("public", [True, False])
def test_no_path_leads_to_files_or_lists(
    client: Client, settings: Any, image: Image, path: str, public: bool
) -> None:
    settings.IMAGE_PUBLIC_URLS = public
    answer = client.get(path)
    assert answer.status_code in (403, 404)
    assert image.name.encode() not in answer.content


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_pictures_are_only_read(client: Client, image: Image, method: str) -> None:
    assert getattr(client, method)(links.path(image)).status_code == 405
    assert library.find(image.name)


def test_thumbnails_and_originals_have_links_of_their_own(
    client: Client, image: Image
) -> None:
    small = client.get(links.path(image, links.THUMBNAIL))
    assert small.headers["Content-Type"] == "image/webp"
    assert small.headers["Content-Disposition"].endswith('-thumbnail.webp"')
    assert client.get(links.path(image, links.ORIGINAL)).status_code == 404
    Image.objects.update(original=image.blob)
    assert client.get(links.path(image, links.ORIGINAL)).status_code == 200


def test_a_picture_without_thumbnail_shows_itself(client: Client, image: Image) -> None:
    Image.objects.update(thumbnail=None)
    small = client.get(links.path(image, links.THUMBNAIL))
    assert small.headers["Content-Type"] == "image/png"


def test_head_tells_all_but_the_bytes(
    client: Client, image: Image, data: bytes
) -> None:
    url = links.path(image)
    whole, head = client.get(url), client.head(url)
    assert head.status_code == 200
    assert head.content == b""
    for name in ("Content-Type", "Content-Length", "ETag", "Accept-Ranges"):
        assert head.headers[name] == whole.headers[name]
    part = client.head(url, headers={"Range": "bytes=0-9"})
    assert (part.status_code, part.headers["Content-Length"]) == (206, "10")


@pytest.mark.parametrize("form", ["{}", "W/{}", '"other", {}', "*"])
def test_who_has_the_bytes_gets_304(client: Client, image: Image, form: str) -> None:
    url = links.path(image)
    tag = client.get(url).headers["ETag"]
    answer = client.get(url, headers={"If-None-Match": form.format(tag)})
    assert answer.status_code == 304
    assert answer.content == b""
    assert answer.headers["ETag"] == tag
    other = client.get(url, headers={"If-None-Match": '"other"'})
    assert other.status_code == 200


@pytest.mark.parametrize(
    ("header", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=5-9", 5, 10),
        ("bytes=5-", 5, None),
        ("bytes=-7", -7, None),
        ("bytes=0-99999999", 0, None),
        ("bytes=-99999999", 0, None),
    ],
)
def test_a_range_is_sent_alone(
    client: Client,
    image: Image,
    data: bytes,
    header: str,
    start: int,
    stop: int | None,
) -> None:
    answer = client.get(links.path(image), headers={"Range": header})
    wanted = data[start:stop]
    first = start % len(data)
    assert answer.status_code == 206
    assert answer.content == wanted
    assert answer.headers["Content-Length"] == str(len(wanted))
    last = first + len(wanted) - 1
    assert answer.headers["Content-Range"] == f"bytes {first}-{last}/{len(data)}"


@pytest.mark.parametrize(
    "header",
    [
        "bytes=0-1,3-4",
        "bytes=" + ",".join(["0-1"] * 2000),
        "bytes=9-5",
        "bytes=-",
        "items=0-1",
        "bytes=a-b",
        "bytes=0-1-2",
        "bytes=" + "9" * 30 + "-",
        "nonsense",
    ],
)
def test_what_is_no_single_range_gets_the_whole(
    client: Client, image: Image, data: bytes, header: str
) -> None:
    answer = client.get(links.path(image), headers={"Range": header})
    assert (answer.status_code, answer.content) == (200, data)


@pytest.mark.parametrize("header", ["bytes=99999999-", "bytes=-0"])
def test_a_range_behind_the_end_is_416(
    client: Client, image: Image, data: bytes, header: str
) -> None:
    answer = client.get(links.path(image), headers={"Range": header})
    assert answer.status_code == 416
    assert answer.headers["Content-Range"] == f"bytes */{len(data)}"


def test_a_range_of_other_bytes_gets_the_whole(
    client: Client, image: Image, data: bytes
) -> None:
    url = links.path(image)
    tag = client.get(url).headers["ETag"]
    same = client.get(url, headers={"Range": "bytes=0-1", "If-Range": tag})
    other = client.get(url, headers={"Range": "bytes=0-1", "If-Range": '"old"'})
    assert (same.status_code, other.status_code) == (206, 200)


def test_an_empty_file_has_no_range() -> None:
    for header in ("bytes=0-", "bytes=-1"):
        with pytest.raises(Unsatisfiable):
            one_range(header, 0)


def test_what_was_taken_down_is_gone_for_its_callers(
    client: Client, image: Image
) -> None:
    url, small = links.path(image), links.path(image, links.THUMBNAIL)
    library.take_down([image], "olga", "private words")
    for path in (url, small):
        answer = client.get(path)
        assert answer.status_code == 410
        assert b"private words" not in answer.content
    assert client.get(f"/images/{image.name}.png").status_code == 403
    library.restore([image])
    assert client.get(url).status_code == 200


def test_what_is_over_or_deleted_is_not_there(
    client: Client, image: Image, settings: Any
) -> None:
    url = links.path(image)
    Image.objects.update(expires_at=clock.now())
    assert client.get(url).status_code == 404
    library.delete([image])
    assert client.get(url).status_code == 404


def test_a_storage_that_does_not_answer_is_503(
    client: Client, image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Any, name: str, start: int = 0, stop: int | None = None) -> Any:
        raise StorageTrouble("local", "reading", "hidden words")
        yield b""

    monkeypatch.setattr(LocalStorage, "chunks", fail)
    answer = client.get(links.path(image))
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "30"
    assert b"hidden" not in answer.content


def test_bytes_that_are_lost_are_404(
    client: Client, image: Image, own_storages: Path
) -> None:
    (own_storages / image.blob.name).unlink()
    assert client.get(links.path(image)).status_code == 404


def test_a_picture_that_waits_for_its_storage_is_served(
    client: Client, image: Image, data: bytes, own_storages: Path
) -> None:
    blobs.waiting_room().put(image.blob.name, data, "image/png")
    (own_storages / image.blob.name).unlink()
    Blob.objects.filter(pk=image.blob_id).update(state=Blob.State.PENDING)
    assert client.get(links.path(image)).content == data


async def _large() -> tuple[Image, bytes]:
    from asgiref.sync import sync_to_async

    data = await sync_to_async(drawn)(size=(500, 400), seed=5)
    assert len(data) > 2 * CHUNK
    return await sync_to_async(saved)(data), data


@pytest.mark.django_db(transaction=True)
async def test_a_large_picture_is_streamed(async_client: AsyncClient) -> None:
    image, data = await _large()
    answer = await async_client.get(links.path(image))
    assert answer.streaming
    chunks = [chunk async for chunk in answer]
    assert b"".join(chunks) == data
    assert max(map(len, chunks)) <= CHUNK
    assert answer.headers["Content-Length"] == str(len(data))


@pytest.mark.django_db(transaction=True)
async def test_who_leaves_in_the_middle_leaves_no_file_open(
    async_client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, _ = await _large()
    closed: list[bool] = []
    read = blobs.read

    def watched(*args: Any) -> Any:
        try:
            yield from read(*args)
        finally:
            closed.append(True)

    monkeypatch.setattr(blobs, "read", watched)
    answer = await async_client.get(links.path(image))
    body = aiter(answer.streaming_content)
    await anext(body)
    await body.aclose()
    answer.close()
    assert closed == [True]


def test_links_are_built_on_the_public_address(image: Image, settings: Any) -> None:
    request = RequestFactory().get("/v1/x", headers={"host": "127.0.0.1:8100"})
    base = links.base_of(request)
    settings.PUBLIC_URL = ""
    assert links.link(image, base).startswith("http://127.0.0.1:8100/images/")
    settings.PUBLIC_URL = "https://gw.example.org"
    assert links.link(image, base).startswith("https://gw.example.org/images/")


def test_a_public_bucket_is_linked_itself_once_it_has_the_bytes(
    image: Image, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    monkeypatch.setattr(
        LocalStorage, "public_url", lambda self, name: f"https://open.example/{name}"
    )
    assert links.link(image) == f"https://open.example/{image.blob.name}"
    image.blob.state = Blob.State.PENDING
    assert links.link(image).startswith("/images/")
    image.blob.state, image.blob.taken_down_at = Blob.State.STORED, clock.now()
    assert links.link(image).startswith("/images/")


def test_a_bucket_that_signs_for_itself_is_linked_for_as_long(
    image: Image, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.IMAGE_URL_SECONDS = 120
    monkeypatch.setattr(
        LocalStorage,
        "timed_url",
        lambda self, name, seconds: f"https://b/?for={seconds}",
    )
    assert links.link(image) == "https://b/?for=120"


def test_no_two_pictures_share_a_link() -> None:
    data = fresh()
    assert links.link(saved(data)) != links.link(saved(data))
