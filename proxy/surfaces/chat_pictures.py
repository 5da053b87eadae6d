"""Where a chat client finds pictures: in a list of their own, or in the text."""

from dataclasses import dataclass
from typing import Final

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest

from imaging import links
from proxy.errors import BadRequest
from proxy.wire.openai_answer import Way

HEADER: Final = "x-gemproxy-images"
AUTO: Final = "auto"
WAYS: Final[dict[str, Way]] = {
    "images": "images",
    "markdown": "markdown",
    "data_url": "data_url",
    "both": "both",
}
#: Who reads ``images``, by what their User-Agent holds. Open WebUI calls by aiohttp
#: and gives no name of its own; it often reaches us under a name that its users'
#: browsers cannot open, so a link would not do.
READERS: Final = ("aiohttp/", "litellm/", "open-webui", "openwebui")


@dataclass(frozen=True, slots=True)
class Display:
    """How one request wants to be shown pictures."""

    way: Way
    request: HttpRequest

    def absolute(self, path: str) -> str:
        """Return the address of a path of ours; "" under a host that is not ours."""
        try:
            return links.base_of(self.request) + path
        except DisallowedHost:
            return ""


def display_for(request: HttpRequest, *, hosted: bool) -> Display:
    """Return how a request is shown pictures: by its header, else by IMAGES_IN_CHAT.

    ``hosted`` tells that the provider keeps the pictures: all clients show a link.
    Raises BadRequest for a header that names no way.
    """
    wanted = request.META.get("HTTP_X_GEMPROXY_IMAGES", "").strip().lower()
    if wanted not in ("", AUTO, *WAYS):
        raise BadRequest(
            f"{HEADER} must be one of {', '.join((AUTO, *WAYS))}.", param=HEADER
        )
    way = WAYS.get(wanted or settings.IMAGES_IN_CHAT)
    if way is None:
        agent = request.META.get("HTTP_USER_AGENT", "").lower()
        reads = not hosted and any(name in agent for name in READERS)
        way = "images" if reads else "markdown"
    return Display(way, request)
