"""Rows of the fault matrix for logins of the Gemini CLI."""

from typing import Any

from proxy.faultlab.expectations import resting, retried, told
from proxy.faultlab.outcomes import (
    FAILED,
    HOUR,
    MINUTE,
    NO_MODEL,
    OVERLOADED,
    REFUSED,
    SPENT,
    STRIKES,
    set_aside,
    striking,
    whole_account,
)
from proxy.faultlab.row import Row


def _cli(name: str, behaviour: str, **fields: Any) -> Row:
    return Row(name=f"cli: {name}", kind="code_assist", behaviour=behaviour, **fields)


def _signing_in(name: str, behaviour: str, **fields: Any) -> Row:
    """A row of the token endpoint: the access token ends, so that it is asked."""
    return _cli(name, behaviour, params={"expire": True}, **fields)


_CLI_SIGN_INS = (
    _signing_in("invalid_grant", "revoked", **set_aside("login_expired")),
    _signing_in("invalid_rapt", "rapt", **set_aside("reauth_required")),
    _signing_in("invalid_client", "badclient", **set_aside("oauth_client")),
    _signing_in("deleted_client", "deletedclient", **set_aside("oauth_client")),
    _signing_in("unauthorized_client", "strangeclient", **set_aside("oauth_client")),
    _signing_in("admin_policy_enforced", "policy", **set_aside("login_policy")),
    _signing_in(
        "temporarily_unavailable",
        "tokendown",
        alone=FAILED,
        blame=whole_account("token_endpoint", 25, 35),
    ),
    _signing_in(
        "internal_failure",
        "tokenfail",
        alone=FAILED,
        blame=whole_account("token_endpoint", 25, 35),
    ),
)

_CLI_REFUSALS = (
    _cli("403 SUBSCRIPTION_REQUIRED", "license", **set_aside("no_license")),
    _cli("403 named user only", "named", **set_aside("no_license")),
    _cli("403 TOS_VIOLATION", "terms", **set_aside("tos_violation")),
    _cli("403 terms without details", "termsbare", **set_aside("tos_violation")),
    _cli("403 VALIDATION_REQUIRED", "validation", **set_aside("validation_required")),
    _cli("403 SERVICE_DISABLED", "apioff", **set_aside("service_disabled")),
    _cli("403 IAM_PERMISSION_DENIED", "wrongproject", **set_aside("project_denied")),
    _cli("403 CONSUMER_INVALID", "badproject", **set_aside("bad_project")),
    _cli("403 SECURITY_POLICY_VIOLATED", "vpc", **set_aside("security_policy")),
    _cli("UNSUPPORTED_CLIENT tier", "consumer", **set_aside("no_license")),
    _cli(
        "tier asks for VALIDATION_REQUIRED",
        "verify",
        **set_aside("validation_required"),
    ),
    _cli(
        "403 restricted by the organisation",
        "restricted",
        alone=REFUSED,
        blame=whole_account("org_policy", 1790, 1810),
    ),
    _cli(
        "403 no reason",
        "denied",
        alone=REFUSED,
        blame=resting("refused_unclear", 5, 21, requests=STRIKES),
    ),
    _cli(
        "401 twice",
        "unauthenticated",
        alone=REFUSED,
        blame=whole_account("token_stale", 1790, 1810),
    ),
)

_CLI_LIMITS = (
    _cli(
        "404 model",
        "nomodel",
        alone=NO_MODEL,
        blame=resting("model_unsupported", 12 * HOUR - 5, 12 * HOUR + 5),
    ),
    _cli(
        "429 RATE_LIMIT_EXCEEDED with a delay",
        "throttled",
        params={"retry_delay": "20s"},
        alone=retried(MINUTE, 15, 25),
        blame=resting("throttled", 19, 25),
    ),
    _cli(
        "429 RATE_LIMIT_EXCEEDED with 0s",
        "throttlednow",
        alone=retried(MINUTE, 8, 13),
        blame=resting("throttled", 9, 13),
    ),
    _cli(
        "429 QUOTA_EXHAUSTED",
        "exhausted",
        alone=SPENT,
        blame=resting("quota_exhausted", 33_700, 33_800),
    ),
    _cli(
        "429 credits empty",
        "credits",
        alone=SPENT,
        blame=resting("quota_exhausted", 33_700, 33_800),
    ),
    _cli(
        "429 MODEL_CAPACITY_EXHAUSTED",
        "capacity",
        alone=retried(OVERLOADED, 1, 12),
        blame=resting("model_capacity", 4, 12),
    ),
    _cli(
        "429 of Vertex",
        "vertex",
        alone=retried(OVERLOADED, 1, 12),
        blame=resting("model_capacity", 4, 12),
    ),
    _cli(
        "429 without a reason",
        "vague",
        alone=retried(MINUTE, 40, 75),
        blame=resting("throttled_unclear", 45, 75),
    ),
    _cli(
        "500 INTERNAL",
        "internal",
        alone=told(500, "upstream_error", "INTERNAL"),
        blame=striking("upstream_error"),
    ),
    _cli(
        "503 overloaded",
        "overloaded",
        alone=retried(OVERLOADED, 1, 12),
        blame=resting("model_capacity", 4, 12),
    ),
)

CLI_ROWS = (*_CLI_SIGN_INS, *_CLI_REFUSALS, *_CLI_LIMITS)
