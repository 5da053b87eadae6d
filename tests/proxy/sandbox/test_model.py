"""What the model answers: calls, JSON, counts, names, pictures, sources."""

import json

import pytest

from tests.proxy.sandbox.calling import (
    NEW,
    OLD,
    TIME,
    WEATHER,
    answer,
    asking,
    calls_of,
    configured,
    finish_of,
    model,
    parts_of,
    picture_part,
    text_of,
    user,
    with_tools,
)

SKIP = "skip_thought_signature_validator"
BOTH = pytest.mark.parametrize("to", [NEW, OLD])


async def said(client, text, **how):
    return text_of(await answer(client, asking(text), **how))


async def talked(client, *contents, **how):
    return text_of(await answer(client, {"contents": list(contents)}, **how))


@BOTH
async def test_a_named_function_is_called_with_its_required_arguments(client, to):
    body = with_tools("Please use get_weather for Paris", WEATHER, TIME)
    (made,) = calls_of(await answer(client, body, to=to))
    assert (made["name"], made["args"]) == ("get_weather", {"city": "Paris"})


async def test_calls_of_new_models_have_ids_and_those_of_older_ones_do_not(client):
    body = with_tools("get_time, then get_weather in Oslo", WEATHER, TIME)
    made = calls_of(await answer(client, body, to=NEW))
    assert len({each["id"] for each in made}) == 2
    assert all(
        "id" not in each for each in calls_of(await answer(client, body, to=OLD))
    )


async def test_all_named_functions_are_called_in_the_order_of_their_names(client):
    body = with_tools("first get_time in CET, then get_weather in Oslo", WEATHER, TIME)
    made = calls_of(await answer(client, body))
    assert [each["name"] for each in made] == ["get_time", "get_weather"]
    assert made[0]["args"] == {"zone": "CET"}
    assert made[1]["args"] == {"city": "Oslo"}


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("get weather in Rome", 1),
        ("GET_WEATHER in Rome", 1),
        ("forget_weather", 0),
        ("get_weather_now", 0),
        ("hello", 0),
    ],
)
async def test_a_function_is_named_by_a_whole_word(client, text, count):
    assert len(calls_of(await answer(client, with_tools(text, WEATHER)))) == count


async def test_only_the_last_user_words_name_functions(client):
    contents = [user("use get_weather"), model("which city?"), user("never mind")]
    body = {"contents": contents, "tools": [{"functionDeclarations": [WEATHER]}]}
    assert calls_of(await answer(client, body)) == []


@BOTH
async def test_a_result_is_told_in_words(client, to):
    contents = [
        user("use get_weather for Paris"),
        model(
            {
                "functionCall": {"name": "get_weather", "args": {"city": "Paris"}},
                "thoughtSignature": "skip_thought_signature_validator",
            }
        ),
        user(
            {
                "functionResponse": {
                    "name": "get_weather",
                    "response": {"sky": "clear", "degrees": 21, "next": [1, None]},
                }
            }
        ),
    ]
    body = {"contents": contents, "tools": [{"functionDeclarations": [WEATHER]}]}
    response = await answer(client, body, to=to)
    assert text_of(response) == (
        "get_weather says sky: clear, degrees: 21, next: 1, null."
    )
    assert calls_of(response) == []


async def test_a_picture_in_a_result_is_described(client):
    result = {"name": "f", "response": {}, "parts": [picture_part("blue")]}
    contents = [
        user("go"),
        model({"functionCall": {"name": "f", "args": {}}}),
        user({"functionResponse": result}),
    ]
    assert "a 32x32 blue image" in await talked(client, *contents, to=OLD)


async def test_a_schema_holds_for_the_answer_to_a_result(client):
    made = calls_of(await answer(client, with_tools("go get_time", TIME), to=NEW))[0]
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    part = {"functionCall": made, "thoughtSignature": SKIP}
    result = {"id": made["id"], "name": "get_time", "response": {"t": 1}}
    body = {
        "contents": [user("go"), model(part), user({"functionResponse": result})],
        "tools": [{"functionDeclarations": [TIME]}],
        "generationConfig": {
            "responseMimeType": "application/json",
            "responseJsonSchema": {**schema, "required": ["n"]},
        },
    }
    assert json.loads(text_of(await answer(client, body, to=NEW))) == {"n": 1}


