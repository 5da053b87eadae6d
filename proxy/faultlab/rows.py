"""The fault matrix: each way in which an upstream fails, and what must come of it."""

from types import MappingProxyType

from proxy.faultlab.cli_rows import CLI_ROWS
from proxy.faultlab.expectations import (
    Blame,
    attention,
    finished,
    framed,
    resting,
    retried,
    told,
)
from proxy.faultlab.outcomes import (
    BAD_REQUEST,
    CUT,
    EMPTY,
    MINUTE,
    OVERLOADED,
    SPENT,
    TIMEOUT,
    UNREACHABLE,
    UNREADABLE,
    set_aside,
    striking,
)
from proxy.faultlab.row import FORMS, MIXED_TOO, OPENAI, STREAMS, WHOLE, Row
from proxy.faultlab.web_rows import WEB_ROWS
from proxy.faultlab.xai_rows import XAI_ROWS

LETTERS = "Grüße 日本語 🎉 naïve"

_CREDENTIALS = (
    Row(
        name="400 API_KEY_INVALID",
        behaviour="invalid",
        **set_aside("api_key_invalid"),
    ),
    Row(
        name="400 FAILED_PRECONDITION",
        behaviour="billing",
        forms=MIXED_TOO,
        alone=told(400, "failed_precondition", "FAILED_PRECONDITION"),
        blame=attention("region"),
    ),
    Row(
        name="401 UNAUTHENTICATED",
        behaviour="unauthenticated",
        **set_aside("unauthenticated"),
    ),
    Row(
        name="402 prepaid balance empty",
        behaviour="prepay",
        forms=MIXED_TOO,
        alone=SPENT,
        blame=attention("no_credit"),
    ),
    Row(
        name="403 PERMISSION_DENIED",
        behaviour="denied",
        **set_aside("project_denied"),
    ),
    Row(
        name="403 leaked key",
        behaviour="leaked",
        forms=MIXED_TOO,
        **set_aside("leaked"),
    ),
    Row(
        name="403 SERVICE_DISABLED",
        behaviour="disabled",
        **set_aside("service_disabled"),
    ),
    Row(
        name="403 CONSUMER_SUSPENDED",
        behaviour="suspended",
        forms=MIXED_TOO,
        **set_aside("consumer_suspended"),
    ),
    Row(
        name="403 TOS_VIOLATION",
        behaviour="terms",
        **set_aside("tos_violation"),
    ),
    Row(
        name="403 VALIDATION_REQUIRED",
        behaviour="validation",
        forms=MIXED_TOO,
        **set_aside("validation_required"),
    ),
)

_LIMITS = (
    Row(
        name="429 PerMinute with RetryInfo",
        behaviour="perminute",
        forms=FORMS,
        alone=retried(MINUTE, 30, 40),
        blame=resting("quota_minute", 30, 39),
    ),
    Row(
        name="429 PerDay with 0s",
        behaviour="perday",
        forms=FORMS,
        alone=SPENT,
        blame=Blame(whose="account_model", causes=("quota_day",), day=True),
    ),
    Row(
        name="429 without body",
        behaviour="bare",
        alone=retried(MINUTE, 20, 31),
        blame=resting("throttled", 20, 31),
    ),
    Row(
        name="429 limit 0",
        behaviour="spent",
        forms=MIXED_TOO,
        alone=SPENT,
        blame=resting("no_quota", 11 * 3600, 12 * 3600 + 5),
    ),
    Row(
        name="429 on all keys at once",
        behaviour="perminute",
        others="perminute",
        pair=retried(MINUTE, 30, 40),
        alone=retried(MINUTE, 30, 40),
        blame=resting("quota_minute", 30, 39),
    ),
)

_PROVIDER = (
    Row(
        name="404 model",
        behaviour="nomodel",
        alone=told(404, "model_not_found", "NOT_FOUND"),
        blame=resting("model_missing", 3500, 3605),
    ),
    Row(
        name="500 INTERNAL",
        behaviour="internal",
        alone=told(500, "upstream_error", "INTERNAL"),
        blame=striking("upstream_error"),
    ),
    Row(
        name="503 overloaded",
        behaviour="overloaded",
        forms=FORMS,
        alone=retried(OVERLOADED, 1, 10),
        blame=resting("overloaded", 2, 10),
    ),
    Row(
        name="503 MODEL_CAPACITY_EXHAUSTED",
        behaviour="capacity",
        alone=retried(OVERLOADED, 1, 12),
        blame=resting("model_capacity", 4, 12),
    ),
    Row(
        name="429 MODEL_CAPACITY_EXHAUSTED",
        behaviour="capacity",
        params={"status": 429},
        forms=MIXED_TOO,
        alone=retried(OVERLOADED, 1, 12),
        blame=resting("model_capacity", 4, 12),
    ),
    Row(
        name="502 in HTML",
        behaviour="html",
        alone=UNREADABLE,
        blame=striking("bad_gateway"),
    ),
    Row(
        name="no head of an answer",
        behaviour="headstall",
        forms=STREAMS,
        alone=TIMEOUT,
        blame=striking("timeout"),
    ),
    Row(
        name="no whole answer",
        behaviour="stall",
        forms=(OPENAI,),
        alone=TIMEOUT,
        blame=striking("timeout"),
    ),
    Row(
        name="whole answer without a byte",
        behaviour="emptybody",
        forms=WHOLE,
        alone=UNREADABLE,
        blame=striking("bad_gateway"),
    ),
    Row(
        name="stream without a byte",
        behaviour="emptybody",
        forms=STREAMS,
        alone=EMPTY,
        blame=striking("upstream_empty"),
    ),
    Row(
        name="200 with usage only",
        behaviour="empty",
        forms=FORMS,
        alone=EMPTY,
        blame=striking("upstream_empty"),
    ),
    Row(
        name="200 with an error only",
        behaviour="erroronly",
        forms=FORMS,
        alone=retried(OVERLOADED, 1, 10),
        blame=resting("overloaded", 2, 10),
    ),
    Row(
        name="whole answer is no JSON",
        behaviour="oneline",
        forms=WHOLE,
        alone=UNREADABLE,
        blame=striking("bad_gateway"),
    ),
    Row(
        name="whole answer cut",
        behaviour="cut",
        forms=WHOLE,
        alone=told(502, "stream_cut", "UNAVAILABLE"),
        blame=striking("stream_cut"),
    ),
)

