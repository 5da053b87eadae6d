"""What an operator can do about each cause that the ledger and the accounts name."""

from dataclasses import dataclass

from proxy.scheduling import pool


@dataclass(frozen=True, slots=True)
class Advice:
    """A cause in plain words and the step that helps."""

    meaning: str
    action: str


ADVICE = {
    "upstream_auth": Advice(
        "The provider refused an account's credential",
        "Test the account; if it still fails, replace its key or disable it.",
    ),
    "rate_limit_exceeded": Advice(
        "A rate limit or quota was reached",
        "Add accounts, or lower the plan's requests per minute.",
    ),
    "insufficient_quota": Advice(
        "The day's quota of an account is used up",
        "Add accounts of other projects, or wait for the new day at Google.",
    ),
    "overloaded": Advice(
        "The provider is overloaded",
        "Usually passes by itself; give the route a second target.",
    ),
    "timeout": Advice(
        "The provider did not answer in time",
        "Check its status page and the egress proxy; see UPSTREAM_FIRST_BYTE_SECONDS.",
    ),
    "connection_failed": Advice(
        "The provider could not be reached",
        "Check the network, the account's base URL and its egress proxy.",
    ),
    "bad_gateway": Advice(
        "The provider's answer made no sense",
        "Open the request; check that the base URL is a Gemini API.",
    ),
    "upstream_empty": Advice(
        "The provider's answer had no content",
        "Often passes by itself; if it is one model only, look at its prompts.",
    ),
    "stream_cut": Advice(
        "A stream ended before its finish",
        "Check proxies on the way out for time limits on open connections.",
    ),
    "no_account": Advice(
        "No account could answer",
        "Add an account, or test and enable those that need attention.",
    ),
    "busy": Advice(
        "This server was at its bound",
        "Raise MAX_BODIES_IN_FLIGHT_BYTES or add a server.",
    ),
    "model_not_found": Advice(
        "A model was asked for that no route names",
        "Add a route for it if it should exist.",
    ),
    "invalid_api_key": Advice(
        "A request came without a valid token",
        "Nothing, unless a user complains: issue a new token then.",
    ),
    "permission_denied": Advice(
        "A token asked for what it may not have",
        "Give the token another scope if its owner is an operator.",
    ),
    "model_not_allowed": Advice(
        "A plan does not include the model asked for",
        "Widen the plan's models or give the token another plan.",
    ),
    "concurrency_limit_exceeded": Advice(
        "A token had too many requests at the same moment",
        "The caller must wait; raise the plan's concurrency if that is too strict.",
    ),
    "content_filter": Advice(
        "The provider blocked a prompt",
        "The caller must change the prompt.",
    ),
    "context_length_exceeded": Advice(
        "A prompt was too long for the model",
        "The caller must send less or take a model with a larger window.",
    ),
    "invalid_argument": Advice(
        "A request was malformed",
        "The caller must change it; the answer names the field.",
    ),
    "request_too_large": Advice(
        "A request body was too large",
        "The caller must send less, or raise MAX_BODY_BYTES.",
    ),
    "internal_error": Advice(
        "The gateway failed",
        "Find the request id in the log and report what it says.",
    ),
}


def advice(cause: str) -> Advice:
    """Return what is known of a cause; the code itself if nothing is."""
    known = ADVICE.get(cause)
    return known or Advice(
        cause.replace("_", " ").capitalize() or "Unknown cause",
        "Open the latest of these requests to see what the provider said.",
    )


# The same words mean something else of an account: there, Google refused us.
ACCOUNT_MEANINGS = {
    "api_key_invalid": "Key refused",
    "leaked": "Key blocked",
    "unauthenticated": "Credential refused",
    "failed_precondition": "Billing or region",
    "permission_denied": "API not enabled for the key's project",
    "no_models": "No models",
    "unreadable": "Secret unreadable",
    "upstream_auth": "Credential refused",
}


def account_advice(cause: str) -> Advice:
    """Return what is known of the cause that took an account out."""
    meaning = ACCOUNT_MEANINGS.get(cause) or cause.replace("_", " ").capitalize()
    return Advice(
        meaning, pool.ADVICE.get(cause, "Test it, then replace its credential.")
    )
