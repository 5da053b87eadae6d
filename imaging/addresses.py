"""From the address of a picture back to the picture, for who may see it."""

import re
from urllib.parse import parse_qs, urlsplit

from django.conf import settings

from imaging import library, links
from imaging.models import Blob, Image
from imaging.storages.base import NAME
from imaging.storages.kinds import storage

#: The paths of ``links.path``, and how the names in storages end an address.
_OURS = re.compile(r"/images/([0-9a-f]{40})(?:\.[a-z]{3,4})?\Z")
_STORED = re.compile(rf"/({NAME.pattern})\Z")
#: Longer addresses are not ours.
LONGEST = 4096


def picture_at(address: str, *, caller: str, user_id: int | None) -> Image | None:
    """Return the picture behind an address that ``links.link`` made, or None (sync).

    None stands for what is not ours, is gone or was taken down, and for what is
    neither this caller's or person's own nor shown to everybody by its address. The
    host does not matter: the gateway has many names.
    """
    if len(address) > LONGEST:
        return None
    try:
        parts = urlsplit(address)
    except ValueError:
        return None
    if own := _OURS.search(parts.path):
        query = parse_qs(parts.query)
        is_open = settings.IMAGE_PUBLIC_URLS or bool(_seconds(own[1], query))
        image = _found(own[1])
    elif stored := _STORED.search(parts.path):
        is_open = False
        image = _stored(stored[1], address, caller, user_id)
    else:
        return None
    if image is None or image.is_taken_down:
        return None
    return image if is_open or _owns(image, caller, user_id) else None


def _seconds(name: str, query: dict[str, list[str]]) -> float:
    until, given = query.get("until", [""])[0], query.get("signature", [""])[0]
    return links.seconds_left(name, "", until, given)


def _found(name: str) -> Image | None:
    try:
        return library.find(name)
    except library.NoPicture:
        return None


def _stored(name: str, address: str, caller: str, user_id: int | None) -> Image | None:
    """Return the caller's picture whose bytes lie at a storage's own address."""
    blob = Blob.objects.filter(name=name).first()
    if blob is None or not _leads_to(address, blob):
        return None
    rows = Image.objects.select_related("blob").filter(blob=blob).order_by("-id")
    mine = (one for one in rows[:100] if _owns(one, caller, user_id))
    image = next(mine, None)
    return None if image is None or image.is_over else image


def _leads_to(address: str, blob: Blob) -> bool:
    found = storage(blob.storage)
    real = found.public_url(blob.name) or found.timed_url(blob.name, 60)
    return bool(real) and urlsplit(real)[:3] == urlsplit(address)[:3]


def _owns(image: Image, caller: str, user_id: int | None) -> bool:
    if image.caller and image.caller == caller:
        return True
    return user_id is not None and image.user_id == user_id
