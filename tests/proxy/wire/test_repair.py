"""What a refused body becomes for its one more try."""

from typing import Any

import pytest

from proxy.wire.repair import repair, repair_signatures
from proxy.wire.signatures import BYPASS

CORRUPTED = "Corrupted thought signature."


def body_with(part: dict[str, Any]) -> dict[str, Any]:
    return {"contents": [{"role": "model", "parts": [part]}], "labels": {"a": "b"}}


@pytest.mark.parametrize("key", ["thoughtSignature", "thought_signature"])
@pytest.mark.parametrize("mend", [repair, repair_signatures])
def test_a_foreign_signature_becomes_the_bypass(mend: Any, key: str) -> None:
    call = {"functionCall": {"name": "f"}, key: "foreign"}
    mended = mend(CORRUPTED, body_with(call))
    (part,) = mended["contents"][0]["parts"]
    assert part == {"functionCall": {"name": "f"}, "thoughtSignature": BYPASS}
    assert mended["labels"] == {"a": "b"}


def test_a_text_signature_is_left_out() -> None:
    mended = repair(CORRUPTED, body_with({"text": "x", "thoughtSignature": "foreign"}))
    assert mended["contents"][0]["parts"] == [{"text": "x"}]


def test_the_refused_body_itself_stays_as_it_was() -> None:
    body = body_with({"functionCall": {"name": "f"}, "thoughtSignature": "foreign"})
    repair(CORRUPTED, body)
    assert body["contents"][0]["parts"][0]["thoughtSignature"] == "foreign"


@pytest.mark.parametrize(
    "body",
    [
        body_with({"text": "x"}),
        body_with({"functionCall": {}, "thoughtSignature": BYPASS}),
        {"contents": "odd"},
        {"contents": [5, {"parts": 7}, {"parts": [None]}]},
        {},
    ],
    ids=["unsigned", "bypassed already", "no list", "odd items", "empty"],
)
def test_what_has_no_signature_to_mend_is_not_tried_again(body: Any) -> None:
    assert repair(CORRUPTED, body) is None


def test_a_refused_json_schema_becomes_the_older_form() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    tools = [{"functionDeclarations": [{"name": "f", "parametersJsonSchema": schema}]}]
    mended = repair('Unknown name "$defs"', {"contents": [], "tools": tools})
    (declaration,) = mended["tools"][0]["functionDeclarations"]
    assert "parametersJsonSchema" not in declaration
    assert declaration["parameters"]["properties"].keys() == {"a"}


@pytest.mark.parametrize("message", ["The key is bad.", "", "Penalty is not enabled"])
def test_other_refusals_stand(message: str) -> None:
    call = {"functionCall": {"name": "f"}, "thoughtSignature": "s"}
    assert repair(message, body_with(call)) is None


def test_a_native_schema_is_never_rewritten() -> None:
    config = {"responseJsonSchema": {"type": "object"}}
    body = {"contents": [], "generationConfig": config}
    assert repair_signatures('Unknown name "x" in schema', body) is None
