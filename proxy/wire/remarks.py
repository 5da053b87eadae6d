"""What an answer says about itself, for callers: what was left out, imitated, guessed.

It stands in the answer under a key of our own, which SDKs read over, and becomes
headers where an answer still has them to come.
"""

from collections.abc import Iterable, Mapping
from typing import Any

KEY = "gemproxy"
DROPPED_HEADER = "x-gemproxy-dropped"
EMULATED_HEADER = "x-gemproxy-emulated"
USAGE_HEADER = "x-gemproxy-usage"
ESTIMATED = "estimated"


def remarks(
    dropped: Iterable[str] = (),
    *,
    estimated: bool = False,
    emulated: Iterable[str] = (),
) -> dict[str, dict[str, Any]]:
    """Return the entry for an answer's JSON, or nothing if there is nothing to say."""
    said: dict[str, Any] = {}
    names = list(dropped)
    if names:
        said["dropped"] = names
    if imitated := list(emulated):
        said["emulated"] = imitated
    if estimated:
        said["usage"] = ESTIMATED
    return {KEY: said} if said else {}


def headers_for(data: Mapping[str, Any], dropped: Iterable[str] = ()) -> dict[str, str]:
    """Return the headers that tell what an answer says about itself.

    ``dropped`` names parameters that were left out before anybody was asked.
    """
    said = data.get(KEY)
    said = said if isinstance(said, Mapping) else {}
    more = said.get("dropped")
    names = [*dropped, *(more if isinstance(more, list) else ())]
    headers = {DROPPED_HEADER: ", ".join(dict.fromkeys(names))} if names else {}
    emulated = said.get("emulated")
    if isinstance(emulated, list) and emulated:
        headers[EMULATED_HEADER] = ", ".join(emulated)
    if said.get("usage") == ESTIMATED:
        headers[USAGE_HEADER] = ESTIMATED
    return headers
