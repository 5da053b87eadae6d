"""Bytes in storages: kept once, read in parts, deleted when nothing refers to them.

A storage that does not take bytes loses nothing: they wait in a folder of ours, are
read from there, and go where they belong by a job.
"""

import datetime
import hashlib
import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from gemproxy.lib import clock
from imaging.models import EXTENSIONS, Blob, Image, Leftover, new_name
from imaging.storages.base import THUMBNAILS, PictureMissing, StorageTrouble
from imaging.storages.kinds import storage
from imaging.storages.local import LocalStorage

logger = logging.getLogger(__name__)
#: What nobody refers to is left alone so long: somebody may be about to.
GRACE = datetime.timedelta(hours=1)
LONGEST_WAIT = datetime.timedelta(hours=1)


class NotKept(Exception):
    """Neither the storage nor our own folder took the bytes."""


class Overtaken(Exception):
    """A clean-up deleted the row while its bytes were on their way."""


def waiting_room() -> LocalStorage:
    """Return the folder of what storages have not taken yet."""
    return LocalStorage(Path(settings.VAR_DIR) / "pending-images")


def keep(
    data: bytes, media_type: str, size: tuple[int, int], *, is_thumbnail: bool = False
) -> Blob:
    """Store bytes and return their row; the same bytes have the same row.

    Raises NotKept, and Overtaken if it is to be tried again.
    """
    width, height = size
    blob, _ = Blob.objects.get_or_create(
        sha256=hashlib.sha256(data).hexdigest(),
        storage=settings.IMAGE_STORAGE_TYPE,
        defaults={
            "name": _stored_name(media_type, is_thumbnail=is_thumbnail),
            "media_type": media_type,
            "size": len(data),
            "width": width,
            "height": height,
        },
    )
    Blob.objects.filter(pk=blob.pk).update(touched_at=clock.now())
    if blob.state != Blob.State.STORED or not storage(blob.storage).lasts:
        _put(blob, data)
    return blob


def read(blob: Blob, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
    """Yield a range of the bytes. Raises PictureMissing and StorageTrouble."""
    if blob.state == Blob.State.STORED:
        yield from storage(blob.storage).chunks(blob.name, start, stop)
        return
    try:
        yield from waiting_room().chunks(blob.name, start, stop)
    except PictureMissing:
        # Another process may have taken it to its storage just now.
        yield from storage(blob.storage).chunks(blob.name, start, stop)


def upload(blob: Blob) -> bool:
    """Take bytes that wait to their storage; return whether it has them now.

    Nothing happens where the bytes are not here: another machine has them. A row
    that was deleted since it was read is passed over.
    """
    try:
        return _upload(blob)
    except Overtaken:
        return False


def _upload(blob: Blob) -> bool:
    try:
        data = b"".join(waiting_room().chunks(blob.name))
    except PictureMissing:
        _put_off(blob, "its bytes wait on another machine")
        return False
    try:
        storage(blob.storage).put(blob.name, data, blob.media_type)
    except StorageTrouble as trouble:
        _put_off(blob, str(trouble))
        return False
    _mark_stored(blob)
    waiting_room().remove(blob.name)
    return True


def waiting(now: datetime.datetime) -> Iterable[Blob]:
    """Return what may be taken to its storage now, the oldest first."""
    due = Q(try_again_at__lte=now) | Q(try_again_at=None)
    return Blob.objects.filter(due, state=Blob.State.PENDING).order_by("id")


def unused(now: datetime.datetime) -> Iterable[int]:
    """Return the keys of rows that nothing has referred to for a while."""
    return (
        Blob.objects.filter(
            touched_at__lt=now - GRACE,
            images=None,
            originals=None,
            thumbnails=None,
        )
        .order_by("touched_at")
        .values_list("pk", flat=True)
    )


def forget(key: int) -> bool:
    """Delete a row that nothing refers to and note its bytes for deletion.

    Returns False if something does. Whoever refers to it at this very moment fails
    at his commit and stores the bytes again, under another name.
    """
    with transaction.atomic():
        blob = Blob.objects.select_for_update().filter(pk=key).first()
        if blob is None or _is_used(blob):
            return False
        _discard(blob.storage, blob.name)
        blob.delete()
    return True


def sweep(leftover: Leftover) -> bool:
    """Delete bytes that were noted for it; return whether they are gone."""
    try:
        storage(leftover.storage).remove(leftover.name)
        waiting_room().remove(leftover.name)
    except StorageTrouble as trouble:
        tries = leftover.tries + 1
        Leftover.objects.filter(pk=leftover.pk).update(
            tries=tries, try_again_at=clock.now() + _pause(tries), trouble=str(trouble)
        )
        logger.warning("a deleted picture is still in its storage: %s", trouble)
        return False
    leftover.delete()
    return True


def move_away(blob: Blob) -> None:
    """Give bytes another name in their storage, so that old addresses find nothing.

    Raises StorageTrouble; nothing has changed then.
    """
    data = b"".join(read(blob))
    name = _stored_name(blob.media_type, is_thumbnail=blob.name.startswith(THUMBNAILS))
    storage(blob.storage).put(name, data, blob.media_type)
    with transaction.atomic():
        rows = Blob.objects.filter(pk=blob.pk, name=blob.name)
        # Whoever came first has the row; the other's bytes go.
        moved = rows.update(name=name, hidden=True, state=Blob.State.STORED)
        _discard(blob.storage, blob.name if moved else name)


def _stored_name(media_type: str, *, is_thumbnail: bool) -> str:
    name = new_name()
    folder = THUMBNAILS if is_thumbnail else name[:2]
    return f"{folder}/{name}.{EXTENSIONS[media_type]}"


def _put(blob: Blob, data: bytes) -> None:
    try:
        storage(blob.storage).put(blob.name, data, blob.media_type)
    except StorageTrouble as trouble:
        _keep_here(blob, data, trouble)
    else:
        _mark_stored(blob)


def _keep_here(blob: Blob, data: bytes, trouble: StorageTrouble) -> None:
    logger.warning("a picture waits for its storage: %s", trouble)
    try:
        waiting_room().put(blob.name, data, blob.media_type)
    except StorageTrouble as worse:
        raise NotKept(f"{trouble}; {worse}") from worse
    _put_off(blob, str(trouble))


def _put_off(blob: Blob, why: str) -> None:
    tries = blob.tries + 1
    _update(
        blob,
        state=Blob.State.PENDING,
        trouble=why[:300],
        tries=tries,
        try_again_at=clock.now() + _pause(tries),
    )


def _mark_stored(blob: Blob) -> None:
    _update(blob, state=Blob.State.STORED, trouble="", try_again_at=None)


def _update(blob: Blob, **fields: Any) -> None:
    """Change a row. Raises Overtaken, with its bytes noted for deletion, if it is gone."""
    if not Blob.objects.filter(pk=blob.pk).update(**fields):
        _discard(blob.storage, blob.name)
        raise Overtaken
    for name, value in fields.items():
        setattr(blob, name, value)


def _pause(tries: int) -> datetime.timedelta:
    """Return one minute, two, four … up to an hour."""
    return min(LONGEST_WAIT, datetime.timedelta(minutes=2 ** min(tries - 1, 10)))


def _is_used(blob: Blob) -> bool:
    users = Q(blob=blob) | Q(original=blob) | Q(thumbnail=blob)
    return Image.objects.filter(users).exists()


def _discard(storage_kind: str, name: str) -> None:
    Leftover.objects.get_or_create(name=name, defaults={"storage": storage_kind})
