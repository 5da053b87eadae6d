"""A whole chat request: sampling, lengths, formats and what is left out."""

import pytest

from proxy.errors import BadRequest
from proxy.wire.openai_chat import parse_chat, peek
from tests.proxy.wire.chat_samples import (
    FLASH_3,
    FLASH_25,
    captured,
    config,
    parse,
    refused,
    system,
    tool,
    user,
)

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}


def json_schema(schema, **extra) -> dict:
    inner = {"name": "M", "schema": schema, "strict": True, **extra}
    return {"type": "json_schema", "json_schema": inner}


def test_the_smallest_request_has_only_contents():
    (body,) = captured("o_min")
    request = parse_chat(body, upstream_model=FLASH_3, signatures={})
    assert request.body == {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
    assert (request.model, request.stream, request.include_usage) == ("m", False, False)
    assert (request.copies, request.needs, request.dropped) == (1, frozenset(), [])
    assert (request.tool_names, request.fetches) == ({}, [])
    assert (request.json_text, request.legacy_functions) == (False, False)


def test_a_captured_stream_asks_for_usage():
    (body,) = captured("os_std")
    request = parse_chat(body, upstream_model=FLASH_3, signatures={})
    assert (request.stream, request.include_usage) == (True, True)


def test_a_captured_parse_call_asks_for_its_schema():
    body = captured("of_parse_cf")[0]
    request = parse_chat(body, upstream_model=FLASH_3, signatures={})
    assert request.body["generationConfig"] == {
        "responseMimeType": "application/json",
        "responseJsonSchema": {
            "type": "object",
            "title": "M",
            "properties": {"a": {"type": "integer", "title": "A"}},
            "required": ["a"],
            "additionalProperties": False,
        },
    }
    assert request.json_text is True


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"temperature": 0.3}, {"temperature": 0.3}),
        ({"temperature": 0}, {"temperature": 0}),
        ({"top_p": 0.9}, {"topP": 0.9}),
        ({"top_k": 40}, {"topK": 40}),
        ({"top_k": 40.0}, {"topK": 40}),
        ({"seed": 7}, {"seed": 7}),
        ({"seed": -7}, {"seed": -7}),
        ({"seed": 2**40 + 5}, {"seed": 5}),
        ({"stop": "END"}, {"stopSequences": ["END"]}),
        ({"stop": ["a", "b"]}, {"stopSequences": ["a", "b"]}),
        ({"stop": ["a", ""]}, {"stopSequences": ["a"]}),
        ({"stop": []}, {}),
        ({"stop": ""}, {}),
        ({"stop": list("abcde")}, {"stopSequences": list("abcde")}),
        ({"max_tokens": 5}, {"maxOutputTokens": 5}),
        ({"max_completion_tokens": 5}, {"maxOutputTokens": 5}),
        ({"max_output_tokens": 5}, {"maxOutputTokens": 5}),
        (
            {"max_completion_tokens": 5, "max_tokens": 9, "max_output_tokens": 3},
            {"maxOutputTokens": 5},
        ),
        ({"max_completion_tokens": None, "max_tokens": 9}, {"maxOutputTokens": 9}),
        ({"max_tokens": 2**40}, {"maxOutputTokens": 2**31 - 1}),
        ({"temperature": None, "top_p": None, "stop": None, "seed": None}, {}),
        ({"response_format": {"type": "text"}}, {}),
        ({"modalities": ["text"]}, {}),
        ({"modalities": ["text"], "audio": {"voice": "Kore"}}, {}),
        ({"modalities": ["image", "text"]}, {"responseModalities": ["IMAGE", "TEXT"]}),
        ({"modalities": ["TEXT", "IMAGE"]}, {"responseModalities": ["TEXT", "IMAGE"]}),
        ({"modalities": ["text", "audio"]}, {"responseModalities": ["AUDIO"]}),
    ],
)
def test_a_field_reaches_the_generation_config(fields, expected):
    assert config(**fields) == expected


@pytest.mark.parametrize("voice", ["Kore", {"id": "Kore"}])
def test_a_voice_becomes_the_speech_config(voice):
    found = config(modalities=["audio"], audio={"voice": voice, "format": "wav"})
    assert found["speechConfig"] == {
        "voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "Kore"}}
    }


@pytest.mark.parametrize(
    ("fields", "need"),
    [
        ({"modalities": ["text", "image"]}, "images_out"),
        ({"modalities": ["text", "audio"]}, "audio_out"),
        ({"response_format": {"type": "json_object"}}, "json_schema"),
        ({"response_format": json_schema(SCHEMA)}, "json_schema"),
    ],
)
def test_what_the_answer_must_be_is_a_need(fields, need):
    assert parse(**fields).needs == {need}


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ({"type": "json_object"}, None),
        ({"type": "json_object", "response_schema": SCHEMA}, SCHEMA),
        (json_schema(SCHEMA), SCHEMA),
        (json_schema(None), None),
        (json_schema({}), None),
        (
            json_schema({**SCHEMA, "$schema": "x", "description": "d"}),
            {**SCHEMA, "description": "d"},
        ),
    ],
)
def test_a_response_format_becomes_type_and_schema(form, expected):
    found = config(response_format=form)
    assert found["responseMimeType"] == "application/json"
    assert found.get("responseJsonSchema") == expected
    assert parse(response_format=form).json_text is True


