"""Embeddings: deterministic, of unit length, close for similar texts."""

import math

import pytest

from proxy.sandbox.embeddings import FULL_SIZE, embed
from tests.proxy.sandbox.calling import answer, picture_part, refusal

MODEL = "gemini-embedding-001"


def one(text="hi", **fields):
    return {"content": {"parts": [{"text": text}]}, **fields}


def batch(*texts, **fields):
    return {
        "requests": [{"model": f"models/{MODEL}", **one(t, **fields)} for t in texts]
    }


def norm(values):
    return math.sqrt(sum(v * v for v in values))


def likeness(a, b):
    return sum(x * y for x, y in zip(embed(a), embed(b), strict=True))


async def single(client, body):
    response = await answer(client, body, to=MODEL, method="embedContent")
    return response["embedding"]["values"]


async def test_a_text_becomes_a_unit_vector(client):
    values = await single(client, one())
    assert len(values) == FULL_SIZE
    assert norm(values) == pytest.approx(1)


async def test_a_shorter_vector_is_the_beginning_and_not_normalised(client):
    full = await single(client, one("some text"))
    short = await single(client, one("some text", outputDimensionality=256))
    assert short == full[:256]
    assert 0 < norm(short) < 0.9


async def test_even_the_shortest_vector_says_something(client):
    (value,) = await single(client, one("hi", outputDimensionality=1))
    assert value != 0


async def test_a_batch_is_its_single_embeddings_in_order(client):
    response = await answer(
        client, batch("a cat", "a dog"), to=MODEL, method="batchEmbedContents"
    )
    values = [each["values"] for each in response["embeddings"]]
    assert values == [
        await single(client, one("a cat")),
        await single(client, one("a dog")),
    ]


def test_similar_texts_are_closer():
    same = likeness("the cat sat on the mat", "the cat sat on a mat")
    kin = likeness("swimming pools", "swimmer in a pool")
    far = likeness("the cat sat on the mat", "quarterly revenue growth")
    assert same > 0.8
    assert far < 0.1 < kin < same


def test_the_task_changes_the_vector_a_little():
    plain, query = embed("hello"), embed("hello", "RETRIEVAL_QUERY")
    assert plain != query
    assert sum(x * y for x, y in zip(plain, query, strict=True)) > 0.9


@pytest.mark.parametrize("text", ["", "!?", "世界"])
def test_any_text_has_a_vector(text):
    assert norm(embed(text)) == pytest.approx(1)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({}, "EmbedContentRequest.content: content is not specified"),
        ({"content": {"parts": []}}, "contents.parts must not be empty"),
        ({"content": {"parts": [picture_part("red")]}}, "only text can be embedded"),
        (
            one(outputDimensionality=0),
            "output_dimensionality must be in the range [1, 3072]",
        ),
        (one(outputDimensionality=3073), "output_dimensionality must be in the range"),
        (one(title="t"), "title is only allowed for task type RETRIEVAL_DOCUMENT"),
        (one(taskType="GUESS"), "Invalid value at 'task_type'"),
        (one(model="models/other"), "differs from the model in the path"),
        (one(input="x"), 'Unknown name "input"'),
    ],
)
async def test_a_bad_request_is_refused(client, body, text):
    error = await refusal(client, body, to=MODEL, method="embedContent")
    assert text in error["message"]


async def test_a_title_goes_with_a_document(client):
    assert await single(client, one(title="t", taskType="RETRIEVAL_DOCUMENT"))


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({}, "requests is not specified"),
        ({"requests": [one()]}, "requests[0].model: model is required"),
        (batch(*["x"] * 101), "at most 100 requests"),
        (batch("a", outputDimensionality=0), "requests[0].output_dimensionality"),
    ],
    ids=["none", "no-model", "too-many", "size"],
)
async def test_a_bad_batch_is_refused(client, body, text):
    error = await refusal(client, body, to=MODEL, method="batchEmbedContents")
    assert text in error["message"]


async def test_a_hundred_texts_fit_into_a_batch(client):
    body = batch(*[f"text {n}" for n in range(100)], outputDimensionality=4)
    response = await answer(client, body, to=MODEL, method="batchEmbedContents")
    assert len(response["embeddings"]) == 100
