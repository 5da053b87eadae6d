"""Addresses of pictures: signed and ending, public, or the storage's own."""

import base64
import hashlib
import hmac
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest
from django.utils.crypto import constant_time_compare

from gemproxy.lib import clock
from imaging.models import Blob, Image
from imaging.storages.kinds import storage

PURPOSE = b"gemproxy.images.links"
SIGNATURE_BYTES = 24
#: What can be asked for beside the picture itself.
THUMBNAIL = "thumbnail"
ORIGINAL = "original"
PARTS = ("", THUMBNAIL, ORIGINAL)
#: Pages of ours show a picture for as long as somebody may look at the page.
PAGE_SECONDS = 6 * 3600


def link(image: Image, base: str = "") -> str:
    """Return the address that a caller is given for a picture.

    ``base`` stands where PUBLIC_URL is not set, as ``base_of`` a request returns it.
    """
    return _direct(image.blob) or (settings.PUBLIC_URL or base) + path(image)


def path(image: Image, part: str = "", seconds: float | None = None) -> str:
    """Return the path of a picture here, signed unless pictures are public."""
    if part == "" and settings.IMAGE_PUBLIC_URLS and seconds is None:
        return _path(image, part)
    lasting = settings.IMAGE_URL_SECONDS if seconds is None else seconds
    until = int(clock.now().timestamp() + lasting)
    query = {"until": until, "signature": signature(image.name, part, until)}
    return f"{_path(image, part)}?{urlencode(query)}"


def base_of(request: HttpRequest) -> str:
    """Return scheme and host under which a request came."""
    return request.build_absolute_uri("/").rstrip("/")


def signature(name: str, part: str, until: int, key: str = "") -> str:
    """Return what proves that we handed out an address."""
    text = f"{part}:{name}:{until}".encode()
    secret = hmac.digest((key or settings.SECRET_KEY).encode(), PURPOSE, "sha256")
    digest = hmac.digest(secret, text, hashlib.sha256)[:SIGNATURE_BYTES]
    return base64.urlsafe_b64encode(digest).decode()


def seconds_left(name: str, part: str, until: str, given: str) -> float:
    """Return for how long a signed address is good; 0 if it is not."""
    if not (until.isascii() and until.isdecimal() and len(until) <= 12):
        return 0
    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    wanted = [signature(name, part, int(until), key) for key in keys]
    if not any(constant_time_compare(given, one) for one in wanted):
        return 0
    return max(0.0, int(until) - clock.now().timestamp())


def _path(image: Image, part: str) -> str:
    if part:
        return f"/images/{image.name}/{part}"
    return f"/images/{image.name}.{image.blob.extension}"


def _direct(blob: Blob) -> str:
    """Return the storage's own address, if it has one and has the bytes."""
    if blob.state != Blob.State.STORED or blob.taken_down_at is not None:
        return ""
    found = storage(blob.storage)
    return found.public_url(blob.name) or found.timed_url(
        blob.name, int(settings.IMAGE_URL_SECONDS)
    )
