"""Turns and parts: what may follow what, and what a part may hold."""

import base64

import pytest

from tests.proxy.sandbox.calling import (
    NEW,
    OLD,
    answer,
    asking,
    call,
    model,
    picture_part,
    refusal,
    text_of,
    user,
)

AFTER_CALL = (
    "Please ensure that function response turn comes immediately after a function"
    " call turn."
)
AFTER_USER = (
    "Please ensure that function call turn comes immediately after a user turn or"
    " after a function response turn."
)
EQUAL = (
    "Please ensure that the number of function response parts is equal to the number"
    " of function call parts of the function call turn."
)
CALL = {"functionCall": {"name": "f", "args": {}}}
RESPONSE = {"functionResponse": {"name": "f", "response": {"output": 1}}}


async def message_for(client, contents, **fields):
    error = await refusal(client, {"contents": contents, **fields}, to=OLD)
    return error["message"]


@pytest.mark.parametrize(
    ("contents", "expected"),
    [
        ([], "contents: contents is not specified\n"),
        ([{"role": "user"}], "contents[0].parts: contents.parts must not be empty.\n"),
        (
            [user("a"), {"role": "model", "parts": []}],
            "contents[1].parts: contents.parts must not be empty.\n",
        ),
        (
            [user({})],
            (
                "contents[0].parts[0].data: required oneof field 'data' must have one"
                " initialized field\n"
            ),
        ),
        (
            [user({"thought": True})],
            (
                "contents[0].parts[0].data: required oneof field 'data' must have one"
                " initialized field\n"
            ),
        ),
        (
            [user("a"), model({"functionCall": {"args": {}}}), user(RESPONSE)],
            "contents[1].parts[0].function_call.name: Name cannot be empty.\n",
        ),
    ],
    ids=["none", "no-parts", "empty-parts", "empty-part", "only-thought", "nameless"],
)
async def test_unfinished_contents_are_refused(client, contents, expected):
    found = await message_for(client, contents)
    assert found == f"* GenerateContentRequest.{expected}"


async def test_all_faults_of_the_contents_are_listed(client):
    found = await message_for(client, [user({}, {}), {"parts": []}])
    assert found.count("* GenerateContentRequest.contents[") == 3


@pytest.mark.parametrize("role", ["assistant", "system", "function", "tool", "USER"])
async def test_only_user_and_model_are_roles(client, role):
    found = await message_for(client, [{"role": role, "parts": [{"text": "x"}]}])
    assert found == "Please use a valid role: user, model."


async def test_a_missing_role_is_the_user(client):
    body = {"contents": [{"parts": [{"text": "repeat: yes"}]}]}
    assert text_of(await answer(client, body)) == "yes"


@pytest.mark.parametrize(
    ("contents", "expected"),
    [
        ([user(RESPONSE)], AFTER_CALL),
        ([user("a"), user(RESPONSE)], AFTER_CALL),
        ([user("a"), model("b"), user(RESPONSE)], AFTER_CALL),
        ([user("a"), model(CALL), user("b"), user(RESPONSE)], EQUAL),
        ([user("a"), model(CALL), model(RESPONSE)], AFTER_CALL),
        ([user("a"), model(CALL, CALL), user(RESPONSE)], EQUAL),
        ([user("a"), model(CALL), user(RESPONSE, RESPONSE)], EQUAL),
        ([user("a"), model(CALL, CALL), user(RESPONSE), user(RESPONSE)], EQUAL),
        ([user("a"), model(CALL), user("no")], EQUAL),
        ([user("a"), model(CALL)], EQUAL),
        ([model(CALL), user(RESPONSE)], AFTER_USER),
        ([user(CALL), user(RESPONSE)], AFTER_USER),
    ],
    ids=[
        "response-first",
        "after-user",
        "after-text",
        "late",
        "by-the-model",
        "too-few",
        "too-many",
        "split",
        "unanswered",
        "open-end",
        "call-first",
        "call-by-user",
    ],
)
async def test_calls_and_responses_out_of_order_are_refused(client, contents, expected):
    assert await message_for(client, contents) == expected


@pytest.mark.parametrize(
    "contents",
    [
        [user("a"), model(CALL), user(RESPONSE)],
        [user("a"), model("I call", CALL), user(RESPONSE, "and hurry")],
        [user("a"), model(CALL), user(RESPONSE), model(CALL), user(RESPONSE)],
        [user("a"), model(CALL), user(RESPONSE), model("done"), user("thanks")],
        [user("a"), user("b"), model("c"), user("d")],
        [user("a"), model("begin like this")],
        [user("a"), model("b"), model(CALL), user(RESPONSE)],
        [user("a"), model(CALL), model(CALL), model(""), user(RESPONSE, RESPONSE)],
    ],
    ids=[
        "one",
        "with-text",
        "two-steps",
        "later",
        "two-users",
        "prefill",
        "text-apart",
        "calls-apart",
    ],
)
async def test_orderly_turns_are_taken(client, contents):
    response = await call(client, {"contents": contents}, to=OLD)
    assert response.status_code == 200, response.text