_EGRESS = (
    Row(
        name="connection refused",
        place="dead port",
        alone=UNREACHABLE,
        blame=Blame(whose="egress", causes=("connection_failed",)),
    ),
    Row(
        name="TLS error",
        place="no tls",
        forms=MIXED_TOO,
        alone=UNREACHABLE,
        blame=Blame(whose="egress", causes=("connection_failed",)),
    ),
)

# The caller has content by then, so the other account cannot help.
_AFTER_CONTENT = (
    Row(
        name="stream cut after content",
        behaviour="cut",
        params={"chunks": 3},
        forms=STREAMS,
        pair=CUT,
        alone=CUT,
        blame=striking("stream_cut"),
        ledger="stream_cut",
    ),
    Row(
        name="stream ends without a finish",
        behaviour="cutclean",
        params={"chunks": 3},
        forms=STREAMS,
        pair=CUT,
        alone=CUT,
        blame=striking("stream_cut"),
        ledger="stream_cut",
    ),
    Row(
        name="stream stalls",
        behaviour="stall",
        params={"chunks": 3},
        forms=STREAMS,
        pair=framed("timeout", "DEADLINE_EXCEEDED"),
        alone=framed("timeout", "DEADLINE_EXCEEDED"),
        blame=striking("stalled"),
        ledger="timeout",
    ),
    Row(
        name="one malformed event",
        behaviour="oneline",
        forms=STREAMS,
        pair=framed("bad_gateway", "UNAVAILABLE"),
        alone=framed("bad_gateway", "UNAVAILABLE"),
        blame=striking("bad_gateway"),
        ledger="bad_gateway",
    ),
    Row(
        name="error in the middle of a stream",
        behaviour="errormid",
        params={"chunks": 3},
        forms=STREAMS,
        pair=framed("overloaded", "UNAVAILABLE"),
        alone=framed("overloaded", "UNAVAILABLE"),
        blame=resting("overloaded", 2, 10),
        ledger="overloaded",
    ),
)

_ANSWERS = (
    Row(
        name="blocked prompt",
        behaviour="blocked",
        forms=FORMS,
        pair=finished("content_filter", "PROHIBITED_CONTENT"),
        alone=finished("content_filter", "PROHIBITED_CONTENT"),
    ),
    Row(
        name="finish SAFETY",
        behaviour="safety",
        forms=FORMS,
        pair=finished("content_filter", "SAFETY"),
        alone=finished("content_filter", "SAFETY"),
    ),
    Row(
        name="finish RECITATION",
        behaviour="recitation",
        forms=FORMS,
        pair=finished("content_filter", "RECITATION"),
        alone=finished("content_filter", "RECITATION"),
    ),
    Row(
        name="finish MALFORMED_FUNCTION_CALL",
        behaviour="malformed",
        forms=FORMS,
        # Google's own callers know this finish and see it once asking again was vain.
        alone={"openai": EMPTY, "gemini": finished("", "MALFORMED_FUNCTION_CALL")},
    ),
    Row(
        name="finish MAX_TOKENS without text",
        behaviour="maxtokens",
        forms=FORMS,
        pair=finished("length", "MAX_TOKENS"),
        alone=finished("length", "MAX_TOKENS"),
    ),
    Row(
        name="characters split",
        behaviour="split",
        prompt=f"repeat: {LETTERS}",
        text=LETTERS,
    ),
    Row(name="final chunk twice", behaviour="duplicate", forms=STREAMS),
    Row(name="usage missing", behaviour="nousage", forms=FORMS),
    Row(
        name="slow drip",
        behaviour="drip",
        params={"seconds": 0.003},
        forms=STREAMS,
    ),
)

_CALLERS = (
    Row(
        name="400 bad schema",
        behaviour="schema",
        forms=FORMS,
        pair=BAD_REQUEST,
        alone=BAD_REQUEST,
        ledger="invalid_argument",
    ),
    Row(
        name="client gone before the first byte",
        behaviour="slow",
        params={"seconds": 20},
        act="leave early",
        forms=FORMS,
        ledger="client_closed",
    ),
    Row(
        name="client gone after the first byte",
        behaviour="stall",
        params={"chunks": 3},
        act="leave late",
        forms=STREAMS,
        ledger="client_closed",
    ),
)

ROWS = MappingProxyType(
    {
        row.name: row
        for row in (
            *_CREDENTIALS,
            *_LIMITS,
            *_PROVIDER,
            *_EGRESS,
            *_AFTER_CONTENT,
            *_ANSWERS,
            *_CALLERS,
            *WEB_ROWS,
            *CLI_ROWS,
            *XAI_ROWS,
        )
    }
)