async def test_a_forced_call_is_made_even_after_a_result(client):
    contents = [
        user("go"),
        model({"functionCall": {"name": "get_time", "args": {}}}),
        user({"functionResponse": {"name": "get_time", "response": {"t": 1}}}),
    ]
    body = {
        "contents": contents,
        "tools": [{"functionDeclarations": [TIME]}],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY"}},
    }
    assert calls_of(await answer(client, body, to=OLD))


async def test_a_name_is_remembered_over_the_conversation(client):
    contents = [user("Hi, my name is Zoë."), model("Hello"), user("What's my name?")]
    assert await talked(client, *contents) == "Your name is Zoë."


async def test_the_last_told_name_counts_and_the_model_tells_none(client):
    contents = [
        user("my name is Ann"),
        model("my name is Robot"),
        user("no, my name is Eve"),
        model("ok"),
        user("who am i"),
    ]
    assert await talked(client, *contents) == "Your name is Eve."


async def test_an_untold_name_is_not_known(client):
    assert await said(client, "what is my name?") == "You have not told me your name."


async def test_a_told_name_is_greeted(client):
    assert "Ann" in await said(client, "my name is Ann")


@pytest.mark.parametrize(
    ("text", "last"), [("count to 7", 7), ("Count up to 2500!", 2000)]
)
async def test_it_counts_but_not_for_ever(client, text, last):
    numbers = (await said(client, text)).split()
    assert numbers == [str(n) for n in range(1, last + 1)]


@pytest.mark.parametrize(
    ("text", "echo"),
    [
        ("Say EXACTLY: Grüße, 世界!", "Grüße, 世界!"),
        ("please repeat: a\nb", "a\nb"),
        ("repeat: count to 3", "count to 3"),
    ],
)
async def test_it_repeats_what_it_is_told_to(client, text, echo):
    assert await said(client, text) == echo


async def test_otherwise_it_says_what_it_is_and_what_was_said(client):
    assert (
        await said(client, "good\n morning")
        == "This is the sandbox. You said: good morning"
    )


async def test_long_words_are_cut(client):
    text = await said(client, "é" * 5000)
    assert len(text) < 300
    assert text.endswith("…")


async def test_no_words_are_needed(client):
    assert await said(client, "") == "This is the sandbox."


@pytest.mark.parametrize("colour", ["red", "green", "blue", "yellow", "black", "white"])
async def test_a_picture_is_described_by_size_and_colour(client, colour):
    contents = user("what is this?", picture_part(colour, (32, 48)))
    assert await talked(client, contents) == f"I see a 32x48 {colour} image."


async def test_several_pictures_are_described_in_order(client):
    contents = user(picture_part("red"), picture_part("blue", (10, 20)), "and?")
    assert await talked(client, contents) == (
        "I see a 32x32 red image and a 10x20 blue image."
    )


@pytest.mark.parametrize(
    ("instruction", "end"),
    [
        ("Be kind. Always end with OVER.", "OVER"),
        ('You must always end with "so it is"', "so it is"),
        ("always end with the word BANANA please", "BANANA"),
    ],
)
async def test_the_system_instruction_arrives(client, instruction, end):
    body = asking("repeat: yes", systemInstruction={"parts": [{"text": instruction}]})
    assert text_of(await answer(client, body)) == f"yes {end}"


async def test_candidates_differ(client):
    body = configured("repeat: yes", candidateCount=3)
    response = await answer(client, body, to=OLD)
    texts = [text_of(response, index) for index in range(3)]
    assert texts == ["yes", "yes (candidate 2)", "yes (candidate 3)"]
    assert [each["index"] for each in response["candidates"]] == [0, 1, 2]


@BOTH
@pytest.mark.parametrize(
    "schema",
    [
        {
            "responseSchema": {
                "type": "OBJECT",
                "properties": {
                    "a": {"type": "INTEGER"},
                    "b": {"type": "STRING", "enum": ["x"]},
                },
            }
        },
        {
            "responseJsonSchema": {
                "type": "object",
                "properties": {
                    "a": {"type": "integer"},
                    "b": {"enum": ["x"]},
                },
            }
        },
        {
            "_responseJsonSchema": {
                "type": "object",
                "properties": {"a": {"type": "integer"}, "b": {"enum": ["x"]}},
            }
        },
    ],
    ids=["schema", "json-schema", "alias"],
)
async def test_json_follows_the_schema(client, to, schema):
    body = configured("give me 4", responseMimeType="application/json", **schema)
    assert json.loads(text_of(await answer(client, body, to=to))) == {"a": 4, "b": "x"}


