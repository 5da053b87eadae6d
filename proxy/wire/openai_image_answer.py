"""Gemini's pictures as answers of OpenAI's images API, whole and as a stream."""

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

import orjson

from proxy.errors import BadAnswer, Fault, UpstreamRefused
from proxy.wire.answer_media import KEPT
from proxy.wire.error_bodies import openai_error
from proxy.wire.gemini_answer import (
    FILTERED,
    Json,
    Usage,
    candidates_of,
    dicts,
    mapping,
    parts_of,
    reason_of,
)
from proxy.wire.image_models import is_imagen
from proxy.wire.openai_images import ImageRequest
from proxy.wire.remarks import KEY, remarks
from proxy.wire.xai_models import is_grok

BLOCKED: Final = "moderation_blocked"
FAILED: Final = "image_generation_failed"
_UNDRAWN: Final = frozenset({"STOP", "NO_IMAGE", "MAX_TOKENS"})
_MOST_WORDS: Final = 300
_QUALITY: Final = {"standard": "medium", "hd": "high"}
_EVENTS: Final = {
    "generation": "image_generation",
    "edit": "image_edit",
    "variation": "image_edit",
}


@dataclass(frozen=True, slots=True)
class Drawn:
    """A picture in an answer: bytes in base64, or the address where it lies.

    ``revised_prompt`` is what the model made of the prompt, where it tells; ``kept`` is
    what our library says of the picture.
    """

    media_type: str
    data: str = field(default="", repr=False)
    url: str = ""
    revised_prompt: str = ""
    kept: Json = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """A picture as the caller gets it: ``url`` for a link, else its bytes.

    These are ``content``, or ``encoded`` where they stand in base64 already. A width
    of 0 is an unknown size.
    """

    media_type: str
    width: int
    height: int
    content: bytes = field(default=b"", repr=False)
    encoded: str = field(default="", repr=False)
    url: str = field(default="", repr=False)
    revised_prompt: str = ""
    transparent: bool = False

    @property
    def base64(self) -> str:
        return self.encoded or base64.b64encode(self.content).decode()

    @property
    def link(self) -> str:
        """Its address, or all of it as a data URL."""
        return self.url or f"data:{self.media_type};base64,{self.base64}"

    @property
    def size(self) -> str:
        return f"{self.width}x{self.height}"

    @property
    def format(self) -> str:
        return self.media_type.partition("/")[2]


def drawn(data: Json, model: str) -> list[Drawn]:
    """Return the pictures of an answer in order; ``model`` is the upstream model.

    Drafts that a model makes while thinking are left out. Imagen and Grok put the
    prompt as they rewrote it before the picture. Raises the fault of ``refusal`` when
    there is no picture.
    """
    revises = is_imagen(model) or is_grok(model)
    found = [
        picture
        for _, candidate in candidates_of(data)
        for picture in _pictures(candidate, revises=revises)
    ]
    if not found:
        raise refusal(data)
    return found


def _pictures(candidate: Json, *, revises: bool) -> Iterator[Drawn]:
    words = ""
    for part in parts_of(candidate):
        if part.get("thought"):
            continue
        if part.get("text") and revises:
            words = str(part["text"])
        inline, file = mapping(part.get("inlineData")), mapping(part.get("fileData"))
        kind = str((inline or file).get("mimeType") or "")
        if not kind.startswith("image/"):
            continue
        if inline.get("data"):
            data, kept = str(inline["data"]), mapping(part.get(KEPT))
            yield Drawn(kind, data=data, revised_prompt=words, kept=kept)
        elif file.get("fileUri"):
            yield Drawn(kind, url=str(file["fileUri"]), revised_prompt=words)


def shortfall(data: Json) -> list[str]:
    """Return why candidates have no picture: one finish reason for each."""
    return [
        reason_of(candidate) or "NO_IMAGE"
        for _, candidate in candidates_of(data)
        if not list(_pictures(candidate, revises=False))
    ]


def refusal(data: Json) -> Fault:
    """Return the fault that says why an answer has no picture.

    A filter's word becomes 400 ``moderation_blocked``; an answer in words only becomes
    400 ``image_generation_failed`` with those words, and so does a model that chose to
    draw nothing. What nobody explains is the provider's failure, 502.
    """
    blocked = reason_of(mapping(data.get("promptFeedback")), "blockReason")
    if blocked:
        return _blocked("the prompt", blocked, "")
    reasons = shortfall(data)
    message = next(
        (
            str(c["finishMessage"])
            for _, c in candidates_of(data)
            if c.get("finishMessage")
        ),
        "",
    )
    for reason in reasons:
        if reason in FILTERED:
            return _blocked("the picture", reason, message)
    words = _words(data) or message
    if words:
        return UpstreamRefused(
            f"The model drew nothing and said: {_short(words)}", code=FAILED
        )
    if reasons and set(reasons) <= _UNDRAWN:
        return UpstreamRefused(
            f"The model drew nothing ({reasons[0]}). "
            "Say plainly in the prompt what the picture shall show.",
            code=FAILED,
        )
    told = f": {reasons[0]}" if reasons else ""
    return BadAnswer(f"The provider made no picture{told}.", code=FAILED)


def _blocked(what: str, reason: str, message: str) -> Fault:
    told = f" {_short(message)}" if message else ""
    return UpstreamRefused(
        f"The provider's filter withheld {what} ({reason}).{told} "
        "The same request will be refused again; change the prompt.",
        code=BLOCKED,
        param="prompt" if what == "the prompt" else None,
    )


def _words(data: Json) -> str:
    texts = [
        str(part["text"])
        for _, candidate in candidates_of(data)
        for part in parts_of(candidate)
        if part.get("text") and not part.get("thought")
    ]
    return " ".join(" ".join(texts).split())


