"""The refusals that a login may stand for: every row of Code Assist's error table."""

from collections.abc import Callable, Mapping
from typing import Any

from proxy.sandbox.refusals import Refusal, error_info, help_links

BACKEND = "cloudcode-pa.googleapis.com"
COMPANION = "cloudaicompanion.googleapis.com"
VERIFY = "https://accounts.google.com/signin/continue?sandbox=1"
APPEAL = "https://forms.gle/sandbox-appeal"
ACTIVATE = (
    "https://console.developers.google.com/apis/api/cloudaicompanion.googleapis.com"
)
_RPC = "type.googleapis.com/google.rpc."
_DELAY = "33740.9s"

Params = Mapping[str, Any]
Maker = Callable[[Params, str], Refusal]


def model_missing() -> Refusal:
    """A model that the account does not have."""
    return Refusal(404, "Requested entity was not found.")


def stale_token() -> Refusal:
    """An access token that has ended, or never was one."""
    about = error_info("ACCESS_TOKEN_EXPIRED", service=BACKEND)
    return Refusal(
        401,
        "Request had invalid authentication credentials. Expected OAuth 2 access"
        " token, login cookie or other valid authentication credential.",
        details=[about],
    )


def wrong_project(project: str) -> Refusal:
    """A project in which the account has no role."""
    about = error_info(
        "IAM_PERMISSION_DENIED",
        COMPANION,
        permission="cloudaicompanion.companions.generateChat",
        resource=f"projects/{project}/locations/global",
    )
    text = (
        "Permission 'cloudaicompanion.companions.generateChat' denied on resource"
        f" '//{COMPANION}/projects/{project}/locations/global' (or it may not exist)."
    )
    return Refusal(403, text, details=[about])


def user_project_sent() -> Refusal:
    """A quota project was named in a header: the private API is not on there."""
    about = error_info("SERVICE_DISABLED", service=BACKEND, consumer="projects/1")
    text = "Cloud Code Private API has not been used in project 1 before."
    return Refusal(403, text, details=[about])


def not_licensed() -> Refusal:
    """No licence: what all consumer accounts get."""
    about = error_info("SUBSCRIPTION_REQUIRED", COMPANION)
    text = "You do not have a valid license for Gemini Code Assist. (#3501)"
    return Refusal(403, text, details=[about])


def security_policy() -> Refusal:
    """A perimeter of the organisation."""
    about = error_info("SECURITY_POLICY_VIOLATED", uid="sandbox")
    text = "Request is prohibited by organization's policy."
    return Refusal(403, text, details=[about])


def precondition() -> Refusal:
    """A project was sent where none may be."""
    return Refusal(400, "Precondition check failed.", status="FAILED_PRECONDITION")


def _named(params: Params, model: str) -> Refusal:
    text = (
        "You must be a named user on your organization's Gemini Code Assist Standard"
        " edition subscription to use this service."
    )
    return Refusal(403, text)


def _terms(params: Params, model: str) -> Refusal:
    about = error_info("TOS_VIOLATION", BACKEND, appeal_url=APPEAL, uiMessage="true")
    text = (
        "This service has been disabled in this account for violation of Terms of"
        " Service."
    )
    return Refusal(403, text, details=[about])


def _terms_bare(params: Params, model: str) -> Refusal:
    return Refusal(403, _terms(params, model).message)


def _validation(params: Params, model: str) -> Refusal:
    about = error_info("VALIDATION_REQUIRED", BACKEND, validation_url=VERIFY)
    link = help_links("Complete validation to continue", VERIFY)
    return Refusal(403, "Verify your account to continue.", details=[about, link])


def _api_off(params: Params, model: str) -> Refusal:
    about = error_info("SERVICE_DISABLED", service=COMPANION, activationUrl=ACTIVATE)
    text = f"Gemini for Google Cloud API is disabled. Enable it by visiting {ACTIVATE}."
    return Refusal(403, text, details=[about])


def _bad_project(params: Params, model: str) -> Refusal:
    about = error_info("CONSUMER_INVALID", consumer="projects/gone-project")
    text = "Permission denied on resource project gone-project."
    return Refusal(403, text, details=[about])


def _restricted(params: Params, model: str) -> Refusal:
    text = (
        "You're restricted from using Gemini Code Assist for individuals in your"
        " organization."
    )
    return Refusal(403, text)


def _throttled(params: Params, model: str) -> Refusal:
    delay = params.get("retry_delay", "2.1s")
    return _limited("RATE_LIMIT_EXCEEDED", model, delay)


def _throttled_now(params: Params, model: str) -> Refusal:
    return _limited("RATE_LIMIT_EXCEEDED", model, "0s")


def _exhausted(params: Params, model: str) -> Refusal:
    return _limited("QUOTA_EXHAUSTED", model, params.get("retry_delay", _DELAY))


def _credits(params: Params, model: str) -> Refusal:
    delay = params.get("retry_delay", _DELAY)
    return _limited("INSUFFICIENT_G1_CREDITS_BALANCE", model, delay)


def _limited(reason: str, model: str, delay: str) -> Refusal:
    text = (
        "You have exhausted your capacity on this model. Your quota will reset after"
        f" {delay}."
    )
    about = error_info(reason, BACKEND, model=model, quotaResetDelay=delay)
    retry = {"@type": _RPC + "RetryInfo", "retryDelay": delay}
    return Refusal(429, text, details=[about, retry])


def _capacity(params: Params, model: str) -> Refusal:
    about = error_info("MODEL_CAPACITY_EXHAUSTED", BACKEND, model=model)
    text = f"No capacity available for model {model} on the server"
    return Refusal(429, text, details=[about])


def _vague(params: Params, model: str) -> Refusal:
    return Refusal(429, "Resource has been exhausted (e.g. check quota).")


def _vertex(params: Params, model: str) -> Refusal:
    text = (
        "Resource exhausted. Please try again later. Please refer to"
        " https://cloud.google.com/vertex-ai/docs/error-code-429 for more details."
    )
    return Refusal(429, text)


def _location(params: Params, model: str) -> Refusal:
    text = "User location is not supported for the API use."
    return Refusal(400, text, status="FAILED_PRECONDITION")


REFUSALS: dict[str, Maker] = {
    "license": lambda params, model: not_licensed(),
    "named": _named,
    "terms": _terms,
    "termsbare": _terms_bare,
    "validation": _validation,
    "apioff": _api_off,
    "wrongproject": lambda params, model: wrong_project("not-yours"),
    "badproject": _bad_project,
    "vpc": lambda params, model: security_policy(),
    "restricted": _restricted,
    "denied": lambda params, model: Refusal(403, "The caller does not have permission"),
    "unauthenticated": lambda params, model: stale_token(),
    "nomodel": lambda params, model: model_missing(),
    "throttled": _throttled,
    "throttlednow": _throttled_now,
    "exhausted": _exhausted,
    "credits": _credits,
    "capacity": _capacity,
    "vague": _vague,
    "vertex": _vertex,
    "location": _location,
    "internal": lambda params, model: Refusal(500, "Internal error encountered."),
    "overloaded": lambda params, model: Refusal(
        503, "The model is overloaded. Please try again later."
    ),
}
