"""Faults as bodies, headers and frames of each dialect."""

import json
from typing import Any

import httpx
import pytest
from google import genai
from google.genai import errors, types

from proxy.errors import (
    AccountRefused,
    BadAnswer,
    BadRequest,
    Busy,
    ConnectFailed,
    Fault,
    Forbidden,
    Internal,
    LimitReached,
    MethodNotAllowed,
    ModelNotFound,
    NoAccount,
    NotFound,
    Overloaded,
    RateLimited,
    StreamCut,
    TooLarge,
    Unauthenticated,
    UpstreamRefused,
    UpstreamTimeout,
)
from proxy.wire.error_bodies import (
    gemini_frame,
    google_error,
    headers,
    openai_error,
    simple_error,
)
from tests.proxy.wire.answer_samples import chunk, text

RPC = "type.googleapis.com/google.rpc."


def google(fault: Fault) -> dict[str, Any]:
    return dict(google_error(fault)["error"])


def details(fault: Fault) -> dict[str, dict[str, Any]]:
    found = google(fault).get("details", [])
    return {detail["@type"].removeprefix(RPC): detail for detail in found}


@pytest.mark.parametrize(
    ("fault", "kind", "code"),
    [
        (BadRequest(), "invalid_request_error", "invalid_argument"),
        (Unauthenticated(), "invalid_request_error", "invalid_api_key"),
        (Forbidden(), "invalid_request_error", "permission_denied"),
        (NotFound(), "invalid_request_error", "not_found"),
        (ModelNotFound(), "invalid_request_error", "model_not_found"),
        (MethodNotAllowed(), "invalid_request_error", "method_not_allowed"),
        (TooLarge(), "invalid_request_error", "request_too_large"),
        (LimitReached(), "rate_limit_error", "rate_limit_exceeded"),
        (
            LimitReached(code="insufficient_quota"),
            "insufficient_quota",
            "insufficient_quota",
        ),
        (RateLimited(), "rate_limit_error", "rate_limit_exceeded"),
        (AccountRefused(), "server_error", "upstream_auth"),
        (AccountRefused(code="leaked"), "server_error", "upstream_auth"),
        (
            AccountRefused(status=400, code="failed_precondition"),
            "invalid_request_error",
            "failed_precondition",
        ),
        (Overloaded(), "server_error", "overloaded"),
        (UpstreamTimeout(), "server_error", "timeout"),
        (ConnectFailed(), "server_error", "connection_failed"),
        (BadAnswer(code="upstream_empty"), "server_error", "upstream_empty"),
        (StreamCut(), "server_error", "stream_cut"),
        (UpstreamRefused(), "invalid_request_error", "invalid_argument"),
        (NoAccount(), "server_error", "no_account"),
        (Busy(), "server_error", "busy"),
        (Internal(), "server_error", "internal_error"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Fault) else "",
)
def test_every_fault_has_openais_type_and_a_code(
    fault: Fault, kind: str, code: str
) -> None:
    error = openai_error(fault)["error"]
    assert (error["type"], error["code"]) == (kind, code)
    assert error["message"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert simple_error(fault) == {"error": error}


def test_the_field_at_fault_is_named() -> None:
    fault = BadRequest("n must be a number.", param="n")
    assert openai_error(fault)["error"] == {
        "message": "n must be a number.",
        "type": "invalid_request_error",
        "param": "n",
        "code": "invalid_argument",
    }


def test_the_wait_stands_in_the_body_only_inside_a_stream() -> None:
    fault = Overloaded(retry_after=4.5)
    assert "retry_after" not in openai_error(fault)["error"]
    assert openai_error(fault, in_frame=True)["error"]["retry_after"] == 4.5
    unknown = openai_error(Overloaded(), in_frame=True)["error"]
    assert "retry_after" not in unknown


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Internal(), {}),
        (BadRequest(), {}),
        (
            RateLimited(retry_after=38.601),
            {"Retry-After": "39", "retry-after-ms": "38601"},
        ),
        (Overloaded(retry_after=0.2), {"Retry-After": "1", "retry-after-ms": "200"}),
        (Overloaded(retry_after=-3), {"Retry-After": "0", "retry-after-ms": "0"}),
        (
            RateLimited(retry_after=120.5),
            {
                "Retry-After": "121",
                "retry-after-ms": "120500",
                "x-should-retry": "false",
            },
        ),
        (
            RateLimited(retry_after=120),
            {"Retry-After": "120", "retry-after-ms": "120000"},
        ),
        (LimitReached(code="insufficient_quota"), {"x-should-retry": "false"}),
        (RateLimited(should_retry=False), {"x-should-retry": "false"}),
        (Busy(should_retry=True), {"x-should-retry": "true"}),
        (
            RateLimited(should_retry=True, retry_after=500),
            {
                "Retry-After": "500",
                "retry-after-ms": "500000",
                "x-should-retry": "true",
            },
        ),
    ],
)
def test_headers_steer_the_retries_of_sdks(
    fault: Fault, expected: dict[str, str]
) -> None:
    assert headers(fault) == expected


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (BadRequest(), "INVALID_ARGUMENT"),
        (Forbidden(), "PERMISSION_DENIED"),
        (ModelNotFound(), "NOT_FOUND"),
        (TooLarge(), "INVALID_ARGUMENT"),
        (Internal(), "INTERNAL"),
        (BadAnswer(), "UNAVAILABLE"),
        (NoAccount(), "UNAVAILABLE"),
        (UpstreamTimeout(), "DEADLINE_EXCEEDED"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Fault) else "",
)
def test_native_errors_have_googles_status_words(fault: Fault, status: str) -> None:
    assert google(fault) == {
        "code": fault.status,
        "message": fault.message,
        "status": status,
    }


