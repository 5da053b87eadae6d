"""xAI's models and xAI's own API through the gateway, by the real openai SDK."""

import importlib
import io
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from PIL import Image
from pydantic import BaseModel

from accounts.models import Account, Plan, Token, User
from proxy.models import Route
from proxy.runtime import runtime
from proxy.sandbox.xai_faults import xai_key
from tests.clients.conftest import Gateway, Sandbox, eventually
from tests.clients.test_openai_sdk import WEATHER

GROK, PICTURES = "grok-4.3", "grok-2-image-1212"
RED = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAA"
    "EklEQVR4nGP8z4AdMOEQH6QSAM1BAQ/oQeJvAAAAAElFTkSuQmCC"
)


class Person(BaseModel):
    name: str
    age: int


@pytest.fixture
def keys() -> list[str]:
    """The behaviours of xAI's keys in the pool; tests parametrise it."""
    return ["ok"]


@pytest.fixture
def accounts() -> list[str]:
    """No Gemini account: what answers is xAI's."""
    return []


@pytest.fixture
def grok(
    transactional_db: None, settings: Any, sandbox: Sandbox, keys: list[str]
) -> None:
    settings.XAI_BASE_URL = f"{sandbox.url}/api.x.ai"
    # Tokens differ from test to test, addresses of guests do not.
    runtime.door.forget()
    shipped = importlib.import_module("proxy.migrations.0005_xai_routes").SHIPPED
    for name, upstream, display, _text, category, *_limits in shipped:
        route, _ = Route.objects.get_or_create(
            name=name, defaults={"display_name": display, "category": category}
        )
        route.targets.get_or_create(kind="xai", upstream_model=upstream or name)
    for number, behaviour in enumerate(keys, 1):
        Account.add(kind="xai", secret=xai_key(behaviour, number), label=behaviour)


@pytest.fixture
def house(grok: None, gateway: Gateway) -> Gateway:
    return gateway


@pytest.fixture(params=["v1", "xai/v1"])
def client(house: Gateway, request: pytest.FixtureRequest) -> Iterator[openai.OpenAI]:
    """The SDK on a route below /v1, and on the relay."""
    with openai.OpenAI(
        api_key=house.token, base_url=f"{house.url}/{request.param}", max_retries=0
    ) as made:
        yield made


@pytest.fixture
def relay(house: Gateway) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(
        api_key=house.token, base_url=f"{house.url}/xai/v1", max_retries=0
    ) as made:
        yield made


