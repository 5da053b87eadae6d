"""A conversation about pictures, by the openai SDK: the model sees what it drew."""

import base64
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from accounts.models import Token, User
from imaging import library
from imaging.models import Image
from tests.clients.conftest import Gateway
from tests.imaging.conftest import own_storages  # noqa: F401  (for each test here)

MODEL = "gemini-2.5-flash-image"


@pytest.fixture
def client(gateway: Gateway) -> Iterator[openai.OpenAI]:
    url = f"{gateway.url}/v1"
    with openai.OpenAI(base_url=url, api_key=gateway.token, max_retries=0) as found:
        yield found


def said(client: openai.OpenAI, talk: list[Any], way: str, stream: bool) -> None:
    """Ask, and let the answer be the talk's next turn, as a chat client does."""
    made = client.chat.completions.create(
        model=MODEL,
        messages=talk,
        stream=stream,
        extra_headers={"x-gemproxy-images": way},
    )
    if not stream:
        message = made.choices[0].message.model_dump(exclude_none=True)
        talk.append({key: message[key] for key in message if key != "refusal"})
        return
    turn: dict[str, Any] = {"role": "assistant", "content": ""}
    for chunk in made:
        for choice in chunk.choices:
            turn["content"] += choice.delta.content or ""
            images = getattr(choice.delta, "images", None)
            if images:
                turn.setdefault("images", []).extend(images)
    talk.append(turn)


def turns(gateway: Gateway) -> list[dict[str, Any]]:
    """Return the contents of the last request that the provider got."""
    return gateway.sandbox.requests(1)[0]["body"]["contents"]


def pictures(turn: dict[str, Any]) -> list[bytes]:
    held = [part["inlineData"] for part in turn["parts"] if "inlineData" in part]
    return [base64.b64decode(each["data"]) for each in held]


def words(turn: dict[str, Any]) -> str:
    return "".join(part.get("text", "") for part in turn["parts"])


def kept() -> list[bytes]:
    """Return the library's pictures, oldest first."""
    return [library.content(image) for image in Image.objects.order_by("id")]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("way", ["markdown", "data_url", "images", "both"])
def test_the_model_sees_what_it_drew_before(
    gateway: Gateway, client: openai.OpenAI, way: str, stream: bool
) -> None:
    talk: list[Any] = [{"role": "user", "content": "draw a red circle"}]
    said(client, talk, way, stream)
    talk.append({"role": "user", "content": "make it blue"})
    said(client, talk, way, stream)
    drew, second = turns(gateway)[1:]
    first_picture = kept()[0]
    assert drew["role"] == "model"
    assert pictures(drew) == [first_picture]
    assert "![image]" not in words(drew)
    assert "base64" not in words(drew)
    assert words(second) == "make it blue"
    first, second_row = Image.objects.order_by("id")
    assert second_row.parent_id == first.pk


@pytest.mark.parametrize(("submit", "seen"), [("last", [0, 1]), ("all", [1, 1])])
def test_a_setting_says_how_far_back_the_model_looks(
    gateway: Gateway, client: openai.OpenAI, settings: Any, submit: str, seen: list[int]
) -> None:
    settings.HISTORY_IMAGE_SUBMIT_TYPE = submit
    talk: list[Any] = []
    for wish in ("draw a red circle", "draw a green circle", "draw both"):
        talk.append({"role": "user", "content": wish})
        said(client, talk, "markdown", stream=False)
    found = [pictures(turn) for turn in turns(gateway) if turn["role"] == "model"]
    assert [len(each) for each in found] == seen
    assert found[1] == [kept()[1]]


def test_another_callers_picture_is_not_shown_to_the_model(
    gateway: Gateway, client: openai.OpenAI
) -> None:
    talk: list[Any] = [{"role": "user", "content": "draw a red circle"}]
    said(client, talk, "markdown", stream=False)
    # The signature would open it to anybody: without it only its owner's is left.
    talk[1]["content"] = talk[1]["content"].partition("?")[0] + ")"
    talk.append({"role": "user", "content": "make it blue"})
    _, token = Token.issue(user=User.objects.create_user("dora"), name="other")
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=token) as other:
        said(other, talk, "markdown", stream=False)
    assert pictures(turns(gateway)[1]) == []
    assert "![image](" in words(turns(gateway)[1])


def test_models_for_words_get_the_history_as_it_is(gateway: Gateway) -> None:
    link = "![image](/images/x.png)"
    talk = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": link},
        {"role": "user", "content": "hello"},
    ]
    body = {"model": "gemini-2.5-flash", "messages": talk}
    assert gateway.post("/v1/chat/completions", json=body).status_code == 200
    assert words(turns(gateway)[1]) == link
