"""Web accounts from the cookies in to the answer out, on a real server."""

import base64
import json
from typing import Any

import pytest
from google import genai
from google.genai import types
from openai import OpenAI

from accounts import websessions
from accounts.credentials.cookies import WebCookies
from accounts.models import Account, CoolDown, Token, User
from proxy.models import Route
from proxy.runtime import runtime
from proxy.sandbox.web_accounts import sandbox_psid, sandbox_psidts
from tests.clients.conftest import Gateway, eventually
from tests.proxy.upstreams.web_accounts import Site, png, served

MODEL = "gemini-3-flash-preview"


@pytest.fixture(scope="module")
def site(tmp_path_factory: Any) -> Any:
    with served(tmp_path_factory.mktemp("web")) as running:
        yield running


@pytest.fixture
def accounts(site: Site, settings: Any) -> list[str]:
    """No API key: only web accounts answer here."""
    settings.GEMINI_WEB_CA_FILE = site.ca_file
    return []


@pytest.fixture
def web(gateway: Gateway, site: Site) -> Gateway:
    for name, model in ((MODEL, "gemini-flash"), ("drawn", "gemini-flash-image")):
        route, _ = Route.objects.get_or_create(name=name)
        route.targets.get_or_create(
            kind="gemini_web", upstream_model=model, defaults={"position": 20}
        )
    site.people.reset()
    return gateway


def put(site: Site, behaviour: str = "ok", number: int = 1) -> Account:
    psid = sandbox_psid(behaviour, number)
    cookies = WebCookies(psid=psid, psidts=sandbox_psidts(psid))
    label = f"{behaviour}-{number}"
    made = websessions.add(cookies, proxy_url=site.sandbox.proxy_url, label=label)
    assert made is not None
    return made


def answered(gateway: Gateway, text: str, model: str = MODEL, **more: Any) -> Any:
    """The first answer once the server has noticed the account."""

    def ask() -> Any:
        answer = gateway.chat(text, model, **more)
        return None if answer.status_code in (503, 404) else answer

    return eventually(ask, "no account answered")


@pytest.fixture
def operator_token(web: Gateway) -> str:
    user = User.objects.create_user("opal", is_staff=True, is_superuser=True)
    return Token.issue(user=user, name="op", scope=Token.Scope.OPERATOR)[1]


def operate(web: Gateway, token: str, method: str, path: str, **options: Any) -> Any:
    headers = {"Authorization": f"Bearer {token}"}
    with web.client() as client:
        return client.request(method, path, headers=headers, **options)


def test_a_chat_is_answered_and_says_what_it_left_out(web, site):
    account = put(site)
    answer = answered(web, "Say exactly: hello", temperature=0.3, user="me")
    body = answer.json()
    assert body["choices"][0]["message"]["content"] == "hello"
    assert body["usage"]["total_tokens"] > 0
    assert "temperature" in answer.headers["x-gemproxy-dropped"]
    assert answer.headers["x-gemproxy-usage"] == "estimated"
    row = [row for row in web.rows() if row.status == 200][-1]
    assert (row.kind, row.account_id) == ("gemini_web", account.pk)
    assert row.usage_metadata["estimated"] is True


def test_a_chat_is_streamed(web, site):
    put(site)
    answered(web, "Hello")
    body = {
        "model": MODEL,
        "stream": True,
        "messages": [{"role": "user", "content": "count to 40"}],
        "top_p": 0.5,
    }
    text = ""
    with (
        web.client() as client,
        client.stream("POST", "/v1/chat/completions", json=body) as answer,
    ):
        assert "topP" in answer.headers["x-gemproxy-dropped"]
        lines = [line[6:] for line in answer.iter_lines() if line.startswith("data: ")]
    assert lines[-1] == "[DONE]"
    for line in lines[:-1]:
        for choice in json.loads(line)["choices"]:
            text += choice["delta"].get("content") or ""
    assert text == " ".join(map(str, range(1, 41)))


def test_googles_own_dialect_is_answered_with_a_picture(web, site):
    put(site)
    answered(web, "Hello")
    parts = [
        {"text": "a fox like this"},
        {"inlineData": {"mimeType": "image/png", "data": png()}},
    ]
    answer = web.post(
        "/v1beta/models/drawn:generateContent",
        json={"contents": [{"role": "user", "parts": parts}]},
    )
    inline = answer.json()["candidates"][0]["content"]["parts"][-1]["inlineData"]
    assert base64.b64decode(inline["data"]).startswith(b"\x89PNG")
    assert answer.headers["x-gemproxy-usage"] == "estimated"


def test_tools_are_not_for_web_accounts(web, site):
    put(site)
    answered(web, "Hello")
    Route.objects.get(name=MODEL).targets.filter(kind="gemini_api").delete()
    tool = {"type": "function", "function": {"name": "add", "parameters": {}}}

    def refused() -> Any:
        answer = web.chat("add", MODEL, tools=[tool])
        return answer if answer.status_code == 400 else None

    assert "tools" in eventually(refused, "nobody refused").json()["error"]["message"]


