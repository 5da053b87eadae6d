"""What is saved is found, linked and deleted; bytes are stored once and never lost."""

import threading
from pathlib import Path
from typing import Any

import pytest
from django.db import IntegrityError, connections

from gemproxy.lib import clock
from imaging import blobs, library, processing
from imaging.bounds import PictureRefused
from imaging.metadata import provenance
from imaging.models import Blob, Image, Leftover
from imaging.storages import kinds
from imaging.storages.base import StorageTrouble
from imaging.storages.local import LocalStorage
from imaging.threads import run
from imaging.watermark import removal
from tests.imaging.pictures import drawn, fresh, saved

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch, own_storages: Path) -> Any:
    """A storage that takes nothing until it is told to."""

    class Full(LocalStorage):
        is_full = True

        def put(self, name: str, data: bytes, media_type: str) -> None:
            if self.is_full:
                raise self.trouble("writing", "it is full")
            super().put(name, data, media_type)

    store = Full(own_storages)
    monkeypatch.setattr(blobs, "storage", lambda kind: store)
    return store


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_picture_keeps_its_bytes_and_facts(alice: Any) -> None:
    data = fresh()
    image = saved(
        data, prompt="a red cat", model="painter", user_id=alice.pk, request_id="req_1"
    )
    found = library.find(image.name)
    assert library.content(found) == data
    assert (found.prompt, found.model, found.user) == ("a red cat", "painter", alice)
    assert (found.blob.width, found.blob.height) == (64, 48)
    assert found.blob.media_type == "image/png"
    assert found.mark == Image.Mark.UNTRIED


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "GIF"])
def test_its_type_is_told_by_its_content(form: str) -> None:
    image = saved(drawn(form))
    assert image.blob.media_type == f"image/{form.lower()}"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
        b"<!doctype html><script>alert(1)</script>",
        b"GIF89a<script>alert(1)</script>",
        b"\x89PNG\r\n\x1a\n" + b"\0" * 60,
        drawn()[:200],
    ],
    ids=["empty", "svg", "html", "gif head", "png head", "half"],
)
def test_what_is_no_picture_is_refused_and_leaves_nothing(
    data: bytes, own_storages: Path
) -> None:
    with pytest.raises(PictureRefused):
        saved(data)
    assert not Image.objects.exists()
    assert not files(own_storages)


def test_what_follows_the_end_of_a_file_is_not_stored() -> None:
    data = fresh()
    assert library.content(saved(data + b"<script>alert(1)</script>")) == data


def test_the_same_bytes_are_stored_once(own_storages: Path) -> None:
    data = fresh()
    first, second = saved(data), saved(data)
    assert first.name != second.name
    assert first.blob == second.blob
    assert len(files(own_storages)) == 2  # The picture, and its thumbnail.


def test_names_are_random_and_say_nothing_of_the_bytes() -> None:
    image = saved()
    assert len(bytes.fromhex(image.name)) == 20
    assert image.blob.sha256[:8] not in image.blob.name
    assert image.name not in image.blob.name


def test_prompts_are_bounded_and_need_not_be_kept(settings: Any) -> None:
    assert len(saved(prompt="x" * 9000).prompt) == 4000
    assert saved(prompt="a\0b").prompt == "ab"
    settings.IMAGE_KEEP_PROMPTS = False
    assert saved(prompt="secret wish").prompt == ""


def test_a_parent_counts_only_if_the_same_caller_owns_it() -> None:
    first = saved(caller="t1")
    assert saved(parent=first.name, caller="t1").parent == first
    assert saved(parent=first.name, caller="t2").parent is None
    assert saved(parent="0" * 40, caller="t1").parent is None


def test_nobody_has_made_what_is_deleted_or_over(settings: Any) -> None:
    with pytest.raises(library.NoPicture):
        library.find("0" * 40)
    image = saved(expires_at=clock.now())
    with pytest.raises(library.NoPicture):
        library.find(image.name)


def test_a_deleted_picture_takes_its_bytes_along(own_storages: Path) -> None:
    image = saved()
    assert library.delete([image]) == 1
    assert not Blob.objects.exists()
    assert Leftover.objects.count() == 2
    for leftover in Leftover.objects.all():
        assert blobs.sweep(leftover)
    assert not files(own_storages)
    assert not Leftover.objects.exists()


def test_bytes_that_another_picture_has_stay() -> None:
    data = fresh()
    first, second = saved(data), saved(data)
    library.delete([first])
    assert library.content(library.find(second.name)) == data
    assert not Leftover.objects.exists()


def test_deleting_a_parent_leaves_its_edits() -> None:
    first = saved()
    second = saved(parent=first.name)
    library.delete([first])
    assert library.find(second.name).parent is None


