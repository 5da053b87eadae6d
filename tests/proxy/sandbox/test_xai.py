"""The imitated xAI: what it answers, and how strictly it reads."""

import base64
import io
import json
from typing import Any

import httpx
import pytest
from PIL import Image

from proxy.sandbox.app import Sandbox
from proxy.sandbox.xai_faults import XAI_REFUSALS, is_well_formed, xai_key
from tests.proxy.sandbox.calling import picture_part

GROK = "grok-4.3"
CHAT, PICTURES = "/api.x.ai/v1/chat/completions", "/api.x.ai/v1/images/generations"
RESPONSES = "/api.x.ai/v1/responses"
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}


def asking(text: str, **more: Any) -> dict[str, Any]:
    return {"model": GROK, "messages": [{"role": "user", "content": text}], **more}


async def post(
    client: httpx.AsyncClient, path: str, body: Any, key: str | None = None
) -> httpx.Response:
    headers = {"authorization": f"Bearer {key or xai_key()}"}
    return await client.post(path, json=body, headers=headers)


async def get(client: httpx.AsyncClient, path: str, key: str = "") -> httpx.Response:
    headers = {"authorization": f"Bearer {key or xai_key()}"}
    return await client.get(f"/api.x.ai/v1/{path}", headers=headers)


def events(text: str) -> list[Any]:
    blocks = [block for block in text.split("\n\n") if block]
    found = [block.rpartition("data: ")[2] for block in blocks]
    return [json.loads(each) if each != "[DONE]" else each for each in found]


async def test_a_chat_is_answered_and_counted(client: httpx.AsyncClient) -> None:
    answer = (await post(client, CHAT, asking("count to 3"))).json()
    (choice,) = answer["choices"]
    assert choice["message"]["content"] == "1 2 3"
    assert choice["message"]["reasoning_content"]
    assert choice["finish_reason"] == "stop"
    usage = answer["usage"]
    thought = usage["completion_tokens_details"]["reasoning_tokens"]
    parts = usage["prompt_tokens"] + usage["completion_tokens"] + thought
    assert usage["total_tokens"] == parts
    assert thought > 0


async def test_a_stream_says_the_same_in_chunks(client: httpx.AsyncClient) -> None:
    answer = await post(client, CHAT, asking("count to 3", stream=True))
    *chunks, last, done = events(answer.text)
    assert done == "[DONE]"
    text = "".join(c["choices"][0]["delta"].get("content", "") for c in chunks)
    assert text == "1 2 3"
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    assert (last["choices"], last["usage"]["total_tokens"] > 0) == ([], True)


async def test_a_tool_is_called_and_its_result_used(client: httpx.AsyncClient) -> None:
    body = asking("get_weather in Rome", tools=[WEATHER])
    message = (await post(client, CHAT, body)).json()["choices"][0]["message"]
    (call,) = message["tool_calls"]
    assert json.loads(call["function"]["arguments"]) == {"city": "Rome"}
    result = {"role": "tool", "tool_call_id": call["id"], "content": '{"sky": "blue"}'}
    body["messages"] += [message, result]
    again = (await post(client, CHAT, body)).json()["choices"][0]["message"]
    assert "blue" in again["content"]


async def test_pictures_are_seen_and_names_remembered(
    client: httpx.AsyncClient,
) -> None:
    data = picture_part("red")["inlineData"]["data"]
    url = {"url": f"data:image/png;base64,{data}"}
    body = asking("x")
    body["messages"] = [
        {"role": "system", "content": 'Always end with "Over."'},
        {"role": "user", "content": [{"type": "image_url", "image_url": url}]},
    ]
    said = (await post(client, CHAT, body)).json()["choices"][0]["message"]["content"]
    assert "32x32 red" in said
    assert said.endswith("Over.")


async def test_a_schema_is_filled(client: httpx.AsyncClient) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    answer = await post(client, CHAT, asking("give 7", response_format=form))
    content = answer.json()["choices"][0]["message"]["content"]
    assert json.loads(content) == {"n": 7}


async def test_pictures_have_an_address_that_serves_them(
    client: httpx.AsyncClient,
) -> None:
    body = {"model": "grok-2-image-1212", "prompt": "a red circle", "n": 2}
    rows = (await post(client, PICTURES, body)).json()["data"]
    assert len({row["url"] for row in rows}) == 2
    assert all(row["revised_prompt"] for row in rows)
    drawn = await client.get(rows[0]["url"])
    assert Image.open(io.BytesIO(drawn.content)).format == "PNG"
    inline = await post(client, PICTURES, {**body, "response_format": "b64_json"})
    data = base64.b64decode(inline.json()["data"][0]["b64_json"])
    assert data == drawn.content


