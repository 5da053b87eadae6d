"""The imitated site's small calls: who am I, what is left, where is my picture."""

import json
import time
from typing import Any

from proxy.sandbox.web_accounts import STATUSES, Person
from proxy.sandbox.web_answers import PICTURES
from proxy.sandbox.web_prompts import MODELS, Unreadable

_STATUS_SLOTS = 18
_HOUR = 3600
SIGNED_OUT = 1016


def read_calls(form: dict[str, str], query: dict[str, str]) -> list[tuple[str, Any]]:
    """Return the calls of a batch as (rpc id, payload). Raises ``Unreadable``."""
    try:
        (rows,) = json.loads(form["f.req"])
        calls = [(row[0], row[1]) for row in rows]
    except (KeyError, ValueError, TypeError, IndexError) as error:
        raise Unreadable("f.req") from error
    if query.get("rpcids", "").split(",") != [name for name, _ in calls]:
        raise Unreadable("rpcids do not match the body")
    if query.get("rt") != "c" or not query.get("_reqid", "").isdecimal():
        raise Unreadable("rt or _reqid")
    return calls


def answer_call(name: str, payload: str, who: Person | None) -> Any:
    """Return the value of one call. Raises ``Unreadable`` for one that is unknown."""
    if name == "otAQ7b":
        return _status(who)
    if name == "c8o8Fe":
        return _full_size(payload)
    if name == "GzXR5e":
        return _delete(payload, who)
    known = {
        "qWymEb": [],
        "ESY5D": [],
        "MaZiqc": [None, None, _conversations(who)],
        "jSf9Qc": [1, [[900, 0.1, 1, [[_soon()]]], [5000, 0.2, 2, [[_soon(24)]]]], 0],
        "qpEbW": [[[[1, 11], None, 10, [_soon()], 100, 90]]],
        "aPya6c": [0, 0.1, [_soon()]],
        "GPRiHf": [None, None],
    }
    if name not in known:
        raise Unreadable(f"rpc {name}")
    return known[name]


def _status(who: Person | None) -> list[Any]:
    value: list[Any] = [None] * _STATUS_SLOTS
    if who is None:
        value[14] = SIGNED_OUT
    else:
        value[14] = STATUSES.get(who.behaviour, 1000) if who.times != 0 else 1000
    value[15] = [] if who is not None and who.does("nomodels") else _models()
    value[16], value[17] = [1], [1]
    return value


def _models() -> list[list[Any]]:
    rows = []
    for key, category, title, text, number in MODELS:
        row: list[Any] = [None] * 20
        row[0], row[1], row[2], row[9] = key, category, text, number
        row[10], row[11], row[12], row[17] = category, title, text, number
        rows.append(row)
    return rows


def _conversations(who: Person | None) -> list[list[Any]]:
    ids = who.talks.ids() if who else []
    return [[cid, "A talk", 0, None, None, [1_700_000_000, 0]] for cid in ids]


def _delete(payload: str, who: Person | None) -> list[Any]:
    try:
        (cid,) = json.loads(payload)
    except (ValueError, TypeError) as error:
        raise Unreadable("GzXR5e") from error
    if who is None or not isinstance(cid, str) or not cid.startswith("c_"):
        raise Unreadable("GzXR5e")
    who.talks.delete(cid)
    return []


def _full_size(payload: str) -> list[str]:
    """Where the picture of an answer is in full; its id ends as its address does."""
    try:
        image = json.loads(payload)[0][1][0]
    except (ValueError, TypeError, IndexError) as error:
        raise Unreadable("c8o8Fe") from error
    return [f"{PICTURES}full-{str(image).removeprefix('image-')}"]


def _soon(hours: int = 5) -> int:
    return int(time.time()) + hours * _HOUR
