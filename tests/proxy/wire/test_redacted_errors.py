"""Nothing that names our accounts leaves with Google's errors."""

import copy

import pytest

from proxy.wire.redacted_errors import cleaned_error, redacted_text

KEY = "AIzaSyAhTarnL1PaQn_yu_uVf0gia9wUyJx8RSI"
TYPE = "type.googleapis.com/google.rpc."


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (f"Consumer 'api_key:{KEY}' has been suspended.", KEY),
        (f"key {KEY} is bad", KEY),
        ("token ya29.a0AfH6SMBx-abc_def.ghi", "a0AfH6SMBx"),
        ("key AQ.Ab8RN6JxyzABC", "Ab8RN6"),
        ("in project 411082643095 before", "411082643095"),
        ("consumer projects/578829824020.", "578829824020"),
        ("for 'projects/my-project'", "my-project"),
        ("overview?project=411082643095 then", "411082643095"),
        ("consumer 'project_number:681255809395'", "681255809395"),
        ("project_id: my-own-7", "my-own-7"),
        ("the gen-lang-client-0123456789 thing", "0123456789"),
        ("Project my-project-42 is gone", "my-project-42"),
        ("robot svc@my-project.iam.gserviceaccount.com may not", "svc@my-project"),
    ],
)
def test_names_of_ours_are_removed(text, secret):
    shown = redacted_text(text)
    assert secret not in shown
    assert "…" in shown


@pytest.mark.parametrize(
    "text",
    [
        "GenerateRequestsPerMinutePerProjectPerModel-FreeTier",
        "models/gemini-3-flash-preview is not found for API version v1beta",
        "Please retry in 54.887755558s.",
        "limit: 0, model: gemini-2.5-pro",
        "your project has been denied access",
        "type.googleapis.com/google.rpc.ErrorInfo",
        "https://ai.google.dev/gemini-api/docs/rate-limits",
    ],
)
def test_other_text_stays_as_it_is(text):
    assert redacted_text(text) == text


def test_an_error_is_cleaned_in_every_corner():
    error = {
        "code": 403,
        "message": f"project 411082643095 with {KEY}",
        "status": "PERMISSION_DENIED",
        "details": [
            {"@type": f"{TYPE}DebugInfo", "detail": "stack"},
            {
                " @type": f"{TYPE}ErrorInfo",
                "reason": "CONSUMER_SUSPENDED",
                "metadata": {
                    "service": "generativelanguage.googleapis.com",
                    "consumer": "projects/895908428397",
                    "containerInfo": f"api_key:{KEY}",
                },
            },
            {
                "@type": f"{TYPE}Help",
                "links": [{"url": "https://console.test/x?project=411082643095"}],
            },
        ],
    }
    before = copy.deepcopy(error)
    shown = cleaned_error(error)
    assert error == before
    assert shown == {
        "code": 403,
        "message": "project … with …",
        "status": "PERMISSION_DENIED",
        "details": [
            {
                "@type": f"{TYPE}ErrorInfo",
                "reason": "CONSUMER_SUSPENDED",
                "metadata": {"service": "generativelanguage.googleapis.com"},
            },
            {
                "@type": f"{TYPE}Help",
                "links": [{"url": "https://console.test/x?project=…"}],
            },
        ],
    }


def test_numbers_and_empty_values_stay():
    assert cleaned_error({"a": 1, "b": None, "c": True, "d": []}) == {
        "a": 1,
        "b": None,
        "c": True,
        "d": [],
    }


def test_bottomless_errors_have_an_end():
    error: dict = {}
    inner = error
    for _ in range(500):
        inner["details"] = {}
        inner = inner["details"]
    assert str(cleaned_error(error)).count("details") < 20