def ask(text: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": text}]


def test_a_whole_answer_carries_text_and_usage(
    client: openai.OpenAI, house: Gateway
) -> None:
    answer = client.chat.completions.create(model=GROK, messages=ask("count to 4"))
    assert answer.choices[0].message.content == "1 2 3 4"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.completion_tokens_details.reasoning_tokens > 0
    row = house.row()
    assert (row.kind, row.status, row.outcome) == ("xai", 200, "ok")
    assert (
        row.thoughts_tokens == answer.usage.completion_tokens_details.reasoning_tokens
    )
    assert row.total_tokens == answer.usage.total_tokens


def test_a_stream_adds_up_to_the_whole_answer(
    client: openai.OpenAI, house: Gateway
) -> None:
    stream = client.chat.completions.create(
        model=GROK,
        messages=ask("count to 6"),
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    texts = [c.choices[0].delta.content or "" for c in chunks if c.choices]
    assert "".join(texts) == "1 2 3 4 5 6"
    assert chunks[-1].usage is not None
    row = house.row()
    assert row.streamed
    assert row.total_tokens == chunks[-1].usage.total_tokens > 0


def test_a_tool_is_called_and_its_result_told(client: openai.OpenAI) -> None:
    messages = ask("get_weather in Paris")
    first = client.chat.completions.create(
        model=GROK, messages=messages, tools=[WEATHER]
    )
    (call,) = first.choices[0].message.tool_calls
    assert call.function.name == "get_weather"
    assert "Paris" in call.function.arguments
    assert first.choices[0].finish_reason == "tool_calls"
    messages.append(first.choices[0].message.model_dump(exclude_none=True))
    result = {"role": "tool", "tool_call_id": call.id, "content": '{"sky": "grey"}'}
    second = client.chat.completions.create(
        model=GROK, messages=[*messages, result], tools=[WEATHER]
    )
    assert "grey" in second.choices[0].message.content


def test_a_tool_call_comes_through_a_stream(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(
        model=GROK, messages=ask("get_weather in Oslo"), tools=[WEATHER], stream=True
    )
    chunks = [chunk for chunk in stream if chunk.choices]
    calls = [c for chunk in chunks for c in chunk.choices[0].delta.tool_calls or []]
    assert [call.function.name for call in calls] == ["get_weather"]
    assert chunks[-1].choices[0].finish_reason == "tool_calls"


def test_a_schema_is_filled(client: openai.OpenAI) -> None:
    answer = client.chat.completions.parse(
        model=GROK,
        messages=ask("Ada is 36 years old"),
        response_format=Person,
        tools=[{**WEATHER, "function": {**WEATHER["function"], "strict": True}}],
    )
    assert isinstance(answer.choices[0].message.parsed, Person)


def test_a_picture_is_seen(client: openai.OpenAI) -> None:
    content = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": RED}},
    ]
    answer = client.chat.completions.create(
        model=GROK, messages=[{"role": "user", "content": content}]
    )
    assert "8x8" in answer.choices[0].message.content


def test_effort_reaches_a_model_that_takes_it_and_no_other(
    house: Gateway, sandbox: Sandbox
) -> None:
    house.chat("hello", model=GROK, reasoning_effort="low")
    (request,) = sandbox.requests(last=1)
    assert request["body"]["reasoning_effort"] == "low"
    silent = house.chat("hello", model="grok-build-0.1", reasoning_effort="low")
    (request,) = sandbox.requests(last=1)
    assert silent.status_code == 200
    assert "reasoning_effort" not in request["body"]
    assert silent.headers["x-gemproxy-dropped"] == "reasoning_effort"


@pytest.mark.parametrize("stream", [False, True])
def test_pictures_come_by_chat_as_markdown_that_leads_to_pictures(
    relay: openai.OpenAI, house: Gateway, stream: bool
) -> None:
    given = {"model": PICTURES, "messages": ask("a 2025 poster"), "n": 2}
    answer = relay.chat.completions.create(**given, stream=stream)
    if stream:
        chunks = [chunk for chunk in answer if chunk.choices]
        assert {chunk.object for chunk in chunks} == {"chat.completion.chunk"}
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    else:
        assert answer.object == "chat.completion"
        text = answer.choices[0].message.content
    links = [part.partition(")")[0] for part in text.split("![image](")[1:]]
    assert text.startswith("A detailed picture: a 2025 poster")
    assert len(set(links)) == 2
    for link in links:
        drawn = Image.open(io.BytesIO(httpx.get(link).content))
        assert drawn.format == "PNG"
    assert house.row().images == 2


def test_a_route_to_pictures_answers_each_copy_with_one(house: Gateway) -> None:
    answer = house.chat("a red circle", model=PICTURES, n=2).json()
    texts = [choice["message"]["content"] for choice in answer["choices"]]
    assert len(texts) == 2
    assert all(text.count("![image](http://") == 1 for text in texts)


@pytest.mark.parametrize("shape", ["url", "b64_json"])
def test_images_pass_untouched(
    relay: openai.OpenAI, house: Gateway, shape: str
) -> None:
    made = relay.images.generate(
        model=PICTURES, prompt="a blue square", n=3, response_format=shape
    )
    assert [bool(getattr(image, shape)) for image in made.data] == [True] * 3
    assert house.row().images == 3


def test_models_are_listed_by_xai_below_xai_and_by_routes_below_v1(
    relay: openai.OpenAI, house: Gateway
) -> None:
    assert "grok-imagine-image" in {model.id for model in relay.models.list()}
    assert relay.models.retrieve("grok-4.7").owned_by == "xai"
    listed = {row["id"] for row in house.get("/v1/models").json()["data"]}
    assert GROK in listed
    # No Gemini account is in the pool.
    assert "gemini-2.5-flash" not in listed


def test_responses_are_made_streamed_read_and_deleted(relay: openai.OpenAI) -> None:
    made = relay.responses.create(model=GROK, input="count to 3")
    assert made.output_text == "1 2 3"
    kinds = [
        e.type
        for e in relay.responses.create(model=GROK, input="count to 3", stream=True)
    ]
    assert kinds[0] == "response.created"
    assert kinds[-1] == "response.completed"
    assert relay.responses.retrieve(made.id).output_text == "1 2 3"
    relay.responses.delete(made.id)
    with pytest.raises(openai.NotFoundError):
        relay.responses.retrieve(made.id)


def test_usage_of_a_streamed_response_is_logged(
    relay: openai.OpenAI, house: Gateway
) -> None:
    *_, last = relay.responses.create(model=GROK, input="count to 3", stream=True)
    assert house.row().total_tokens == last.response.usage.total_tokens > 0


def test_nobody_reads_another_callers_response(
    relay: openai.OpenAI, house: Gateway
) -> None:
    made = relay.responses.create(model=GROK, input="a secret")
    _, token = Token.issue(user=User.objects.create_user("eve"), name="eve")
    with openai.OpenAI(api_key=token, base_url=f"{house.url}/xai/v1") as eve:
        with pytest.raises(openai.NotFoundError):
            eve.responses.retrieve(made.id)
        with pytest.raises(openai.NotFoundError):
            eve.responses.create(
                model=GROK, input="go on", previous_response_id=made.id
            )


@pytest.mark.parametrize("path", ["v1/files", "v1/api-key", "v1/models-secret"])
def test_what_belongs_to_the_pools_owner_is_closed(house: Gateway, path: str) -> None:
    answer = house.get(f"/xai/{path}")
    assert answer.status_code == 404
    assert "x-xai-api-key" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "path", ["/xai/v2/models", "/xai/v1/../secret", "/xai/v1/%2e%2e/x", "/xai/v1//x"]
)
def test_no_path_leads_out_of_the_api(house: Gateway, path: str) -> None:
    with house.client() as client:
        request = client.build_request("GET", house.url)
        request.url = request.url.copy_with(raw_path=path.encode())
        assert client.send(request).status_code == 404
    assert house.sandbox.stats()["requests"] == 0


def test_bytes_pass_untouched_both_ways(house: Gateway, sandbox: Sandbox) -> None:
    raw = (
        b'{"messages": [{"content": "h\\u00e9", "role":"user"}],\n "model":"grok-4.3"}'
    )
    direct = {"authorization": f"Bearer {xai_key()}"}
    headers = {"content-type": "application/json"}
    sandbox.reset()
    there = httpx.post(
        f"{sandbox.url}/api.x.ai/v1/chat/completions",
        content=raw,
        headers={**headers, **direct},
    )
    sandbox.reset()
    here = house.post("/xai/v1/chat/completions", content=raw, headers=headers)
    assert here.content == there.content
    assert here.headers["content-type"] == there.headers["content-type"]


def test_a_streams_bytes_pass_untouched(house: Gateway, sandbox: Sandbox) -> None:
    body = {"model": GROK, "messages": ask("count to 5 für ñ"), "stream": True}
    direct = {"authorization": f"Bearer {xai_key()}"}
    sandbox.reset()
    url = f"{sandbox.url}/api.x.ai/v1/chat/completions"
    there = httpx.post(url, json=body, headers=direct).content
    for behaviour in ("ok", "split"):
        sandbox.reset()
        sandbox.behave(xai_key(), behaviour)
        assert house.post("/xai/v1/chat/completions", json=body).content == there


def test_unknown_fields_are_xais_to_refuse(house: Gateway) -> None:
    body = {"model": GROK, "messages": ask("hi"), "never_heard_of": 1}
    answer = house.post("/xai/v1/chat/completions", json=body)
    assert answer.status_code == 400
    assert "never_heard_of" in answer.json()["error"]["message"]


def test_a_model_nobody_knows_is_the_callers_mistake(house: Gateway) -> None:
    answer = house.post(
        "/xai/v1/chat/completions", json={"model": "grok-99", "messages": ask("hi")}
    )
    assert answer.status_code == 404
    assert house.row().blame == "caller"
    assert house.chat("count to 2", model=GROK).status_code == 200


@pytest.mark.parametrize(
    "keys", [["credits", "ok"], ["invalid", "ok"], ["perminute", "ok"]]
)
@pytest.mark.parametrize("stream", [False, True])
def test_another_key_takes_over(
    client: openai.OpenAI, house: Gateway, keys: list[str], stream: bool
) -> None:
    for _ in range(2):
        answer = client.chat.completions.create(
            model=GROK, messages=ask("count to 2"), stream=stream
        )
        if stream:
            text = "".join(
                c.choices[0].delta.content or "" for c in answer if c.choices
            )
        else:
            text = answer.choices[0].message.content
        assert text == "1 2"
    assert {row.status for row in house.rows()} == {200}


@pytest.mark.parametrize(
    ("keys", "cause"),
    [
        (["credits"], "xai_no_credit"),
        (["invalid"], "xai_key_refused"),
        (["keyblocked"], "xai_key_blocked"),
    ],
    ids=["credits", "invalid", "blocked"],
)
def test_a_key_that_needs_somebody_says_so(
    house: Gateway, keys: list[str], cause: str
) -> None:
    assert house.chat("hi", model=GROK).status_code == 503
    account = Account.objects.get(kind="xai")

    def is_told() -> bool:
        account.refresh_from_db()
        return account.state == "needs_attention"

    eventually(is_told, "the account's state was not stored")
    assert account.state_cause == cause
    assert account.state_link.startswith("https://console.x.ai/")


def test_the_callers_own_key_is_used_and_the_pools_is_not(
    house: Gateway, sandbox: Sandbox
) -> None:
    own = xai_key("ok", 77)
    for stream in (False, True):
        body = {"model": GROK, "messages": ask("count to 2"), "stream": stream}
        answer = house.post(
            "/xai/v1/chat/completions", json=body, headers={"x-xai-api-key": own}
        )
        assert answer.status_code == 200
        assert sandbox.requests(last=1)[0]["key"] == "Sandbox-ok-000077"
    rows = eventually(lambda: len(house.rows()) == 2 and house.rows(), "two rows")
    assert all(row.account_id is None and row.total_tokens for row in rows)
    assert {row.user_id for row in rows} == {house.user.id}


@pytest.mark.parametrize(
    ("behaviour", "status"), [("invalid", 401), ("credits", 403), ("perminute", 429)]
)
def test_what_is_wrong_with_an_own_key_is_told_to_its_owner(
    house: Gateway, behaviour: str, status: int
) -> None:
    answer = house.post(
        "/xai/v1/chat/completions",
        json={"model": GROK, "messages": ask("hi")},
        headers={"x-xai-api-key": xai_key(behaviour)},
    )
    assert answer.status_code == status
    row = house.row()
    assert row.status == status
    assert Account.objects.get(kind="xai").state != "needs_attention"


def test_an_own_key_opens_what_belongs_to_its_owner(house: Gateway) -> None:
    answer = house.get("/xai/v1/files", headers={"x-xai-api-key": xai_key("ok", 5)})
    # The sandbox has no files, and says so itself.
    assert answer.json()["error"]["message"] == "Not Found"


def test_a_key_in_place_of_a_token_is_refused_unless_that_is_on(house: Gateway) -> None:
    headers = {"authorization": f"Bearer {xai_key()}"}
    assert httpx.get(f"{house.url}/xai/v1/models", headers=headers).status_code == 401


@pytest.mark.parametrize(
    ("addresses", "status"),
    [(["127.0.0.0/8"], 200), (["192.0.2.0/24"], 403), ([], 403)],
)
def test_a_key_in_place_of_a_token_is_taken_from_listed_addresses(
    house: Gateway, settings: Any, addresses: list[str], status: int
) -> None:
    settings.XAI_CALLER_KEYS, settings.XAI_CALLER_IPS = True, addresses
    headers = {"authorization": f"Bearer {xai_key('ok', 9)}"}
    answer = httpx.post(
        f"{house.url}/xai/v1/chat/completions",
        headers=headers,
        json={"model": GROK, "messages": ask("count to 2")},
    )
    assert answer.status_code == status
    # It opens nothing else.
    assert httpx.get(f"{house.url}/v1/models", headers=headers).status_code == 401
    if status == 200:
        row = house.row()
        assert (row.user_id, row.token_id, row.total_tokens > 0) == (None, None, True)


def test_callers_without_a_token_have_the_default_plan(
    house: Gateway, settings: Any
) -> None:
    settings.XAI_CALLER_KEYS, settings.XAI_CALLER_IPS = True, ["127.0.0.1"]
    Plan.objects.create(name="all", is_default=True, models=["grok-4.7"])
    answer = httpx.post(
        f"{house.url}/xai/v1/chat/completions",
        headers={"authorization": f"Bearer {xai_key('ok', 9)}"},
        json={"model": GROK, "messages": ask("hi")},
    )
    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == "model_not_allowed"


@pytest.mark.parametrize("keys", [["errormid"]])
def test_a_fault_in_the_middle_ends_a_relayed_stream_as_one(
    house: Gateway, keys: list[str]
) -> None:
    body = {"model": GROK, "messages": ask("count to 9"), "stream": True}
    text = house.post("/xai/v1/chat/completions", json=body).text
    assert '"content"' in text
    assert '"error"' in text.strip().rpartition("\n\n")[2]
    assert "[DONE]" not in text
    assert house.row().outcome == "fault"


@pytest.mark.parametrize("keys", [["cutclean"]])
def test_a_stream_without_an_end_is_not_taken_for_whole(
    house: Gateway, keys: list[str]
) -> None:
    body = {"model": GROK, "messages": ask("count to 9"), "stream": True}
    for path in ("/xai/v1/chat/completions", "/v1/chat/completions"):
        text = house.post(path, json=body).text
        assert "stream_cut" in text
        assert "[DONE]" not in text


def test_an_alias_of_ours_makes_pictures_by_chat_too(
    relay: openai.OpenAI, house: Gateway
) -> None:
    answer = relay.chat.completions.create(
        model="grok-2-image", messages=ask("a red circle"), n=2
    )
    assert answer.choices[0].message.content.count("![image](") == 2
    assert house.row().model_served == PICTURES


def test_a_picture_model_that_nobody_knows_is_not_made_up(
    relay: openai.OpenAI,
) -> None:
    with pytest.raises(openai.NotFoundError, match="does not exist"):
        relay.chat.completions.create(model="grok-2-image-9", messages=ask("a cat"))


def test_a_token_in_the_query_does_not_reach_xai(
    house: Gateway, sandbox: Sandbox
) -> None:
    answer = httpx.get(f"{house.url}/xai/v1/models/?key={house.token}&limit=5")
    assert answer.status_code == 200
    assert answer.json()["data"]
    sent = str(sandbox.requests())
    assert house.token not in sent


def test_tokens_are_counted_and_the_count_is_marked(house: Gateway) -> None:
    body = {"contents": [{"role": "user", "parts": [{"text": "one two three"}]}]}
    answer = house.post(f"/v1beta/models/{GROK}:countTokens", json=body)
    assert answer.status_code == 200
    assert answer.json()["totalTokens"] >= 3
    assert answer.headers["x-gemproxy-usage"] == "estimated"


@pytest.mark.parametrize("method", ["generateContent", "streamGenerateContent"])
def test_knobs_that_xai_lacks_are_named(house: Gateway, method: str) -> None:
    body = {
        "contents": [{"role": "user", "parts": [{"text": "Say hi"}]}],
        "generationConfig": {"topK": 3},
    }
    answer = house.post(f"/v1beta/models/{GROK}:{method}", json=body)
    assert answer.status_code == 200
    assert answer.headers["x-gemproxy-dropped"] == "topK"
