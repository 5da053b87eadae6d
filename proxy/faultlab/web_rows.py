"""Rows of the fault matrix for accounts with cookies of gemini.google.com."""

from typing import Any

from proxy.faultlab.expectations import attention, framed, resting, told
from proxy.faultlab.outcomes import (
    CUT,
    FAILED,
    GUEST,
    HOUR,
    NO_MODEL,
    SILENT,
    SPENT,
    TIMEOUT,
    UNREACHABLE,
    UNREADABLE,
    set_aside,
    striking,
    way_out,
    whole_account,
)
from proxy.faultlab.row import OPENAI, STREAMS, WHOLE, Row


def _web(name: str, behaviour: str, **fields: Any) -> Row:
    return Row(name=f"web: {name}", kind="gemini_web", behaviour=behaviour, **fields)


_WEB_SESSIONS = (
    _web("cookies expired", "expired", **set_aside("cookies_expired")),
    # Whether it is the session shows at the next sign-in.
    _web(
        "cookies expire in use",
        "expiring",
        alone=UNREADABLE,
        blame=whole_account("web_session_suspect", 55, 65),
    ),
    _web("a guest answers", "guest", forms=(OPENAI,), **set_aside("cookies_expired")),
    # That it was a guest is known when the answer is complete.
    _web(
        "a guest answers in a stream",
        "guest",
        forms=STREAMS,
        pair=GUEST,
        alone=GUEST,
        blame=attention("cookies_expired"),
        ledger="unauthenticated",
    ),
    _web("page without values", "blank", **set_aside("cookies_expired")),
    _web("page 403", "pagedenied", **set_aside("cookies_expired")),
    _web("no models", "nomodels", **set_aside("no_models")),
    _web("status 1021 rejected", "rejected", **set_aside("account_rejected")),
    _web("status 1033 untrusted", "untrusted", **set_aside("account_untrusted")),
    _web("status 1040 terms pending", "terms", **set_aside("terms_pending")),
    _web("status 1042 terms out of date", "oldterms", **set_aside("terms_pending")),
    _web("status 1054 guardian", "guardian", **set_aside("guardian")),
    _web("status 1057 approval", "approval", **set_aside("guardian")),
    _web("status 1060 place", "region", **set_aside("region")),
    _web(
        "status 1014 unavailable",
        "unavailable",
        alone=told(503, "bad_gateway", "UNAVAILABLE"),
        blame=whole_account("web_unavailable", 595, 605),
    ),
    _web("page 429", "pageblocked", alone=UNREACHABLE, blame=way_out("ip_blocked")),
    _web(
        "page sends to /sorry",
        "sorry",
        alone=UNREACHABLE,
        blame=way_out("ip_blocked"),
    ),
    _web("page 500", "pagebroken", alone=FAILED, blame=striking("upstream_error")),
    _web("page stalls", "headstall", alone=TIMEOUT, blame=striking("timeout")),
    _web("call 500", "rpcbroken", alone=FAILED, blame=striking("upstream_error")),
    _web("call stalls", "rpchang", alone=TIMEOUT, blame=striking("timeout")),
)

_WEB_ANSWERS = (
    # The window of five hours is what is full.
    _web(
        "1037 usage limit",
        "limit",
        alone=SPENT,
        blame=resting("web_usage_limit", 5 * HOUR - 60, 5 * HOUR + 5),
    ),
    _web("1050 conversation of another model", "mixed", alone=UNREADABLE),
    _web(
        "1052 no such model",
        "nomodel",
        alone=NO_MODEL,
        blame=resting("model_missing", 3500, 3605),
    ),
    _web(
        "1060 address blocked",
        "blocked",
        alone=UNREACHABLE,
        blame=way_out("ip_blocked"),
    ),
    _web("1013 temporary", "temporary", alone=FAILED, blame=striking("upstream_error")),
    _web(
        "1097 session distrusted",
        "distrusted",
        alone=UNREADABLE,
        blame=whole_account("web_session_distrusted", 295, 305),
    ),
    _web(
        "400 in an answer's place",
        "http400",
        alone=UNREADABLE,
        blame=whole_account("web_session_suspect", 55, 65),
    ),
    _web(
        "429 in an answer's place",
        "http429",
        alone=UNREACHABLE,
        blame=way_out("ip_blocked"),
    ),
    _web(
        "500 in an answer's place",
        "http500",
        alone=FAILED,
        blame=striking("upstream_error"),
    ),
    _web(
        "answer is no frames",
        "garbage",
        alone=FAILED,
        blame=striking("upstream_error"),
    ),
    _web(
        "answer without a byte",
        "emptybody",
        alone=FAILED,
        blame=striking("upstream_error"),
    ),
    _web(
        "only a place in a queue",
        "queue",
        alone=FAILED,
        blame=striking("upstream_error"),
    ),
    _web("silence before the first byte", "stall", alone=TIMEOUT, blame=SILENT),
    _web(
        "silence in the middle",
        "stallmid",
        forms=STREAMS,
        pair=framed("timeout", "DEADLINE_EXCEEDED"),
        alone=framed("timeout", "DEADLINE_EXCEEDED"),
        blame=striking("stalled"),
        ledger="timeout",
    ),
    _web(
        "connection cut in the middle",
        "cut",
        forms=STREAMS,
        pair=CUT,
        alone=CUT,
        blame=striking("stream_cut"),
        ledger="stream_cut",
    ),
    _web(
        "answer ends early",
        "truncated",
        forms=STREAMS,
        pair=CUT,
        alone=CUT,
        blame=striking("stream_cut"),
        ledger="stream_cut",
    ),
    _web(
        "whole answer cut",
        "cut",
        forms=WHOLE,
        alone=told(502, "stream_cut", "UNAVAILABLE"),
        blame=striking("stream_cut"),
    ),
    _web("slower than the bound", "slow", alone=TIMEOUT, blame=SILENT),
)

WEB_ROWS = (*_WEB_SESSIONS, *_WEB_ANSWERS)
