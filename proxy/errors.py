"""Every fault a request can meet.

    Fault
    ├── CallerFault            blame caller   4xx, never retried
    │   ├── BadRequest         400
    │   ├── Unauthenticated    401
    │   ├── Forbidden          403
    │   ├── NotFound           404
    │   │   └── ModelNotFound  404
    │   ├── MethodNotAllowed   405
    │   ├── TooLarge           413
    │   └── LimitReached       429  the caller's own limit
    ├── UpstreamFault          blame account, model, egress or upstream; another account may answer
    │   ├── AccountRefused     the credential was refused
    │   ├── RateLimited        429  a quota of the account or model
    │   ├── Overloaded         503
    │   ├── UpstreamTimeout    504
    │   ├── ConnectFailed      502  egress or network
    │   ├── BadAnswer          502  not JSON, empty, malformed
    │   ├── StreamCut          502  ended without a finish
    │   └── UpstreamRefused    4xx  the provider refuses this request; blame caller
    └── GatewayFault           blame gateway
        ├── NoAccount          503  nothing in the pool can answer now
        ├── Busy               503  a bound of this server is reached
        └── Internal           500

A fault knows whose blame it is, the HTTP status for the caller, a machine-readable
``code`` (OpenAI vocabulary where one exists), Google's status word, and the seconds
after which a retry makes sense. Client-visible messages never hold secrets. For the
operator it knows a ``cause``, finer than the code; ``wire.verdicts`` turns both into a
``Verdict``: what must rest, until when, and who has to act.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

Blame = Literal["caller", "account", "model", "egress", "upstream", "gateway"]
Scope = Literal["account", "account_model", "model", "egress", "nothing"]
Period = Literal["minute", "day", ""]
Unit = Literal["requests", "tokens", ""]

GOOGLE_STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "INVALID_ARGUMENT",
    409: "ABORTED",
    413: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


@dataclass(frozen=True, slots=True)
class Quota:
    """The quota that a 429 names: which one, how large, per what, for which model.

    ``per_model`` is False only where the provider names a quota without a model;
    ``bucket`` is a hash of the Cloud project that the quota is counted for, or "".
    """

    id: str = ""
    metric: str = ""
    value: int | None = None
    dimensions: Mapping[str, str] = field(default_factory=dict)
    period: Period = ""
    unit: Unit = ""
    per_model: bool = True
    bucket: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a fault means for scheduling: whose it is, what rests, and until when.

    ``scope`` is what must rest or be looked at, until the epoch second ``until``
    (None: nothing rests by time); ``cause`` is a row of ``wire.causes.RULES``. With
    ``attention`` the account is out until a human acts on ``advice`` and ``link``.
    ``strike`` counts against health. ``again``: the same account may be asked at
    once; ``elsewhere``: another account may answer.
    """

    blame: Blame
    scope: Scope
    cause: str
    until: float | None
    attention: bool
    strike: bool
    again: bool
    elsewhere: bool
    advice: str
    link: str
    quota: Quota | None


class Fault(Exception):
    """Something went wrong."""

    blame: Blame = "gateway"
    status: int = 500
    code: str = "internal_error"

    def __init__(
        self,
        message: str = "",
        *,
        status: int | None = None,
        code: str | None = None,
        param: str | None = None,
        retry_after: float | None = None,
        should_retry: bool | None = None,
        google: Mapping[str, Any] | None = None,
        google_status: str | None = None,
        quota: Quota | None = None,
        blame: Blame | None = None,
        cause: str | None = None,
        link: str = "",
    ) -> None:
        """Make a fault.

        ``param`` names the request field at fault; ``retry_after`` is in seconds;
        ``should_retry`` becomes ``x-should-retry`` where an SDK reads it; ``google``
        is Google's own ``error`` object when it may be shown to native callers as it
        is; ``quota`` is what a rate limit named. For operators only: ``cause``, a row
        of ``wire.causes.RULES`` (by default the code), and ``link``, a page to open.
        """
        super().__init__(message or (self.__doc__ or "").strip().splitlines()[0])
        if status is not None:
            self.status = status
        if code is not None:
            self.code = code
        if blame is not None:
            self.blame = blame
        self.cause = cause or self.code
        self.link = link
        self.param = param
        self.retry_after = retry_after
        self.should_retry = should_retry
        self.google = google
        self.quota = quota
        self.google_status = google_status or GOOGLE_STATUS.get(
            self.status, "INVALID_ARGUMENT" if self.status < 500 else "INTERNAL"
        )

    @property
    def message(self) -> str:
        return str(self.args[0])


class CallerFault(Fault):
    """The request cannot be answered as it was sent."""

    blame: Blame = "caller"
    status = 400
    code = "invalid_request"


class BadRequest(CallerFault):
    """The request is malformed."""

    code = "invalid_argument"


class Unauthenticated(CallerFault):
    """A valid API token is needed."""

    status = 401
    code = "invalid_api_key"


class Forbidden(CallerFault):
    """This token may not do that."""

    status = 403
    code = "permission_denied"


class NotFound(CallerFault):
    """There is nothing at this path."""

    status = 404
    code = "not_found"


class ModelNotFound(NotFound):
    """No route answers to this model name."""

    code = "model_not_found"


class MethodNotAllowed(CallerFault):
    """This path does not take that method."""

    status = 405
    code = "method_not_allowed"


class TooLarge(CallerFault):
    """The request body is too large."""

    status = 413
    code = "request_too_large"


class LimitReached(CallerFault):
    """A limit of your plan or token is reached."""

    status = 429
    code = "rate_limit_exceeded"


class UpstreamFault(Fault):
    """The provider did not answer."""

    blame: Blame = "upstream"
    status = 502
    code = "bad_gateway"
    #: May the same request be tried on another account?
    elsewhere: ClassVar[bool] = True


class AccountRefused(UpstreamFault):
    """The provider refused the credential of an upstream account."""

    blame: Blame = "account"
    status = 503
    code = "upstream_auth"


class RateLimited(UpstreamFault):
    """The provider's rate limit or quota is reached."""

    blame: Blame = "account"
    status = 429
    code = "rate_limit_exceeded"


class Overloaded(UpstreamFault):
    """The provider is overloaded."""

    blame: Blame = "model"
    status = 503
    code = "overloaded"


class UpstreamTimeout(UpstreamFault):
    """The provider did not answer in time."""

    status = 504
    code = "timeout"


class ConnectFailed(UpstreamFault):
    """The provider could not be reached."""

    blame: Blame = "egress"
    code = "connection_failed"


class BadAnswer(UpstreamFault):
    """The provider's answer made no sense."""

    code = "bad_gateway"


class StreamCut(UpstreamFault):
    """The provider's stream ended before its finish."""

    code = "stream_cut"


class UpstreamRefused(UpstreamFault):
    """The provider refuses this request."""

    blame: Blame = "caller"
    status = 400
    code = "invalid_argument"
    elsewhere = False


class GatewayFault(Fault):
    """The gateway could not do this."""


class NoAccount(GatewayFault):
    """No upstream account can answer this now."""

    status = 503
    code = "no_account"


class Busy(GatewayFault):
    """The gateway is at its bound; try again shortly."""

    status = 503
    code = "busy"


class Internal(GatewayFault):
    """The gateway failed; the request id helps the operator find out why."""