def test_tools_and_a_schema_go_together_on_gemini_3():
    request = parse(tools=[tool()], response_format=json_schema(SCHEMA), model=FLASH_3)
    assert request.body["generationConfig"]["responseJsonSchema"] == SCHEMA
    assert "systemInstruction" not in request.body


@pytest.mark.parametrize("listed", [[tool()], [{"type": "web_search"}]])
def test_tools_and_a_schema_before_gemini_3_put_the_schema_into_words(listed):
    request = parse(
        system("be brief"),
        user(),
        tools=listed,
        response_format=json_schema(SCHEMA),
        model=FLASH_25,
    )
    assert "generationConfig" not in request.body
    first, second = request.body["systemInstruction"]["parts"]
    assert first == {"text": "be brief"}
    assert '{"type":"object","properties":{"a":{"type":"integer"}}}' in second["text"]
    assert request.json_text is True
    assert "json_schema" not in request.needs


def test_tools_and_plain_json_before_gemini_3_ask_for_json_in_words():
    request = parse(
        tools=[tool()], response_format={"type": "json_object"}, model=FLASH_25
    )
    (part,) = request.body["systemInstruction"]["parts"]
    assert "JSON" in part["text"]
    assert "generationConfig" not in request.body


def test_a_schema_alone_stays_in_the_config_before_gemini_3():
    found = config(response_format=json_schema(SCHEMA), model=FLASH_25)
    assert found["responseJsonSchema"] == SCHEMA


@pytest.mark.parametrize(
    ("fields", "dropped"),
    [
        ({"presence_penalty": 0.5}, ["presence_penalty"]),
        ({"frequency_penalty": -1}, ["frequency_penalty"]),
        ({"logprobs": True}, ["logprobs"]),
        ({"logprobs": True, "top_logprobs": 3}, ["logprobs", "top_logprobs"]),
        ({"logit_bias": {"5": 1}}, ["logit_bias"]),
        ({"verbosity": "low"}, ["verbosity"]),
        ({"prediction": {"type": "content", "content": "x"}}, ["prediction"]),
        ({"service_tier": "scale"}, ["service_tier"]),
        ({"google": {"aspect_ratio": "1:1"}}, ["google.aspect_ratio"]),
        ({"presence_penalty": 0, "frequency_penalty": 0.0}, []),
        ({"logprobs": False, "top_logprobs": None, "logit_bias": {}}, []),
        ({"presence_penalty": None, "verbosity": "medium"}, []),
        ({"service_tier": "auto"}, []),
    ],
)
def test_tuning_without_counterpart_is_dropped_by_name_if_it_was_wanted(
    fields, dropped
):
    request = parse(**fields)
    assert request.dropped == dropped
    assert "generationConfig" not in request.body


@pytest.mark.parametrize(
    "field",
    [
        "user",
        "metadata",
        "store",
        "safety_identifier",
        "prompt_cache_key",
        "moderation",
        "min_p",
        "something_new",
    ],
)
@pytest.mark.parametrize("value", ["x", 5, {"a": [1]}, None])
def test_fields_that_change_no_answer_are_accepted(field, value):
    request = parse(**{field: value})
    assert set(request.body) == {"contents"}
    assert request.dropped == []


@pytest.mark.parametrize(
    ("given", "expected"),
    [("flex", "flex"), ("priority", "priority"), ("default", None), (None, None)],
)
def test_the_service_tier_is_passed_where_google_has_it(given, expected):
    assert parse(service_tier=given).body.get("serviceTier") == expected


@pytest.mark.parametrize("n", [1, 3, 8])
def test_n_is_the_number_of_copies_and_never_a_candidate_count(n):
    request = parse(n=n)
    assert request.copies == n
    assert "generationConfig" not in request.body


