"""generationConfig: ranges and abilities, model by model."""

import pytest

from tests.proxy.sandbox.calling import (
    NEW,
    OLD,
    WEATHER,
    answer,
    call,
    configured,
    refusal,
    with_tools,
)

PAINTER = "gemini-2.5-flash-image"
NEW_PAINTER = "gemini-3-pro-image-preview"


async def message_for(client, to, **config):
    return (await refusal(client, configured(**config), to=to))["message"]


async def is_taken(client, to, **config):
    return (await call(client, configured(**config), to=to)).is_success


@pytest.mark.parametrize(
    ("config", "text"),
    [
        (
            {"temperature": 2.1},
            "temperature: temperature must be in the range [0.0, 2.0].",
        ),
        (
            {"temperature": -0.1},
            "temperature: temperature must be in the range [0.0, 2.0].",
        ),
        ({"topP": 1.5}, "top_p: top_p must be in the range [0.0, 1.0]."),
        ({"topK": 0}, "top_k: top_k must be positive."),
        (
            {"maxOutputTokens": 0},
            "max_output_tokens: max_output_tokens must be positive.",
        ),
        (
            {"candidateCount": 0},
            "candidate_count: candidate_count must be in the range [1, 8].",
        ),
        (
            {"candidateCount": 9},
            "candidate_count: candidate_count must be in the range [1, 8].",
        ),
        (
            {"stopSequences": list("abcdef")},
            "stop_sequences: at most 5 stop sequences are allowed.",
        ),
        (
            {"responseMimeType": "text/html"},
            "response_mime_type: allowed mimetypes are",
        ),
    ],
)
async def test_values_out_of_range_are_refused(client, config, text):
    found = await message_for(client, OLD, **config)
    assert found.startswith(f"* GenerateContentRequest.generation_config.{text}")


@pytest.mark.parametrize(
    "config",
    [
        {"temperature": 0},
        {"temperature": 2},
        {"topP": 1},
        {"topK": 40},
        {"seed": -5},
        {"stopSequences": list("abcde")},
        {"maxOutputTokens": 10**6},
        {"responseMimeType": "text/plain"},
        {"responseLogprobs": False},
        {"responseModalities": ["TEXT"]},
        {"mediaResolution": "MEDIA_RESOLUTION_LOW"},
        {},
    ],
    ids=str,
)
async def test_values_in_range_are_taken(client, config):
    assert await is_taken(client, NEW, **config)


@pytest.mark.parametrize("name", ["presencePenalty", "frequencyPenalty"])
@pytest.mark.parametrize("to", [OLD, NEW, "gemini-2.5-pro"])
async def test_penalties_are_not_enabled_on_new_models(client, to, name):
    found = await message_for(client, to, **{name: 0.5})
    assert found == f"Penalty is not enabled for models/{to}"


async def test_penalties_are_enabled_on_older_models(client):
    assert await is_taken(client, "gemini-2.0-flash", presencePenalty=0.5)


@pytest.mark.parametrize(
    "config", [{"responseLogprobs": True}, {"logprobs": 3}], ids=str
)
async def test_logprobs_are_not_enabled(client, config):
    assert (
        await message_for(client, NEW, **config)
        == f"Logprobs is not enabled for models/{NEW}"
    )


async def test_several_candidates_depend_on_the_model(client):
    found = await message_for(client, NEW, candidateCount=2)
    assert found == f"Multiple candidates is not enabled for models/{NEW}"
    assert (
        len((await answer(client, configured(candidateCount=8), to=OLD))["candidates"])
        == 8
    )


@pytest.mark.parametrize(
    ("to", "thinking", "text"),
    [
        (
            NEW,
            {"thinkingLevel": "LOW", "thinkingBudget": 10},
            "only one of thinking budget",
        ),
        (
            OLD,
            {"thinkingLevel": "LOW"},
            "Thinking level is not supported for this model.",
        ),
        (
            "gemini-3-pro-preview",
            {"thinkingLevel": "MEDIUM"},
            "Thinking level MEDIUM is not",
        ),
        (
            "gemini-3-pro-preview",
            {"thinkingLevel": "MINIMAL"},
            "Thinking level MINIMAL is not",
        ),
        (
            "gemini-3.1-pro-preview",
            {"thinkingLevel": "MINIMAL"},
            "Thinking level MINIMAL is not",
        ),
        ("gemma-4-31b-it", {"thinkingLevel": "LOW"}, "Thinking level LOW is not"),
        ("gemma-4-31b-it", {"thinkingBudget": 5}, "Thinking budget is not supported"),
        (
            "gemini-2.5-pro",
            {"thinkingBudget": 0},
            "Budget 0 is invalid. This model only works",
        ),
        ("gemini-3.1-pro-preview", {"thinkingBudget": 0}, "Budget 0 is invalid."),
        ("gemini-2.5-pro", {"thinkingBudget": 127}, "between 128 and 32768."),
        ("gemini-2.5-pro", {"thinkingBudget": 32769}, "between 128 and 32768."),
        (OLD, {"thinkingBudget": 24577}, "between 1 and 24576."),
        (OLD, {"thinkingBudget": -2}, "between 1 and 24576."),
        ("gemini-2.5-flash-lite", {"thinkingBudget": 511}, "between 512 and 24576."),
        (
            OLD,
            {"thinkingBudget": 0, "includeThoughts": True},
            "only enabled when thinking is",
        ),
        ("gemini-2.0-flash", {"thinkingBudget": 0}, "Thinking is not supported"),
        ("gemini-2.0-flash", {"includeThoughts": True}, "Thinking is not supported"),
        (PAINTER, {"thinkingLevel": "HIGH"}, "Thinking is not supported"),
        (NEW_PAINTER, {"thinkingLevel": "HIGH"}, "Thinking level is not supported"),
    ],
)
async def test_thinking_which_a_model_cannot_do_is_refused(client, to, thinking, text):
    assert text in await message_for(client, to, thinkingConfig=thinking)


