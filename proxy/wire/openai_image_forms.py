"""The form (multipart/form-data) of an image edit or variation, as the JSON it means.

SDKs send one picture as ``image``, several as ``image[]``; others number them
(``image[0]``) or repeat ``image``. Order, file names and content types are not fixed.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from proxy.wire.openai_fields import wrong

_NUMBERED = re.compile(r"(image|images)(?:\[(\d{0,3})\])?\Z")
_WHOLE: Final = ("n", "output_compression", "partial_images", "count")
_FLAGS: Final = {"true": True, "1": True, "false": False, "0": False}


@dataclass(frozen=True, slots=True)
class FormFile:
    """A file of a form. What it is called and said to be decides nothing."""

    content: bytes = field(repr=False)
    content_type: str = ""


def read_form(
    fields: Iterable[tuple[str, str]], files: Iterable[tuple[str, FormFile]]
) -> dict[str, Any]:
    """Return a form as the request that a JSON body would be.

    Pictures are gathered under ``image`` in their order, as FormFile or as the text
    that stood there; numbers and flags become what they say. A field without text
    counts as missing, of a repeated one the last counts. Raises BadRequest for files
    in other places than ``image`` and ``mask``, and for numbers that are none.
    """
    request: dict[str, Any] = {}
    pictures: list[tuple[int, FormFile | str]] = []
    for name, file in files:
        if found := _NUMBERED.match(name):
            pictures.append((_place(found, pictures), file))
        elif name == "mask":
            request["mask"] = file
        else:
            raise wrong(name[:64], "takes no file; pictures go into image and mask")
    for name, text in fields:
        if found := _NUMBERED.match(name):
            pictures.append((_place(found, pictures), text))
        elif text.strip():
            request[name] = _value(name, text)
    if pictures:
        in_order = sorted(pictures, key=lambda pair: pair[0])
        request["image"] = [picture for _, picture in in_order if picture]
    return request


def _place(found: re.Match[str], before: list[tuple[int, FormFile | str]]) -> int:
    """Return where a picture stands: its number, or after those before it."""
    return int(found[2]) if found[2] else len(before)


def _value(name: str, text: str) -> object:
    if name in _WHOLE:
        digits = text.strip()
        if not re.fullmatch(r"-?\d{1,9}", digits):
            raise wrong(name, "must be an integer")
        return int(digits)
    if name == "stream":
        known = _FLAGS.get(text.strip().lower())
        if known is None:
            raise wrong(name, "must be true or false")
        return known
    return text
