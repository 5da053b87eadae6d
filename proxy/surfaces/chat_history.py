"""The library behind the pictures of a chat's history."""

import base64
import logging
from collections.abc import Callable

from django.conf import settings
from django.db import Error as DatabaseTrouble

from accounts.callers import Caller
from gemproxy.lib.bodies import NoRoom
from imaging import library, threads
from imaging.addresses import picture_at
from imaging.storages.base import StorageTrouble
from proxy.enrich.history_images import Json, with_pictures
from proxy.errors import Busy

logger = logging.getLogger(__name__)


async def with_history(
    asked: Json, caller: Caller, hold: Callable[[int], None] | None = None
) -> Json:
    """Return a chat request with the pictures of its history, for a model that draws.

    ``hold`` is told how many bytes were loaded; it may raise NoRoom, which is Busy.
    """

    async def load(address: str) -> str | None:
        try:
            found = await threads.run(_data_url, address, caller)
        except (StorageTrouble, DatabaseTrouble, OSError) as trouble:
            logger.warning("a picture of a chat's history is left out: %s", trouble)
            return None
        if found and hold:
            try:
                hold(len(found))
            except NoRoom:
                raise Busy("Too many large requests at once; try again.") from None
        return found

    return await with_pictures(asked, settings.HISTORY_IMAGE_SUBMIT_TYPE, load)


def _data_url(address: str, caller: Caller) -> str | None:
    """Return what an address of ours shows, if this caller may see it (sync)."""
    image = picture_at(address, caller=caller.key, user_id=caller.user_id)
    if image is None:
        return None
    encoded = base64.b64encode(library.content(image)).decode()
    return f"data:{image.blob.media_type};base64,{encoded}"
