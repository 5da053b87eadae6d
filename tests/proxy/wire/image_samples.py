"""Image requests and answers for tests."""

import io
from typing import Any

from PIL import Image

from proxy.wire.openai_image_answer import Delivered
from proxy.wire.openai_images import ImageRequest, parse_edit, parse_generation

FLASH = "gemini-2.5-flash-image"
PRO = "gemini-3-pro-image-preview"


def picture_file(form: str = "PNG", size: tuple[int, int] = (8, 6)) -> bytes:
    target = io.BytesIO()
    Image.new("RGB", size, (200, 30, 30)).save(target, form)
    return target.getvalue()


def generation(upstream: str = PRO, **fields: Any) -> ImageRequest:
    body = {"prompt": "a red fox", **fields}
    return parse_generation(body, default_model=FLASH, upstream_model=upstream)


def edit(upstream: str = PRO, **fields: Any) -> ImageRequest:
    body = {"prompt": "make it blue", **fields}
    return parse_edit(body, default_model=FLASH, upstream_model=upstream)


def delivered(content: bytes = b"png", **more: Any) -> Delivered:
    fields = {"media_type": "image/png", "width": 1024, "height": 768, **more}
    return Delivered(content=content, **fields)
