"""A person's own pictures: which there are, page by page, and what belongs together."""

import datetime
import re
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db.models import Manager, Q, QuerySet
from django.utils import timezone

from gemproxy.lib import clock
from imaging.models import NAME, Image
from imaging.storages.kinds import storage

PAGE = 60
MOST_PARENTS = 12
MOST_CHILDREN = 12
#: Models are offered as filters if one of so many latest pictures has them.
LOOK_BACK = 2000
# Microseconds of 17 digits end in the year 5138.
_PLACE = re.compile(rf"(\d{{1,17}})-({NAME.pattern})", re.ASCII)
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_TICK = datetime.timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Shelf:
    """One page of pictures; ``older`` is the place where the next one begins, or ""."""

    images: list[Image]
    older: str


def owned(user: Any) -> QuerySet[Image]:
    """Return a person's pictures, those included that were taken down."""
    rows = Image.objects.present(clock.now()).filter(user=user.pk)
    return rows.select_related("blob", "original", "thumbnail")


def models_of(user: Any) -> list[str]:
    """Return the models that drew a person's latest pictures."""
    latest = owned(user).order_by("-created_at").values_list("model", flat=True)
    return sorted({model for model in latest[:LOOK_BACK] if model})


def chosen(rows: QuerySet[Image], wishes: dict[str, Any]) -> QuerySet[Image]:
    """Return the pictures that a valid filter form asks for."""
    tests = Q()
    if wishes["q"]:
        tests &= Q(prompt__icontains=wishes["q"])
    if wishes["model"]:
        tests &= Q(model=wishes["model"])
    if wishes["token"]:
        tests &= Q(token=wishes["token"].pk)
    if wishes["since"]:
        tests &= Q(created_at__gte=_midnight(wishes["since"]))
    if wishes["until"]:
        day = wishes["until"] + datetime.timedelta(days=1)
        tests &= Q(created_at__lt=_midnight(day))
    if wishes["edits"]:
        tests &= Q(parent__isnull=False)
    return rows.filter(tests)


def shelf(rows: QuerySet[Image], place: str = "") -> Shelf:
    """Return a page of pictures, newest first, from a place on.

    The place is a time and a name, so pictures that come or go meanwhile shift
    nothing. Raises ValueError for what is no place.
    """
    if place:
        rows = rows.filter(_behind(place))
    found = list(rows.order_by("-created_at", "-name")[: PAGE + 1])
    images = found[:PAGE]
    return Shelf(images, _place(images[-1]) if len(found) > PAGE else "")


def ancestors(image: Image, rows: Manager[Image] | QuerySet[Image]) -> list[Image]:
    """Return what a picture was edited from and is among ``rows``, the oldest first."""
    found: list[Image] = []
    key = image.parent_id
    while key is not None and len(found) < MOST_PARENTS:
        parent = rows.select_related("blob", "thumbnail").filter(pk=key).first()
        if parent is None or parent in found:
            break
        found.append(parent)
        key = parent.parent_id
    return found[::-1]


def children(image: Image, rows: QuerySet[Image]) -> list[Image]:
    """Return what was made of a picture and is among ``rows``, newest first."""
    return list(rows.filter(parent=image.pk)[:MOST_CHILDREN])


def link_ends_at(image: Image) -> datetime.datetime | None:
    """Return when a link that is made now ends; None for never."""
    kept = image.blob
    stored = kept.state == kept.State.STORED
    direct = stored and storage(kept.storage).public_url(kept.name)
    timed = stored and storage(kept.storage).timed_url(kept.name, 1)
    if direct or (settings.IMAGE_PUBLIC_URLS and not timed):
        return None
    return clock.now() + datetime.timedelta(seconds=settings.IMAGE_URL_SECONDS)


def _place(image: Image) -> str:
    return f"{(image.created_at - _EPOCH) // _TICK}-{image.name}"


def _behind(place: str) -> Q:
    parts = _PLACE.fullmatch(place)
    if parts is None:
        raise ValueError(place)
    made = _EPOCH + int(parts[1]) * _TICK
    return Q(created_at__lt=made) | Q(created_at=made, name__lt=parts[2])


def _midnight(day: datetime.date) -> datetime.datetime:
    """Return when a day begins in the gateway's time zone."""
    return timezone.make_aware(datetime.datetime.combine(day, datetime.time()))
