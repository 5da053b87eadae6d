"""Model lists that OpenAI's and Google's SDKs both read."""

from typing import Any

import httpx
import openai
import pytest
from google import genai
from google.genai import types
from openai.types import Model

from proxy.errors import BadRequest
from proxy.wire.model_lists import ModelInfo, gemini_model, openai_model, union_list


def info(name: str = "gemini-3-flash", **more: Any) -> ModelInfo:
    base: dict[str, Any] = {
        "name": name,
        "display_name": "Gemini 3 Flash",
        "description": "Fast.",
        "created": 1_760_000_000,
        "input_limit": 1_048_576,
        "output_limit": 65_536,
        "methods": ("generateContent", "countTokens"),
        "thinking": True,
        "category": "text",
    }
    return ModelInfo(**{**base, **more})


def many(count: int) -> list[ModelInfo]:
    return [info(f"gemini-{number}") for number in range(count)]


def names(listed: dict[str, Any]) -> list[str]:
    return [model["name"] for model in listed["models"]]


@pytest.mark.parametrize("name", ["gemini-3-flash", "models/gemini-3-flash"])
def test_openai_ids_carry_no_prefix_and_native_names_do(name: str) -> None:
    assert openai_model(info(name))["id"] == "gemini-3-flash"
    assert gemini_model(info(name))["name"] == "models/gemini-3-flash"


def test_an_openai_model_has_the_required_fields_and_its_limits() -> None:
    found = openai_model(info(owned_by="team"))
    model = Model.model_validate(found)
    assert (model.object, model.created, model.owned_by) == (
        "model",
        1_760_000_000,
        "team",
    )
    assert found["context_length"] == 1_048_576
    assert found["max_completion_tokens"] == 65_536


def test_a_native_model_has_every_field() -> None:
    found = gemini_model(
        info(version="002", temperature=1.0, max_temperature=2.0, top_p=0.95, top_k=64)
    )
    assert found == {
        "name": "models/gemini-3-flash",
        "baseModelId": "gemini-3-flash",
        "version": "002",
        "displayName": "Gemini 3 Flash",
        "description": "Fast.",
        "inputTokenLimit": 1_048_576,
        "outputTokenLimit": 65_536,
        "supportedGenerationMethods": ["generateContent", "countTokens"],
        "temperature": 1.0,
        "maxTemperature": 2.0,
        "topP": 0.95,
        "topK": 64,
        "thinking": True,
    }


def google_client(**answer: Any) -> genai.Client:
    reply = httpx.Response(200, json=answer)
    http = httpx.Client(transport=httpx.MockTransport(lambda _: reply))
    options = types.HttpOptions(base_url="http://gateway", httpx_client=http)
    return genai.Client(api_key="k", http_options=options)


def test_the_google_sdk_reads_the_union() -> None:
    found = list(google_client(**union_list(many(3))).models.list())
    assert [model.name for model in found] == [
        "models/gemini-0",
        "models/gemini-1",
        "models/gemini-2",
    ]
    assert found[0].supported_actions == ["generateContent", "countTokens"]
    assert found[0].input_token_limit == 1_048_576


def test_the_google_sdk_reads_one_model() -> None:
    model = google_client(**gemini_model(info())).models.get(model="gemini-3-flash")
    assert (model.display_name, model.thinking, model.top_k) == (
        "Gemini 3 Flash",
        True,
        64,
    )


def test_unknown_values_are_left_out() -> None:
    found = gemini_model(info(thinking=False, category="embedding"))
    assert found["version"] == "001"
    text = gemini_model(info(temperature=None))
    assert "temperature" not in text
    assert text["topP"] == 0.95
    for name in ("thinking", "temperature", "maxTemperature", "topP", "topK"):
        assert name not in found


def test_one_body_serves_both_worlds() -> None:
    listed = union_list(many(3))
    assert listed["object"] == "list"
    assert [model["id"] for model in listed["data"]] == [
        "gemini-0",
        "gemini-1",
        "gemini-2",
    ]
    assert names(listed) == ["models/gemini-0", "models/gemini-1", "models/gemini-2"]
    assert "nextPageToken" not in listed


def test_the_openai_sdk_reads_the_union() -> None:
    answer = httpx.Response(200, json=union_list(many(3), page_size=1))
    client = openai.OpenAI(
        api_key="k",
        base_url="http://gateway/v1",
        http_client=httpx.Client(transport=httpx.MockTransport(lambda _: answer)),
    )
    assert [model.id for model in client.models.list()] == [
        "gemini-0",
        "gemini-1",
        "gemini-2",
    ]


@pytest.mark.parametrize("size", [1, 2, 3, 7, "4"])
def test_pages_give_every_model_once_and_in_order(size: int | str) -> None:
    infos = many(7)
    seen: list[str] = []
    token: str | None = None
    while True:
        listed = union_list(infos, page_size=size, page_token=token)
        assert len(listed["models"]) <= int(size)
        assert len(listed["data"]) == 7
        seen += names(listed)
        token = listed.get("nextPageToken")
        if token is None:
            break
    assert seen == [f"models/gemini-{number}" for number in range(7)]


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        (None, 50),
        (0, 50),
        ("0", 50),
        ("", 50),
        (60, 60),
        (5000, 1000),
        ("999999999", 1000),
    ],
)
def test_page_sizes_have_a_default_and_a_bound(size: Any, shown: int) -> None:
    listed = union_list(many(1200), page_size=size)
    assert len(listed["models"]) == shown


@pytest.mark.parametrize("size", [-1, "-1", "x", "1.5", "٣", "9" * 40])
def test_a_page_size_that_makes_no_sense_is_refused_by_name(size: Any) -> None:
    with pytest.raises(BadRequest) as caught:
        union_list(many(3), page_size=size)
    assert caught.value.param == "pageSize"


def tokens() -> list[str]:
    return ["x", "????", "bW9kZWxz", "bW9kZWxzOi0x", "bW9kZWxzOjA", "bW9kZWxzOjk5", "ä"]


@pytest.mark.parametrize("token", tokens())
def test_a_page_token_that_was_never_given_is_refused_by_name(token: str) -> None:
    with pytest.raises(BadRequest) as caught:
        union_list(many(3), page_token=token)
    assert caught.value.param == "pageToken"


def test_an_empty_list_is_a_list() -> None:
    assert union_list([]) == {"object": "list", "data": [], "models": []}
    assert union_list([], page_token="")["models"] == []
