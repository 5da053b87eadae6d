"""Lists of models for OpenAI and Gemini clients, from plain values."""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from proxy.errors import BadRequest
from proxy.wire.gemini_answer import Json

_PAGE = 50
_LARGEST_PAGE = 1000
_PREFIX = "models/"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """One model that clients may ask for. ``name`` may carry "models/" or not.

    The sampling values default to those that Google's models.list gives for its
    current text models; None leaves one out, embedding models show none of them.
    """

    name: str
    display_name: str
    description: str
    created: int
    input_limit: int
    output_limit: int
    methods: tuple[str, ...]
    thinking: bool
    category: Literal["text", "image", "embedding"]
    owned_by: str = "google"
    version: str = ""
    temperature: float | None = 1.0
    max_temperature: float | None = 2.0
    top_p: float | None = 0.95
    top_k: int | None = 64


def openai_model(info: ModelInfo) -> Json:
    """Return a model object of OpenAI's list; the last four fields are extras that
    chat clients read where they know them."""
    return {
        "id": info.name.removeprefix(_PREFIX),
        "object": "model",
        "created": info.created,
        "owned_by": info.owned_by,
        "name": info.display_name,
        "description": info.description,
        "context_length": info.input_limit,
        "max_completion_tokens": info.output_limit,
    }


def gemini_model(info: ModelInfo) -> Json:
    """Return a Model of Google's models.list with its native fields."""
    name = info.name.removeprefix(_PREFIX)
    model: Json = {
        "name": _PREFIX + name,
        "baseModelId": name,
        "version": info.version or "001",
        "displayName": info.display_name,
        "description": info.description,
        "inputTokenLimit": info.input_limit,
        "outputTokenLimit": info.output_limit,
        "supportedGenerationMethods": list(info.methods),
    }
    sampling = {
        "temperature": info.temperature,
        "maxTemperature": info.max_temperature,
        "topP": info.top_p,
        "topK": info.top_k,
    }
    if info.category != "embedding":
        model |= {key: value for key, value in sampling.items() if value is not None}
    if info.thinking:
        model["thinking"] = True
    return model


def union_list(
    infos: Sequence[ModelInfo],
    *,
    page_size: int | str | None = None,
    page_token: str | None = None,
) -> Json:
    """Return one list that both families of SDKs read.

    OpenAI's ``data`` is always whole; Google's ``models`` comes in pages of 50 unless
    ``page_size`` says otherwise (at most 1000), ``nextPageToken`` being absent on the
    last one. Raises BadRequest for a page size or token that makes no sense.
    """
    size = _page_size(page_size)
    start = _offset(page_token, len(infos))
    end = start + size
    listed: Json = {
        "object": "list",
        "data": [openai_model(info) for info in infos],
        "models": [gemini_model(info) for info in infos[start:end]],
    }
    if end < len(infos):
        listed["nextPageToken"] = _token(end)
    return listed


def _page_size(given: int | str | None) -> int:
    if given in (None, "", 0, "0"):
        return _PAGE
    text = str(given)
    if not (text.isascii() and text.isdigit()) or len(text) > 9:
        raise BadRequest(
            "pageSize must be a whole number that is not negative.", param="pageSize"
        )
    return min(int(text), _LARGEST_PAGE)


def _token(offset: int) -> str:
    return base64.urlsafe_b64encode(b"models:%d" % offset).decode().rstrip("=")


def _offset(token: str | None, count: int) -> int:
    if not token:
        return 0
    try:
        padded = token + "=" * (-len(token) % 4)
        text = base64.b64decode(padded, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        text = ""
    word, _, number = text.partition(":")
    known = word == "models" and number.isascii() and number.isdigit()
    if not known or not 0 < int(number[:9]) < max(count, 1):
        raise BadRequest("pageToken is not one that this list gave.", param="pageToken")
    return int(number[:9])