@pytest.mark.parametrize(
    ("to", "thinking"),
    [
        (NEW, {"thinkingLevel": "MINIMAL"}),
        (NEW, {"thinkingLevel": "medium", "includeThoughts": True}),
        (NEW, {"thinkingBudget": 0}),
        ("gemini-3-pro-preview", {"thinkingLevel": "HIGH"}),
        ("gemini-3.1-pro-preview", {"thinkingLevel": "MEDIUM"}),
        ("gemma-4-31b-it", {"thinkingLevel": "MINIMAL"}),
        ("gemini-2.5-pro", {"thinkingBudget": 128}),
        ("gemini-2.5-pro", {"thinkingBudget": -1}),
        (OLD, {"thinkingBudget": 0}),
        ("gemini-2.5-flash-lite", {"thinkingBudget": 512}),
        ("gemini-2.0-flash", {"includeThoughts": False}),
        (OLD, {}),
    ],
)
async def test_thinking_within_the_table_is_taken(client, to, thinking):
    assert await is_taken(client, to, thinkingConfig=thinking)


@pytest.mark.parametrize(
    ("config", "text"),
    [
        (
            {"responseSchema": {"type": "STRING"}},
            "only allowed when response_mime_type",
        ),
        (
            {"responseJsonSchema": {"type": "string"}},
            "only allowed when response_mime_type",
        ),
        (
            {
                "responseMimeType": "application/json",
                "responseSchema": {"type": "STRING"},
                "responseJsonSchema": {"type": "string"},
            },
            "mutually exclusive",
        ),
        (
            {"responseMimeType": "text/x.enum"},
            "needs a schema of STRING type with an enum",
        ),
    ],
    ids=["schema-alone", "json-schema-alone", "both", "enum-without"],
)
async def test_schemas_in_the_wrong_place_are_refused(client, config, text):
    assert text in await message_for(client, NEW, **config)


@pytest.mark.parametrize(
    ("to", "modalities"),
    [
        (NEW, ["IMAGE"]),
        (NEW, ["TEXT", "IMAGE"]),
        (OLD, ["AUDIO"]),
        (PAINTER, ["VIDEO"]),
    ],
)
async def test_modalities_which_a_model_lacks_are_refused(client, to, modalities):
    found = await message_for(client, to, responseModalities=modalities)
    assert found.startswith("The requested combination of response modalities")
    assert f"models/{to} accepts" in found


@pytest.mark.parametrize(
    ("to", "config", "text"),
    [
        (NEW, {"aspectRatio": "1:1"}, "Aspect ratio is not enabled"),
        (PAINTER, {"aspectRatio": "1:8"}, "aspect_ratio must be one of 1:1, 2:3"),
        (PAINTER, {"aspectRatio": "7:5"}, "aspect_ratio must be one of"),
        (PAINTER, {"imageSize": "2K"}, "image_size must be one of 1K."),
        (NEW_PAINTER, {"imageSize": "4k"}, "image_size must be one of 1K, 2K, 4K."),
        (NEW_PAINTER, {"imageSize": "8K"}, "image_size must be one of"),
    ],
)
async def test_picture_settings_which_a_model_lacks_are_refused(
    client, to, config, text
):
    assert text in await message_for(client, to, imageConfig=config)


async def test_painters_answer_neither_json_nor_with_calls(client):
    found = await message_for(client, PAINTER, responseMimeType="application/json")
    assert found == f"JSON mode is not enabled for models/{PAINTER}"
    error = await refusal(client, with_tools("get_weather", WEATHER), to=PAINTER)
    assert error["message"] == f"Function calling is not enabled for models/{PAINTER}"