def test_expired_cookies_need_a_person_and_new_ones_serve_within_seconds(
    web, site, operator_token
):
    account = put(site, "expired")

    def aside() -> bool:
        web.chat("Hello", MODEL)
        return Account.objects.get().state == "needs_attention"

    eventually(aside, "the account was not set aside")
    row = Account.objects.get()
    assert row.state_cause == "cookies_expired"
    assert "Firefox" in row.state_advice
    psid = sandbox_psid("ok", 77)
    body = {
        "cookies": {"SECURE_1PSID": psid, "SECURE_1PSIDTS": sandbox_psidts(psid)},
        "account": account.label,
    }
    done = operate(web, operator_token, "POST", "/api/cookies", json=body)
    assert (done.status_code, done.json()["success"]) == (200, True)
    answer = answered(web, "Say exactly: back")
    assert answer.json()["choices"][0]["message"]["content"] == "back"


def test_an_account_that_fails_gives_way_to_the_next(web, site):
    put(site, "limit", 1)
    put(site, "ok", 2)
    for _ in range(4):
        answer = answered(web, "Say exactly: fine")
        assert answer.json()["choices"][0]["message"]["content"] == "fine"


@pytest.mark.parametrize(
    "given",
    [
        "list",
        "header",
        "object",
    ],
)
def test_cookies_come_in_by_the_api_in_every_form(web, site, operator_token, given):
    psid = sandbox_psid("ok", 5)
    forms = {
        "list": [{"name": "__Secure-1PSID", "value": psid, "domain": ".google.com"}],
        "header": f"Cookie: __Secure-1PSID={psid}; NID=1",
        "object": {"1PSID": psid},
    }
    body = {"cookies": forms[given]}
    done = operate(web, operator_token, "POST", "/api/cookies", json=body)
    assert done.json() == {
        "success": True,
        "message": f"A web account was added (id {Account.objects.get().pk}).",
    }
    again = operate(web, operator_token, "POST", "/api/cookies", json=body)
    assert "were replaced" in again.json()["message"]
    assert Account.objects.count() == 1


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({}, 400, "Send an object"),
        ([], 400, "Send an object"),
        ({"cookies": {}}, 400, "No __Secure-1PSID"),
        ({"cookies": {"1PSIDTS": "sidts-x"}}, 400, "missing"),
        ({"cookies": {"1PSID": "x" * 40}, "account": []}, 400, "account"),
        ({"cookies": {"1PSID": "x" * 40}, "account": "nobody"}, 404, "no web account"),
        ({"cookies": {"1PSID": "x" * 40}}, 409, "several"),
        ({"cookies": {"1PSID": "x" * 40}, "account": "two"}, 409, "Several"),
    ],
)
def test_cookies_that_cannot_be_stored_are_refused(
    web, site, operator_token, body, status, words
):
    for number in (1, 2):
        account = put(site, "ok", number)
        Account.objects.filter(pk=account.pk).update(label="two")
    done = operate(web, operator_token, "POST", "/api/cookies", json=body)
    assert done.status_code == status
    assert done.json()["success"] is False
    assert words in done.json()["message"]


def test_only_operators_may_touch_cookies(web):
    for method, path in (("POST", "/api/cookies"), ("GET", "/api/cookies/status")):
        assert operate(web, web.token, method, path, json={}).status_code == 403
        assert operate(web, "none", method, path, json={}).status_code == 401


def test_the_status_is_a_real_check(web, site, operator_token):
    empty = operate(web, operator_token, "GET", "/api/cookies/status").json()
    assert (empty["valid"], empty["accounts"]) == (False, [])
    good, bad = put(site, "ok", 1), put(site, "expired", 2)
    told = operate(web, operator_token, "GET", "/api/cookies/status").json()
    assert told["valid"] is True
    assert told["message"] == "1 of 2 web accounts work."
    by_id = {entry["id"]: entry for entry in told["accounts"]}
    assert by_id[good.pk]["valid"]
    assert by_id[bad.pk]["cause"] == "cookies_expired"
    assert by_id[bad.pk]["state"] == "needs_attention"
    assert by_id[good.pk]["pasted_at"]
    assert sandbox_psid("ok", 1) not in json.dumps(told)


def test_an_account_takes_one_request_at_a_time(web, site):
    put(site)
    answered(web, "Hello")
    member = next(iter(runtime.gateway.pool._roster.members.values()))
    assert member.concurrency == 1


TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "The weather in a city.",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
                "required": ["city", "days"],
            },
        },
    },
    {"type": "function", "function": {"name": "now"}},
]
ASKED = [{"role": "user", "content": "get_weather in Oslo for 3 days"}]
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}


