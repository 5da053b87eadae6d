"""Jobs about pictures: entry points for django-q2."""

import time
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

from django.conf import settings
from django.db.models import Count, QuerySet

from accounts.pace import Pace
from gemproxy.lib import clock
from imaging import blobs, keeping, library
from imaging.models import Blob, Image, Leftover
from imaging.storages.kinds import storage
from imaging.storages.local import LocalStorage

Row = TypeVar("Row")
#: Less than what the job runner allows; what is left is for the next run.
RUN_SECONDS = 200.0
AT_ONCE = 200
#: Files without a row are left alone so long.
ORPHAN_SECONDS = 24 * 3600


def upload_images() -> str:
    """Take pictures that wait here to the storage that did not take them."""
    pace = Pace(clock.monotonic() + RUN_SECONDS)
    done = kept = 0
    for blob in _while(pace, blobs.waiting(clock.now())):
        if blobs.upload(blob):
            done += 1
        else:
            kept += 1
    return f"uploaded {done} pictures, {kept} wait on"


def clean_images() -> str:
    """Delete pictures whose time is over, and what nothing refers to any more."""
    pace = Pace(clock.monotonic() + RUN_SECONDS)
    counts = {
        "pictures whose time is over": _delete(Image.objects.over(clock.now()), pace),
        "over their plan's days": _over_days(pace),
        "over their plan's number": _over_plan(pace),
        "over their caller's number": _over_number(pace),
        "fallen out of memory": _out_of_memory(pace),
        "unused files": _forget_unused(pace),
        "deleted files": _sweep(pace),
        "hidden files": _hide(pace),
        "stray files": _strays(pace),
    }
    told = [f"{count} {what}" for what, count in counts.items() if count]
    return ", ".join(told) or "nothing to clean"


def _delete(old: QuerySet, pace: Pace) -> int:
    """Delete pictures a few at a time, until there are none or the time is up."""
    count = 0
    while not pace.is_over and (rows := list(old.order_by("id")[: pace.size])):
        with pace.step(len(rows)):
            count += library.delete(rows)
    return count


def _over_days(pace: Pace) -> int:
    """Delete pictures that the plan of their token or person keeps no longer."""
    return sum(_delete(old, pace) for old in keeping.too_old(clock.now()))


def _over_plan(pace: Pace) -> int:
    """Delete the oldest pictures of people who have more than their plan keeps."""
    count = 0
    for person, over in _while(pace, keeping.too_many()):
        owned = Image.objects.filter(user=person)
        count += _delete(_oldest(owned, over), pace)
    return count


def _over_number(pace: Pace) -> int:
    """Delete the oldest pictures of callers who have more than they may."""
    most = settings.IMAGE_MAX_PER_CALLER
    if not most:
        return 0
    many = Image.objects.order_by().values("caller").annotate(count=Count("id"))
    count = 0
    for row in _while(pace, many.filter(count__gt=most).exclude(caller="")):
        owned = Image.objects.filter(caller=row["caller"])
        count += _delete(_oldest(owned, row["count"] - most), pace)
    return count


def _out_of_memory(pace: Pace) -> int:
    """Delete rows of pictures that memory has no room for any more."""
    rows = Image.objects.filter(blob__storage="memory")
    count = rows.count() - settings.MEMORY_MAX_IMAGE_NUMBER
    return _delete(_oldest(rows, count), pace) if count > 0 else 0


def _oldest(rows: QuerySet, count: int) -> QuerySet:
    """Return the oldest rows, as a set that shrinks when they are deleted."""
    times = rows.order_by("created_at", "id").values_list("pk", flat=True)
    return Image.objects.filter(pk__in=list(times[:count]))


def _forget_unused(pace: Pace) -> int:
    count = 0
    for key in _while(pace, blobs.unused(clock.now())[:AT_ONCE]):
        with pace.step(1):
            count += blobs.forget(key)
    return count


def _sweep(pace: Pace) -> int:
    due = Leftover.objects.filter(try_again_at__lte=clock.now())
    return sum(blobs.sweep(row) for row in _while(pace, due.order_by("id")))


def _hide(pace: Pace) -> int:
    rows = Blob.objects.filter(taken_down_at__isnull=False, hidden=False)
    return sum(library.hide(blob) for blob in _while(pace, rows.order_by("id")))


def _strays(pace: Pace) -> int:
    """Delete files of our folders that no row has named for a day.

    They are left by a restored copy of the database. Buckets are never looked
    through: they may hold what is not ours.
    """
    before = time.time() - ORPHAN_SECONDS
    count = 0
    for folder in _folders():
        count += folder.drop_drafts(before)
        names = _while(pace, folder.names(before))
        while part := list(islice(names, AT_ONCE)):
            known = set(
                Blob.objects.filter(name__in=part).values_list("name", flat=True)
            )
            for name in set(part) - known:
                folder.remove(name)
                count += 1
    return count


def _folders() -> Iterator[LocalStorage]:
    yield blobs.waiting_room()
    local = storage("local")
    if isinstance(local, LocalStorage):
        yield local


def _while(pace: Pace, rows: Iterable[Row]) -> Iterator[Row]:
    """Yield until the time is up."""
    for row in rows:
        if pace.is_over:
            return
        yield row
