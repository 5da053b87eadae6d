"""How gemini.google.com wraps its answers: frames with their length before them."""

import json
from collections.abc import Iterable
from typing import Any

PREFIX = ")]}'\n\n"


def frame(rows: list[Any]) -> str:
    """Return one frame of rows, with its length in UTF-16 units before it.

    The length counts the line breaks around the JSON as well.
    """
    text = json.dumps(rows, ensure_ascii=False, separators=(",", ":"))
    units = len(text.encode("utf-16-le")) // 2
    return f"{units + 2}\n{text}\n"


def batch(answers: Iterable[tuple[str, Any]], *, denied: bool = False) -> str:
    """Return the answer of a batch of calls, (rpc id, value) each.

    ``denied`` is how the site says that the session is not signed in.
    """
    frames = [
        frame([["wrb.fr", rpc, None, None, None, [7], "generic"]])
        if denied
        else frame([["wrb.fr", rpc, _inner(value), None, None, None, "generic"]])
        for rpc, value in answers
    ]
    return PREFIX + "".join(frames) + _tail()


def answer_row(inner: list[Any]) -> str:
    """Return the frame of a step of a generated answer."""
    return frame([["wrb.fr", None, _inner(inner)]])


def error_row(code: int) -> str:
    """Return the frame by which an answer ends in an error of the site."""
    info = ["type.googleapis.com/assistant.boq.bard.application.BardErrorInfo", [code]]
    return frame([["wrb.fr", None, None, None, None, [3, None, [info]]]])


def queue_row() -> str:
    """Return the frame which says that the request waits its turn."""
    return frame([["wrb.fr", None, None, None, None, [4]]])


def stream_tail() -> str:
    """Return what follows the last step of an answer."""
    return _tail()


def _tail() -> str:
    return frame([["di", 59], ["af.httprm", 59, "1234567890", 2]])


def _inner(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
