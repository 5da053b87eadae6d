"""Every cause of trouble that the gateway knows: what it means and who must do what.

The same words serve the ledger's causes, the states of accounts, their rests, and
incidents. ``wire.verdicts`` reads from here what a fault does to scheduling.
"""

from collections.abc import Mapping
from types import MappingProxyType

from proxy.wire.account_causes import ACCOUNTS, SIGN_INS
from proxy.wire.cause_forms import Cause, callers, failing, note, out, rest
from proxy.wire.xai_causes import XAI

__all__ = ["RULES", "Cause", "cause_of", "is_limit", "row_of"]

_LIMITS = "https://ai.google.dev/gemini-api/docs/rate-limits"
_REGIONS = "https://ai.google.dev/gemini-api/docs/available-regions"
_BILLING = "https://ai.google.dev/gemini-api/docs/billing"
_MODELS = "https://ai.google.dev/gemini-api/docs/models"
_WEB = "https://gemini.google.com/app"
_HOUR = 3600.0

_CALLERS = {
    "model_not_found": callers(
        "A model was asked for that no route names",
        "Add a route for it if it should exist.",
    ),
    "not_found": callers(
        "A path or a resource was asked for that is not there",
        "The caller must correct it.",
    ),
    "method_not_allowed": callers(
        "A path was asked with a method that it does not take",
        "The caller must correct it.",
    ),
    "invalid_api_key": callers(
        "A request came without a valid token",
        "Nothing, unless a user complains: issue a new token then.",
    ),
    "permission_denied": callers(
        "A token asked for what it may not have",
        "Give the token another scope if its owner is an operator.",
    ),
    "model_not_allowed": callers(
        "A plan does not include the model asked for",
        "Widen the plan's models or give the token another plan.",
    ),
    "concurrency_limit_exceeded": callers(
        "A token had too many requests at the same moment",
        "The caller must wait; raise the plan's concurrency if that is too strict.",
    ),
    "content_filter": callers(
        "The provider blocked a prompt", "The caller must change the prompt."
    ),
    "context_length_exceeded": callers(
        "A prompt was too long for the model",
        "The caller must send less or take a model with a larger window.",
    ),
    "invalid_argument": callers(
        "A request was malformed",
        "The caller must change it; the answer names the field.",
    ),
    "invalid_request": callers(
        "A request was malformed",
        "The caller must change it; the answer names the field.",
    ),
    "invalid_json": callers(
        "A request body was not JSON", "The caller must correct it."
    ),
    "invalid_form": callers(
        "The form of a request could not be read", "The caller must correct it."
    ),
    "model_not_supported": callers(
        "A model was asked for what it does not make",
        "The caller must name another model; the answer lists those that do.",
    ),
    "moderation_blocked": callers(
        "The provider's filter withheld a picture", "The caller must ask differently."
    ),
    "image_generation_failed": callers(
        "The model answered without a picture",
        "The caller must ask differently; the answer holds what the model said.",
    ),
    "invalid_url": callers(
        "A request named a URL that may not be fetched", "The caller must correct it."
    ),
    "request_too_large": callers(
        "A request body was too large",
        "The caller must send less, or raise MAX_BODY_BYTES.",
    ),
    "method_unsupported": callers(
        "A model was asked for what it cannot do",
        "The caller must take another model, an embedding model for embeddings.",
    ),
    "deadline": callers(
        "The caller's own deadline passed",
        "The caller must allow more time (X-Server-Timeout, its client's timeout).",
    ),
    "client_closed": callers(
        "The caller went away before the answer was whole",
        "Nothing; if it happens often, look at the timeouts of clients and proxies.",
    ),
    "sibling_failed": callers(
        "Another part of the same request had failed",
        "Look at the part that failed.",
    ),
}