def test_a_missing_token_is_unauthenticated_with_googles_reason() -> None:
    error = google(Unauthenticated())
    assert (error["code"], error["status"]) == (401, "UNAUTHENTICATED")
    info = details(Unauthenticated())["ErrorInfo"]
    assert (info["reason"], info["domain"]) == ("API_KEY_INVALID", "googleapis.com")


@pytest.mark.parametrize(
    ("fault", "window"),
    [
        (LimitReached(retry_after=12.5), "PerMinute"),
        (LimitReached(), "PerMinute"),
        (LimitReached(code="insufficient_quota", retry_after=9000), "PerDay"),
        (LimitReached(should_retry=False), "PerDay"),
    ],
)
def test_the_callers_own_limit_is_a_quota_failure(fault: Fault, window: str) -> None:
    error = google(fault)
    assert (error["code"], error["status"]) == (429, "RESOURCE_EXHAUSTED")
    (violation,) = details(fault)["QuotaFailure"]["violations"]
    assert window in violation["quotaId"]


@pytest.mark.parametrize(
    ("wait", "delay"),
    [(54, "54s"), (38.601, "38.601s"), (0.25, "0.25s"), (-1, "0s"), (1e-9, "0s")],
)
def test_the_wait_is_a_retry_info(wait: float, delay: str) -> None:
    info = details(LimitReached(retry_after=wait))["RetryInfo"]
    assert info["retryDelay"] == delay
    assert details(Overloaded(retry_after=wait))["RetryInfo"]["retryDelay"] == delay


QUOTA = {
    "code": 429,
    "message": "You exceeded your current quota.",
    "status": "RESOURCE_EXHAUSTED",
    "details": [
        {
            "@type": f"{RPC}QuotaFailure",
            "violations": [
                {
                    "quotaId": "GenerateRequestsPerMinutePerProjectPerModel-FreeTier",
                    "quotaDimensions": {"location": "global", "model": "gemini-3"},
                    "quotaValue": "20",
                }
            ],
        },
        {"@type": f"{RPC}RetryInfo", "retryDelay": "54s"},
    ],
}


def test_googles_own_error_is_passed_on_unchanged() -> None:
    assert google(RateLimited(retry_after=54, google=QUOTA)) == QUOTA


def test_a_known_wait_is_added_where_google_named_none() -> None:
    bare = {**QUOTA, "details": QUOTA["details"][:1]}  # type: ignore[index]
    found = details(RateLimited(retry_after=600, google=bare))
    assert found["RetryInfo"]["retryDelay"] == "600s"
    assert "QuotaFailure" in found