class TestImitated:
    """Tools and JSON schemas where the only account is one that knows neither."""

    @pytest.fixture
    def imitating(self, web, site) -> Gateway:
        put(site)
        route = Route.objects.create(name="imitating")
        route.targets.create(
            kind="gemini_web",
            upstream_model="gemini-flash",
            emulate_tools=True,
            emulate_json_schema=True,
        )
        answered(web, "Hello", "imitating")
        return web

    @pytest.fixture
    def openai(self, imitating) -> Any:
        with OpenAI(
            base_url=f"{imitating.url}/v1", api_key=imitating.token, max_retries=0
        ) as client:
            yield client

    def test_a_tool_is_called_and_its_result_is_answered(self, openai):
        raw = openai.chat.completions.with_raw_response.create(
            model="imitating", messages=ASKED, tools=TOOLS
        )
        assert raw.headers["x-gemproxy-emulated"] == "tools"
        choice = raw.parse().choices[0]
        (call,) = choice.message.tool_calls
        assert (choice.finish_reason, choice.message.content) == ("tool_calls", None)
        assert json.loads(call.function.arguments) == {"city": "Oslo", "days": 3}
        result = {"role": "tool", "tool_call_id": call.id, "content": '{"sky": "blue"}'}
        done = openai.chat.completions.create(
            model="imitating", messages=[*ASKED, choice.message, result], tools=TOOLS
        )
        assert done.choices[0].message.content == "get_weather says sky: blue."
        assert done.choices[0].finish_reason == "stop"

    def test_a_streamed_call_shows_no_marks(self, openai):
        with openai.chat.completions.stream(
            model="imitating", messages=ASKED, tools=TOOLS
        ) as stream:
            shown = [event for event in stream if event.type == "content.delta"]
            choice = stream.get_final_completion().choices[0]
        assert shown == []
        assert choice.message.tool_calls[0].function.name == "get_weather"

    @pytest.mark.parametrize(
        ("choice", "called"),
        [
            ("required", "get_weather"),
            ({"type": "function", "function": {"name": "now"}}, "now"),
            ("auto", None),
            ("none", None),
        ],
    )
    def test_the_choice_of_a_tool_is_kept(self, openai, choice, called):
        answer = openai.chat.completions.create(
            model="imitating",
            messages=[{"role": "user", "content": "Hello"}],
            tools=TOOLS,
            tool_choice=choice,
        )
        calls = answer.choices[0].message.tool_calls or []
        assert [call.function.name for call in calls] == ([called] if called else [])

    @pytest.mark.parametrize("stream", [False, True])
    def test_an_answer_fits_its_schema(self, openai, stream):
        form = {"name": "person", "schema": PERSON, "strict": True}
        answer = openai.chat.completions.create(
            model="imitating",
            messages=[{"role": "user", "content": "I am Ann and 33"}],
            response_format={"type": "json_schema", "json_schema": form},
            stream=stream,
        )
        if stream:
            text = "".join(
                c.choices[0].delta.content or "" for c in answer if c.choices
            )
        else:
            text = answer.choices[0].message.content
        assert json.loads(text) == {"name": "Ann", "age": 33}

    def test_googles_own_sdk_calls_a_function_and_parses_json(self, imitating):
        def get_weather(city: str, days: int) -> dict[str, Any]:
            """Return the weather in a city."""
            return {"seen": f"{city} {days}"}

        options = types.HttpOptions(base_url=imitating.url)
        with genai.Client(api_key=imitating.token, http_options=options) as client:
            chat = client.chats.create(
                model="imitating",
                config=types.GenerateContentConfig(tools=[get_weather]),
            )
            told = chat.send_message("get_weather in Oslo for 3 days").text
            assert "Oslo 3" in told
            config = types.GenerateContentConfig(
                response_mime_type="application/json", response_json_schema=PERSON
            )
            answer = client.models.generate_content(
                model="imitating", contents="I am Ann and 33", config=config
            )
        assert answer.parsed == {"name": "Ann", "age": 33}

    @pytest.mark.parametrize("stream", [False, True])
    def test_a_call_that_nobody_can_use_is_an_error_and_not_an_answer(
        self, imitating, stream
    ):
        said = 'Say exactly: ```toolcall\n{"name": "gone", "arguments": {}}\n```'
        answer = imitating.chat(said, "imitating", tools=TOOLS, stream=stream)
        assert answer.status_code == 502
        assert "not declared" in answer.json()["error"]["message"]
        row = eventually(
            lambda: [r for r in imitating.rows() if r.status == 502], "no row came"
        )[-1]
        assert row.attempts[-1]["cause"] == "imitation_failed"
        assert Account.objects.get().state in ("new", "active")
        assert not CoolDown.objects.exists()

    @pytest.mark.parametrize(
        ("flag", "more", "word"),
        [
            ("emulate_tools", {"tools": TOOLS}, "tools"),
            (
                "emulate_json_schema",
                {"response_format": {"type": "json_object"}},
                "json_schema",
            ),
        ],
    )
    def test_without_its_flag_it_is_refused_by_name(self, imitating, flag, more, word):
        target = Route.objects.get(name="imitating").targets.get()
        setattr(target, flag, False)
        target.save()

        def refused() -> Any:
            answer = imitating.chat("Hello", "imitating", **more)
            return answer if answer.status_code == 400 else None

        message = eventually(refused, "nobody refused").json()["error"]["message"]
        assert message == f"No account for imitating can do this: {word}."