SAFETY = [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            {"extra_body": {"google": {"cached_content": "cachedContents/a"}}},
            {"cachedContent": "cachedContents/a"},
        ),
        ({"google": {"cachedContent": "c/a"}}, {"cachedContent": "c/a"}),
        ({"cached_content": "c/a"}, {"cachedContent": "c/a"}),
        (
            {"cached_content": "c/b", "google": {"cached_content": "c/a"}},
            {"cachedContent": "c/a"},
        ),
        ({"google": {"safety_settings": SAFETY}}, {"safetySettings": SAFETY}),
        ({"safety_settings": SAFETY}, {"safetySettings": SAFETY}),
        ({"safetySettings": SAFETY}, {"safetySettings": SAFETY}),
        ({"safety_settings": []}, {}),
        ({"extra_body": {"google": None}}, {}),
        ({"extra_body": {}}, {}),
    ],
)
def test_googles_own_fields_are_honoured(fields, expected):
    body = parse(**fields).body
    del body["contents"]
    assert body == expected


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"temperature": "hot"}, "temperature"),
        ({"temperature": True}, "temperature"),
        ({"temperature": float("inf")}, "temperature"),
        ({"top_p": [1]}, "top_p"),
        ({"top_k": 1.5}, "top_k"),
        ({"seed": "x"}, "seed"),
        ({"seed": 1e300}, "seed"),
        ({"stop": 5}, "stop"),
        ({"stop": ["a", 5]}, "stop[1]"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": "5"}, "max_tokens"),
        ({"max_completion_tokens": 1.5}, "max_completion_tokens"),
        ({"n": 0}, "n"),
        ({"n": 9}, "n"),
        ({"n": True}, "n"),
        ({"n": "2"}, "n"),
        ({"presence_penalty": "x"}, "presence_penalty"),
        ({"frequency_penalty": {}}, "frequency_penalty"),
        ({"logprobs": 5}, "logprobs"),
        ({"top_logprobs": "5"}, "top_logprobs"),
        ({"logit_bias": []}, "logit_bias"),
        ({"stream": "yes"}, "stream"),
        ({"stream_options": []}, "stream_options"),
        ({"stream_options": {"include_usage": 1}}, "stream_options.include_usage"),
        ({"response_format": "json"}, "response_format"),
        ({"response_format": {}}, "response_format.type"),
        ({"response_format": {"type": "yaml"}}, "response_format.type"),
        ({"response_format": {"type": ["json_object"]}}, "response_format.type"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"response_format": json_schema("x")}, "response_format.json_schema.schema"),
        (
            {"response_format": json_schema(SCHEMA, name=5)},
            "response_format.json_schema.name",
        ),
        ({"modalities": "text"}, "modalities"),
        ({"modalities": [5]}, "modalities[0]"),
        ({"modalities": ["smell"]}, "modalities[0]"),
        ({"audio": "wav"}, "audio"),
        ({"modalities": ["audio"], "audio": {"format": "mp3"}}, "audio.format"),
        ({"modalities": ["audio"], "audio": {"voice": 5}}, "audio.voice"),
        ({"service_tier": 5}, "service_tier"),
        ({"verbosity": 5}, "verbosity"),
        ({"extra_body": 5}, "extra_body"),
        ({"extra_body": {"google": 5}}, "extra_body.google"),
        ({"google": 5}, "google"),
        ({"cached_content": 5}, "cached_content"),
        ({"google": {"cached_content": 5}}, "extra_body.google.cached_content"),
        ({"safety_settings": {}}, "safety_settings"),
        ({"safety_settings": [5]}, "safety_settings[0]"),
        ({"safety_settings": [{}]}, "safety_settings[0].category"),
        (
            {"safety_settings": [{"category": "x", "threshold": 5}]},
            "safety_settings[0].threshold",
        ),
    ],
)
def test_a_wrong_type_is_refused_with_the_fields_name(fields, param):
    fault = refused(param=param, **fields)
    assert param.split(".")[0].split("[")[0] in fault.message


def test_more_than_five_stop_sequences_are_refused_with_the_limit():
    assert "5" in refused(stop=list("abcdef"), param="stop").message


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"model": "m", "stream": True}, ("m", True)),
        ({"model": "  m  "}, ("m", False)),
        ({}, ("", False)),
        ({"model": None, "stream": None}, ("", False)),
    ],
)
def test_peek_tells_model_and_stream(body, expected):
    assert peek(body) == expected


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (None, None),
        ([], None),
        ("x", None),
        (5, None),
        ({"model": 5}, "model"),
        ({"model": ""}, "model"),
        ({"model": "  "}, "model"),
        ({"model": "m", "stream": 1}, "stream"),
    ],
)
def test_peek_and_parse_refuse_what_is_no_request(body, param):
    with pytest.raises(BadRequest) as caught:
        peek(body)
    assert caught.value.param == param
    with pytest.raises(BadRequest):
        parse_chat(body, upstream_model=FLASH_3, signatures={})


def test_the_request_of_the_client_is_not_changed():
    body = {
        "model": "m",
        "messages": [user(), user("b")],
        "tools": [tool("a/b", parameters=SCHEMA), {"googleSearch": {}}],
        "response_format": json_schema({**SCHEMA, "$schema": "x"}),
    }
    before = repr(body)
    parse_chat(body, upstream_model=FLASH_25, signatures={})
    assert repr(body) == before