async def test_responses_are_kept_for_their_key(client: httpx.AsyncClient) -> None:
    body = {"model": GROK, "input": "count to 2"}
    made = (await post(client, RESPONSES, body)).json()
    assert made["output"][0]["content"][0]["text"] == "1 2"
    path = f"responses/{made['id']}"
    assert (await get(client, path)).json() == made
    assert (await get(client, path, xai_key("ok", 2))).status_code == 404
    follow = {**body, "previous_response_id": made["id"]}
    assert (await post(client, RESPONSES, follow)).status_code == 200
    other = await post(client, RESPONSES, follow, xai_key("ok", 2))
    assert other.status_code == 404
    headers = {"authorization": f"Bearer {xai_key()}"}
    gone = await client.delete(f"/api.x.ai/v1/{path}", headers=headers)
    assert gone.json()["deleted"] is True
    assert (await get(client, path)).status_code == 404


async def test_a_streamed_response_ends_as_the_whole(client: httpx.AsyncClient) -> None:
    body = {"model": GROK, "input": [{"role": "user", "content": "count to 3"}]}
    rows = events((await post(client, RESPONSES, {**body, "stream": True})).text)
    assert rows[0]["type"] == "response.created"
    deltas = [r["delta"] for r in rows if r["type"] == "response.output_text.delta"]
    assert "".join(deltas) == "1 2 3"
    assert rows[-1]["response"]["status"] == "completed"


TOKENS = "/api.x.ai/v1/tokenize-text"


async def test_a_text_is_cut_into_tokens(client: httpx.AsyncClient) -> None:
    answer = await post(client, TOKENS, {"model": GROK, "text": "one two\nthree"})
    pieces = answer.json()["token_ids"]
    assert [piece["string_token"] for piece in pieces] == ["one", " two", "\nthree"]
    assert bytes(pieces[0]["token_bytes"]) == b"one"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"model": GROK, "text": ""}, 400),
        ({"model": GROK}, 422),
        ({"model": GROK, "text": "a", "n": 1}, 422),
        ({"model": "grok-99", "text": "a"}, 404),
        ({"model": "grok-2-image-1212", "text": "a"}, 400),
    ],
)
async def test_texts_to_cut_are_asked_for_strictly(
    client: httpx.AsyncClient, body: dict[str, Any], status: int
) -> None:
    assert (await post(client, TOKENS, body)).status_code == status


async def test_models_are_listed_by_kind(client: httpx.AsyncClient) -> None:
    listed = {row["id"] for row in (await get(client, "models")).json()["data"]}
    talking = {r["id"] for r in (await get(client, "language-models")).json()["models"]}
    drawing = await get(client, "image-generation-models")
    names = {row["id"] for row in drawing.json()["models"]}
    assert listed == talking | names
    assert "grok-2-image-1212" in names
    assert (await get(client, "models/grok-4.7")).json()["id"] == "grok-4.7"
    assert (await get(client, "models/grok-0")).status_code == 404
    assert (await get(client, "files")).status_code == 404


@pytest.mark.parametrize(
    ("change", "status", "named"),
    [
        ({"never_heard_of": 1}, 422, "never_heard_of"),
        ({"temperature": "1"}, 422, "temperature"),
        ({"stream": 1}, 422, "stream"),
        ({"n": True}, 422, "n:"),
        ({"model": None}, 422, "model"),
        ({"model": "grok-99"}, 404, "grok-99"),
        ({"model": "grok-2-image"}, 400, "language model"),
        ({"messages": []}, 400, "empty"),
        ({"messages": [{"role": "wizard", "content": "x"}]}, 422, "role"),
        ({"messages": [{"role": "user"}]}, 422, "content"),
        (
            {"messages": [{"role": "tool", "tool_call_id": "x", "content": "y"}]},
            400,
            "tool_call_id",
        ),
        ({"temperature": 3}, 400, "temperature"),
        ({"max_tokens": 0}, 400, "max_tokens"),
        ({"stream_options": {}}, 400, "stream_options"),
        ({"tool_choice": "required"}, 400, "tool_choice"),
        ({"tools": [{"type": "magic"}]}, 422, "tools"),
        (
            {
                "tools": [
                    {
                        "type": "function",
                        "function": {"name": "f", "parameters": {"type": "object"}},
                    }
                ]
            },
            400,
            "properties",
        ),
        ({"stop": ["x"]}, 400, "stop"),
        ({"presence_penalty": 0}, 400, "presencePenalty"),
        ({"reasoning_effort": "xhigh"}, 400, "reasoningEffort"),
        ({"model": "grok-build-0.1", "reasoning_effort": "low"}, 400, "reasoning"),
    ],
)
async def test_what_xai_does_not_take_is_refused(
    client: httpx.AsyncClient, change: dict[str, Any], status: int, named: str
) -> None:
    answer = await post(client, CHAT, {**asking("hi"), **change})
    assert answer.status_code == status
    body = answer.json()
    assert body.keys() == {"code", "error"}
    assert named in body["error"]


