"""JSON asked for in words, and found in what the model says."""

import json
import random

import pytest

from proxy.errors import BadAnswer, UpstreamRefused
from proxy.wire.web_blocks import CAUSE
from proxy.wire.web_prompt import read_prompt
from proxy.wire.web_schema import read_schema
from tests.proxy.wire.random_json import any_value, schema_of

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name"],
}
ANN = '{"name":"Ann","age":3}'
JSON = "application/json"


def form(schema=PERSON, mime=JSON, field="responseJsonSchema"):
    given = {"responseMimeType": mime} if mime else {}
    return read_schema(given | ({field: schema} if schema is not None else {}))


@pytest.mark.parametrize(
    "text",
    [
        ANN,
        f"```json\n{ANN}\n```",
        f"Here you are:\n\n```json\n{ANN}\n```\nAnything else?",
        f"```\n{ANN}\n```",
        f"Here it is: {ANN} as you [1] wished.",
        f"```python\nx = 1\n```\n{ANN}",
        f'```json\n{{"age": 5, "other": []}}x\n```\n{ANN}',
        json.dumps(json.loads(ANN), indent=2),
        '{"name": "Ann", "age": "3",}',
        '\\{"name": "Ann", "age": 3\\}',
        'An empty set {} is not it, but {"name": "Ann", "age": 3} is.',
    ],
)
def test_the_json_is_found_and_nothing_around_it(text):
    assert form().read(text) == ANN


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("I cannot do that.", "is no JSON"),
        ("", "is no JSON"),
        ("{", "is no JSON"),
        ('{"age": 3}', "required does not hold at $.name"),
        ('{"name": "Ann", "age": "secret"}', "type does not hold at $.age"),
        ("```json\n[1]\n```", "type does not hold at $"),
    ],
)
def test_what_does_not_fit_may_be_asked_of_another_account(text, told):
    with pytest.raises(BadAnswer) as caught:
        form().read(text)
    assert told in caught.value.message
    assert "secret" not in caught.value.message
    assert (caught.value.cause, caught.value.elsewhere) == (CAUSE, True)


@pytest.mark.parametrize(
    ("schema", "text", "read"),
    [
        (None, f"```json\n{ANN}\n```", ANN),
        (None, "So: [1] gives {\"a\": [2]}", '{"a":[2]}'),
        ({"type": "array", "items": {"type": "integer"}}, "```json\n[1,\n2]\n```", "[1,2]"),
        ({"type": "number"}, "```json\n4.5\n```", "4.5"),
        ({"type": "string"}, '"a word"', '"a word"'),
        ({"type": "BOOLEAN"}, "true", "true"),
    ],
)  # fmt: skip
def test_any_root_will_do(schema, text, read):
    assert form(schema).read(text) == read


@pytest.mark.parametrize(
    "text",
    ["red", '"red"', "`red`", "**red**", "Red\n".lower(), "```\nred\n```", "red."],
)
def test_one_of_some_words_is_given_as_it_is(text):
    choice = form({"type": "STRING", "enum": ["blue", "red"]}, "text/x.enum")
    assert choice.read(text) == "red"
    assert choice.instructions.endswith("\nblue\nred")


@pytest.mark.parametrize("text", ["green", "red or blue", ""])
def test_no_other_word_is(text):
    with pytest.raises(BadAnswer, match="none of the choices"):
        form({"type": "STRING", "enum": ["blue", "red"]}, "text/x.enum").read(text)


@pytest.mark.parametrize(
    ("config", "asks"),
    [
        ({}, False),
        ({"responseMimeType": "text/plain"}, False),
        ({"responseMimeType": JSON}, True),
        ({"responseSchema": PERSON}, True),
        ({"_responseJsonSchema": PERSON}, True),
    ],
)
def test_a_form_is_asked_for_by_type_or_schema(config, asks):
    assert (read_schema(config) is not None) is asks


@pytest.mark.parametrize(
    "config",
    [
        {"responseMimeType": JSON, "responseSchema": []},
        {"responseMimeType": "text/x.enum"},
        {"responseMimeType": "text/x.enum", "responseSchema": {"type": "STRING"}},
    ],
)
def test_what_nobody_could_follow_is_refused(config):
    with pytest.raises(UpstreamRefused):
        read_schema(config)


def test_the_schema_stands_in_the_prompt():
    line = form().instructions.splitlines()[-1]
    assert json.loads(line) == PERSON
    assert "JSON Schema" not in form(None).instructions


@pytest.mark.parametrize("seed", range(60))
def test_any_value_comes_back_as_it_was(seed):
    dice = random.Random(seed)
    value = any_value(dice)
    shape = form(schema_of(value, dice))
    text = json.dumps(value, indent=dice.choice([None, 2]), ensure_ascii=bool(seed % 2))
    assert json.loads(shape.read(f"```json\n{text}\n```")) == value
    assert json.loads(shape.read(text)) == value


def test_in_the_prompt_it_takes_the_place_of_what_cannot_be_followed():
    config = {
        "responseMimeType": JSON,
        "responseSchema": PERSON,
        "stopSequences": ["x"],
        "temperature": 1,
    }
    contents = [{"role": "user", "parts": [{"text": "Who?"}]}]
    body = {"contents": contents, "generationConfig": config}
    made = read_prompt(body, "gemini-flash", frozenset({"json_schema"}))
    assert made.dropped == ("stopSequences", "temperature")
    assert (made.stops, made.emulated, made.is_judged) == ((), ("json_schema",), True)
    assert '"required":["name"]' in made.text
    plain = read_prompt(body, "gemini-flash")
    assert "required" not in plain.text
    assert "responseSchema" in plain.dropped
