"""Google's byte offsets as character offsets of the visible content."""

from typing import Any

import pytest

from proxy.wire.annotations import Transcript

Span = tuple[int, int]


def said(*pieces: str | tuple[str]) -> Transcript:
    """Text as the model wrote it; one-tuples are what the gateway put in."""
    transcript = Transcript()
    for piece in pieces:
        if isinstance(piece, tuple):
            transcript.insert(piece[0])
        else:
            transcript.say(piece)
    return transcript


def visible(transcript: Transcript) -> str:
    return "".join(p if isinstance(p, str) else p[0] for p in transcript.pieces)


def grounding(*segments: dict[str, Any], sources: int = 1) -> dict[str, Any]:
    return {
        "groundingChunks": [
            {"web": {"uri": f"https://s{n}", "title": f"Source {n}"}}
            for n in range(sources)
        ],
        "groundingSupports": [
            {"segment": segment, "groundingChunkIndices": [0]} for segment in segments
        ],
    }


def segment_of(text: str, quote: str, **more: Any) -> dict[str, Any]:
    start = len(text[: text.index(quote)].encode())
    end = start + len(quote.encode())
    return {"startIndex": start, "endIndex": end, **more}


def spans(transcript: Transcript, *segments: dict[str, Any]) -> list[Span]:
    found = transcript.annotations(grounding(*segments), None)
    places = [row["url_citation"] for row in found]
    return [(place["start_index"], place["end_index"]) for place in places]


MIXED = "Zürich zählt 🚡🚡 Bahnen. 東京は大きい。 Ende"


@pytest.mark.parametrize(
    "quote", ["Zürich", "🚡🚡", "Bahnen", "東京は大きい。", "Ende", MIXED]
)
@pytest.mark.parametrize("size", [1, 3, 1000], ids=["letters", "threes", "whole"])
def test_offsets_are_characters_however_the_text_arrived(quote: str, size: int) -> None:
    pieces = [MIXED[at : at + size] for at in range(0, len(MIXED), size)]
    transcript = said(*pieces)
    ((start, end),) = spans(transcript, segment_of(MIXED, quote))
    assert visible(transcript)[start:end] == quote


def test_many_segments_in_any_order_are_each_right() -> None:
    quotes = ["Ende", "Zürich", "東京", "zählt", "Bahnen"]
    transcript = said(MIXED)
    found = spans(transcript, *[segment_of(MIXED, quote) for quote in quotes])
    assert [MIXED[start:end] for start, end in found] == quotes


def test_what_the_gateway_put_between_texts_moves_the_offsets() -> None:
    transcript = said("Größe: ", ("```python\n1+1\n```\n",), "zwölf", ("\n![x](y)\n",))
    wrote = "Größe: zwölf"
    before, after = spans(
        transcript, segment_of(wrote, "Größe"), segment_of(wrote, "zwölf")
    )
    shown = visible(transcript)
    assert shown[slice(*before)] == "Größe"
    assert shown[slice(*after)] == "zwölf"


def test_a_segment_ends_before_the_insertion_that_follows_it() -> None:
    transcript = said("abc", ("<inserted>",), "def")
    assert spans(transcript, {"endIndex": 3}) == [(0, 3)]


def test_the_part_index_says_from_where_a_whole_answer_counts() -> None:
    transcript = Transcript()
    transcript.mark(0)
    transcript.mark(1)
    transcript.say("Ähnlich. ")
    transcript.mark(2)
    transcript.say("Ähre.")
    found = spans(
        transcript,
        {"partIndex": 2, "startIndex": 0, "endIndex": 5},
        {"partIndex": 1, "startIndex": 0, "endIndex": 8},
    )
    assert [visible(transcript)[start:end] for start, end in found] == [
        "Ähre",
        "Ähnlich",
    ]


def test_the_quoted_text_decides_between_part_and_concatenation() -> None:
    transcript = Transcript()
    transcript.say("one two ")
    transcript.mark(1)
    transcript.say("three four")
    whole = {"partIndex": 1, "startIndex": 8, "endIndex": 13, "text": "three"}
    within = {"partIndex": 1, "startIndex": 0, "endIndex": 5, "text": "three"}
    assert spans(transcript, whole, within) == [(8, 13), (8, 13)]