async def test_json_without_schema_is_an_object(client):
    body = configured("hi there", responseMimeType="application/json")
    assert json.loads(text_of(await answer(client, body))) == {"text": "hi there"}


async def test_an_enum_answer_is_one_bare_word(client):
    schema = {"type": "STRING", "enum": ["yes", "no"]}
    body = configured("say no", responseMimeType="text/x.enum", responseSchema=schema)
    assert text_of(await answer(client, body)) == "no"


async def test_search_grounds_the_answer_in_byte_offsets(client):
    body = asking("Wer schlägt “Ωmega”?", tools=[{"googleSearch": {}}])
    response = await answer(client, body)
    (candidate,) = response["candidates"]
    grounding = candidate["groundingMetadata"]
    assert len([chunk["web"]["uri"] for chunk in grounding["groundingChunks"]]) == 2
    text = text_of(response).encode()
    assert len(grounding["groundingSupports"]) == 2
    for support in grounding["groundingSupports"]:
        segment = support["segment"]
        part = text[segment.get("startIndex", 0) : segment["endIndex"]]
        assert part.decode() == segment["text"]
        assert support["groundingChunkIndices"][0] in (0, 1)


async def test_shown_tools_come_before_the_answer(client):
    body = asking(
        "news?",
        tools=[{"googleSearch": {}}],
        toolConfig={"includeServerSideToolInvocations": True},
        generationConfig={"thinkingConfig": {"includeThoughts": True}},
    )
    response = await answer(client, body)
    thought, used, found, _ = parts_of(response)
    assert thought["thought"] is True
    assert used["toolCall"]["toolType"] == "GOOGLE_SEARCH_WEB"
    assert used["toolCall"]["id"] == found["toolResponse"]["id"]
    supports = response["candidates"][0]["groundingMetadata"]["groundingSupports"]
    assert {each["segment"]["partIndex"] for each in supports} == {3}
    contents = [user("news?"), response["candidates"][0]["content"], user("more")]
    assert await talked(client, *contents) == "This is the sandbox. You said: more"


@pytest.mark.parametrize(
    ("text", "result"),
    [("run code for 12 * 7", 84), ("calculate 5 - 9", -4), ("use python", 2)],
)
async def test_code_is_run(client, text, result):
    response = await answer(client, asking(text, tools=[{"codeExecution": {}}]))
    code, outcome, words = parts_of(response)
    assert code["executableCode"]["language"] == "PYTHON"
    assert code["executableCode"]["code"].startswith("print(")
    assert outcome["codeExecutionResult"] == {
        "outcome": "OUTCOME_OK",
        "output": f"{result}\n",
    }
    assert str(result) in words["text"]


async def test_pages_in_the_text_are_read_with_the_url_tool(client):
    text = "compare https://a.example/x and https://b.example/y"
    response = await answer(client, asking(text, tools=[{"urlContext": {}}]))
    metadata = response["candidates"][0]["urlContextMetadata"]["urlMetadata"]
    assert [each["retrievedUrl"] for each in metadata] == text.split()[1::2]
    assert response["usageMetadata"]["toolUsePromptTokenCount"] == 100


@pytest.mark.parametrize(
    ("stops", "text"),
    [(["4"], "1 2 3 "), (["9", "3", "4"], "1 2 "), (["x"], "1 2 3 4 5"), (["1"], "")],
)
async def test_stop_sequences_end_the_answer(client, stops, text):
    response = await answer(client, configured("count to 5", stopSequences=stops))
    assert (text_of(response), finish_of(response)) == (text, "STOP")


async def test_the_same_request_gets_the_same_answer(client):
    body = with_tools("get_weather in Rome", WEATHER)
    first, second = [await answer(client, body) for _ in range(2)]
    assert first.pop("responseId") != second.pop("responseId")
    assert first == second
