"""Pictures that gemini.google.com has drawn: fetched at once, in full if possible."""

import logging
from typing import Any
from urllib.parse import urljoin, urlsplit

from gemini_webapi.constants import Headers
from gemini_webapi.types import GeneratedImage

from proxy.errors import BadAnswer, Fault
from proxy.upstreams.web_guard import GuardedClient, bounded, library_faults
from proxy.wire.media_types import settled
from proxy.wire.web_answer import Picture

logger = logging.getLogger(__name__)

#: One picture, with all the steps on the way to it.
PICTURE_SECONDS = 60.0
LARGEST_BYTES = 64 * 1024 * 1024
MOST_REDIRECTS = 5
#: The session carries the account's cookies: nobody else is asked.
HOSTS = (".google.com", ".googleusercontent.com")

_ORIGINAL = "=d-I?alr=yes"
_PREVIEW = "=s2048-rj"


async def fetch_pictures(
    client: GuardedClient, images: list[GeneratedImage]
) -> list[Picture]:
    """Return the pictures of an answer; raises a fault if one cannot be had."""
    return [await _fetched(client, image) for image in images]


async def _fetched(client: GuardedClient, image: GeneratedImage) -> Picture:
    try:
        with library_faults():
            return await bounded(_original(client, image), PICTURE_SECONDS)
    except Fault as fault:
        logger.info("no picture in full size (%s); its preview it is", fault.cause)
    with library_faults():
        return await bounded(_picture(client, _preview_of(image.url)), PICTURE_SECONDS)


async def _original(client: GuardedClient, image: GeneratedImage) -> Picture:
    """Go the three steps that the site's own download button goes."""
    url = await client._get_full_size_image(
        cid=image.cid, rid=image.rid, rcid=image.rcid, image_id=image.image_id
    )
    if not url:
        raise BadAnswer("The provider named no address of the picture.")
    second = (await _get(client, url + _ORIGINAL)).text.strip()
    third = (await _get(client, second)).text.strip()
    return await _picture(client, third)


async def _picture(client: GuardedClient, url: str) -> Picture:
    response = await _get(client, url)
    data: bytes = response.content
    kind = settled(response.headers.get("content-type", "").split(";")[0], data[:64])
    if not data or len(data) > LARGEST_BYTES or not (kind or "").startswith("image/"):
        raise BadAnswer("The provider sent no picture.")
    return Picture(mime_type=kind or "", data=data)


async def _get(client: GuardedClient, url: str) -> Any:
    """Return the answer at the end of a chain of redirects within Google."""
    for _ in range(MOST_REDIRECTS):
        check_host(url)
        response = await client._live_client.get(
            url, headers=Headers.REFERER.value, allow_redirects=False
        )
        if response.status_code not in (301, 302, 303, 307, 308):
            response.raise_for_status()
            return response
        url = urljoin(url, response.headers.get("location", ""))
    raise BadAnswer("The provider's picture moves in circles.")


def check_host(url: str) -> None:
    """Raise BadAnswer for an address that is not Google's."""
    parts = urlsplit(url)
    host = f".{(parts.hostname or '').lower()}"
    if parts.scheme != "https" or not host.endswith(HOSTS):
        raise BadAnswer("The provider's picture is not at the provider's.")


def _preview_of(url: str) -> str:
    bare = url.removesuffix(_PREVIEW).removesuffix("=s1024-rj")
    return bare + _PREVIEW