_QUOTAS = {
    "rate_limit_exceeded": rest(
        "account_model",
        30.0,
        "A rate limit or quota was reached",
        "Add accounts, or lower the plan's requests per minute.",
        link=_LIMITS,
    ),
    "insufficient_quota": rest(
        "account_model",
        _HOUR,
        "The day's quota of an account is used up",
        "Add accounts of other projects, or wait for the new day at Google.",
        link=_LIMITS,
    ),
    "quota_minute": rest(
        "account_model",
        60.0,
        "The quota of this minute is used up",
        "Passes by itself; add accounts of other projects if it happens often.",
        link=_LIMITS,
    ),
    "quota_day": rest(
        "account_model",
        None,
        "The day's quota of an account is used up",
        "Add accounts of other projects, or wait for the new day at Google.",
        link=_LIMITS,
    ),
    "quota_exhausted": rest(
        "account_model",
        _HOUR,
        "A quota is used up until the provider resets it",
        "Wait for the reset, or add accounts.",
    ),
    "throttled": rest(
        "account_model",
        30.0,
        "The provider slowed an account down without naming a quota",
        "Passes by itself; add accounts if it happens often.",
    ),
    "throttled_unclear": rest(
        "account_model",
        60.0,
        "The provider is out of something, or dislikes a prompt, and says no more",
        "Passes by itself; if it is one caller only, look at the prompts.",
    ),
    "no_quota": rest(
        "account_model",
        12 * _HOUR,
        "The account's tier has no quota for this model",
        "Enable billing for the key's project, or take the model off its accounts.",
        who="operator",
        link=_LIMITS,
    ),
    "web_usage_limit": rest(
        "account_model",
        _HOUR,
        "The web account's usage limit is reached",
        "Wait for the reset, or add accounts.",
        link=_WEB,
    ),
    "no_credit": out(
        "The prepaid balance is empty",
        "Top up the billing account: all keys of its projects are affected.",
        _BILLING,
    ),
    "spend_cap": out(
        "The project's spending cap is reached",
        "Raise the cap or wait for its next period, then enable the account.",
        _BILLING,
    ),
}

_PROVIDERS = {
    "overloaded": rest(
        "model",
        5.0,
        "The provider is overloaded",
        "Usually passes by itself; give the route a second target.",
    ),
    "model_capacity": rest(
        "model",
        8.0,
        "The provider has no capacity for this model now",
        "Usually passes by itself; give the route a second target.",
    ),
    "model_missing": rest(
        "account_model",
        _HOUR,
        "The account does not have this model",
        "Correct the route's model, or take the model off accounts without it.",
        who="operator",
        link=_MODELS,
    ),
    "model_unsupported": rest(
        "account_model",
        12 * _HOUR,
        "The account may not use this model",
        "Correct the route's model, or give the account access to it.",
        who="operator",
    ),
    "entity_missing": note(
        "The provider did not find something that the request needs",
        "If all requests of a model fail so, correct the route's model or base URL.",
        "operator",
    ),
    "timeout": failing(
        "The provider did not answer in time",
        "Check its status page and the egress proxy; see UPSTREAM_FIRST_BYTE_SECONDS.",
    ),
    "stalled": failing(
        "The provider fell silent in the middle of an answer",
        "Usually passes by itself; see UPSTREAM_IDLE_SECONDS.",
    ),
    "upstream_error": failing(
        "The provider failed",
        "Usually passes by itself; look at its status page if it does not.",
    ),
    "bad_gateway": failing(
        "The provider's answer made no sense",
        "Open the request; check that the base URL is a Gemini API.",
    ),
    "stream_cut": failing(
        "A stream ended before its finish",
        "Check proxies on the way out for time limits on open connections.",
    ),
    "upstream_empty": failing(
        "The provider's answer had no content",
        "Often passes by itself; if it is one model only, look at its prompts.",
        again=False,
    ),
    "cancelled": Cause(
        meaning="The provider gave a request up",
        action="Passes by itself.",
        who="provider",
        again=True,
    ),
    "web_conversation": Cause(
        meaning="A web conversation does not fit the model",
        action="Passes by itself: the next request begins a new conversation.",
        again=True,
    ),
    "token_endpoint": Cause(
        meaning="Google's sign-in service did not answer",
        action="Usually passes by itself; check the network and the egress proxy.",
        who="provider",
        scope="account",
        rest_seconds=30.0,
        strike=True,
        again=True,
    ),
}