async def test_a_system_instruction_holds_only_text(client):
    body = asking("a", systemInstruction={"parts": [picture_part("red")]})
    assert "only text parts" in (await refusal(client, body))["message"]


@pytest.mark.parametrize("role", ["user", "system", "whatever"])
async def test_the_role_of_a_system_instruction_does_not_matter(client, role):
    instruction = {"role": role, "parts": [{"text": ""}]}
    response = await call(client, asking("a", systemInstruction=instruction))
    assert response.status_code == 200


async def test_gemma_takes_no_system_instruction(client):
    body = asking("a", systemInstruction={"parts": [{"text": "b"}]})
    error = await refusal(client, body, to="gemma-4-31b-it")
    assert error["message"].startswith("Developer instruction is not enabled for")


@pytest.mark.parametrize(
    ("blob", "expected"),
    [
        ({"mimeType": "image/png", "data": "AAAA"}, "Unable to process input image"),
        ({"mimeType": "image/jpeg", "data": ""}, "Unable to process input image"),
        ({"mimeType": "image/bmp", "data": "AAAA"}, "Unsupported MIME type: image/bmp"),
        ({"data": "AAAA"}, "Unsupported MIME type: "),
        ({"mimeType": "image/png", "data": "?"}, "Base64 decoding failed"),
    ],
    ids=["no-picture", "empty", "type", "no-type", "base64"],
)
async def test_unreadable_media_is_refused(client, blob, expected):
    error = await refusal(client, {"contents": [user({"inlineData": blob})]})
    assert expected in error["message"]


async def test_a_truncated_picture_is_refused(client):
    part = picture_part("red", (300, 300))
    data = base64.b64decode(part["inlineData"]["data"])
    part["inlineData"]["data"] = base64.b64encode(data[: len(data) // 2]).decode()
    error = await refusal(client, {"contents": [user(part)]})
    assert "Unable to process input image" in error["message"]


async def test_a_picture_in_url_safe_base64_is_read(client):
    part = picture_part("orange", (40, 20))
    blob = part["inlineData"]
    blob["data"] = blob["data"].replace("+", "-").replace("/", "_")
    said = text_of(await answer(client, {"contents": [user("what?", part)]}))
    assert said == "I see a 40x20 orange image."


@pytest.mark.parametrize(
    "kind", ["audio/wav", "video/mp4", "application/pdf", "text/csv"]
)
async def test_other_media_is_taken_unread(client, kind):
    part = {"inlineData": {"mimeType": kind, "data": "AAAA"}}
    assert (await call(client, {"contents": [user(part)]})).status_code == 200


@pytest.mark.parametrize(
    "uri",
    [
        "https://www.youtube.com/watch?v=dQw4w9WgXcQ",
        "https://example.com/a.pdf",
        "gs://bucket/file.png",
    ],
)
async def test_files_elsewhere_are_taken_by_address(client, uri):
    part = {"fileData": {"fileUri": uri}}
    assert (await call(client, {"contents": [user(part)]})).status_code == 200


@pytest.mark.parametrize("uri", ["", "file.png", "ftp://host/file", "data:image/png,x"])
async def test_a_file_without_a_usable_address_is_refused(client, uri):
    error = await refusal(client, {"contents": [user({"fileData": {"fileUri": uri}})]})
    assert error["message"] == f"Invalid or unsupported file uri: {uri}"


async def test_an_unknown_file_resource_is_forbidden(client):
    uri = "https://generativelanguage.googleapis.com/v1beta/files/abc-123"
    error = await refusal(client, {"contents": [user({"fileData": {"fileUri": uri}})]})
    assert (error["code"], error["status"]) == (403, "PERMISSION_DENIED")
    assert "File abc-123" in error["message"]


async def test_an_unknown_cache_is_forbidden(client):
    error = await refusal(client, asking("a", cachedContent="cachedContents/x"))
    assert error["message"] == "CachedContent not found (or permission denied)"


async def test_a_prompt_longer_than_the_context_is_refused(client):
    body = asking("word " * 1_000_000)
    error = await refusal(client, body, to=NEW)
    assert error["message"] == (
        "The input token count (1250000) exceeds the maximum number of tokens allowed"
        " (1048576)."
    )


async def test_a_safety_category_may_be_set_once(client):
    setting = {"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}
    error = await refusal(client, asking("a", safetySettings=[setting, setting]))
    assert "Found duplicate HARM_CATEGORY_HARASSMENT" in error["message"]
    assert (await call(client, asking("a", safetySettings=[setting]))).is_success


async def test_the_model_in_the_body_must_be_that_of_the_path(client):
    error = await refusal(client, asking("a", model="models/other"))
    assert "differs from the model in the path" in error["message"]
    assert (await call(client, asking("a", model=f"models/{NEW}"))).is_success
