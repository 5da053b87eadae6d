"""Rows of the fault matrix for keys of xAI's."""

from typing import Any

from proxy.faultlab.expectations import framed, resting, retried, told
from proxy.faultlab.outcomes import (
    CUT,
    EMPTY,
    FAILED,
    MINUTE,
    NO_MODEL,
    OVERLOADED,
    REFUSED,
    SPENT,
    TIMEOUT,
    UNREADABLE,
    set_aside,
    striking,
)
from proxy.faultlab.row import MIXED_TOO, STREAMS, Row


def _xai(name: str, behaviour: str, **fields: Any) -> Row:
    return Row(name=f"xai: {name}", kind="xai", behaviour=behaviour, **fields)


_XAI_REFUSALS = (
    _xai("400 unknown key", "invalid", **set_aside("xai_key_refused")),
    _xai("401 no credentials", "unauthenticated", **set_aside("xai_key_refused")),
    _xai("403 key blocked", "keyblocked", **set_aside("xai_key_blocked")),
    _xai("403 credits used up", "credits", **set_aside("xai_no_credit")),
    _xai(
        "429 credits used up",
        "credits",
        params={"status": 429},
        forms=MIXED_TOO,
        **set_aside("xai_no_credit"),
    ),
    _xai(
        "403 not permitted",
        "denied",
        alone=REFUSED,
        blame=resting("xai_denied", 3590, 3605),
    ),
    _xai(
        "404 model",
        "nomodel",
        alone=NO_MODEL,
        blame=resting("model_missing", 3500, 3605),
    ),
)

_XAI_LIMITS = (
    _xai(
        "429 requests per minute",
        "perminute",
        alone=retried(MINUTE, 50, 75),
        blame=resting("quota_minute", 55, 75),
    ),
    # Over before anybody could look.
    _xai("429 requests per second", "persecond", alone=retried(MINUTE, 1, 6)),
    _xai(
        "429 tokens per minute",
        "tokenminute",
        alone=retried(MINUTE, 50, 75),
        blame=resting("quota_minute", 55, 75),
    ),
    _xai(
        "429 requests per day",
        "perday",
        alone=SPENT,
        blame=resting("quota_exhausted", 3590, 3700),
    ),
    _xai(
        "503 at capacity",
        "overloaded",
        alone=retried(OVERLOADED, 1, 10),
        blame=resting("overloaded", 2, 10),
    ),
    _xai("500", "internal", alone=FAILED, blame=striking("upstream_error")),
    _xai("502 in HTML", "html", alone=UNREADABLE, blame=striking("bad_gateway")),
    _xai("no head of an answer", "headstall", alone=TIMEOUT, blame=striking("timeout")),
    _xai(
        "stream without a byte",
        "emptybody",
        forms=STREAMS,
        alone=EMPTY,
        blame=striking("upstream_empty"),
    ),
)

_BLOCKED = told(400, "content_filter", "INVALID_ARGUMENT")
_TOO_LONG = told(400, "context_length_exceeded", "INVALID_ARGUMENT")
_XAI_CALLERS = (
    _xai(
        "403 against the rules",
        "moderation",
        pair=_BLOCKED,
        alone=_BLOCKED,
        ledger="content_filter",
    ),
    _xai(
        "400 prompt too long",
        "toolong",
        pair=_TOO_LONG,
        alone=_TOO_LONG,
        ledger="context_length_exceeded",
    ),
)

_XAI_STREAMS = (
    _xai(
        "stream cut after content",
        "cut",
        params={"chunks": 3},
        forms=STREAMS,
        pair=CUT,
        alone=CUT,
        blame=striking("stream_cut"),
        ledger="stream_cut",
    ),
    _xai(
        "stream ends without a finish",
        "cutclean",
        params={"chunks": 3},
        forms=STREAMS,
        pair=CUT,
        alone=CUT,
        blame=striking("stream_cut"),
        ledger="stream_cut",
    ),
    _xai(
        "stream stalls",
        "stall",
        params={"chunks": 3},
        forms=STREAMS,
        pair=framed("timeout", "DEADLINE_EXCEEDED"),
        alone=framed("timeout", "DEADLINE_EXCEEDED"),
        blame=striking("stalled"),
        ledger="timeout",
    ),
    _xai(
        "error in the middle of a stream",
        "errormid",
        params={"chunks": 3},
        forms=STREAMS,
        pair=framed("overloaded", "UNAVAILABLE"),
        alone=framed("overloaded", "UNAVAILABLE"),
        blame=resting("overloaded", 2, 10),
        ledger="overloaded",
    ),
)

XAI_ROWS = (*_XAI_REFUSALS, *_XAI_LIMITS, *_XAI_CALLERS, *_XAI_STREAMS)
