"""Embeddings: requests in, vectors out."""

import base64
import math
import struct

import pytest

from proxy.errors import BadAnswer, BadRequest
from proxy.wire.openai_embeddings import (
    EmbeddingsRequest,
    batches,
    parse_embeddings,
    render_embeddings,
)
from tests.proxy.wire.chat_samples import captured

MODEL = "gemini-embedding-001"


def content(text: str) -> dict:
    return {"content": {"parts": [{"text": text}]}}


def answer(*vectors: list[float], **extra) -> dict:
    return {"embeddings": [{"values": vector} for vector in vectors], **extra}


def asked(*texts: str, **fields) -> EmbeddingsRequest:
    return parse_embeddings({"model": "e", "input": list(texts), **fields})


def refused(body) -> BadRequest:
    with pytest.raises(BadRequest) as caught:
        parse_embeddings(body)
    return caught.value


def test_a_captured_request_for_one_text():
    request = parse_embeddings(captured("o_embed")[0])
    assert request.body == {"requests": [content("hi")]}
    assert (request.model, request.base64, request.count) == ("e", True, 1)
    assert request.dimensions is None


def test_a_captured_request_for_two_texts_with_dimensions():
    request = parse_embeddings(captured("o_embed_float")[0])
    assert request.body == {
        "requests": [
            {**content("a"), "outputDimensionality": 8},
            {**content("b"), "outputDimensionality": 8},
        ]
    }
    assert (request.base64, request.count, request.dimensions) == (False, 2, 8)


def test_without_a_format_vectors_are_lists():
    assert asked("a").base64 is False
    assert asked("a", encoding_format=None).base64 is False


@pytest.mark.parametrize(
    "fields",
    [
        {"task_type": "RETRIEVAL_QUERY"},
        {"taskType": "retrieval_query"},
        {"extra_body": {"google": {"task_type": "RETRIEVAL_QUERY"}}},
        {"google": {"taskType": "RETRIEVAL_QUERY"}},
    ],
)
def test_a_task_type_goes_with_every_text(fields):
    entries = asked("a", "b", **fields).body["requests"]
    assert [entry["taskType"] for entry in entries] == ["RETRIEVAL_QUERY"] * 2


@pytest.mark.parametrize(
    "tokens", [[1, 2, 3], [[1, 2], [3]], [[1, 2], "a"]], ids=["one", "many", "mixed"]
)
def test_token_ids_are_refused_with_langchains_switch(tokens):
    fault = refused({"input": tokens})
    assert "check_embedding_ctx_length=False" in fault.message
    assert (fault.param or "").startswith("input")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (None, None),
        ([], None),
        ({}, "input"),
        ({"input": None}, "input"),
        ({"input": []}, "input"),
        ({"input": 5}, "input"),
        ({"input": {"text": "a"}}, "input"),
        ({"input": ""}, "input[0]"),
        ({"input": ["a", ""]}, "input[1]"),
        ({"input": ["a", 5]}, "input[1]"),
        ({"input": ["a", None]}, "input[1]"),
        ({"input": [[]]}, "input[0]"),
        ({"input": [True]}, "input[0]"),
        ({"input": "a", "model": 5}, "model"),
        ({"input": "a", "model": ""}, "model"),
        ({"input": "a", "encoding_format": "hex"}, "encoding_format"),
        ({"input": "a", "encoding_format": 5}, "encoding_format"),
        ({"input": "a", "dimensions": 0}, "dimensions"),
        ({"input": "a", "dimensions": "8"}, "dimensions"),
        ({"input": "a", "dimensions": 1.5}, "dimensions"),
        ({"input": "a", "task_type": "GUESSING"}, "task_type"),
        ({"input": "a", "task_type": 5}, "task_type"),
    ],
)
def test_malformed_requests_are_refused_with_the_fields_name(body, param):
    assert refused(body).param == param


def test_2048_texts_pass_and_one_more_is_refused():
    assert asked(*["a"] * 2048).count == 2048
    assert "2048" in refused({"input": ["a"] * 2049}).message


@pytest.mark.parametrize(
    ("count", "sizes"),
    [(1, [1]), (100, [100]), (101, [100, 1]), (250, [100, 100, 50])],
)
def test_batches_hold_at_most_a_hundred(count, sizes):
    request = asked(*(f"t{number}" for number in range(count)))
    made = batches(request.body)
    assert [len(batch["requests"]) for batch in made] == sizes
    rejoined = [entry for batch in made for entry in batch["requests"]]
    assert rejoined == request.body["requests"]