def test_bytes_stored_again_have_another_name_than_the_ones_to_delete() -> None:
    data = fresh()
    first = saved(data)
    library.delete([first])
    second = saved(data)
    for leftover in Leftover.objects.all():
        blobs.sweep(leftover)
    assert library.content(library.find(second.name)) == data


def test_a_clean_up_in_between_makes_the_save_begin_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = fresh()
    keep = blobs.keep
    swept: list[bool] = []

    def keep_then_lose(*args: Any, **kwargs: Any) -> Blob:
        blob = keep(*args, **kwargs)
        if not swept:
            swept.append(blobs.forget(blob.pk))
        return blob

    monkeypatch.setattr(blobs, "keep", keep_then_lose)
    image = saved(data)
    assert swept == [True]
    assert library.content(library.find(image.name)) == data


def test_a_picture_that_is_lost_every_time_is_an_error_at_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def lost(*args: Any) -> None:
        raise IntegrityError

    monkeypatch.setattr(library, "_store", lost)
    with pytest.raises(blobs.NotKept):
        saved()


def test_a_blob_in_use_is_never_forgotten() -> None:
    image = saved()
    assert not blobs.forget(image.blob_id)
    assert not blobs.forget(image.thumbnail_id)
    assert not blobs.forget(-1)


def test_savers_and_deleters_of_the_same_bytes_never_lose_a_picture() -> None:
    data = drawn(size=(16, 16))
    failures: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(6):
                image = saved(data)
                assert library.content(library.find(image.name)) == data
                library.delete([image])
        except BaseException as error:  # noqa: BLE001
            failures.append(error)
        finally:
            connections.close_all()

    kept = saved(data)
    library.delete([kept])
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert not Image.objects.exists()


def test_a_full_storage_only_delays_a_picture(full: Any, own_storages: Path) -> None:
    data = fresh()
    image = saved(data)
    assert image.blob.state == Blob.State.PENDING
    assert "it is full" in image.blob.trouble
    assert library.content(library.find(image.name)) == data
    assert not blobs.upload(image.blob)
    assert image.blob.tries == 2
    assert image.blob.try_again_at > clock.now()
    full.is_full = False
    assert blobs.upload(image.blob)
    found = library.find(image.name)
    assert found.blob.state == Blob.State.STORED
    assert library.content(found) == data
    assert len(files(own_storages)) == 1


def test_one_who_read_the_row_before_the_upload_still_gets_the_bytes(full: Any) -> None:
    image = saved()
    before = library.find(image.name)
    full.is_full = False
    assert blobs.upload(image.blob)
    assert library.content(before)


def test_bytes_that_wait_on_another_machine_are_left_to_it(full: Any) -> None:
    image = saved()
    blobs.waiting_room().remove(image.blob.name)
    assert not blobs.upload(image.blob)
    assert "another machine" in Blob.objects.get(pk=image.blob_id).trouble


def test_what_nobody_takes_is_an_error(
    full: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blobs, "waiting_room", lambda: full)
    with pytest.raises(blobs.NotKept, match="it is full"):
        saved()
    assert not Image.objects.exists()


def test_pictures_stay_where_they_were_put(settings: Any) -> None:
    first = saved()
    settings.IMAGE_STORAGE_TYPE = "memory"
    second = saved(library.content(first))
    assert [first.blob.storage, second.blob.storage] == ["local", "memory"]
    assert library.content(first) == library.content(second)


def test_memory_takes_again_what_it_has_let_go(settings: Any) -> None:
    settings.IMAGE_STORAGE_TYPE = "memory"
    settings.REDIS_URL = ""
    settings.MEMORY_MAX_IMAGE_NUMBER = 1
    data = fresh()
    image = saved(data)
    saved()
    with pytest.raises(StorageTrouble):
        library.content(image)
    assert library.content(saved(data)) == data


def test_a_takedown_hides_all_pictures_of_the_same_bytes() -> None:
    data = fresh()
    first, second = saved(data), saved(data)
    assert library.take_down([first], "olga", "a complaint") == 1
    assert library.find(first.name).is_taken_down
    hidden = library.find(second.name)
    assert hidden.is_taken_down
    assert hidden.blob.takedown_reason == "a complaint"
    assert library.restore([first]) == 1
    assert not library.find(second.name).is_taken_down


def test_a_takedown_changes_the_name_in_a_public_bucket(
    monkeypatch: pytest.MonkeyPatch, own_storages: Path
) -> None:
    monkeypatch.setattr(
        LocalStorage, "public_url", lambda self, name: f"https://open.example/{name}"
    )
    data = fresh()
    image = saved(data)
    before = image.blob.name
    library.take_down([image], "olga")
    found = library.find(image.name)
    assert found.blob.name != before
    assert found.blob.hidden
    for leftover in Leftover.objects.all():
        blobs.sweep(leftover)
    assert not (own_storages / before).exists()
    library.restore([found])
    assert library.content(library.find(image.name)) == data


