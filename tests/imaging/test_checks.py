"""Settings of pictures that cannot work are told at the start, with what to do."""

from pathlib import Path
from typing import Any

import pytest

from imaging import checks, trial
from imaging.storages import kinds
from imaging.storages.local import LocalStorage
from proxy import diagnosis
from tests.imaging.servers import Said, serving


def ids(found: list[Any]) -> list[str]:
    return [message.id for message in found]


@pytest.mark.parametrize("kind", sorted(kinds.NEEDS))
def test_every_storage_says_what_it_lacks(settings: Any, kind: str) -> None:
    settings.IMAGE_STORAGE_TYPE = kind
    for name in kinds.NEEDS[kind]:
        setattr(settings, name, "")
    found = checks.check_storage()
    assert ids(found) == ["gemproxy.E030"] * bool(kinds.NEEDS[kind])
    for name in kinds.NEEDS[kind]:
        assert name in found[0].msg


@pytest.mark.parametrize("kind", sorted(kinds.NEEDS))
def test_every_storage_that_lacks_nothing_can_be_made(settings: Any, kind: str) -> None:
    settings.IMAGE_STORAGE_TYPE = kind
    for name in kinds.NEEDS[kind]:
        setattr(settings, name, "given")
    assert checks.check_storage() == []
    assert kinds.chosen().kind == kind
    assert kinds.chosen() is kinds.storage(kind)


def test_a_folder_that_cannot_be_written_is_an_error(
    settings: Any, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    settings.IMAGE_STORAGE_DIR = tmp_path / "file" / "images"
    assert ids(checks.check_storage()) == ["gemproxy.E031"]
    settings.IMAGE_STORAGE_DIR = tmp_path / "not" / "there" / "yet"
    assert checks.check_storage() == []
    assert not settings.IMAGE_STORAGE_DIR.exists()


@pytest.mark.parametrize(
    ("kind", "workers", "redis", "expected"),
    [
        ("local", 4, "", []),
        ("memory", 4, "redis://x", []),
        ("memory", 1, "redis://x", []),
        ("memory", 1, "", ["gemproxy.W030"]),
        ("memory", 2, "", ["gemproxy.E032"]),
    ],
)
def test_memory_needs_redis_for_more_than_one_process(
    settings: Any, kind: str, workers: int, redis: str, expected: list[str]
) -> None:
    settings.IMAGE_STORAGE_TYPE = kind
    settings.WORKERS, settings.REDIS_URL = workers, redis
    assert ids(checks.check_memory()) == expected


@pytest.mark.parametrize(
    ("name", "value", "errors"),
    [
        ("S3_ENDPOINT_URL", "https://x.r2.cloudflarestorage.com", 0),
        ("S3_ENDPOINT_URL", "x.r2.cloudflarestorage.com", 1),
        ("S3_PUBLIC_URL", "ftp://x", 1),
        ("TENCENT_DOMAIN", "pics.example.org", 0),
        ("TENCENT_DOMAIN", "https://", 1),
        ("QINIU_BUCKET_DOMAIN", "http://pics.example.org", 0),
        ("QINIU_BUCKET_DOMAIN", "http://", 1),
    ],
)
def test_addresses_of_buckets_must_be_some(
    settings: Any, name: str, value: str, errors: int
) -> None:
    setattr(settings, name, value)
    assert ids(checks.check_addresses()) == ["gemproxy.E033"] * errors


def test_two_sorts_of_links_at_once_are_a_warning(settings: Any) -> None:
    settings.S3_PUBLIC_URL, settings.S3_PRESIGNED_URLS = "https://x.example", True
    assert ids(checks.check_addresses()) == ["gemproxy.W031"]


def test_a_round_trip_leaves_nothing(own_storages: Path) -> None:
    assert trial.round_trip() == "local: stored, read and deleted a picture"
    assert not [path for path in own_storages.rglob("*") if path.is_file()]


def test_a_storage_in_trouble_fails_the_round_trip(
    settings: Any, tmp_path: Path
) -> None:
    settings.IMAGE_STORAGE_DIR = tmp_path / "file"
    settings.IMAGE_STORAGE_DIR.write_text("in the way")
    with pytest.raises(trial.TrialFailed, match="local: writing failed") as caught:
        trial.round_trip()
    assert "IMAGE_STORAGE_TYPE=local" in caught.value.advice


def test_doctor_tells_of_the_round_trip(settings: Any, tmp_path: Path) -> None:
    [found] = diagnosis.image_storage()
    assert (found.level, found.subject) == ("OK", "pictures")
    settings.IMAGE_STORAGE_DIR = tmp_path / "file"
    settings.IMAGE_STORAGE_DIR.write_text("in the way")
    kinds.storage.cache_clear()
    [found] = diagnosis.image_storage()
    assert found.level == "FAIL"
    assert found.advice
    settings.IMAGE_STORAGE_TYPE, settings.S3_BUCKET = "s3", ""
    # The checks name what is missing; there is nothing to try.
    assert list(diagnosis.image_storage()) == []


def test_other_bytes_than_were_given_fail_the_round_trip(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(LocalStorage, "chunks", lambda *_: iter([b"other"]))
    with pytest.raises(trial.TrialFailed, match="other bytes"):
        trial.round_trip()


@pytest.mark.parametrize(
    ("said", "fails"),
    [
        (Said(body=trial.PICTURE), ""),
        (Said(403), "answers 403"),
        (Said(body=b"<html>"), "without the picture"),
    ],
)
def test_a_public_address_is_opened_as_a_stranger_would(
    monkeypatch: pytest.MonkeyPatch, said: Said, fails: str
) -> None:
    with serving(lambda asked: said) as server:
        monkeypatch.setattr(
            LocalStorage, "public_url", lambda self, name: f"http://{server}/{name}"
        )
        if fails:
            with pytest.raises(trial.TrialFailed, match=fails):
                trial.round_trip()
        else:
            assert "opened in public" in trial.round_trip()


def test_a_public_address_that_leads_nowhere_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        LocalStorage, "public_url", lambda self, name: "http://127.0.0.1:1/x"
    )
    with pytest.raises(trial.TrialFailed, match="ConnectError"):
        trial.round_trip()
