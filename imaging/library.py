"""The library of pictures: save, find, link, edit, delete, take down.

Everything here is sync and does work on the processor, the database and the storage's
network: async code calls it through ``imaging.threads.run``.
"""

import datetime
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import IntegrityError, transaction

from gemproxy.lib import clock
from imaging import blobs
from imaging.models import LONGEST_PROMPT, NAME, Blob, Image
from imaging.storages.base import StorageTrouble
from imaging.storages.kinds import storage

if TYPE_CHECKING:
    from imaging.processing import Finish, Prepared

logger = logging.getLogger(__name__)
#: Clean-ups may delete what a new picture refers to, under load several times in a row.
TRIES = 10


class NoPicture(LookupError):
    """There is no picture of that name, or its time is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a picture comes from, and what is to be done with it.

    ``made_here`` says that an account of ours drew it: only then a mark is looked
    for and provenance is written. ``remove_mark`` and ``keep_original`` override the
    settings where they are not None. ``parent`` is the name of the picture that was
    edited; it counts only if the same caller owns it. Without one, the latest of the
    caller's pictures that has the bytes of a SHA-256 of ``sources`` counts.
    """

    made_here: bool
    caller: str = ""
    user_id: int | None = None
    token_id: int | None = None
    account_id: int | None = None
    model: str = ""
    prompt: str = ""
    request_id: str = ""
    parent: str = ""
    sources: tuple[str, ...] = ()
    cost: Decimal | None = None
    expires_at: datetime.datetime | None = None
    remove_mark: bool | None = None
    keep_original: bool | None = None


@dataclass(frozen=True, slots=True)
class Saved:
    """A picture in the library, and its bytes."""

    image: Image
    data: bytes = field(repr=False)


def save(data: bytes, origin: Origin) -> Image:
    """Do what ``develop`` does, for those who do not need the bytes."""
    return develop(data, origin).image


def develop(data: bytes, origin: Origin, finish: "Finish | None" = None) -> Saved:
    """Clean a picture if it is to be cleaned, finish it, store it, and return it.

    ``finish`` makes of the clean picture what its caller asked for. A storage that does
    not take it only delays it: the picture is served from here until a job has uploaded
    it. Not to be called inside a transaction. Raises PictureRefused for what is no
    picture, NotKept if there is nowhere to put it.
    """
    ready = prepare(data, origin, finish)
    for _ in range(TRIES):
        try:
            return Saved(_store(ready, origin), ready.data)
        except (IntegrityError, blobs.Overtaken):
            logger.info("a clean-up was faster than a new picture: storing it again")
    raise blobs.NotKept("what a picture refers to was deleted again and again")


def prepare(data: bytes, origin: Origin, finish: "Finish | None" = None) -> "Prepared":
    """Return a picture as ``develop`` stores it, without storing it.

    Raises PictureRefused for what is no picture.
    """
    # Pillow and numpy are loaded only by processes that make pictures.
    from imaging.processing import prepared

    return prepared(
        data,
        model=origin.model if origin.made_here else "",
        made_here=origin.made_here,
        finish=finish,
        remove_mark=_chosen(origin.remove_mark, settings.ENABLE_WATERMARK_REMOVAL),
        keep_original=_chosen(origin.keep_original, settings.IMAGE_KEEP_ORIGINALS),
    )


def find(name: str) -> Image:
    """Return a picture by its name, also one that was taken down. Raises NoPicture."""
    if not NAME.fullmatch(name):
        raise NoPicture(name)
    rows = Image.objects.select_related("blob", "original", "thumbnail")
    image = rows.filter(name=name).first()
    if image is None or image.is_over:
        raise NoPicture(name)
    return image


def read(image: Image, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
    """Yield a range of a picture's bytes. Raises StorageTrouble."""
    return blobs.read(image.blob, start, stop)


def content(image: Image) -> bytes:
    """Return all bytes of a picture. Raises StorageTrouble."""
    return b"".join(read(image))


def delete(images: Iterable[Image]) -> int:
    """Delete pictures, and bytes that no other picture has; return how many."""
    keys: set[int] = set()
    count = 0
    for image in images:
        keys.update(_blob_keys(image))
        count += Image.objects.filter(pk=image.pk).delete()[1].get("imaging.Image", 0)
    for key in keys:
        blobs.forget(key)
    return count


def take_down(images: Iterable[Image], by: str, reason: str = "") -> int:
    """Let nobody see these pictures, nor others of the same bytes; return how many.

    A public address of the storage's own is cut off too; if the storage does not
    answer, a job does that later.
    """
    rows = list(images)
    keys = {key for image in rows for key in _blob_keys(image)}
    Blob.objects.filter(pk__in=keys, taken_down_at=None).update(
        taken_down_at=clock.now(),
        taken_down_by=by[:150],
        takedown_reason=reason[:300],
        hidden=False,
    )
    for blob in Blob.objects.filter(pk__in=keys, hidden=False):
        hide(blob)
    return len(rows)


def restore(images: Iterable[Image]) -> int:
    """Show pictures again that were taken down; return how many."""
    rows = list(images)
    keys = {key for image in rows for key in _blob_keys(image)}
    Blob.objects.filter(pk__in=keys).update(
        taken_down_at=None, taken_down_by="", takedown_reason="", hidden=False
    )
    return len(rows)


def hide(blob: Blob) -> bool:
    """Cut off the storage's own addresses of bytes; return whether that is done."""
    found = storage(blob.storage)
    opens = found.public_url(blob.name) or found.timed_url(blob.name, 1)
    if not opens or blob.state != Blob.State.STORED:
        Blob.objects.filter(pk=blob.pk).update(hidden=True)
        return True
    try:
        blobs.move_away(blob)
    except StorageTrouble as trouble:
        logger.warning("a picture that was taken down can still be read: %s", trouble)
        return False
    return True


def _store(ready: "Prepared", origin: Origin) -> Image:
    """Put the bytes where they belong, then the row that refers to them."""
    blob = blobs.keep(ready.data, ready.media_type, ready.size)
    original = thumbnail = None
    if ready.original:
        original = blobs.keep(ready.original, ready.original_type, ready.original_size)
    if ready.thumbnail:
        thumbnail = blobs.keep(
            ready.thumbnail, "image/webp", ready.thumbnail_size, is_thumbnail=True
        )
    with transaction.atomic():
        return Image.objects.create(
            blob=blob,
            original=original,
            thumbnail=thumbnail,
            parent=_parent(origin),
            prompt=_prompt(origin),
            model=origin.model[:120],
            account_id=origin.account_id,
            token_id=origin.token_id,
            user_id=origin.user_id,
            caller=origin.caller[:64],
            request_id=origin.request_id[:40],
            cost=origin.cost,
            expires_at=origin.expires_at,
            **ready.mark_fields,
        )


def _parent(origin: Origin) -> Image | None:
    if not origin.caller:
        return None
    own = Image.objects.filter(caller=origin.caller)
    if origin.parent:
        return own.filter(name=origin.parent).first()
    for digest in origin.sources:
        found = own.filter(blob__sha256=digest).order_by("-id").first()
        if found is not None:
            return found
    return None


def _prompt(origin: Origin) -> str:
    if not settings.IMAGE_KEEP_PROMPTS:
        return ""
    # PostgreSQL's texts take no NUL.
    return origin.prompt.replace("\0", "")[:LONGEST_PROMPT]


def _blob_keys(image: Image) -> list[int]:
    keys = (image.blob_id, image.original_id, image.thumbnail_id)
    return [key for key in keys if key is not None]


def _chosen(own: bool | None, setting: bool) -> bool:
    return setting if own is None else own
