"""Keys of the imitated xAI, and the refusals that they may stand for."""

import re
from collections.abc import Callable, Mapping
from typing import Any

_FORM = re.compile(r"xai-[A-Za-z0-9-]{60,120}")
_LENGTH = 84
TEAM = "16f2151a-40f4-4a80-8ad0-cae00c27e8dd"
_KEY_ID = "ae1e1841-4326-4b36-a8a9-8a1a7237db11"

#: Beside those of Google's, a fault that the whole key has, not a call of the model.
KEY_BLOCKED = "keyblocked"

Params = Mapping[str, Any]


class XaiRefusal(Exception):
    """A refused call: HTTP status, xAI's code in words, and its message."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message

    def body(self) -> dict[str, Any]:
        """The JSON error body."""
        return {"code": self.code, "error": self.message}


def xai_key(behaviour: str = "ok", n: int = 1) -> str:
    """A well-formed key of 84 characters that shows ``behaviour``; ``n`` numbers it."""
    key = f"xai-Sandbox-{behaviour}-{n:06d}".ljust(_LENGTH, "x")
    if len(key) != _LENGTH or not _FORM.fullmatch(key):
        raise ValueError(f"no key can be made for {behaviour!r}, {n}")
    return key


def is_well_formed(key: str) -> bool:
    """Whether ``key`` looks like a real key of xAI's."""
    return _FORM.fullmatch(key) is not None


def bad_argument(message: str) -> XaiRefusal:
    """A plain 400."""
    return XaiRefusal(400, "invalid-argument", message)


def bad_body(message: str) -> XaiRefusal:
    """A 422: the JSON body does not have the form that the endpoint reads."""
    text = f"Failed to deserialize the JSON body into the target type: {message}"
    return XaiRefusal(422, "invalid-argument", text)


def no_credentials() -> XaiRefusal:
    """401: no key came along."""
    return XaiRefusal(
        401, "unauthenticated:no-credentials", "No credentials were provided."
    )


def key_refused(key: str) -> XaiRefusal:
    """400: nobody holds such a key."""
    return bad_argument(
        f"Incorrect API key provided: {key[:2]}***{key[-2:]}. You can obtain an API"
        " key from https://console.x.ai."
    )


def no_model(model: str) -> XaiRefusal:
    """404: the model is unknown, or closed to the team."""
    return XaiRefusal(
        404,
        "not-found",
        f"The model {model} does not exist or your team {TEAM} does not have access"
        " to it. If you believe this is a mistake, please contact support and quote"
        " your team ID and the model name.",
    )


def unsupported(model: str, parameter: str) -> XaiRefusal:
    """400: the model refuses a parameter, whatever its value."""
    return bad_argument(f"Model {model} does not support parameter {parameter}.")


def _limited(unit: str, period: str, actual: int, most: int) -> XaiRefusal:
    return XaiRefusal(
        429,
        "resource-exhausted",
        f"Too many {unit.lower()} for team {TEAM} and model grok-4.3. Your team's rate"
        f" limit is — {unit} per {period} (actual/limit): {actual}/{most}.",
    )


def _per_minute(params: Params) -> XaiRefusal:
    most = params.get("limit", 60)
    return _limited("Requests", "Minute", most + 13, most)


def _no_credit(params: Params) -> XaiRefusal:
    code = params.get("status", 403)
    return XaiRefusal(
        code,
        "permission-denied" if code == 403 else "resource-exhausted",
        f"Your team {TEAM} has either used all available credits or reached its"
        " monthly spending limit. To continue making API requests, please purchase"
        " more credits or raise your spending limit.",
    )


def _against_rules(params: Params) -> XaiRefusal:
    return XaiRefusal(
        403,
        "permission-denied",
        f"Content violates usage guidelines. Team: {TEAM}, API key ID: {_KEY_ID},"
        " Model: grok-4.3, Failed check: SAFETY_CHECK_TYPE_BIO",
    )


def _denied(params: Params) -> XaiRefusal:
    text = "The caller does not have permission to execute the specified operation"
    return XaiRefusal(403, "permission-denied", text)


def _blocked(params: Params) -> XaiRefusal:
    text = f"Your API key is blocked. API key ID: {_KEY_ID}"
    return XaiRefusal(403, "permission-denied", text)


def _too_long(params: Params) -> XaiRefusal:
    return bad_argument(
        "This model's maximum prompt length is 500000 but the request contains"
        " 637815 tokens."
    )


def overloaded() -> XaiRefusal:
    """503: too many people ask for the model."""
    return XaiRefusal(
        503, "unavailable", "The model is at capacity. Please try again later."
    )


def internal() -> XaiRefusal:
    """500, without a reason."""
    return XaiRefusal(500, "internal", "Internal error. Please try again later.")


XAI_REFUSALS: dict[str, Callable[[Params], XaiRefusal]] = {
    "invalid": lambda params: key_refused("xai-unknown"),
    "unauthenticated": lambda params: no_credentials(),
    "denied": _denied,
    KEY_BLOCKED: _blocked,
    "credits": _no_credit,
    "moderation": _against_rules,
    "perminute": _per_minute,
    "persecond": lambda params: _limited("Requests", "Second", 2, 2),
    "tokenminute": lambda params: _limited("Tokens", "Minute", 65605, 16000),
    "perday": lambda params: _limited("Requests", "Day", 101, 100),
    "toolong": _too_long,
    "nomodel": lambda params: no_model("grok-4.3"),
    "overloaded": lambda params: overloaded(),
    "internal": lambda params: internal(),
}
XAI_SHAPING = frozenset(
    {
        "stall",
        "cut",
        "cutclean",
        "errormid",
        "nousage",
        "slow",
        "split",
        "drip",
        "headstall",
        "html",
        "challenge",
        "emptybody",
    }
)
XAI_NAMES = frozenset({*XAI_REFUSALS, *XAI_SHAPING})
