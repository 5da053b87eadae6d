"""Error answers of Google's API: what a refusal says, in google.rpc.Status form."""

from collections.abc import Iterable, Sequence
from typing import Any

SERVICE = "generativelanguage.googleapis.com"
RATE_LIMIT_DOCS = "https://ai.google.dev/gemini-api/docs/rate-limits"
_RPC = "type.googleapis.com/google.rpc."

STATUS_OF = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    402: "RESOURCE_EXHAUSTED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
}


class Refusal(Exception):
    """An API call is refused: HTTP code, message, status word and typed details."""

    def __init__(
        self,
        code: int,
        message: str,
        *,
        status: str | None = None,
        details: Sequence[dict[str, Any]] = (),
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status or STATUS_OF[code]
        self.details = list(details)

    def body(self) -> dict[str, Any]:
        """The JSON error body, ``details`` only where there are any."""
        error: dict[str, Any] = {
            "code": self.code,
            "message": self.message,
            "status": self.status,
        }
        if self.details:
            error["details"] = self.details
        return {"error": error}


def invalid_argument(message: str) -> Refusal:
    """A plain 400 INVALID_ARGUMENT."""
    return Refusal(400, message)


def field_violations(violations: Iterable[tuple[str, str]]) -> Refusal:
    """A 400 for (field path, description) pairs, as the JSON transcoder words it."""
    pairs = list(violations)
    listed = [
        {"field": field, "description": text} if field else {"description": text}
        for field, text in pairs
    ]
    return Refusal(
        400,
        "\n".join(text for _, text in pairs),
        details=[{"@type": _RPC + "BadRequest", "fieldViolations": listed}],
    )


def key_invalid() -> Refusal:
    """The refusal of a key which nobody knows: 400, not 401."""
    message = "API key not valid. Please pass a valid API key."
    return Refusal(
        400,
        message,
        details=[
            error_info("API_KEY_INVALID", service=SERVICE),
            {
                "@type": _RPC + "LocalizedMessage",
                "locale": "en-US",
                "message": message,
            },
        ],
    )


def key_missing() -> Refusal:
    """The refusal of a call without any key."""
    return Refusal(
        403,
        "Method doesn't allow unregistered callers (callers without established"
        " identity). Please use API Key or other form of API consumer identity to"
        " call this API.",
    )


def bearer_refused() -> Refusal:
    """The refusal of a bearer token: this API takes keys, or real OAuth tokens."""
    return Refusal(
        401,
        "Request had invalid authentication credentials. Expected OAuth 2 access"
        " token, login cookie or other valid authentication credential.",
        details=[error_info("ACCESS_TOKEN_TYPE_UNSUPPORTED", service=SERVICE)],
    )


def model_unknown(model: str, version: str, method: str) -> Refusal:
    """404 for a model that does not exist or cannot do ``method``."""
    return Refusal(
        404,
        f"models/{model} is not found for API version {version}, or is not supported"
        f" for {method}. Call ListModels to see the list of available models and"
        " their supported methods.",
    )


def quota_exceeded(
    *, metric: str, quota_id: str, value: int, model: str, retry_delay: str
) -> Refusal:
    """429 with QuotaFailure, Help and RetryInfo.

    ``retry_delay`` is a protobuf duration such as ``38.601s``.
    """
    full_metric = f"{SERVICE}/{metric}"
    violation = {
        "quotaMetric": full_metric,
        "quotaId": quota_id,
        "quotaDimensions": {"location": "global", "model": model},
        "quotaValue": str(value),
    }
    return Refusal(
        429,
        "You exceeded your current quota, please check your plan and billing details."
        f" For more information on this error, head to: {RATE_LIMIT_DOCS}."
        f"\n* Quota exceeded for metric: {full_metric}, limit: {value}, model: {model}"
        f"\nPlease retry in {retry_delay}.",
        details=[
            {"@type": _RPC + "QuotaFailure", "violations": [violation]},
            help_links("Learn more about Gemini API quotas", RATE_LIMIT_DOCS),
            {"@type": _RPC + "RetryInfo", "retryDelay": retry_delay},
        ],
    )


def error_info(
    reason: str, domain: str = "googleapis.com", **metadata: str
) -> dict[str, Any]:
    """The detail that names a reason for programs."""
    about = {"reason": reason, "domain": domain, "metadata": metadata}
    return {"@type": _RPC + "ErrorInfo", **about}


def help_links(description: str, url: str) -> dict[str, Any]:
    """The detail that links to a page for people."""
    links = [{"description": description, "url": url}]
    return {"@type": _RPC + "Help", "links": links}


class Complaints:
    """Collects faults of a request's content and refuses them all at once."""

    def __init__(self, message: str = "GenerateContentRequest") -> None:
        self._message = message
        self._lines: list[str] = []

    def add(self, path: str, text: str) -> None:
        """Note that the field at ``path`` is wrong."""
        self._lines.append(f"* {self._message}.{path}: {text}\n")

    def refuse(self) -> None:
        """Raise ``Refusal`` when anything was noted."""
        if self._lines:
            raise invalid_argument("".join(self._lines))
