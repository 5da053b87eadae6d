"""Answers and blames that many rows of the fault matrix share."""

from typing import Any

from proxy.faultlab.expectations import (
    Blame,
    attention,
    framed,
    resting,
    spent,
    told,
)

HOUR = 3600.0
#: So many requests are three failures in a row at the latest.
STRIKES = 4

REFUSED = told(503, "upstream_auth", "UNAVAILABLE")
OVERLOADED = told(503, "overloaded", "UNAVAILABLE")
FAILED = told(502, "upstream_error", "UNAVAILABLE")
UNREADABLE = told(502, "bad_gateway", "UNAVAILABLE")
EMPTY = told(502, "upstream_empty", "UNAVAILABLE")
UNREACHABLE = told(502, "connection_failed", "UNAVAILABLE")
TIMEOUT = told(504, "timeout", "DEADLINE_EXCEEDED")
NO_MODEL = told(404, "model_not_found", "NOT_FOUND")
MINUTE = told(429, "rate_limit_exceeded", "RESOURCE_EXHAUSTED")
SPENT = spent("insufficient_quota", "RESOURCE_EXHAUSTED")
BAD_REQUEST = told(400, "invalid_argument", "INVALID_ARGUMENT")
CUT = framed("stream_cut", "UNAVAILABLE")
GUEST = framed("upstream_auth", "UNAVAILABLE")
#: A whole answer may take its full time, a stream has to begin.
SILENT = Blame(
    whose="account_model",
    causes=("timeout", "stalled"),
    least=5,
    most=21,
    requests=STRIKES,
)


def set_aside(cause: str) -> dict[str, Any]:
    """Return the fields of a row whose account needs a person."""
    return {"alone": REFUSED, "blame": attention(cause)}


def striking(cause: str) -> Blame:
    """Several failures in a row rest the account's model for a while."""
    return resting(cause, 5, 21, requests=STRIKES)


def whole_account(cause: str, least: float, most: float) -> Blame:
    """The account rests for every model."""
    return Blame(whose="account_rest", causes=(cause,), least=least, most=most)


def way_out(cause: str) -> Blame:
    """What all accounts on the same way out share is to blame."""
    return Blame(whose="egress", causes=(cause,))