_EGRESS = {
    "connection_failed": failing(
        "The provider could not be reached",
        "Check the network, the account's base URL and its egress proxy.",
        scope="egress",
    ),
    "ip_blocked": rest(
        "egress",
        300.0,
        "The provider takes no requests from this address",
        "Give the accounts another egress proxy, or wait.",
        who="operator",
    ),
    "egress_region": rest(
        "egress",
        600.0,
        "The provider does not serve the country of this way out",
        "Give the account an egress proxy in a country that is served.",
        who="operator",
        strike=True,
        link=_REGIONS,
    ),
}

_OURS = {
    "no_account": note(
        "No account could answer",
        "Add an account, or test and enable those that need attention.",
        "operator",
    ),
    "busy": note(
        "This server was at its bound",
        "Raise MAX_BODIES_IN_FLIGHT_BYTES or add a server.",
        "operator",
    ),
    "queue_full": note(
        "Too many requests were waiting, or one would have waited too long",
        "Add accounts, or raise QUEUE_MAX_WAIT_MS or QUEUE_MAX_CONCURRENCY.",
        "operator",
    ),
    "internal_error": note(
        "The gateway failed",
        "Find the request id in the log and report what it says.",
        "operator",
    ),
    "strikes": rest(
        "account_model",
        10.0,
        "Several requests in a row failed",
        "Comes back by itself with one trial request; look at the latest failures.",
    ),
    "canary": note("One trial request is under way", "Wait: its outcome decides."),
    "shared_trouble": note(
        "Several accounts failed alike: what they share is to blame",
        "Look at the incident; the accounts themselves are not to blame.",
        "operator",
    ),
    "unusable_finish": note(
        "The provider ended an answer without content, and named a reason",
        "Usually a function call that the model wrote badly: look at the tools.",
    ),
    "imitation_failed": note(
        "A model without tools or JSON schemas did not write what was asked for",
        "If it happens often, give the route a target that has them.",
        "operator",
    ),
    "canary_under_way": note(
        "One trial request is under way", "Wait: its outcome decides."
    ),
    "minute_limit": note(
        "The account's limit of this minute is reached",
        "Passes by itself; add accounts if it happens often.",
    ),
    "day_limit": note(
        "The account's limit of this day is reached",
        "Add accounts of other projects, or wait for the new day at Google.",
    ),
    "all_seats_taken": note(
        "The account answers as many requests as it may at a time",
        "Raise its concurrency if the provider takes more.",
    ),
    "needs_attention": out("Needs attention", "Open the account: it says why."),
    "disabled": note("Disabled", "Enable it when it should be used.", "operator"),
    "new_secret": note("New credential", "Test it, or wait for its first request."),
    "answered": note("Answered a request", "Nothing."),
    "operator": rest(
        "account",
        None,
        "Set aside by hand",
        "Clear it when it should come back.",
        who="operator",
    ),
}

RULES: Mapping[str, Cause] = MappingProxyType(
    _CALLERS | _QUOTAS | _PROVIDERS | _EGRESS | {**ACCOUNTS, **SIGN_INS, **XAI} | _OURS
)

_KEPT_LIMITS = frozenset({"minute_limit", "day_limit"})
#: Of an account these words mean that Google refused us, not that we refused a caller.
_OF_ACCOUNTS = {
    "permission_denied": "account_denied",
    "model_not_found": "model_missing",
}


def row_of(code: str, *, of_account: bool = False) -> str:
    """Return the key under which a cause or code may stand in ``RULES``.

    ``of_account`` reads the word as the state of an account, not of a request.
    """
    return _OF_ACCOUNTS.get(code, code) if of_account else code


def cause_of(code: str, *, of_account: bool = False) -> Cause:
    """Return what is known of a cause or code; one that nobody knows names itself."""
    known = RULES.get(row_of(code, of_account=of_account))
    return known or Cause(
        meaning=code.replace("_", " ").capitalize() or "Unknown cause",
        action="Test it, then replace its credential."
        if of_account
        else "Open the latest of these requests to see what the provider said.",
        who="operator",
    )


def is_limit(cause: str) -> bool:
    """Return whether a cause is a rate limit or quota, the provider's or one we keep."""
    return cause in _QUOTAS or cause in _KEPT_LIMITS