def test_wrong_offsets_are_put_right_by_the_nearest_quote() -> None:
    transcript = said("cat dog cat dog cat")
    wrong = {"startIndex": 9, "endIndex": 12, "text": "cat"}
    assert spans(transcript, wrong) == [(8, 11)]


@pytest.mark.parametrize(
    ("segment", "expected"),
    [
        ({"startIndex": 2, "endIndex": 900}, (2, 5)),
        ({"startIndex": 900, "endIndex": 901}, (5, 5)),
        ({"startIndex": -4, "endIndex": 2}, (0, 2)),
        ({"endIndex": 3, "text": "not there"}, (0, 3)),
        ({"startIndex": 3, "endIndex": 1}, (3, 3)),
        ({"startIndex": "x"}, (0, 0)),
        ({}, (0, 0)),
    ],
    ids=["past-end", "outside", "negative", "lost", "reversed", "word", "empty"],
)
def test_impossible_offsets_stay_inside_the_text(
    segment: dict[str, Any], expected: Span
) -> None:
    assert spans(said("hello"), segment) == [expected]


def test_an_offset_inside_a_character_moves_to_its_start() -> None:
    assert spans(said("äöü"), {"startIndex": 1, "endIndex": 4}) == [(0, 2)]


def test_each_pair_of_support_and_source_is_one_annotation() -> None:
    block = {
        "groundingChunks": [
            {"web": {"uri": "https://a", "title": "A"}},
            {"web": {"uri": "https://b"}},
            {"web": {"uri": "https://c", "title": "C"}},
            {"web": {"title": "no address"}},
        ],
        "groundingSupports": [
            {"segment": {"endIndex": 2}, "groundingChunkIndices": [0, 1, 3, 99]},
            {"segment": {"startIndex": 3, "endIndex": 5}, "groundingChunkIndices": [0]},
        ],
    }
    found = said("hello").annotations(block, None)
    assert [row["type"] for row in found] == ["url_citation"] * 4
    assert [row["url_citation"] for row in found] == [
        {"start_index": 0, "end_index": 2, "url": "https://a", "title": "A"},
        {"start_index": 0, "end_index": 2, "url": "https://b", "title": "https://b"},
        {"start_index": 3, "end_index": 5, "url": "https://a", "title": "A"},
        {"start_index": 0, "end_index": 0, "url": "https://c", "title": "C"},
    ]


@pytest.mark.parametrize(
    "support",
    [
        {"groundingChunkIndices": ["0", None, {}]},
        {"groundingChunkIndices": 3, "segment": "x"},
        {"segment": {"endIndex": 1}},
    ],
    ids=["words", "number", "absent"],
)
def test_odd_supports_leave_the_source_unplaced(support: dict[str, Any]) -> None:
    block = {**grounding(), "groundingSupports": [support, None]}
    ((place),) = [row["url_citation"] for row in said("text").annotations(block, None)]
    assert (place["start_index"], place["end_index"]) == (0, 0)


@pytest.mark.parametrize("kind", ["web", "maps", "retrievedContext"])
def test_every_kind_of_source_with_an_address_is_cited(kind: str) -> None:
    block = {"groundingChunks": [{kind: {"uri": "https://x", "title": "X"}}]}
    ((place),) = [row["url_citation"] for row in said("t").annotations(block, None)]
    assert place["url"] == "https://x"


@pytest.mark.parametrize("name", ["citationSources", "citations"])
def test_citation_metadata_becomes_annotations_too(name: str) -> None:
    listed = {
        name: [
            {"startIndex": 3, "endIndex": 6, "uri": "https://lic", "license": "mit"},
            {"startIndex": 0, "endIndex": 2},
        ]
    }
    ((place),) = [
        row["url_citation"] for row in said("äöxyz").annotations(None, listed)
    ]
    assert place == {
        "start_index": 1,
        "end_index": 4,
        "url": "https://lic",
        "title": "https://lic",
    }


def test_without_metadata_there_are_no_annotations() -> None:
    assert said("x").annotations(None, None) == []
    assert said("x").annotations({"webSearchQueries": ["q"]}, {}) == []


def test_an_answer_without_text_can_still_name_its_sources() -> None:
    found = said().annotations(grounding({"endIndex": 4}), None)
    assert [row["url_citation"]["end_index"] for row in found] == [0]