async def test_models_that_do_not_think_take_the_old_knobs(
    client: httpx.AsyncClient,
) -> None:
    body = asking("count to 9", model="grok-4.20-non-reasoning", stop=["4"])
    message = (await post(client, CHAT, body)).json()["choices"][0]["message"]
    assert message["content"] == "1 2 3 "
    assert "reasoning_content" not in message


@pytest.mark.parametrize(
    "url", ["nonsense", "data:image/png;base64,AAAA", "data:text/plain;base64,AAAA"]
)
async def test_a_picture_that_is_none_is_refused(
    client: httpx.AsyncClient, url: str
) -> None:
    part = {"type": "image_url", "image_url": {"url": url}}
    message = {"role": "user", "content": [part]}
    answer = await post(client, CHAT, {"model": GROK, "messages": [message]})
    assert answer.status_code == 400


@pytest.mark.parametrize(
    "change",
    [
        {"n": 11},
        {"prompt": " "},
        {"response_format": "png"},
        {"size": "1024x1024"},
        {"model": GROK},
        {"aspect_ratio": "1:1"},
    ],
)
async def test_pictures_are_asked_for_strictly(
    client: httpx.AsyncClient, change: dict[str, Any]
) -> None:
    body = {"model": "grok-2-image-1212", "prompt": "a", **change}
    assert (await post(client, PICTURES, body)).status_code in (400, 422)


async def test_keys_are_read_from_the_bearer_only(client: httpx.AsyncClient) -> None:
    bare = await client.post(CHAT, json=asking("hi"))
    assert bare.status_code == 401
    wrong = await post(client, CHAT, asking("hi"), "xai-short")
    assert wrong.status_code == 400
    assert "xa***rt" in wrong.json()["error"]
    basic = {"authorization": f"Basic {xai_key()}"}
    assert (await client.get("/api.x.ai/v1/models", headers=basic)).status_code == 401


@pytest.mark.parametrize("behaviour", sorted(XAI_REFUSALS))
async def test_each_refusal_has_xais_form(
    client: httpx.AsyncClient, behaviour: str
) -> None:
    answer = await post(client, CHAT, asking("hi"), xai_key(behaviour))
    assert 400 <= answer.status_code <= 503
    assert answer.json().keys() == {"code", "error"}


@pytest.mark.parametrize("behaviour", ["invalid", "keyblocked"])
async def test_a_bad_key_shows_when_models_are_listed(
    client: httpx.AsyncClient, behaviour: str
) -> None:
    assert (await get(client, "models", xai_key(behaviour))).status_code >= 400
    assert (await get(client, "models", xai_key("perminute"))).status_code == 200


async def test_behaviours_can_be_told_and_end(
    client: httpx.AsyncClient, sandbox: Sandbox
) -> None:
    wish = {"key": xai_key(), "behaviour": "credits", "times": 1, "status": 429}
    assert (await client.post("/sandbox/keys", json=wish)).status_code == 200
    assert (await post(client, CHAT, asking("hi"))).status_code == 429
    assert (await post(client, CHAT, asking("hi"))).status_code == 200
    assert sandbox.state.by_key == {"Sandbox-ok-000001": 2}


async def test_no_key_is_kept_in_what_was_received(
    client: httpx.AsyncClient, sandbox: Sandbox
) -> None:
    await post(client, CHAT, asking("hi"))
    assert xai_key() not in str(list(sandbox.state.received))


def test_keys_can_be_told_from_others() -> None:
    assert is_well_formed(xai_key("ok", 3))
    assert not is_well_formed("xai-x")
    with pytest.raises(ValueError, match="no key"):
        xai_key("x" * 90)
