"""Stream chunks folded into one answer; parallel answers merged into one."""

import copy
from typing import Any

from google.genai import types

from proxy.wire.gemini import fold, merge_candidates
from tests.proxy.wire.answer_samples import call, chunk, image, text, thought


def parts(whole: dict[str, Any]) -> list[dict[str, Any]]:
    return list(whole["candidates"][0]["content"]["parts"])


def test_unsigned_texts_are_joined_and_thoughts_stay_apart() -> None:
    whole = fold(
        [
            chunk(thought("one ")),
            chunk(thought("two")),
            chunk(text("a")),
            chunk(text("b"), text("c")),
            chunk(text(""), finish="STOP"),
        ]
    )
    assert parts(whole) == [thought("one two"), text("abc")]


def test_a_signed_text_is_never_joined_with_its_neighbours() -> None:
    signed = text("b", thoughtSignature="S1")
    lone = text("", thoughtSignature="S2")
    whole = fold([chunk(text("a")), chunk(signed), chunk(text("c")), chunk(lone)])
    assert parts(whole) == [text("a"), signed, text("c"), lone]


def test_calls_keep_their_order_and_signatures() -> None:
    first, second = call("f", {"x": 1}, signature="S"), call("f", {"x": 2})
    whole = fold(
        [chunk(text("let me ")), chunk(first), chunk(second), chunk(text("b"))]
    )
    assert parts(whole) == [text("let me "), first, second, text("b")]


def test_the_last_usage_and_finish_count() -> None:
    whole = fold(
        [
            chunk(text("a"), finish="STOP", usage={"totalTokenCount": 1}),
            chunk(text("b"), usage={"totalTokenCount": 9}),
            chunk(finish="MAX_TOKENS"),
        ]
    )
    assert whole["usageMetadata"] == {"totalTokenCount": 9}
    assert whole["candidates"][0]["finishReason"] == "MAX_TOKENS"
    assert whole["modelVersion"] == "gemini-3-flash-002"


def test_an_unspecified_finish_does_not_replace_a_real_one() -> None:
    whole = fold([chunk(finish="STOP"), chunk(finish="FINISH_REASON_UNSPECIFIED")])
    assert whole["candidates"][0]["finishReason"] == "STOP"


def test_content_without_parts_stays_without_parts() -> None:
    whole = fold([chunk(finish="MAX_TOKENS")])
    assert whole["candidates"] == [
        {"content": {"role": "model"}, "index": 0, "finishReason": "MAX_TOKENS"}
    ]


def test_prompt_feedback_survives_without_candidates() -> None:
    feedback = {"promptFeedback": {"blockReason": "SAFETY"}}
    whole = fold([feedback, {"usageMetadata": {"totalTokenCount": 2}}])
    assert whole == {**feedback, "usageMetadata": {"totalTokenCount": 2}}


def test_candidates_are_folded_by_index() -> None:
    def both(a: str, b: str) -> dict[str, Any]:
        rows = [
            {"index": i, "content": {"parts": [text(t)]}} for i, t in ((1, b), (0, a))
        ]
        return {"candidates": rows}

    whole = fold([both("a", "x"), both("b", "y")])
    found = [(c["index"], c["content"]["parts"]) for c in whole["candidates"]]
    assert found == [(0, [text("ab")]), (1, [text("xy")])]


def test_the_chunks_are_not_changed() -> None:
    chunks = [chunk(text("a")), chunk(text("b"), finish="STOP")]
    before = copy.deepcopy(chunks)
    fold(chunks)
    assert chunks == before


def source(name: str) -> dict[str, Any]:
    return {"web": {"uri": f"https://{name}", "title": name}}


def support(end: int, *indices: int) -> dict[str, Any]:
    return {"segment": {"endIndex": end}, "groundingChunkIndices": list(indices)}


def grounded(*blocks: dict[str, Any]) -> dict[str, Any]:
    whole = fold([chunk(text("x"), groundingMetadata=block) for block in blocks])
    return dict(whole["candidates"][0]["groundingMetadata"])


