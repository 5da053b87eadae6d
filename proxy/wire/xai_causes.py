"""Causes of trouble that only accounts at xAI have."""

from collections.abc import Mapping

from proxy.wire.cause_forms import Cause, out, rest

LIMITS = "https://console.x.ai/team/default/rate-limits"
_KEYS = "https://console.x.ai/team/default/api-keys"
_BILLING = "https://console.x.ai/team/default/billing"
_HOUR = 3600.0

XAI: Mapping[str, Cause] = {
    "xai_key_refused": out(
        "Key refused",
        "xAI does not know this key: replace it or delete the account.",
        _KEYS,
    ),
    "xai_key_blocked": out(
        "Key blocked",
        "xAI blocked or disabled the key or its team: look at the console, or use"
        " another key.",
        _KEYS,
    ),
    "xai_denied": rest(
        "account_model",
        _HOUR,
        "The key may not do this",
        "Edit the key's permissions for models and endpoints in xAI's console.",
        who="operator",
        link=_KEYS,
    ),
    "xai_no_credit": out(
        "Credits used up, or spending limit reached",
        "Buy credits or raise the monthly spending limit: all keys of the team are"
        " affected.",
        _BILLING,
    ),
}
