"""What came of an image request: its pictures as the caller gets them, and the bill."""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain

from django.conf import settings

from gemproxy.lib.outbound import OutboundRefused, fetch_media
from imaging import threads
from imaging.bounds import Limits, PictureRefused
from imaging.decoding import Picture, opened
from imaging.processing import LEAST_LIMIT
from proxy import delivery
from proxy.calls import Call, Event
from proxy.errors import BadAnswer, Fault
from proxy.fanout import answer_apart
from proxy.runtime import runtime
from proxy.surfaces.image_requests import Commission
from proxy.surfaces.openai_chat import MEDIA_SECONDS
from proxy.tasks import gather
from proxy.trips import Trip
from proxy.wire.gemini_answer import Usage, read_usage, sum_metadata
from proxy.wire.openai_image_answer import FAILED, Delivered, Drawn, drawn
from proxy.wire.remarks import ESTIMATED, KEY

MISSING_HEADER = "x-gemproxy-missing"


@dataclass(slots=True, kw_only=True)
class Harvest:
    """The pictures of a request, at least one, and why others are missing."""

    pictures: list[Delivered]
    missing: list[str] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)
    estimated: bool = False
    #: An earlier request paid for them.
    kept: bool = False

    def headers(self, asked: int) -> dict[str, str]:
        """Return what tells of missing pictures: how many, of how many, and why."""
        if not self.missing:
            return {}
        codes = ", ".join(dict.fromkeys(one.partition(":")[0] for one in self.missing))
        return {MISSING_HEADER: f"{asked - len(self.pictures)} of {asked}: {codes}"}


async def harvest(call: Call, commission: Commission, base: str) -> Harvest:
    """Have all pictures of a request drawn, each by a call of its own.

    ``base`` stands before our links; it is "" under a host that is not ours. Raises
    the fault that tells most if none came.
    """
    gateway = runtime.gateway

    async def asked() -> tuple[list[Event], list[Fault]]:
        events, failed = await answer_apart(gateway, call)
        if not events:
            # Raised here: what failed altogether is kept for nobody.
            raise _truest(call, failed)
        return events, failed

    (events, failed), kept = await delivery.whole(
        gateway, call, asked, commission.finishing.name
    )
    faults = list(failed)
    found: list[list[Delivered]] = []
    for one in await gather(*(_delivered(event, commission, base) for event in events)):
        if isinstance(one, Fault):
            faults.append(one)
        else:
            found.append(one)
    if not found:
        raise _truest(call, faults)
    pictures = _chosen(found, call.copies)
    short = len(pictures) < call.copies
    metadata = [event.data.get("usageMetadata") or {} for event in events]
    return Harvest(
        pictures=pictures,
        missing=[f"{fault.code}: {fault.message}" for fault in faults] if short else [],
        usage=read_usage(sum_metadata(metadata)),
        estimated=any(_is_estimated(event) for event in events),
        kept=kept,
    )


def _truest(call: Call, faults: list[Fault]) -> Fault:
    trip = Trip(call)
    trip.faults = faults
    return trip.truest()


def _chosen(found: Sequence[list[Delivered]], copies: int) -> list[Delivered]:
    """Return as many pictures as were asked for: each call's first, then the others."""
    firsts = [pictures[0] for pictures in found]
    others = chain.from_iterable(pictures[1:] for pictures in found)
    return [*firsts, *others][:copies]


def _is_estimated(event: Event) -> bool:
    said = event.data.get(KEY)
    return isinstance(said, dict) and said.get("usage") == ESTIMATED


async def _delivered(
    event: Event, commission: Commission, base: str
) -> list[Delivered] | Fault:
    try:
        found = drawn(event.data, commission.upstream_model)
        return [await _picture(one, commission, base) for one in found]
    except Fault as fault:
        return fault


async def _picture(one: Drawn, commission: Commission, base: str) -> Delivered:
    as_url = commission.request.as_url
    if one.kept:
        link = _absolute(str(one.kept["link"]), base) if as_url else ""
        if as_url and not link:
            link = f"data:{one.media_type};base64,{one.data}"
        return Delivered(
            media_type=one.media_type,
            width=int(one.kept["width"]),
            height=int(one.kept["height"]),
            encoded="" if as_url else one.data,
            url=link,
            revised_prompt=one.revised_prompt,
            transparent=_is_transparent(one.media_type, commission),
        )
    if one.url and as_url and not commission.finishing:
        # The provider's own address is all there is to hand on.
        return Delivered(
            media_type=one.media_type,
            width=0,
            height=0,
            url=one.url,
            revised_prompt=one.revised_prompt,
        )
    content = await _fetched(one.url) if one.url else None
    return await threads.run(_finished, one, content, commission)


def _absolute(link: str, base: str) -> str:
    """Return a whole address; "" for a path under a host that is not ours."""
    if not link.startswith("/"):
        return link
    return base + link if base else ""


def _is_transparent(media_type: str, commission: Commission) -> bool:
    return commission.transparent and media_type != "image/jpeg"


async def _fetched(url: str) -> bytes:
    try:
        _, content = await fetch_media(
            url,
            max_bytes=max(LEAST_LIMIT, settings.MAX_MEDIA_BYTES),
            timeout=MEDIA_SECONDS,
            allowed_types=("image/",),
        )
    except OutboundRefused as refusal:
        raise BadAnswer(
            f"The picture could not be fetched: {refusal}", code=FAILED
        ) from None
    return content


def _finished(one: Drawn, content: bytes | None, commission: Commission) -> Delivered:
    """Finish a picture that the library does not have (sync).

    Where a link is wanted its bytes stand in it, so that the picture is not lost.
    """
    try:
        data = base64.b64decode(one.data) if content is None else content
        limits = Limits(bytes=max(LEAST_LIMIT, settings.MAX_MEDIA_BYTES))
        picture: Picture = commission.finishing(opened(data, limits))
    except (PictureRefused, binascii.Error) as trouble:
        raise BadAnswer(
            f"The picture that was drawn cannot be delivered: {trouble}", code=FAILED
        ) from None
    width, height = picture.shown_size
    made = Delivered(
        media_type=picture.media_type,
        width=width,
        height=height,
        encoded=base64.b64encode(picture.data).decode(),
        revised_prompt=one.revised_prompt,
        transparent=_is_transparent(picture.media_type, commission),
    )
    if not commission.request.as_url:
        return made
    return Delivered(
        media_type=made.media_type,
        width=width,
        height=height,
        url=made.link,
        revised_prompt=one.revised_prompt,
        transparent=made.transparent,
    )
