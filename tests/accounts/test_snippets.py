"""The code that comes with a new token."""

import ast
import json
import shlex

import pytest

from accounts.pages.snippets import Snippet, snippets

URL = "https://ai.example.org"
TOKEN = "gp-0123456789"
MODEL = "gemini-3-flash-preview"


def found(title: str) -> Snippet:
    (snippet,) = [s for s in snippets(URL, TOKEN, MODEL) if s.title == title]
    return snippet


def test_the_curl_line_is_one_command_with_valid_json() -> None:
    words = shlex.split(found("curl").code.replace("\\\n", " "))
    assert words[:2] == ["curl", f"{URL}/v1/chat/completions"]
    assert f"Authorization: Bearer {TOKEN}" in words
    body = json.loads(words[words.index("-d") + 1])
    assert body["model"] == MODEL
    assert body["messages"] == [{"role": "user", "content": "Hello"}]


@pytest.mark.parametrize("title", ["Python, openai", "Python, google-genai"])
def test_python_snippets_compile_and_name_server_token_and_model(title: str) -> None:
    code = found(title).code
    texts = {
        node.value
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert {TOKEN, MODEL, "Hello"} <= texts
    assert any(text.startswith(URL) for text in texts)


def test_the_openai_client_is_given_the_version_and_googles_is_not() -> None:
    assert f'base_url="{URL}/v1"' in found("Python, openai").code
    assert f'"base_url": "{URL}"' in found("Python, google-genai").code