def test_debugging_details_projects_and_keys_do_not_pass() -> None:
    key = "AIzaSyA" + "x" * 32
    shown = google_error(
        UpstreamRefused(
            google={
                "code": 400,
                "message": f"projects/987654321 with {key} is wrong",
                "status": "FAILED_PRECONDITION",
                "details": [
                    {"@type": f"{RPC}DebugInfo", "detail": "stack"},
                    {
                        "@type": f"{RPC}ErrorInfo",
                        "reason": "X",
                        "metadata": {"consumer": "projects/987654321", "service": "s"},
                    },
                ],
            }
        )
    )
    told = json.dumps(shown)
    for secret in ("987654321", key, "stack", "DebugInfo", "consumer"):
        assert secret not in told
    assert shown["error"]["status"] == "FAILED_PRECONDITION"
    assert shown["error"]["details"][0]["metadata"] == {"service": "s"}


def test_secrets_in_messages_reach_no_dialect() -> None:
    fault = Internal("failed for AIzaSyA" + "x" * 32)
    assert "AIza" not in json.dumps(openai_error(fault))
    assert "AIza" not in json.dumps(google_error(fault))


@pytest.mark.parametrize(
    "fault",
    [
        AccountRefused(
            google={"code": 400, "message": "API key not valid.", "status": "X"}
        ),
        AccountRefused(
            status=403,
            google={
                "code": 403,
                "message": "API key leaked",
                "status": "PERMISSION_DENIED",
            },
        ),
    ],
    ids=["invalid", "denied"],
)
def test_a_caller_never_reads_about_our_credentials(fault: Fault) -> None:
    error = google(fault)
    assert error["message"] == fault.message
    assert "API key" not in error["message"]


def test_a_refused_account_is_unavailable_to_native_callers() -> None:
    error = google(AccountRefused(code="leaked"))
    assert (error["code"], error["status"]) == (503, "UNAVAILABLE")


def test_body_and_http_status_always_agree() -> None:
    inner = {"code": 402, "message": "empty", "status": "RESOURCE_EXHAUSTED"}
    error = google(RateLimited(google=inner))
    assert (error["code"], error["status"]) == (429, "RESOURCE_EXHAUSTED")
    odd = {"code": 500, "message": "too long", "status": "INTERNAL"}
    error = google(UpstreamRefused(google=odd))
    assert (error["code"], error["status"]) == (400, "INVALID_ARGUMENT")


@pytest.mark.parametrize(
    "inner",
    [{"message": 5}, {"details": "x", "message": "m"}, {"details": [1, {"a": 1}]}],
)
def test_odd_error_objects_do_not_raise(inner: dict[str, Any]) -> None:
    error = google(Overloaded(google=inner, retry_after=1))
    assert error["code"] == 503
    assert isinstance(error["message"], str)


def test_a_native_frame_is_one_event_with_crlf_and_no_event_name() -> None:
    raw = gemini_frame(Overloaded("Busy\nnow.", retry_after=2))
    assert raw.startswith(b"data: {")
    assert raw.endswith(b"}\r\n\r\n")
    assert b"\n" not in raw[:-4]
    assert json.loads(raw[6:]) == google_error(Overloaded("Busy\nnow.", retry_after=2))


def google_client(status: int, body: bytes) -> genai.Client:
    kind = "text/event-stream" if body.startswith(b"data:") else "application/json"
    reply = httpx.Response(status, headers={"content-type": kind}, content=body)
    http = httpx.Client(transport=httpx.MockTransport(lambda _: reply))
    options = types.HttpOptions(base_url="http://gateway", httpx_client=http)
    return genai.Client(api_key="k", http_options=options)


def test_the_google_sdk_reads_our_errors() -> None:
    fault = Unauthenticated()
    client = google_client(401, json.dumps(google_error(fault)).encode())
    with pytest.raises(errors.ClientError) as caught:
        client.models.generate_content(model="m", contents="q")
    assert (caught.value.code, caught.value.status) == (401, "UNAUTHENTICATED")
    assert caught.value.message == fault.message


def test_the_google_sdk_raises_on_an_error_inside_a_stream() -> None:
    first = b"data: %b\r\n\r\n" % json.dumps(chunk(text("half"))).encode()
    client = google_client(200, first + gemini_frame(Overloaded(retry_after=2)))
    answer = client.models.generate_content_stream(model="m", contents="q")
    assert next(iter(answer)).text == "half"
    with pytest.raises(errors.ServerError) as caught:
        list(answer)
    assert (caught.value.code, caught.value.status) == (503, "UNAVAILABLE")
