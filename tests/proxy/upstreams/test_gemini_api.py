"""The Gemini API adapter: what it sends and what it makes of whole answers."""

import copy

import httpx
import orjson
import pytest

from proxy.errors import (
    AccountRefused,
    BadAnswer,
    BadRequest,
    ConnectFailed,
    Overloaded,
    RateLimited,
    StreamCut,
    UpstreamRefused,
    UpstreamTimeout,
)
from proxy.upstreams.base import AccountConfig, Order, Timeouts
from proxy.upstreams.gemini_api import GeminiAPI
from proxy.upstreams.http import Clients

BODY = {"contents": [{"role": "user", "parts": [{"text": "hé"}]}], "unknown": {"x": 1}}
ANSWER = {"candidates": [{"content": {"parts": [{"text": "hi"}]}}]}
KEY = "AIzaSyTEST0123456789"


class Google:
    """Answers from a list, keeps the requests."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.requests = []

    def __call__(self, request):
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def adapter(self, base_url="https://google.test", **options):
        transport = httpx.MockTransport(self)
        return GeminiAPI(Clients(lambda _proxy: transport), base_url, **options)


def account(**fields):
    return AccountConfig(id=1, kind="gemini_api", secret=KEY, **fields)


def order(method="generateContent", model="gemini-x", body=BODY):
    return Order(method=method, model=model, body=body)


def ok(data=ANSWER):
    return httpx.Response(200, json=data)


def refused(code, **error):
    return httpx.Response(code, json={"error": {"code": code, **error}})


async def test_the_whole_answer_is_returned_as_received_and_parsed():
    raw = b' {"candidates": [] } '
    google = Google(httpx.Response(200, content=raw))
    event = await google.adapter().answer(account(), order())
    assert event.raw == raw
    assert event.data == {"candidates": []}


async def test_the_request_carries_the_key_in_the_header_only():
    google = Google(ok())
    await google.adapter(version="1.2.3").answer(account(), order())
    (request,) = google.requests
    assert request.method == "POST"
    assert request.url == ("https://google.test/v1beta/models/gemini-x:generateContent")
    assert request.headers["x-goog-api-key"] == KEY
    assert request.headers["content-type"] == "application/json"
    assert request.headers["user-agent"] == "gemproxy/1.2.3"
    assert request.headers["accept-encoding"] == "gzip, deflate"
    assert "authorization" not in request.headers


async def test_the_body_goes_out_unchanged():
    google = Google(ok())
    await google.adapter().answer(account(), order())
    assert google.requests[0].read() == orjson.dumps(BODY)


@pytest.mark.parametrize(
    "base_url",
    [
        "https://h.test",
        "https://h.test/",
        "https://h.test/v1beta",
        "https://h.test/v1beta/",
        "https://h.test/v1",
        "https://h.test/v1alpha//",
        "https://h.test/v1beta/v1/",
    ],
)
@pytest.mark.parametrize("of_account", [True, False], ids=["account", "default"])
async def test_base_urls_end_as_they_like(base_url, of_account):
    google = Google(ok())
    adapter = google.adapter("https://other.test" if of_account else base_url)
    await adapter.answer(account(base_url=base_url if of_account else ""), order())
    assert str(google.requests[0].url).startswith("https://h.test/v1beta/models/")


async def test_a_base_url_may_have_a_path():
    google = Google(ok())
    await google.adapter("https://h.test/gemini/v1beta").answer(account(), order())
    assert google.requests[0].url.path.startswith("/gemini/v1beta/models/")


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("gemini-x", "models/gemini-x"),
        ("models/gemini-x", "models/gemini-x"),
        ("tunedModels/mine", "tunedModels/mine"),
        ("a b:c?d#e", "models/a%20b%3Ac%3Fd%23e"),
    ],
)
async def test_models_are_named_in_the_path(model, path):
    google = Google(ok())
    await google.adapter().answer(account(), order(model=model))
    target = google.requests[0].url.raw_path.decode()
    assert target == f"/v1beta/{path}:generateContent"


@pytest.mark.parametrize(
    ("method", "body", "sent"),
    [
        (
            "batchEmbedContents",
            {"requests": [{"model": "models/old", "content": 1}, {"content": 2}]},
            {
                "requests": [
                    {"model": "models/new", "content": 1},
                    {"content": 2, "model": "models/new"},
                ]
            },
        ),
        (
            "countTokens",
            {"generateContentRequest": {"model": "models/old", "contents": []}},
            {"generateContentRequest": {"model": "models/new", "contents": []}},
        ),
        (
            "countTokens",
            {"generate_content_request": {"contents": []}},
            {"generate_content_request": {"contents": [], "model": "models/new"}},
        ),
        ("countTokens", {"contents": []}, {"contents": []}),
        (
            "embedContent",
            {"model": "models/old", "content": {}},
            {"model": "models/new", "content": {}},
        ),
        ("embedContent", {"content": {}}, {"content": {}}),
        ("batchEmbedContents", {"requests": "odd"}, {"requests": "odd"}),
        ("batchEmbedContents", {"requests": ["odd"]}, {"requests": ["odd"]}),
    ],
)
async def test_models_inside_a_body_become_the_upstream_model(method, body, sent):
    google = Google(ok())
    before = copy.deepcopy(body)
    await google.adapter().answer(account(), order(method, "new", body))
    assert orjson.loads(google.requests[0].read()) == sent
    assert google.requests[0].url.path == f"/v1beta/models/new:{method}"
    assert body == before


async def test_what_json_cannot_hold_is_a_bad_request():
    google = Google()
    with pytest.raises(BadRequest):
        await google.adapter().answer(account(), order(body={"a": {1, 2}}))


async def test_timeouts_reach_the_transport():
    google = Google(ok())
    timeouts = Timeouts(connect=1, first_byte=2, idle=3, total=4)
    asked = Order(method="generateContent", model="m", body=BODY, timeouts=timeouts)
    await google.adapter().answer(account(), asked)
    sent = google.requests[0].extensions
    assert sent["timeout"] == {"connect": 1, "read": 3, "write": 3, "pool": 1}
    assert (sent["first_byte"], sent["total"]) == (2, 4)


async def test_each_account_uses_its_own_proxy():
    asked = []

    def make(way):
        asked.append(way.proxy_url)
        return httpx.MockTransport(Google(ok()))

    adapter = GeminiAPI(Clients(make), "https://google.test")
    await adapter.answer(account(proxy_url="http://p:1"), order())
    await adapter.answer(account(), order())
    assert asked == ["http://p:1", ""]


async def test_an_unusable_proxy_url_is_a_failed_connection(clients):
    adapter = GeminiAPI(clients, "https://google.test")
    with pytest.raises(ConnectFailed) as caught:
        await adapter.answer(account(proxy_url="ftp://u:hidden@h:1"), order())
    assert "hidden" not in caught.value.message


@pytest.mark.parametrize(
    "content",
    [b"", b"<html>", b"[1]", b'"text"', b"null", b'{"candidates":'],
    ids=["empty", "html", "array", "string", "null", "cut"],
)
async def test_an_answer_that_is_no_object_is_bad(content):
    google = Google(httpx.Response(200, content=content))
    with pytest.raises(BadAnswer):
        await google.adapter().answer(account(), order())


@pytest.mark.parametrize(
    ("response", "fault"),
    [
        (refused(400, status="INVALID_ARGUMENT", message="no"), UpstreamRefused),
        (refused(400, message="API key not valid."), AccountRefused),
        (refused(429, status="RESOURCE_EXHAUSTED"), RateLimited),
        (refused(503, status="UNAVAILABLE"), Overloaded),
        (httpx.Response(500, text="<html>"), BadAnswer),
        (httpx.Response(302, headers={"location": "https://x.test"}), BadAnswer),
    ],
)
@pytest.mark.parametrize("way", ["answer", "stream", "probe"])
async def test_refusals_become_faults_on_every_way(response, fault, way):
    adapter = Google(response).adapter()
    calls = {
        "answer": lambda: adapter.answer(account(), order()),
        "stream": lambda: anext(aiter(adapter.stream(account(), order()))),
        "probe": lambda: adapter.probe(account(), Timeouts()),
    }
    with pytest.raises(fault):
        await calls[way]()


async def test_an_error_in_an_answer_called_good_is_a_fault():
    google = Google(ok({"error": {"code": 503, "message": "m"}}))
    with pytest.raises(Overloaded):
        await google.adapter().answer(account(), order())


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (httpx.ConnectError("x"), ConnectFailed),
        (httpx.ReadTimeout("x"), UpstreamTimeout),
    ],
)
async def test_transport_errors_become_faults(error, fault):
    with pytest.raises(fault):
        await Google(error).adapter().answer(account(), order())


async def test_a_body_that_breaks_off_is_a_cut_stream():
    class Cut(httpx.AsyncByteStream):
        async def __aiter__(self):
            yield b'{"cand'
            raise httpx.ReadError("x")

    google = Google(httpx.Response(200, stream=Cut()))
    with pytest.raises(StreamCut):
        await google.adapter().answer(account(), order())


async def test_a_probe_lists_the_models_of_all_pages():
    google = Google(
        ok({"models": [{"name": "models/a"}, {"name": "b"}], "nextPageToken": "t&2"}),
        ok({"models": [{"name": "models/c"}, {"odd": 1}, "odd"]}),
    )
    names = await google.adapter().probe(account(), Timeouts())
    assert names == ["a", "b", "c"]
    first, second = google.requests
    assert first.method == "GET"
    assert first.url.path == "/v1beta/models"
    assert dict(first.url.params) == {"pageSize": "1000"}
    assert dict(second.url.params) == {"pageSize": "1000", "pageToken": "t&2"}
    assert second.headers["x-goog-api-key"] == KEY


async def test_a_probe_without_models_is_the_fault_of_the_account():
    with pytest.raises(AccountRefused) as caught:
        await Google(ok({})).adapter().probe(account(), Timeouts())
    assert caught.value.code == "no_models"


async def test_a_probe_ends_although_the_pages_do_not():
    page = {"models": [{"name": "models/a"}], "nextPageToken": "again"}
    google = Google(*(ok(page) for _ in range(100)))
    await google.adapter().probe(account(), Timeouts())
    assert len(google.requests) <= 20


async def test_a_malformed_list_of_models_is_a_bad_answer():
    with pytest.raises(BadAnswer):
        await Google(ok({"models": {"a": 1}})).adapter().probe(account(), Timeouts())


def test_the_secret_is_not_in_the_account_s_repr():
    assert KEY not in repr(account())
