"""What the name of an upstream model says about the model."""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from proxy.wire.xai_models import is_grok

Family = Literal["gemini", "gemma", "other"]

#: The version given to aliases without a number: they follow the newest model.
LATEST = (99, 0)

_GEMINI = re.compile(r"gemini-(?:(\d{1,3})(?:\.(\d{1,3}))?(?:-|$))?")
_GEMMA = re.compile(r"gemma-?(\d{1,3})?")


@dataclass(frozen=True, slots=True)
class ModelName:
    """A model's family, version and variant, as far as the name tells."""

    bare: str
    family: Family
    version: tuple[int, int]

    @property
    def gemini3(self) -> bool:
        """Is it Gemini 3 or newer?"""
        return self.family == "gemini" and self.version >= (3, 0)

    @property
    def takes_system(self) -> bool:
        """Does it take a systemInstruction?"""
        return self.family != "gemma"

    @property
    def json_beside_tools(self) -> bool:
        """Does it take a JSON format and functions in one request?"""
        return self.gemini3 or is_grok(self.bare)

    def has(self, word: str) -> bool:
        """Is ``word`` one of the name's parts, as "pro" in gemini-3-pro-preview?"""
        return f"-{word}-" in f"-{self.bare}-"


@lru_cache(maxsize=1024)
def model_name(model: str) -> ModelName:
    """Read a model id, with or without ``models/`` and provider prefixes."""
    bare = model.strip().lower().rsplit("/", 1)[-1]
    if found := _GEMINI.match(bare):
        major, minor = found.groups()
        version = (int(major), int(minor or 0)) if major else LATEST
        return ModelName(bare, "gemini", version)
    if found := _GEMMA.match(bare):
        return ModelName(bare, "gemma", (int(found.group(1) or 0), 0))
    return ModelName(bare, "other", (0, 0))