def test_a_takedown_holds_here_while_the_bucket_does_not_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    image = saved()
    store = kinds.storage("local")

    def refuse(*args: Any) -> None:
        raise store.trouble("writing", "no answer")

    monkeypatch.setattr(LocalStorage, "public_url", lambda self, name: "https://x/")
    monkeypatch.setattr(LocalStorage, "put", refuse)
    library.take_down([image], "olga")
    found = library.find(image.name)
    assert found.is_taken_down
    assert not found.blob.hidden


def test_our_own_pictures_say_that_a_model_made_them() -> None:
    image = saved(made_here=True, model="painter-1")
    said = provenance(library.content(image))
    assert said["digital_source_type"].endswith("/trainedAlgorithmicMedia")
    assert said["model"] == "painter-1"
    assert image.mark == Image.Mark.NONE


def test_pictures_of_callers_and_switched_off_ones_stay_byte_for_byte(
    settings: Any,
) -> None:
    data = fresh()
    assert library.content(saved(data, made_here=False)) == data
    assert library.content(saved(data, made_here=True, remove_mark=False)) == data
    settings.ENABLE_WATERMARK_REMOVAL = False
    assert library.content(saved(data, made_here=True)) == data
    assert provenance(library.content(saved(data, made_here=True, remove_mark=True)))


def _finding(removed: bool) -> removal.Finding:
    return removal.Finding(
        variant="v1-48",
        score=9.5,
        strength=1.02,
        box=removal.Box(10, 20, 48, 48),
        evenness=1.0,
        share=0.9,
        gain=2.0,
        opacity=0.5,
        accepted=True,
        passes=1,
        removed=removed,
    )


@pytest.mark.parametrize("keep", [True, False])
def test_a_removed_mark_is_written_down_and_the_original_kept_if_wanted(
    monkeypatch: pytest.MonkeyPatch, keep: bool
) -> None:
    data, without = fresh(), fresh()
    cleaned = removal.Cleaned(
        data=without, media_type="image/png", findings=(_finding(True),)
    )
    monkeypatch.setattr(processing.removal, "clean", lambda picture: cleaned)
    image = saved(data, made_here=True, model="m", keep_original=keep)
    assert image.mark == Image.Mark.REMOVED
    assert (image.mark_variant, image.mark_score) == ("v1-48", 9.5)
    assert image.mark_box == [10, 20, 48, 48]
    assert provenance(library.content(image))["model"] == "m"
    if keep:
        assert b"".join(blobs.read(image.original)) == data
    else:
        assert image.original is None


def test_a_mark_that_was_put_back_is_said_to_be() -> None:
    data = fresh()
    picture = processing.opened(data)
    cleaned = removal.Cleaned(
        data=picture.data,
        media_type="image/png",
        findings=(_finding(False),),
        residual=True,
        reason="residual",
    )
    fields = processing._found(cleaned)
    assert fields["mark"] == Image.Mark.RESIDUAL
    assert fields["mark_note"] == "residual"


def test_a_mark_of_an_unknown_kind_is_left() -> None:
    cleaned = removal.Cleaned(
        data=b"", media_type="image/png", findings=(_finding(False),)
    )
    assert processing._found(cleaned)["mark"] == Image.Mark.LEFT


def test_a_mark_not_looked_for_says_why() -> None:
    image = saved(drawn("GIF"), made_here=True)
    assert (image.mark, image.mark_note) == (Image.Mark.UNTRIED, "format")


@pytest.mark.parametrize("error", [IndexError, ZeroDivisionError, MemoryError])
def test_a_failed_removal_never_loses_the_picture(
    monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def fail(picture: Any) -> None:
        raise error

    monkeypatch.setattr(processing.removal, "clean", fail)
    image = saved(made_here=True)
    assert image.mark == Image.Mark.FAILED
    assert image.mark_note == error.__name__
    assert library.content(image)


def test_a_removal_that_wrote_nonsense_is_not_believed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    nonsense = removal.Cleaned(data=b"nonsense", media_type="image/png")
    monkeypatch.setattr(processing.removal, "clean", lambda picture: nonsense)
    image = saved(made_here=True)
    assert image.mark == Image.Mark.FAILED
    assert library.content(image).startswith(b"\x89PNG")


def test_thumbnails_are_small_and_made_once() -> None:
    image = saved(drawn(size=(1000, 500)))
    assert image.thumbnail.media_type == "image/webp"
    assert (image.thumbnail.width, image.thumbnail.height) == (320, 160)
    assert image.thumbnail.name.startswith("th/")


def test_a_thumbnail_that_fails_costs_only_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(picture: Any, edge: int) -> None:
        raise OSError

    monkeypatch.setattr(processing, "thumbnail", fail)
    image = saved()
    assert image.thumbnail is None
    assert library.content(image)


async def test_async_code_saves_on_threads() -> None:
    image = await run(saved)
    assert await run(library.content, image)