def test_batches_of_another_size():
    assert len(batches(asked("a", "b", "c").body, size=2)) == 2


def test_vectors_come_back_in_the_order_of_the_texts():
    request = asked("a", "b", "c")
    made = render_embeddings([answer([1.0], [2.0]), answer([3.0])], request, "x")
    assert made["object"] == "list"
    assert made["data"] == [
        {"object": "embedding", "index": 0, "embedding": [1.0]},
        {"object": "embedding", "index": 1, "embedding": [2.0]},
        {"object": "embedding", "index": 2, "embedding": [3.0]},
    ]


def test_the_answer_shows_the_model_that_was_asked_for():
    assert render_embeddings([answer([1.0])], asked("a"), MODEL)["model"] == "e"
    unnamed = parse_embeddings({"input": "a"})
    assert render_embeddings([answer([1.0])], unnamed, MODEL)["model"] == MODEL


def test_base64_is_little_endian_32_bit_floats():
    request = asked("a", encoding_format="base64")
    made = render_embeddings([answer([0.5, -1.25, 3])], request, "x")
    raw = base64.b64decode(made["data"][0]["embedding"])
    assert struct.unpack("<3f", raw) == (0.5, -1.25, 3.0)


@pytest.mark.parametrize("form", ["float", "base64"])
def test_shortened_vectors_of_the_first_model_get_unit_length(form):
    request = asked("a", dimensions=2, encoding_format=form)
    made = render_embeddings([answer([3.0, 4.0])], request, f"models/{MODEL}")
    vector = made["data"][0]["embedding"]
    if form == "base64":
        vector = struct.unpack("<2f", base64.b64decode(vector))
    assert list(vector) == pytest.approx([0.6, 0.8])


def test_full_vectors_and_other_models_stay_as_they_are():
    full = [2.0] * 3072
    assert (
        render_embeddings([answer(full)], asked("a"), MODEL)["data"][0]["embedding"]
        == full
    )
    other = render_embeddings([answer([3.0, 4.0])], asked("a"), "gemini-embedding-2")
    assert other["data"][0]["embedding"] == [3.0, 4.0]


def test_a_vector_of_zeros_is_not_divided():
    made = render_embeddings([answer([0.0, 0.0])], asked("a"), MODEL)
    assert made["data"][0]["embedding"] == [0.0, 0.0]


def test_a_single_embedding_is_understood_too():
    made = render_embeddings([{"embedding": {"values": [1.0]}}], asked("a"), "x")
    assert made["data"][0]["embedding"] == [1.0]


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"embeddings": None},
        {"embeddings": []},
        {"embeddings": "x"},
        {"embeddings": [None]},
        {"embeddings": [{}]},
        {"embeddings": [{"values": []}]},
        {"embeddings": [{"values": ["1"]}]},
        {"embeddings": [{"values": [math.nan]}]},
        {"embeddings": [{"values": [True]}]},
        answer([1.0], [2.0]),
    ],
)
def test_an_answer_without_the_right_vectors_is_the_providers_fault(given):
    with pytest.raises(BadAnswer):
        render_embeddings([given], asked("a"), "x")


@pytest.mark.parametrize(
    ("answers", "usage", "expected"),
    [
        ([answer([1.0])], {"promptTokenCount": 9}, 9),
        ([answer([1.0], usageMetadata={"promptTokenCount": 4})], None, 4),
        ([answer([1.0], usageMetadata={"totalTokenCount": 5})], None, 5),
        ([answer([1.0])], None, 3),
        ([answer([1.0], usageMetadata={})], None, 3),
        ([answer([1.0], usageMetadata={"promptTokenCount": "x"})], None, 3),
    ],
)
def test_usage_is_what_gemini_says_or_an_estimate(answers, usage, expected):
    made = render_embeddings(answers, asked("twelve bytes"), "x", usage)
    assert made["usage"] == {"prompt_tokens": expected, "total_tokens": expected}


def test_usage_of_several_batches_is_summed():
    answers = [
        answer([1.0], usageMetadata={"promptTokenCount": 4}),
        answer([2.0], usageMetadata={"promptTokenCount": 5}),
    ]
    made = render_embeddings(answers, asked("a", "b"), "x")
    assert made["usage"]["prompt_tokens"] == 9


def test_usage_that_some_batches_lack_is_estimated_as_a_whole():
    answers = [answer([1.0], usageMetadata={"promptTokenCount": 40}), answer([2.0])]
    made = render_embeddings(answers, asked("abcd", "abcdefgh"), "x")
    assert made["usage"]["prompt_tokens"] == 3
