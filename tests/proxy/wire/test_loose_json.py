"""JSON in the midst of a text, with the slips that models and Markdown make."""

import json
import random

import pytest

from proxy.wire.loose_json import find_json
from tests.proxy.wire.random_json import any_value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{}", {}),
        ("[]", []),
        ('{"a": [1, -2.5e3, true, false, null]}', {"a": [1, -2500.0, True, False, None]}),
        ('{"a": "\\u00e9\\n\\"}{\\\\"}', {"a": 'é\n"}{\\'}),
        # Backslashes that Markdown adds.
        ('{"get\\_weather": "\\*x\\* \\[1\\] \\#"}', {"get_weather": "*x* [1] #"}),
        ('\\{"a": \\[1\\]\\}', {"a": [1]}),
        # Commas that nothing follows.
        ('{"a": [1, 2, ], "b": {"c": 1,},\n}', {"a": [1, 2], "b": {"c": 1}}),
        ('{"a": "x,]", "b": ",}"}', {"a": "x,]", "b": ",}"}),
        # Line breaks inside strings, and code fences in them.
        ('{"a": "one\ntwo\tthree"}', {"a": "one\ntwo\tthree"}),
        ('{"a": "```\n{\n```\n"}', {"a": "```\n{\n```\n"}),
        ('{"a": "x\\\ny"}', {"a": "x\ny"}),
    ],
)  # fmt: skip
def test_what_is_nearly_json_is_read(text, value):
    found = find_json(text, 0)
    assert found.value == value
    assert found.end == len(text)


@pytest.mark.parametrize("text", ["{", '{"a', '{"a": "}', '{"a": "\\', "[1, [2]", ""])
def test_what_has_no_end_yet_is_none(text):
    assert find_json(text, 0) is None


@pytest.mark.parametrize(
    "text",
    [
        "{a: 1}",
        "{'a': 1}",
        "[1}",
        "[1 2]",
        '{"a": NaN}',
        '{"a": "\\uD800"}',
        "[" * 70 + "]" * 70,
        "[" * 5000 + "]" * 5000,
    ],
)
def test_what_is_no_json_is_refused(text):
    with pytest.raises(ValueError, match=r"."):
        find_json(text, 0)


def test_only_the_value_at_the_place_is_read():
    text = 'so: {"a": {}} and [2]'
    assert find_json(text, 4) == ({"a": {}}, 13)
    assert find_json(text, 18) == ([2], 21)


@pytest.mark.parametrize("seed", range(60))
def test_valid_json_is_read_as_it_is_and_never_before_its_end(seed):
    value = [any_value(random.Random(seed))]
    for indent in (None, 2):
        text = json.dumps(value, ensure_ascii=bool(seed % 2), indent=indent)
        assert find_json(text + " [more", 0) == (value, len(text))
        assert all(find_json(text[:end], 0) is None for end in range(len(text)))
