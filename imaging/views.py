"""Pictures over HTTP, for those who were given their address."""

import logging
from collections.abc import Generator, Iterator

from django.conf import settings
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.http import parse_etags
from django.views.decorators.http import require_safe

from imaging import blobs, library, links
from imaging.models import EXTENSIONS, Blob, Image
from imaging.ranges import Unsatisfiable, one_range
from imaging.storages.base import PictureMissing, StorageTrouble
from imaging.threads import Stream

logger = logging.getLogger(__name__)
#: A picture that is taken down leaves the caches after so many seconds.
CACHE_SECONDS = 3600
RETRY_SECONDS = "30"
HEADERS = {
    # Whatever the bytes are: nothing in them may run, not even in an old browser.
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Accept-Ranges": "bytes",
}


@require_safe
def picture(request: HttpRequest, name: str, part: str = "") -> HttpResponseBase:
    """Answer with a picture, its thumbnail or its original.

    Who has no right to it is told the same, whether it is there or not.
    """
    bare, dot, extension = name.partition(".")
    if part not in links.PARTS or (part and dot):
        return _plain("There is no such picture.", 404)
    seconds = _right(request, bare, part)
    if not seconds:
        return _plain("This link is not valid, or its time is over.", 403)
    try:
        image = library.find(bare)
    except library.NoPicture:
        return _plain("There is no such picture.", 404)
    if dot and extension != image.blob.extension:
        return _plain("There is no such picture.", 404)
    if image.is_taken_down:
        return _plain("This picture was taken down.", 410)
    return _answer(request, image, part, seconds)


def _right(request: HttpRequest, name: str, part: str) -> float:
    """Return for how many seconds the sender may have it; 0 for not at all."""
    if settings.IMAGE_PUBLIC_URLS and part == "":
        return CACHE_SECONDS
    until, given = request.GET.get("until", ""), request.GET.get("signature", "")
    return links.seconds_left(name, part, until, given)


def _answer(
    request: HttpRequest, image: Image, part: str, seconds: float
) -> HttpResponseBase:
    blob = _blob(image, part)
    if blob is None:
        return _plain("There is no such picture.", 404)
    headers = _headers(image, blob, part, seconds)
    if _is_known(request, headers["ETag"]):
        return HttpResponse(status=304, headers=headers)
    try:
        wanted = _wanted(request, headers["ETag"], blob.size)
    except Unsatisfiable:
        headers["Content-Range"] = f"bytes */{blob.size}"
        return HttpResponse(status=416, headers=headers)
    headers["Content-Type"] = blob.media_type
    start, stop = wanted or (0, blob.size)
    headers["Content-Length"] = str(stop - start)
    if wanted:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{blob.size}"
    status = 206 if wanted else 200
    if request.method == "HEAD":
        return HttpResponse(status=status, headers=headers)
    return _bytes(blob, start, stop, status, headers)


def _blob(image: Image, part: str) -> Blob | None:
    if part == links.ORIGINAL:
        return image.original
    if part == links.THUMBNAIL:
        return image.thumbnail or image.blob
    return image.blob


def _headers(image: Image, blob: Blob, part: str, seconds: float) -> dict[str, str]:
    is_public = settings.IMAGE_PUBLIC_URLS and part == ""
    stem = image.name[:12] + (f"-{part}" if part else "")
    lasting = int(min(seconds, CACHE_SECONDS))
    return {
        **HEADERS,
        "ETag": f'"{blob.sha256[:40]}"',
        "Cache-Control": f"{'public' if is_public else 'private'}, max-age={lasting}",
        "Content-Disposition": f'inline; filename="{stem}.{EXTENSIONS[blob.media_type]}"',
    }


def _is_known(request: HttpRequest, tag: str) -> bool:
    """Return whether the sender has these bytes already."""
    tags = parse_etags(request.headers.get("If-None-Match", ""))
    return "*" in tags or tag in [known.removeprefix("W/") for known in tags]


def _wanted(request: HttpRequest, tag: str, size: int) -> tuple[int, int] | None:
    """Return the range asked for, if it is still a range of the same bytes."""
    condition = request.headers.get("If-Range", "")
    if condition and condition != tag:
        return None
    return one_range(request.headers.get("Range", ""), size)


def _bytes(
    blob: Blob, start: int, stop: int, status: int, headers: dict[str, str]
) -> HttpResponseBase:
    """Read the first bytes before the status goes out: it must be an honest one."""
    chunks = blobs.read(blob, start, stop)
    try:
        first = next(chunks, b"")
    except PictureMissing:
        return _plain("There is no such picture.", 404)
    except StorageTrouble as trouble:
        logger.warning("a picture could not be read: %s", trouble)
        return _plain(
            "The storage of this picture does not answer.",
            503,
            **{"Retry-After": RETRY_SECONDS},
        )
    if len(first) >= stop - start:
        return HttpResponse(first, status=status, headers=headers)
    body = Stream(_resumed(first, chunks))
    return StreamingHttpResponse(body, status=status, headers=headers)


def _resumed(first: bytes, chunks: Iterator[bytes]) -> Generator[bytes, None, None]:
    """Go on after the first bytes; what ends a picture in its middle is logged."""
    try:
        yield first
        yield from chunks
    except StorageTrouble as trouble:
        logger.warning("a picture broke off: %s", trouble)
        raise


def _plain(text: str, status: int, **headers: str) -> HttpResponse:
    return HttpResponse(
        f"{text}\n",
        status=status,
        content_type="text/plain; charset=utf-8",
        headers={"Cache-Control": "no-store", **headers},
    )
