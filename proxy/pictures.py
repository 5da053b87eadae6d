"""Pictures in answers: the corner mark goes, the library keeps them, links lead there.

A picture that an account of ours drew is developed before anybody sees it: cleaned if
that is wanted, finished as the request asks, stored. Nothing that goes wrong here loses
a picture or ends a request.
"""

import base64
import hashlib
import logging
from decimal import Decimal

import orjson
from django.db import Error as DatabaseTrouble

from imaging import library, links, threads
from imaging.blobs import NotKept
from imaging.bounds import PictureRefused
from imaging.storages.base import StorageTrouble
from proxy.calls import Call, Event
from proxy.enlargement import Finish, finish_of
from proxy.tasks import gather
from proxy.trips import Trip
from proxy.wire.answer_media import KEPT, is_picture, picture_bytes
from proxy.wire.gemini import last_user_text, normalise
from proxy.wire.gemini_answer import Json, candidates_of, dicts, mapping, parts_of
from proxy.wire.image_orders import at_own_size

logger = logging.getLogger(__name__)
_INLINE = b'"inlineData"'
#: What is known to go wrong with a picture or its storage.
REFUSALS = (PictureRefused, NotKept, StorageTrouble)
#: What else may: arithmetic on a strange picture, a database or a disk that is away.
TROUBLE = (
    *REFUSALS,
    DatabaseTrouble,
    ArithmeticError,
    LookupError,
    MemoryError,
    OSError,
    TypeError,
    ValueError,
)
#: In the attempt of a usage row: how many pictures the library did not take.
UNKEPT = "pictures_not_kept"


class Pictures:
    """Develops the pictures of answers."""

    def concerns(self, events: list[Event]) -> bool:
        """Tell whether chunks may hold a picture; every chunk of every answer asks."""
        return any(_INLINE in event.raw for event in events)

    async def develop(self, trip: Trip, events: list[Event]) -> list[Event]:
        """Return the chunks with their pictures as the caller is to get them.

        In ``raw`` a picture has new bytes and nothing else; in ``data`` its part says
        besides under ``KEPT`` what the library knows of it. A picture without that was
        neither stored nor finished; it is clean all the same, if it could be cleaned.
        """
        return [await self._developed(trip, event) for event in events]

    async def _developed(self, trip: Trip, event: Event) -> Event:
        drawn = _drawn(event.data)
        if not drawn:
            return event
        # Pictures are megabytes: nothing is decoded or hashed on the event loop.
        origin = await threads.run(_origin, trip)
        finish = finish_of(trip) if trip.lease else trip.call.finish
        made = await gather(
            *(threads.run(_made, part, origin, trip.call, finish) for part in drawn)
        )
        unkept = sum(KEPT not in each for each in made)
        if unkept and trip.attempts:
            attempt = trip.attempts[-1]
            attempt[UNKEPT] = attempt.get(UNKEPT, 0) + unkept
        instead = {id(part): each for part, each in zip(drawn, made, strict=True)}
        return Event(
            orjson.dumps(_with(event.data, instead, told=False)),
            _with(event.data, instead, told=True),
        )


def _made(
    part: Json, origin: library.Origin, call: Call, finish: Finish | None
) -> Json:
    """Develop one picture (sync); return what its part is to hold instead.

    That is its inlineData and what is to be told of it; nothing if it stays as it is.
    """
    data = picture_bytes(part)
    try:
        saved = library.develop(data, origin, finish)
    except TROUBLE as trouble:
        _warn(call, trouble)
        return _cleaned(data, origin)
    blob = saved.image.blob
    return {
        "inlineData": _inline(blob.media_type, saved.data),
        KEPT: {
            "name": saved.image.name,
            "link": links.link(saved.image),
            "width": blob.width,
            "height": blob.height,
            "size": blob.size,
        },
    }


def _cleaned(data: bytes, origin: library.Origin) -> Json:
    """Return a picture that the library did not take, without its mark."""
    try:
        ready = library.prepare(data, origin)
    except TROUBLE:
        return {}
    return {"inlineData": _inline(ready.media_type, ready.data)}


def _inline(media_type: str, data: bytes) -> Json:
    return {"mimeType": media_type, "data": base64.b64encode(data).decode()}


def _warn(call: Call, trouble: Exception) -> None:
    # Only our own errors are sure to say nothing of what a caller sent.
    known = isinstance(trouble, REFUSALS)
    said = f": {trouble}" if known else ""
    logger.warning(
        "%s: a picture was not kept: %s%s",
        call.request_id,
        type(trouble).__name__,
        said,
    )


def _origin(trip: Trip) -> library.Origin:
    """Return what the library is to know of the pictures of an answer (sync).

    Without a lease they were made on the caller's own key, so not by an account of ours.
    """
    call, caller = trip.call, trip.call.caller
    own, route = caller.remove_mark, trip.plan.remove_mark
    # Clients of the native dialect write names in both casings.
    asked = normalise(call.body)
    return library.Origin(
        made_here=trip.lease is not None,
        caller=caller.key,
        user_id=caller.user_id,
        token_id=caller.token_id,
        account_id=trip.lease.account.id if trip.lease else None,
        model=trip.plan.name,
        prompt=last_user_text(asked),
        request_id=call.request_id,
        sources=_sources(asked),
        cost=_cost(trip),
        remove_mark=route if own is None else own,
    )


def _cost(trip: Trip) -> Decimal | None:
    """Return what one picture costs by its target; None if that is not known, as it is
    for a picture of another size than the target's."""
    if trip.lease is None:
        return None
    target = trip.lease.target
    known = at_own_size(trip.body, target.image_size)
    return target.image_price if known else None


def _sources(asked: Json) -> tuple[str, ...]:
    """Return the hashes of the pictures in a request, the last first."""
    parts = [
        p for turn in dicts(asked.get("contents")) for p in dicts(turn.get("parts"))
    ]
    found = [picture_bytes(part) for part in reversed(parts)]
    return tuple(hashlib.sha256(data).hexdigest() for data in found if data)


def _drawn(data: Json) -> list[Json]:
    """Return the parts of an answer that hold pictures, but for those of thoughts."""
    parts = [part for _, each in candidates_of(data) for part in parts_of(each)]
    return [part for part in parts if is_picture(part) and not part.get("thought")]


def _with(data: Json, instead: dict[int, Json], *, told: bool) -> Json:
    """Return an answer with developed pictures; ``told`` says what is known of them."""
    return {
        **data,
        "candidates": [
            _candidate(each, instead, told=told)
            for each in dicts(data.get("candidates"))
        ],
    }


def _candidate(candidate: Json, instead: dict[int, Json], *, told: bool) -> Json:
    parts = parts_of(candidate)
    if not parts:
        return candidate
    content = mapping(candidate.get("content"))
    shown = [_part(part, instead.get(id(part), {}), told=told) for part in parts]
    return {**candidate, "content": {**content, "parts": shown}}


def _part(part: Json, instead: Json, *, told: bool) -> Json:
    """Return a part with what stands in it instead; ``KEPT`` only if it is told."""
    return part | {
        name: value for name, value in instead.items() if told or name != KEPT
    }
