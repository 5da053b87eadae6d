"""Texts of models taken apart: words, and the JSON of calls."""

import json
import random

import pytest

from proxy.errors import BadAnswer
from proxy.wire.web_blocks import CAUSE, told
from tests.proxy.wire.random_json import any_object

ADD = {"name": "add", "arguments": {"a": 1}}
CALL = json.dumps(ADD)
BLOCK = f"```toolcall\n{CALL}\n```"
PYTHON = "```python\nprint({'a': 1})\n```"


def is_call(value):
    return isinstance(value, dict) and value.get("name") == "add"


def apart(text, *, done=True):
    return told(text, is_call, done=done)


@pytest.mark.parametrize(
    ("text", "words", "count"),
    [
        ("", "", 0),
        ("Only words.\n", "Only words.\n", 0),
        (BLOCK, "", 1),
        (f"\n{BLOCK}\n\n{BLOCK}\n", "", 2),
        (f"Let me see.\n\n{BLOCK}", "Let me see.", 1),
        (f"One\n{BLOCK}\ntwo\n{BLOCK}\n", "One\n\ntwo", 2),
        (f"{BLOCK}\nThat is it.", "That is it.", 1),
        (f"Sure: {BLOCK}", "Sure:", 1),
        # Several calls in one block, also as a list or one under the other.
        (f"```toolcall\n{CALL}\n{CALL}\n```", "", 2),
        (f"```toolcall\n[{CALL}, {CALL}]\n```", "", 1),
        # How models and the site vary it.
        (f"````toolcall\n{CALL}\n````", "", 1),
        (f"~~~toolcall\n{CALL}\n~~~", "", 1),
        (f"  ``` toolcall \n  {CALL}\n  ```", "", 1),
        (f"```tool_call\n{CALL}\n```", "", 1),
        (f"```tool\\_call\n{CALL}\n```", "", 1),
        (f"```TOOLCALL\n{CALL}\n```", "", 1),
        (f"```toolcall\n{CALL}```", "", 1),
        (f"```toolcall\n{CALL}", "", 1),
        (f"```toolcall\n{json.dumps(ADD, indent=2)}\n```", "", 1),
        ('```toolcall\n{"name": "add", "arguments": {"a": "x\n```\ny"}}\n```', "", 1),
        # Calls that say nothing of it, if they can be nothing else.
        (f"```json\n{CALL}\n```", "", 1),
        (f"```\n{CALL}\n```", "", 1),
        (f"```json\n[{CALL}, {CALL}]\n```", "", 2),
        (CALL, "", 1),
        (f"{CALL}\n{CALL}", "", 2),
        (f"[{CALL},\n{CALL}]", "", 2),
        ('\\{"name": "add", "arguments": \\{"a": 1\\}\\}', "", 1),
        (f"{PYTHON}\n{BLOCK}", PYTHON, 1),
        # What only looks alike stays.
        ('{"name": "Ann"}', '{"name": "Ann"}', 0),
        ('```json\n{"name": "Ann"}\n```', '```json\n{"name": "Ann"}\n```', 0),
        (f"```json\n{CALL}\n{{}}\n```", f"```json\n{CALL}\n{{}}\n```", 0),
        (f"```python\n{CALL}\n```", f"```python\n{CALL}\n```", 0),
        (f"{PYTHON}\n{CALL}", f"{PYTHON}\n{CALL}", 0),
        ("[a link](https://x.example)", "[a link](https://x.example)", 0),
        ("{not json", "{not json", 0),
        ("say `toolcall` or ``x``", "say `toolcall` or ``x``", 0),
        ("```\nplain\n```\n{}", "```\nplain\n```\n{}", 0),
        (f"```md\n```python\nx\n```\n{CALL}", f"```md\n```python\nx\n```\n{CALL}", 0),
        # Results that a model makes up are nobody's words.
        ('So.\n```toolresult\n{"a": 1}\n```\nDone.', "So.\n\nDone.", 0),
        ("So.\n```toolresult\nmade up", "So.", 0),
    ],
)  # fmt: skip
def test_calls_are_found_and_words_are_kept(text, words, count):
    found = apart(text)
    assert found.words == words
    assert len(found.values) == count
    assert all(value in (ADD, [ADD, ADD]) or is_call(value) for value in found.values)


@pytest.mark.parametrize(
    "text",
    [
        "```toolcall\n```",
        "```toolcall\nadd(1)\n```",
        '```toolcall\n{"name": "add", "argu',
        f"```toolcall\n{CALL}\nand words\n```",
        "```toolcall",
    ],
)
def test_a_call_that_cannot_be_read_is_no_answer(text):
    with pytest.raises(BadAnswer) as caught:
        apart(f"Words.\n{text}")
    assert caught.value.cause == CAUSE
    # While it comes it may still become one.
    assert apart(f"Words.\n{text}", done=False).words == "Words."


PIECES = (
    "Some words.", "`inline` and ``more``", "A list:\n- one\n- two", PYTHON, BLOCK,
    f"~~~toolcall\n{CALL}\n~~~", f"```json\n{CALL}\n```", '```json\n{"x": [1, 2]}\n```', "~~~\nold code\n~~~",
    "```\nno word\n```", "{curly} [square](url)", CALL, "x = `a` ```b``` c", "```toolbox\n1\n```",
    f"```toolcall\n[{CALL}]\n```", '```toolresult\n{"a": "b"}\n```', "ünï 😀 \\_ \\[x\\]",
)  # fmt: skip


@pytest.mark.parametrize("seed", range(60))
def test_no_part_of_a_stream_shows_a_mark_or_loses_words(seed):
    dice = random.Random(seed)
    text = dice.choice(["\n", "\n\n"]).join(dice.choices(PIECES, k=4))
    final = apart(text).words
    shown = ""
    for end in range(len(text) + 1):
        words = apart(text[:end], done=False).words
        assert final.startswith(words), (text[:end], words)
        assert words.startswith(shown), "what was shown is taken back"
        shown = words
        assert "toolcall" not in words
        assert "toolresult" not in words
    # All that is held back at the end comes with the end.
    assert set(final[len(shown) :]) <= set(text)
    for plain in ("Some words.", "A list:\n- one\n- two", "old code", "no word"):
        assert final.count(plain) == text.count(plain)


@pytest.mark.parametrize("seed", range(60))
def test_any_arguments_come_back_as_they_were(seed):
    dice = random.Random(seed)
    calls = [{"name": "add", "arguments": any_object(dice)} for _ in range(3)]
    indent = dice.choice([None, 2])
    blocks = [
        f"```toolcall\n{json.dumps(c, ensure_ascii=bool(seed % 2), indent=indent)}\n```"
        for c in calls
    ]
    found = apart("First.\n" + "\n".join(blocks))
    assert found.values == calls
    assert found.words == "First."
