"""A trial of the storage: does it take, give and delete what is ours?"""

import base64

import httpx
from django.conf import settings

from imaging.models import new_name
from imaging.storages.base import StorageTrouble
from imaging.storages.kinds import chosen

#: The smallest PNG there is: one transparent pixel.
PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6"
    "kgAAAABJRU5ErkJggg=="
)
SECONDS = 10


class TrialFailed(Exception):
    """What did not work, and what can be done about it."""

    def __init__(self, text: str, advice: str) -> None:
        super().__init__(text)
        self.advice = advice


def round_trip() -> str:
    """Store, read and delete a picture; return what was done. Raises TrialFailed."""
    store = chosen()
    name = new_name()
    name = f"{name[:2]}/{name}.png"
    try:
        store.put(name, PICTURE, "image/png")
        try:
            if b"".join(store.chunks(name)) != PICTURE:
                raise TrialFailed(
                    f"{store.kind} gave back other bytes than it was given",
                    "look for something between here and there that changes them",
                )
            steps = ["stored", "read", *_opened(store.public_url(name))]
        finally:
            store.remove(name)
    except StorageTrouble as trouble:
        raise TrialFailed(
            str(trouble),
            "correct the settings of IMAGE_STORAGE_TYPE="
            f"{settings.IMAGE_STORAGE_TYPE}; pictures wait here until it works",
        ) from trouble
    return f"{store.kind}: {', '.join(steps)} and deleted a picture"


def _opened(url: str) -> list[str]:
    """Open a public address as a stranger would."""
    if not url:
        return []
    advice = "open the bucket to readers, or leave its public address out"
    try:
        answer = httpx.get(url, timeout=SECONDS, follow_redirects=True)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        text = f"the public address does not answer: {type(error).__name__}"
        raise TrialFailed(text, advice) from error
    if answer.status_code != 200 or answer.content != PICTURE:
        text = f"the public address answers {answer.status_code} without the picture"
        raise TrialFailed(text, advice)
    return ["opened in public"]