def _short(words: str) -> str:
    return words if len(words) <= _MOST_WORDS else f"{words[:_MOST_WORDS]}…"


def render_images(
    pictures: Sequence[Delivered],
    request: ImageRequest,
    *,
    created: int,
    usage: Usage | None = None,
    missing: Sequence[str] = (),
    estimated: bool = False,
) -> Json:
    """Return the answer in the shape that the request asked for.

    ``size`` and ``output_format`` are those of the first picture as it is, whatever
    was asked. ``missing`` holds a reason for each picture that was asked for and was
    not made; the answer then says so under ``gemproxy``, and also how many pictures
    that were asked for as links are data URLs. ``usage`` is left out where nothing is
    known.
    """
    links = [picture.link for picture in pictures] if request.shape != "openai" else []
    said = _said(pictures, request, missing, estimated)
    if request.shape == "simple":
        return {"images": links, "model": request.model, **said}
    answer: Json = {
        "created": created,
        "data": [_row(picture) for picture in pictures],
        **_echo(pictures[0], request),
    }
    if request.quality != "auto":
        answer["quality"] = _QUALITY.get(request.quality, request.quality)
    if usage is not None and usage.total:
        answer["usage"] = render_usage(usage)
    if request.shape == "extended":
        answer |= {"images": links, "model": request.model}
    return answer | said


def _said(
    pictures: Sequence[Delivered],
    request: ImageRequest,
    missing: Sequence[str],
    estimated: bool,
) -> Json:
    said = remarks(request.dropped, estimated=estimated).get(KEY, {})
    if missing:
        made, reasons = len(pictures), list(missing)
        said["missing"] = {"asked": request.copies, "made": made, "reasons": reasons}
    if inlined := sum(picture.url.startswith("data:") for picture in pictures):
        said["data_urls"] = inlined
    return {KEY: said} if said else {}


def _row(picture: Delivered) -> Json:
    row: Json = {"url": picture.url} if picture.url else {"b64_json": picture.base64}
    if picture.revised_prompt:
        row["revised_prompt"] = picture.revised_prompt
    return row


def _echo(picture: Delivered, request: ImageRequest) -> Json:
    echo: Json = {
        "background": "transparent" if picture.transparent else "opaque",
        "output_format": picture.format,
    }
    if picture.width:
        echo["size"] = picture.size
    if request.safety_identifier:
        echo["safety_identifier"] = request.safety_identifier
    return echo


def render_usage(usage: Usage) -> Json:
    """Return the ``usage`` of OpenAI's images API; thoughts count as text.

    Where Gemini does not tell kinds apart, what went in was text and what came out
    was pictures.
    """
    sent, made = usage.prompt + usage.tool_use, usage.output + usage.thoughts
    images_in = _pictures_in(usage.details, "promptTokensDetails", 0)
    images_out = _pictures_in(usage.details, "candidatesTokensDetails", usage.output)
    return {
        "input_tokens": sent,
        "output_tokens": made,
        "total_tokens": sent + made,
        "input_tokens_details": _details(images_in, sent),
        "output_tokens_details": _details(images_out, made),
    }


def _details(images: int, total: int) -> dict[str, int]:
    images = min(images, total)
    return {"image_tokens": images, "text_tokens": total - images}


def _pictures_in(details: Mapping[str, Any], name: str, otherwise: int) -> int:
    rows = list(dicts(details.get(name)))
    if not rows:
        return otherwise
    counts = [row.get("tokenCount") for row in rows if row.get("modality") == "IMAGE"]
    return sum(count for count in counts if isinstance(count, int))


class ImageStream:
    """Renders one stream of images; it ends once, by ``finish`` or by ``fault``.

    OpenAI's stream has named events, and no [DONE] after them.
    """

    keep_alive: ClassVar[bytes] = b": ping\n\n"

    def __init__(self, request: ImageRequest, created: int) -> None:
        self._request = request
        self._created = created
        self._prefix = _EVENTS[request.operation]
        self._ended = False

    def partial(self, picture: Delivered, index: int) -> bytes:
        """Return the event of a draft."""
        if self._ended:
            return b""
        event = self._event("partial_image", picture)
        event["partial_image_index"] = index
        return _framed(event["type"], event)

    def finish(
        self,
        pictures: Sequence[Delivered],
        usage: Usage | None = None,
        *,
        missing: Sequence[str] = (),
        estimated: bool = False,
    ) -> bytes:
        """Return an event for each picture; the last one tells what concerns all:
        the usage, and what ``render_images`` would say under ``gemproxy``."""
        if self._ended:
            return b""
        self._ended = True
        last = len(pictures) - 1
        out = []
        for index, picture in enumerate(pictures):
            event = self._event("completed", picture)
            spent = usage if index == last else None
            event["usage"] = render_usage(spent or Usage())
            if index == last:
                event |= _said(pictures, self._request, missing, estimated)
            out.append(_framed(event["type"], event))
        return b"".join(out)

    def fault(self, fault: Fault) -> bytes:
        """Return the event that ends the stream with an error."""
        if self._ended:
            return b""
        self._ended = True
        return _framed("error", {"type": "error", **openai_error(fault, in_frame=True)})

    def _event(self, name: str, picture: Delivered) -> Json:
        return {
            "type": f"{self._prefix}.{name}",
            "b64_json": picture.base64,
            "created_at": self._created,
            **_echo(picture, self._request),
            "quality": _QUALITY.get(self._request.quality, self._request.quality),
        }


def _framed(name: str, event: Json) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), orjson.dumps(event))