def test_grounding_that_repeats_itself_is_not_doubled() -> None:
    first = {
        "groundingChunks": [source("a")],
        "groundingSupports": [support(1, 0)],
        "webSearchQueries": ["q"],
    }
    second = {
        "groundingChunks": [source("a"), source("b")],
        "groundingSupports": [support(1, 0), support(2, 1)],
        "webSearchQueries": ["q", "r"],
    }
    assert grounded(first, second) == second
    assert grounded(second, second) == second


def test_grounding_of_separate_chunks_is_appended_with_shifted_indices() -> None:
    first = {"groundingChunks": [source("a")], "groundingSupports": [support(1, 0)]}
    second = {"groundingChunks": [source("b")], "groundingSupports": [support(2, 0)]}
    assert grounded(first, second) == {
        "groundingChunks": [source("a"), source("b")],
        "groundingSupports": [support(1, 0), support(2, 1)],
    }


def test_supports_may_come_after_their_sources() -> None:
    first = {"groundingChunks": [source("a"), source("b")], "webSearchQueries": ["q"]}
    second = {"groundingSupports": [support(2, 1)]}
    assert grounded(first, second) == {
        "groundingChunks": [source("a"), source("b")],
        "groundingSupports": [support(2, 1)],
        "webSearchQueries": ["q"],
    }


def test_citations_and_log_probabilities_of_all_chunks_are_kept() -> None:
    def piece(n: int) -> dict[str, Any]:
        return chunk(
            text(str(n)),
            citationMetadata={"citationSources": [{"startIndex": n, "uri": f"u{n}"}]},
            logprobsResult={"chosenCandidates": [{"token": str(n)}]},
        )

    candidate = fold([piece(1), piece(2)])["candidates"][0]
    cited = candidate["citationMetadata"]["citationSources"]
    assert [row["uri"] for row in cited] == ["u1", "u2"]
    chosen = candidate["logprobsResult"]["chosenCandidates"]
    assert [row["token"] for row in chosen] == ["1", "2"]


def test_a_folded_answer_is_read_by_the_google_sdk() -> None:
    whole = fold(
        [
            chunk(thought("hm"), usage={"promptTokenCount": 1, "totalTokenCount": 1}),
            chunk(text("a")),
            chunk(text("b"), image()),
            chunk(call("f", {"x": 1}), finish="STOP"),
        ]
    )
    answer = types.GenerateContentResponse.model_validate(whole)
    assert answer.candidates is not None
    content = answer.candidates[0].content
    assert content is not None
    assert [part.text for part in content.parts or ()] == ["hm", "ab", None, None]
    assert answer.function_calls is not None
    assert answer.function_calls[0].args == {"x": 1}


def test_parallel_answers_become_numbered_candidates_with_summed_usage() -> None:
    answers = [
        chunk(
            text(word),
            finish="STOP",
            usage={
                "promptTokenCount": 5,
                "candidatesTokenCount": 1,
                "totalTokenCount": 6,
            },
        )
        for word in ("a", "b", "c")
    ]
    merged = merge_candidates(answers)
    found = [(c["index"], c["content"]["parts"][0]) for c in merged["candidates"]]
    assert found == [(0, text("a")), (1, text("b")), (2, text("c"))]
    assert merged["usageMetadata"]["totalTokenCount"] == 18
    assert answers[2]["candidates"][0]["index"] == 0


def test_one_blocked_answer_among_others_becomes_a_filtered_candidate() -> None:
    blocked = {"promptFeedback": {"blockReason": "JAILBREAK"}}
    merged = merge_candidates([blocked, chunk(text("b"), finish="STOP")])
    assert "promptFeedback" not in merged
    first, second = merged["candidates"]
    assert first == {"finishReason": "SAFETY", "index": 0}
    assert second["index"] == 1


def test_answers_that_are_all_blocked_stay_a_blocked_prompt() -> None:
    blocked = {
        "promptFeedback": {"blockReason": "SAFETY"},
        "usageMetadata": {"promptTokenCount": 4, "totalTokenCount": 4},
    }
    merged = merge_candidates([blocked, blocked])
    assert "candidates" not in merged
    assert merged["promptFeedback"] == {"blockReason": "SAFETY"}
    assert merged["usageMetadata"]["totalTokenCount"] == 8
