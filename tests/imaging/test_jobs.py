"""The clean-up deletes what is over and unused, and nothing else."""

import datetime
import os
from pathlib import Path
from typing import Any

import pytest

from gemproxy.lib import clock
from imaging import blobs, jobs, library
from imaging.models import Blob, Image, Leftover
from imaging.storages import kinds
from imaging.storages.local import LocalStorage
from tests.imaging.pictures import drawn, fresh, saved

pytestmark = pytest.mark.django_db(transaction=True)


def aged(image: Image, days: float) -> Image:
    made = clock.now() - datetime.timedelta(days=days)
    Image.objects.filter(pk=image.pk).update(created_at=made)
    return image


def files(folder: Path) -> int:
    return sum(path.is_file() for path in folder.rglob("*"))


def left() -> list[str]:
    return list(Image.objects.order_by("id").values_list("prompt", flat=True))


def test_nothing_to_do_is_said() -> None:
    saved()
    assert jobs.clean_images() == "nothing to clean"
    assert jobs.upload_images() == "uploaded 0 pictures, 0 wait on"


def test_pictures_go_after_their_days_with_their_files(
    settings: Any, own_storages: Path
) -> None:
    settings.IMAGE_RETENTION_DAYS = 7
    aged(saved(prompt="old"), 7.1)
    aged(saved(prompt="young"), 6.9)
    text = jobs.clean_images()
    assert text == "1 pictures whose time is over, 2 deleted files"
    assert left() == ["young"]
    assert files(own_storages) == 2


def test_without_retention_only_those_with_an_end_of_their_own_go(
    settings: Any,
) -> None:
    settings.IMAGE_RETENTION_DAYS = 0
    aged(saved(prompt="old"), 5000)
    saved(prompt="ended", expires_at=clock.now() - datetime.timedelta(seconds=1))
    saved(prompt="later", expires_at=clock.now() + datetime.timedelta(days=1))
    jobs.clean_images()
    assert left() == ["old", "later"]


def test_more_than_one_step_is_cleaned(settings: Any) -> None:
    settings.IMAGE_RETENTION_DAYS = 1
    first = saved(drawn(size=(8, 8)))
    rows = [
        Image(blob=first.blob, created_at=clock.now() - datetime.timedelta(days=2))
        for _ in range(180)
    ]
    Image.objects.bulk_create(rows)
    jobs.clean_images()
    assert list(Image.objects.all()) == [first]


def test_each_caller_keeps_his_newest(settings: Any) -> None:
    settings.IMAGE_MAX_PER_CALLER = 2
    for number in range(4):
        aged(saved(prompt=f"a{number}", caller="t1"), 4 - number)
    saved(prompt="b", caller="t2")
    for number in range(3):
        saved(prompt=f"nobody {number}", caller="")
    jobs.clean_images()
    assert left() == ["a2", "a3", "b", "nobody 0", "nobody 1", "nobody 2"]


def test_rows_of_pictures_that_memory_let_go_are_deleted(settings: Any) -> None:
    settings.IMAGE_STORAGE_TYPE = "memory"
    settings.REDIS_URL = ""
    settings.MEMORY_MAX_IMAGE_NUMBER = 2
    for number in range(4):
        aged(saved(prompt=str(number)), 4 - number)
    jobs.clean_images()
    assert left() == ["2", "3"]


def test_bytes_whose_row_never_came_are_deleted_after_a_while(
    own_storages: Path,
) -> None:
    blob = blobs.keep(fresh(), "image/png", (64, 48))
    assert jobs.clean_images() == "nothing to clean"
    long_ago = clock.now() - blobs.GRACE - datetime.timedelta(seconds=1)
    Blob.objects.filter(pk=blob.pk).update(touched_at=long_ago)
    assert jobs.clean_images() == "1 unused files, 1 deleted files"
    assert not files(own_storages)


def test_what_cannot_be_deleted_is_tried_again_later(
    monkeypatch: pytest.MonkeyPatch, own_storages: Path
) -> None:
    library.delete([saved()])
    with monkeypatch.context() as patch:

        def fail(self: Any, name: str) -> None:
            raise self.trouble("deleting", "no answer")

        patch.setattr(LocalStorage, "remove", fail)
        assert jobs.clean_images() == "nothing to clean"
    waits = Leftover.objects.all()
    assert [(row.tries, "no answer" in row.trouble) for row in waits] == [(1, True)] * 2
    assert jobs.clean_images() == "nothing to clean"
    Leftover.objects.update(try_again_at=clock.now())
    assert jobs.clean_images() == "2 deleted files"
    assert not files(own_storages)


def test_stray_files_go_after_a_day_and_foreign_ones_never(own_storages: Path) -> None:
    image = saved()
    store = kinds.storage("local")
    stray = f"ab/{'ab' * 20}.png"
    store.put(stray, b"stray", "image/png")
    foreign = own_storages / "ab" / "notes.txt"
    foreign.write_text("somebody else's")
    assert jobs.clean_images() == "nothing to clean"
    for path in own_storages.rglob("*"):
        os.utime(path, (1, 1))
    assert jobs.clean_images() == "1 stray files"
    assert foreign.exists()
    assert library.content(image)
    assert not store.exists(stray)


def test_what_waits_is_uploaded_when_it_is_due(
    monkeypatch: pytest.MonkeyPatch, own_storages: Path
) -> None:
    def fail(self: Any, name: str, data: bytes, media_type: str) -> None:
        if self._folder == own_storages:
            raise self.trouble("writing", "it is full")
        put(self, name, data, media_type)

    put = LocalStorage.put
    with monkeypatch.context() as patch:
        patch.setattr(LocalStorage, "put", fail)
        image = saved()
        Blob.objects.update(try_again_at=clock.now())
        assert jobs.upload_images() == "uploaded 0 pictures, 2 wait on"
    assert jobs.upload_images() == "uploaded 0 pictures, 0 wait on"
    Blob.objects.update(try_again_at=clock.now())
    assert jobs.upload_images() == "uploaded 2 pictures, 0 wait on"
    assert files(own_storages) == 2
    assert library.content(library.find(image.name))


def test_a_takedown_that_did_not_reach_the_bucket_is_finished(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    image = saved()
    before = image.blob.name
    library.take_down([image], "olga")
    Blob.objects.update(hidden=False)
    monkeypatch.setattr(LocalStorage, "public_url", lambda self, name: "https://x/")
    assert jobs.clean_images() == "2 hidden files"
    assert Blob.objects.get(pk=image.blob_id).name != before


def test_a_job_that_is_out_of_time_stops(
    monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.IMAGE_RETENTION_DAYS = 1
    aged(saved(prompt="old"), 2)
    monkeypatch.setattr(jobs, "RUN_SECONDS", 0.0)
    assert jobs.clean_images() == "nothing to clean"
    assert left() == ["old"]
