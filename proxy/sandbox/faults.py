"""The refusals that a key may stand for: every row of Google's error table."""

from collections.abc import Callable, Mapping
from typing import Any

from proxy.sandbox.refusals import (
    SERVICE,
    Refusal,
    error_info,
    field_violations,
    help_links,
    key_invalid,
    model_unknown,
    quota_exceeded,
)

Params = Mapping[str, Any]
Maker = Callable[[Params, str], Refusal]

DEFAULT_RETRY_DELAY = "38.601s"
PROJECT = "projects/123456789012"
_REQUESTS = "generate_content_free_tier_requests"
_CONSOLE = "https://console.developers.google.com/apis/api"
_ACTIVATION = f"{_CONSOLE}/{SERVICE}/overview?project=123456789012"
_ACCOUNTS = "https://accounts.google.com/signin/continue"
_APPEAL = "https://support.google.com/accounts/troubleshooter/2402620"
_CODE_ASSIST = "cloudcode-pa.googleapis.com"


def overloaded() -> Refusal:
    """503: too many people ask for the model."""
    return Refusal(503, "The model is overloaded. Please try again later.")


def _per_minute(params: Params, model: str) -> Refusal:
    return quota_exceeded(
        metric=_REQUESTS,
        quota_id="GenerateRequestsPerMinutePerProjectPerModel-FreeTier",
        value=params.get("limit", 15),
        model=model,
        retry_delay=params.get("retry_delay", DEFAULT_RETRY_DELAY),
    )


def _per_day(params: Params, model: str) -> Refusal:
    return quota_exceeded(
        metric=_REQUESTS,
        quota_id="GenerateRequestsPerDayPerProjectPerModel-FreeTier",
        value=params.get("limit", 250),
        model=model,
        retry_delay=params.get("retry_delay", "0s"),
    )


def _none_at_all(params: Params, model: str) -> Refusal:
    """The tier has no quota for the model: Google says so as a limit of 0."""
    return quota_exceeded(
        metric=_REQUESTS,
        quota_id="GenerateRequestsPerDayPerProjectPerModel-FreeTier",
        value=0,
        model=model,
        retry_delay=params.get("retry_delay", DEFAULT_RETRY_DELAY),
    )


def _no_capacity(params: Params, model: str) -> Refusal:
    about = error_info("MODEL_CAPACITY_EXHAUSTED", _CODE_ASSIST, model=model)
    text = f"No capacity available for model {model} on the server"
    code = params.get("status", 503)
    word = "RESOURCE_EXHAUSTED" if code == 429 else "UNAVAILABLE"
    return Refusal(code, text, status=word, details=[about])


def _internal(params: Params, model: str) -> Refusal:
    return Refusal(
        500,
        "An internal error has occurred. Please retry or report in"
        " https://developers.generativeai.google/guide/troubleshooting",
    )


def _leaked(params: Params, model: str) -> Refusal:
    text = "Your API key was reported as leaked. Please use another API key."
    return Refusal(403, text)


def _no_billing(params: Params, model: str) -> Refusal:
    text = "User location is not supported for the API use."
    return Refusal(400, text, status="FAILED_PRECONDITION")


def _prepay(params: Params, model: str) -> Refusal:
    return Refusal(
        402,
        "Your prepayment credits are depleted. Please go to AI Studio at"
        " https://ai.studio/projects to manage your project and billing.",
    )


def _unauthenticated(params: Params, model: str) -> Refusal:
    return Refusal(
        401,
        "Request is missing required authentication credential. Expected OAuth 2"
        " access token, login cookie or other valid authentication credential. See"
        " https://developers.google.com/identity/sign-in/web/devconsole-project.",
        details=[error_info("CREDENTIALS_MISSING", service=SERVICE)],
    )


def _denied(params: Params, model: str) -> Refusal:
    text = "Your project has been denied access. Please contact support."
    return Refusal(403, text)


def _disabled(params: Params, model: str) -> Refusal:
    about = error_info(
        "SERVICE_DISABLED",
        activationUrl=_ACTIVATION,
        consumer=PROJECT,
        containerInfo="123456789012",
        service=SERVICE,
        serviceTitle="Generative Language API",
    )
    return Refusal(
        403,
        "Generative Language API has not been used in project 123456789012 before or"
        f" it is disabled. Enable it by visiting {_ACTIVATION} then retry. If you"
        " enabled this API recently, wait a few minutes for the action to propagate"
        " to our systems and retry.",
        details=[about, help_links("Google developers console", _ACTIVATION)],
    )


def _suspended(params: Params, model: str) -> Refusal:
    about = error_info(
        "CONSUMER_SUSPENDED",
        consumer=PROJECT,
        containerInfo="api_key:AIzaSy-masked",
        service=SERVICE,
    )
    text = "Permission denied: Consumer 'api_key:AIzaSy-masked' has been suspended."
    return Refusal(403, text, details=[about])


def _terms(params: Params, model: str) -> Refusal:
    about = error_info("TOS_VIOLATION", _CODE_ASSIST, appeal_url=_APPEAL)
    return Refusal(
        403,
        "This service has been disabled in this account for violation of Terms of"
        " Service.",
        details=[about],
    )


def _validation(params: Params, model: str) -> Refusal:
    about = error_info("VALIDATION_REQUIRED", _CODE_ASSIST, validation_url=_ACCOUNTS)
    link = help_links("Complete validation to continue", _ACCOUNTS)
    return Refusal(403, "Verify your account to continue.", details=[about, link])


def _no_model(params: Params, model: str) -> Refusal:
    return model_unknown(model, "v1beta", "generateContent")


def _bad_schema(params: Params, model: str) -> Refusal:
    place = "generation_config.response_schema.properties[0].value"
    text = (
        'Invalid JSON payload received. Unknown name "unknownWord" at'
        f" '{place}': Cannot find field."
    )
    return field_violations([(place, text)])


REFUSALS: dict[str, Maker] = {
    "perminute": _per_minute,
    "perday": _per_day,
    "spent": _none_at_all,
    "capacity": _no_capacity,
    "overloaded": lambda params, model: overloaded(),
    "internal": _internal,
    "invalid": lambda params, model: key_invalid(),
    "leaked": _leaked,
    "billing": _no_billing,
    "prepay": _prepay,
    "unauthenticated": _unauthenticated,
    "denied": _denied,
    "disabled": _disabled,
    "suspended": _suspended,
    "terms": _terms,
    "validation": _validation,
    "nomodel": _no_model,
    "schema": _bad_schema,
}
# These show on every endpoint, the others only on those that run a model: listing
# models works with an exhausted quota.
CREDENTIAL_FAULTS = frozenset(
    {
        "invalid",
        "leaked",
        "billing",
        "unauthenticated",
        "denied",
        "disabled",
        "suspended",
        "terms",
        "validation",
    }
)
