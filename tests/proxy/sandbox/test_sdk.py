"""Google's own SDK against the sandbox."""

import pytest
from google import genai
from google.genai import errors, types
from pydantic import BaseModel

from proxy.sandbox.keys import sandbox_key
from tests.proxy.sandbox.calling import picture_part
from tests.proxy.sandbox.serving import serve

MODELS = ["gemini-3-flash-preview", "gemini-2.5-flash", "gemini-3.5-flash"]


class Inner(BaseModel):
    kind: str
    size: int | None = None


class Outer(BaseModel):
    name: str
    inner: list[Inner]
    ready: bool


def get_weather(city: str, unit: str = "c") -> dict:
    """Tell the weather in a city."""
    return {"degrees": 21, "place": city.upper()}


def get_time(zone: str) -> dict:
    """Tell the time in a zone."""
    return {"time": f"12:00 {zone}"}


@pytest.fixture(scope="module")
def served():
    with serve() as running:
        yield running


@pytest.fixture
def sdk(served):
    return made_client(served, "ok")


def made_client(served, behaviour):
    options = {"base_url": served.url}
    return genai.Client(api_key=sandbox_key(behaviour), http_options=options)


@pytest.mark.parametrize("model", MODELS)
def test_it_generates(sdk, model):
    response = sdk.models.generate_content(model=model, contents="repeat: hello")
    assert response.text == "hello"
    assert response.candidates[0].finish_reason is types.FinishReason.STOP
    assert response.usage_metadata.total_token_count > 0


@pytest.mark.parametrize("model", MODELS)
def test_it_streams(sdk, model):
    chunks = list(
        sdk.models.generate_content_stream(model=model, contents="count to 9")
    )
    assert "".join(chunk.text or "" for chunk in chunks) == "1 2 3 4 5 6 7 8 9"
    assert len(chunks) >= 9


@pytest.mark.parametrize("model", MODELS)
def test_it_calls_functions_by_itself_over_two_turns(sdk, model):
    chat = sdk.chats.create(model=model, config={"tools": [get_weather]})
    assert "place: OSLO" in chat.send_message("use get_weather in Oslo").text
    assert "place: ROME" in chat.send_message("now get_weather in Rome").text


@pytest.mark.parametrize("model", MODELS)
def test_it_streams_with_functions(sdk, model):
    chat = sdk.chats.create(model=model, config={"tools": [get_weather]})
    texts = [c.text or "" for c in chat.send_message_stream("use get_weather in Oslo")]
    assert "place: OSLO" in "".join(texts)


@pytest.mark.parametrize("model", MODELS)
def test_it_streams_with_parallel_functions(sdk, model):
    chat = sdk.chats.create(model=model, config={"tools": [get_weather, get_time]})
    words = "use get_weather in Oslo and get_time in CET"
    text = "".join(c.text or "" for c in chat.send_message_stream(words))
    assert "place: OSLO" in text
    assert "time: 12:00 CET" in text


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("field", ["response_schema", "response_json_schema"])
def test_it_gets_typed_answers(sdk, model, field):
    schema = Outer if field == "response_schema" else Outer.model_json_schema()
    config = {"response_mime_type": "application/json", field: schema}
    response = sdk.models.generate_content(
        model=model, contents="for Ada", config=config
    )
    assert Outer.model_validate_json(response.text).name == "Ada"


def test_it_sends_a_full_configuration(sdk):
    config = types.GenerateContentConfig(
        system_instruction=["Always end with OVER.", "Be brief."],
        temperature=0.1,
        top_p=0.9,
        top_k=40,
        max_output_tokens=500,
        stop_sequences=["xyz"],
        seed=1,
        response_modalities=["TEXT"],
        media_resolution=types.MediaResolution.MEDIA_RESOLUTION_LOW,
        thinking_config=types.ThinkingConfig(
            include_thoughts=True, thinking_level="LOW"
        ),
        safety_settings=[
            types.SafetySetting(
                category=types.HarmCategory.HARM_CATEGORY_HARASSMENT,
                threshold=types.HarmBlockThreshold.OFF,
            )
        ],
        labels={"a": "b"},
        service_tier="flex",
        tools=[types.Tool(google_search=types.GoogleSearch())],
    )
    response = sdk.models.generate_content(
        model=MODELS[0], contents=["hello"], config=config
    )
    assert response.text.endswith("hello OVER")
    assert response.candidates[0].content.parts[0].thought
    assert len(response.candidates[0].grounding_metadata.grounding_chunks) == 2


def test_it_sends_pictures(sdk):
    data = types.Blob.model_validate(picture_part("red")["inlineData"]).data
    part = types.Part.from_bytes(data=data, mime_type="image/png")
    response = sdk.models.generate_content(model=MODELS[1], contents=[part, "what?"])
    assert response.text == "I see a 32x32 red image."


def test_it_receives_pictures(sdk):
    response = sdk.models.generate_content(
        model="gemini-2.5-flash-image", contents="a red circle"
    )
    (blob,) = [part.inline_data for part in response.parts if part.inline_data]
    assert blob.data.startswith(b"\x89PNG")


def test_it_counts_embeds_and_lists(sdk):
    assert (
        sdk.models.count_tokens(model=MODELS[0], contents="abcdefgh").total_tokens == 2
    )
    embedded = sdk.models.embed_content(
        model="gemini-embedding-001",
        contents=["a", "b"],
        config={"task_type": "RETRIEVAL_QUERY", "output_dimensionality": 8},
    )
    assert [len(each.values) for each in embedded.embeddings] == [8, 8]
    names = [model.name for model in sdk.models.list(config={"page_size": 5})]
    assert len(names) == len(set(names)) > 10
    assert {"models/gemini-2.5-pro", "models/imagen-4.0-generate-001"} <= set(names)
    assert sdk.models.get(model="gemini-2.5-pro").thinking is True


@pytest.mark.parametrize(
    ("behaviour", "error", "code"),
    [
        ("perminute", errors.ClientError, 429),
        ("invalid", errors.ClientError, 400),
        ("overloaded", errors.ServerError, 503),
        ("html", errors.ServerError, 502),
    ],
)
def test_it_raises_its_own_errors(served, behaviour, error, code):
    client = made_client(served, behaviour)
    with pytest.raises(error) as caught:
        client.models.generate_content(model=MODELS[0], contents="hi")
    assert caught.value.code == code


def test_it_raises_on_an_error_in_the_middle_of_a_stream(served):
    chunks = []
    client = made_client(served, "errormid")
    stream = client.models.generate_content_stream(
        model=MODELS[0], contents="count to 5"
    )
    with pytest.raises(errors.ServerError) as caught:
        chunks.extend(stream)
    assert caught.value.code == 503
