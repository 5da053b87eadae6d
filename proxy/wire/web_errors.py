"""What goes wrong with gemini.google.com accounts, as faults.

The adapter names what it met: the class of an exception of ``gemini_webapi`` (the old
spelling too) or of curl, or one of the kinds ``http`` (a status that is not 200),
``status`` (the account's own state after a sign-in or an answer), ``guest`` (a guest
session answered), ``no_models``, ``rcid_changed``, ``stalled``, ``empty_prompt``.
"""

import re
from collections.abc import Callable

from proxy.errors import (
    AccountRefused,
    BadAnswer,
    ConnectFailed,
    Fault,
    RateLimited,
    StreamCut,
    UpstreamFault,
    UpstreamRefused,
    UpstreamTimeout,
)

_CODE_TEXT = re.compile(r"\b(?:code|status)\D{0,10}(\d{3,4})\b", re.IGNORECASE)
_DENIED_TEXT = re.compile(r"not available|permission denied", re.IGNORECASE)
_ROBOT_PAGE = "google.com/sorry"

#: What the site says of an account; what it does not explain counts as rejected.
_STATUSES = {
    1016: "cookies_expired",
    1021: "account_rejected",
    1033: "account_untrusted",
    1040: "terms_pending",
    1042: "terms_pending",
    1054: "guardian",
    1057: "guardian",
    1060: "region",
}
_Maker = Callable[[float | None], Fault]


def fault_of(
    kind: str, code: int | None = None, text: str = "", *, wait: float | None = None
) -> Fault:
    """Return the fault that an event of a web account means.

    ``code`` is the site's, or an HTTP status below 1000; ``text`` is the exception's
    message, which is read but never shown; ``wait`` is the number of seconds to the
    reset of a usage limit, if the client knows it.
    """
    if kind == "status":
        return _account_state(code)
    name = kind.removesuffix("Error").lower()
    if code is None:
        spoken = _CODE_TEXT.search(text)
        code = int(spoken[1]) if spoken else 0
    known = _of_code(code, name) or _of_text(name, text) or _KINDS.get(name, _unknown)
    return known(wait)


def _account_state(code: int | None) -> Fault:
    if code == 1014:
        return UpstreamFault(status=503, blame="account", cause="web_unavailable")
    cause = _STATUSES.get(code or 0, "account_rejected")
    return AccountRefused(code="unauthenticated", cause=cause)


def _of_code(code: int, name: str) -> _Maker | None:
    if name == "auth":
        return _expired
    if 1090 <= code <= 1099:
        return _untrusted
    if 300 <= code < 600:
        return _of_http_status(code)
    return _CODES.get(code)


def _of_http_status(status: int) -> _Maker:
    if status in (302, 429):
        return _blocked
    if status >= 500:
        return _failed
    # Signed-out sessions and odd requests look alike: only the account's state tells.
    return _suspect


def _of_text(name: str, text: str) -> _Maker | None:
    if _ROBOT_PAGE in text:
        return _blocked
    if name == "gemini" and _DENIED_TEXT.search(text):
        return _expired
    return None


def _used_up(wait: float | None) -> Fault:
    return RateLimited(
        "The provider's quota for this is used up.",
        code="insufficient_quota",
        should_retry=False,
        retry_after=wait,
        cause="web_usage_limit",
    )


def _conversation(_wait: float | None) -> Fault:
    return UpstreamFault(
        "The provider's conversation belongs to another model.",
        blame="model",
        cause="web_conversation",
    )


def _no_such_model(_wait: float | None) -> Fault:
    return UpstreamFault(
        "The provider has no such model.",
        status=404,
        code="model_not_found",
        blame="model",
        cause="model_missing",
    )


def _blocked(wait: float | None) -> Fault:
    return ConnectFailed(
        "The provider takes no requests from this network now.",
        cause="ip_blocked",
        retry_after=wait,
    )


def _failed(_wait: float | None) -> Fault:
    return UpstreamFault(code="upstream_error")


def _untrusted(_wait: float | None) -> Fault:
    return UpstreamFault(blame="account", cause="web_session_distrusted")


def _suspect(_wait: float | None) -> Fault:
    return BadAnswer(blame="account", cause="web_session_suspect")


def _expired(_wait: float | None) -> Fault:
    return AccountRefused(code="unauthenticated", cause="cookies_expired")


def _no_models(_wait: float | None) -> Fault:
    return AccountRefused("The account sees no models.", code="no_models")


def _unreachable(_wait: float | None) -> Fault:
    return ConnectFailed()


def _late(_wait: float | None) -> Fault:
    return UpstreamTimeout()


def _silent(_wait: float | None) -> Fault:
    return UpstreamTimeout("The provider fell silent.", cause="stalled")


def _cut(_wait: float | None) -> Fault:
    return StreamCut()


def _empty(_wait: float | None) -> Fault:
    return BadAnswer("The provider's answer was empty.", code="upstream_empty")


def _refused(_wait: float | None) -> Fault:
    return UpstreamRefused()


def _unknown(_wait: float | None) -> Fault:
    return BadAnswer()


_CODES: dict[int, _Maker] = {
    1013: _failed,
    1037: _used_up,
    1050: _conversation,
    1052: _no_such_model,
    1060: _blocked,
}
#: Names in small letters, without "Error" at their end.
_KINDS: dict[str, _Maker] = {
    "usagelimitexceeded": _used_up,
    "modelinvalid": _no_such_model,
    "temporarilyblocked": _blocked,
    "api": _failed,
    "http": _failed,
    "gemini": _cut,
    "imagegeneration": _empty,
    "timeout": _late,
    "readtimeout": _late,
    "stalled": _silent,
    "connecttimeout": _unreachable,
    "connection": _unreachable,
    "proxy": _unreachable,
    "dns": _unreachable,
    "ssl": _unreachable,
    "certificateverify": _unreachable,
    "invalidproxyurl": _unreachable,
    "incompleteread": _cut,
    "chunkedencoding": _cut,
    "rcid_changed": _cut,
    "sessionclosed": _failed,
    "guest": _expired,
    "no_models": _no_models,
    "assertion": _refused,
    "value": _refused,
    "empty_prompt": _refused,
}
