"""What the name of an xAI model says about the model."""

import re
from functools import lru_cache

#: Models that only make pictures, by how their names begin.
_PICTURES = ("grok-2-image", "grok-imagine-image")
#: One digit after the point: grok-4.20 is older than grok-4.3.
_NEWER = re.compile(r"grok-(\d{1,2})(?:\.(\d))?(?!\d)")
_OFF = (4, 3)
_DEEPEST = (4, 6)


def bare_name(model: str) -> str:
    """Return a model id without provider prefixes, in small letters."""
    return model.strip().lower().rsplit("/", 1)[-1]


def is_grok(model: str) -> bool:
    return bare_name(model).startswith("grok")


def makes_pictures(model: str) -> bool:
    """Is it a model for pictures, which the chat endpoint does not know?"""
    return bare_name(model).startswith(_PICTURES)


def draws_in_chat(model: str) -> bool:
    """Is it a model that old clients ask for pictures by chat?"""
    return bare_name(model).startswith(_PICTURES[0])


@lru_cache(maxsize=256)
def efforts(model: str) -> tuple[str, ...]:
    """Return the values of ``reasoning_effort`` that a model takes, () for none.

    Models before 4.3 refuse the parameter whatever its value, as do names that tell
    no version; only 4.3 can stop thinking.
    """
    name = bare_name(model)
    if name.startswith("grok-3-mini"):
        return ("low", "high")
    found = _NEWER.match(name)
    if makes_pictures(model) or found is None or "non-reasoning" in name:
        return ()
    version = int(found[1]), int(found[2] or 0)
    if version < _OFF:
        return ()
    off = ("none",) if version == _OFF else ()
    deepest = ("xhigh",) if version >= _DEEPEST else ()
    return (*off, "low", "medium", "high", *deepest)
