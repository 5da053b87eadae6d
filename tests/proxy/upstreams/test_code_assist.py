"""The Code Assist adapter against the strict sandbox."""

import orjson
import pytest

from proxy.errors import (
    AccountRefused,
    BadRequest,
    ConnectFailed,
    Fault,
    UpstreamFault,
)
from proxy.sandbox.logins import project_of, refresh_token
from proxy.upstreams.base import Order, Timeouts
from proxy.wire.gemini import fold
from tests.proxy.sandbox.calling import WEATHER, calls_of, picture_part, text_of
from tests.proxy.upstreams.logins import MODEL, OWN, Stand, order

QUICK = Timeouts(first_byte=5, idle=5, total=10)


@pytest.fixture
def stand():
    return Stand()


async def chunks(stand, account, asked):
    return [e async for batch in stand.adapter.stream(account, asked) for e in batch]


async def refused(stand, account, asked=None):
    with pytest.raises(Fault) as caught:
        await stand.adapter.answer(account, asked or order())
    return caught.value


async def test_a_whole_answer_comes_out_of_its_envelope(stand):
    event = await stand.adapter.answer(stand.account(), order("Say hello."))
    assert text_of(event.data)
    assert event.data["usageMetadata"]["totalTokenCount"] > 0
    assert event.data["responseId"]
    assert orjson.loads(event.raw) == event.data
    assert "response" not in event.data


async def test_a_stream_comes_in_chunks_that_make_the_same_answer(stand):
    account = stand.account()
    whole = await stand.adapter.answer(account, order("Count to twelve."))
    parts = await chunks(stand, account, order("Count to twelve."))
    assert len(parts) > 1
    assert all(orjson.loads(event.raw) == event.data for event in parts)
    folded = fold([event.data for event in parts])
    assert text_of(folded) == text_of(whole.data)
    assert folded["candidates"][0]["finishReason"] == "STOP"


async def test_the_request_says_who_we_are_and_holds_only_known_fields(stand):
    await stand.adapter.answer(stand.account(), order("hi", safetySettings=None))
    (sent,) = stand.requests(":generateContent")
    assert sent["headers"]["user-agent"] == "gemproxy/1.2.3"
    assert "x-goog-user-project" not in sent["headers"]
    assert sent["body"].keys() == {"model", "project", "user_prompt_id", "request"}
    assert sent["body"]["request"].keys() == {"contents"}


async def test_tools_pictures_and_system_text_reach_the_model(stand):
    account = stand.account()
    called = await stand.adapter.answer(
        account,
        order(
            "call get_weather",
            tools=[{"function_declarations": [WEATHER]}],
            system_instruction={"parts": [{"text": "Be brief."}]},
            generation_config={"max_output_tokens": 200},
        ),
    )
    assert calls_of(called.data)[0]["name"] == "get_weather"
    seen = await stand.adapter.answer(
        account,
        Order(
            method="generateContent",
            model=f"models/{MODEL}",
            body={
                "contents": [
                    {"parts": [{"text": "What is this?"}, picture_part("red")]}
                ]
            },
        ),
    )
    assert "red" in text_of(seen.data).lower()


async def test_tokens_are_counted_with_system_text_and_tools(stand):
    account = stand.account()
    plain = await stand.adapter.answer(
        account, order("four words are here", "countTokens")
    )
    more = await stand.adapter.answer(
        account,
        Order(
            method="countTokens",
            model=MODEL,
            body={
                "generateContentRequest": {
                    "contents": order("four words are here").body["contents"],
                    "systemInstruction": {"parts": [{"text": "Answer in French."}]},
                    "tools": [{"functionDeclarations": [WEATHER]}],
                }
            },
        ),
    )
    assert 0 < plain.data["totalTokens"] < more.data["totalTokens"]


async def test_what_such_accounts_lack_is_refused_before_anything_is_sent(stand):
    asked = Order(method="embedContent", model=MODEL, body={"content": {}})
    with pytest.raises(BadRequest, match="embedContent"):
        await stand.adapter.answer(stand.account(), asked)
    assert stand.requests() == []


async def test_a_field_the_backend_lacks_leaves_the_request_to_other_kinds(stand):
    fault = await refused(
        stand, stand.account(), order(cachedContent="cachedContents/x")
    )
    assert isinstance(fault, UpstreamFault)
    assert fault.elsewhere
    assert (fault.status, fault.blame) == (400, "gateway")
    assert "cachedContent" in fault.message
    assert stand.requests(":generateContent") == []


# Every row of the backend's error table: the cause, and whether a human must act.
ROWS = [
    ("license", "no_license"),
    ("named", "no_license"),
    ("terms", "tos_violation"),
    ("termsbare", "tos_violation"),
    ("validation", "validation_required"),
    ("apioff", "service_disabled"),
    ("wrongproject", "project_denied"),
    ("badproject", "bad_project"),
    ("vpc", "security_policy"),
    ("restricted", "org_policy"),
    ("denied", "refused_unclear"),
    ("unauthenticated", "token_stale"),
    ("nomodel", "model_unsupported"),
    ("throttled", "throttled"),
    ("throttlednow", "throttled"),
    ("exhausted", "quota_exhausted"),
    ("credits", "quota_exhausted"),
    ("capacity", "model_capacity"),
    ("vague", "throttled_unclear"),
    ("vertex", "model_capacity"),
    ("location", "egress_region"),
    ("internal", "upstream_error"),
    ("overloaded", "model_capacity"),
    ("automated", "ip_blocked"),
]


@pytest.mark.parametrize(("behaviour", "cause"), ROWS, ids=[row[0] for row in ROWS])
async def test_every_refusal_lands_under_its_cause(stand, behaviour, cause):
    account = stand.account(behaviour)
    assert (await refused(stand, account)).cause == cause
    with pytest.raises(Fault) as caught:
        await chunks(stand, account, order())
    assert caught.value.cause == cause


@pytest.mark.parametrize("behaviour", ["terms", "validation"])
async def test_a_refusal_brings_the_page_that_its_owner_must_open(stand, behaviour):
    fault = await refused(stand, stand.account(behaviour))
    assert fault.link.startswith("https://")


async def test_an_error_in_the_middle_of_a_stream_is_raised_after_its_chunks(stand):
    source = stand.adapter.stream(stand.account("errormid"), order("Count to ten."))
    assert text_of((await anext(source))[0].data)
    with pytest.raises(Fault) as caught:
        await anext(source)
    assert caught.value.cause == "model_capacity"


async def test_a_stale_token_is_renewed_once_and_the_request_repeated(stand):
    account = stand.account()
    await stand.adapter.answer(account, order())
    stand.sandbox.state.logins.end_access(refresh_token())
    event = await stand.adapter.answer(account, order())
    assert text_of(event.data)
    assert stand.refreshes(account) == 2


async def test_a_token_that_stays_refused_costs_one_renewal_only(stand):
    account = stand.account("unauthenticated")
    assert (await refused(stand, account)).cause == "token_stale"
    assert stand.refreshes(account) == 2
    assert len(stand.requests(":generateContent")) == 2


async def test_a_project_is_found_once_and_kept(stand):
    account = stand.account(project_id="")
    await stand.adapter.answer(account, order())
    await stand.adapter.answer(account, order())
    assert len(stand.requests(":loadCodeAssist")) == 1
    assert stand.latest(account).project_id == project_of(refresh_token())
    assert stand.store.facts[account.id]["tier"] == "standard-tier"


async def test_a_wrong_project_is_found_anew_and_the_request_repeated(stand):
    account = stand.account(project_id="somebody-elses")
    event = await stand.adapter.answer(account, order())
    assert text_of(event.data)
    assert stand.latest(account).project_id == project_of(refresh_token())


async def test_a_project_that_stays_wrong_is_asked_for_once(stand):
    account = stand.account("wrongproject")
    assert (await refused(stand, account)).cause == "project_denied"
    assert len(stand.requests(":loadCodeAssist")) == 1
    assert len(stand.requests(":generateContent")) == 1


async def test_a_named_project_serves_where_google_names_none(stand):
    account = stand.account("ownproject", project_id="my-own-project")
    assert await stand.adapter.probe(account, QUICK)
    assert stand.latest(account).project_id == "my-own-project"
    unnamed = stand.account("ownproject", 2, project_id="")
    fault = await refused(stand, unnamed)
    assert fault.cause == "bad_project"
    assert "project_id" in fault.message


async def test_a_probe_finds_out_who_where_and_what(stand):
    account = stand.account(project_id="")
    models = await stand.adapter.probe(account, QUICK)
    assert MODEL in models
    facts = stand.store.facts[account.id]
    assert facts["email"] == "ok1@sandbox.example"
    assert facts["project"] == project_of(refresh_token())
    assert facts["tier_name"] == "Gemini Code Assist Standard"
    assert facts["models"] == models
    assert len(stand.requests(":generateContent")) == 1


@pytest.mark.parametrize("behaviour", ["exhausted", "throttled", "capacity"])
async def test_an_account_at_a_limit_passes_its_probe(stand, behaviour):
    assert MODEL in await stand.adapter.probe(stand.account(behaviour), QUICK)


async def test_a_licence_that_is_missing_fails_the_probe_though_all_else_works(stand):
    with pytest.raises(AccountRefused) as caught:
        await stand.adapter.probe(stand.account("license"), QUICK)
    assert caught.value.cause == "no_license"


@pytest.mark.parametrize(
    ("behaviour", "cause", "words"),
    [
        ("consumer", "no_license", "no longer supported"),
        ("verify", "validation_required", "Verify"),
        ("joinfail", "no_license", "Not eligible"),
        ("vpc", "security_policy", ""),
    ],
)
async def test_what_is_in_an_accounts_way_is_told(
    stand, behaviour, cause, words, monkeypatch
):
    monkeypatch.setattr("proxy.upstreams.code_assist_account.POLL_SECONDS", 0)
    with pytest.raises(AccountRefused) as caught:
        await stand.adapter.probe(stand.account(behaviour, project_id=""), QUICK)
    assert caught.value.cause == cause
    assert words in caught.value.message
    assert bool(caught.value.link) == (behaviour == "verify")


async def test_a_new_account_joins_the_free_tier_without_naming_a_project(
    stand, monkeypatch
):
    monkeypatch.setattr("proxy.upstreams.code_assist_account.POLL_SECONDS", 0)
    account = stand.account("new", project_id="")
    event = await stand.adapter.answer(account, order())
    assert text_of(event.data)
    (joined,) = stand.requests(":onboardUser")
    assert joined["body"]["tierId"] == "free-tier"
    assert len(stand.requests("operations/" + project_of(refresh_token("new")))) == 2
    assert stand.store.facts[account.id]["tier"] == "free-tier"


async def test_a_login_without_a_client_uses_the_operators(stand):
    own = Stand(own=OWN)
    account = own.account(client_id="", client_secret="")
    assert text_of((await own.adapter.answer(account, order())).data)
    fault = await refused(stand, stand.account(client_id="", client_secret=""))
    assert (fault.cause, fault.blame) == ("oauth_config", "gateway")
    assert "GEMINI_CLI_CLIENT_ID" in fault.message


async def test_closing_a_stream_early_leaves_nothing_running(stand):
    source = stand.adapter.stream(stand.account(), order("Count to twelve."))
    await anext(source)
    await source.aclose()
    assert stand.sandbox.state.open_streams == 0
    await stand.adapter.aclose()


STALE = {"access_token": "ya29.ended-before-its-time", "expires_at": 9_999_999_999.0}


async def test_a_stale_token_is_renewed_on_the_way_to_a_project(stand):
    account = stand.account(project_id="", **STALE)
    assert text_of((await stand.adapter.answer(account, order())).data)
    assert stand.refreshes(account) == 1
    kept = stand.latest(account)
    assert kept.project_id == project_of(refresh_token())
    assert kept.access_token != STALE["access_token"]


@pytest.mark.parametrize("stored", [True, False], ids=["stored", "in memory"])
async def test_a_probe_renews_a_stale_token_and_learns_the_rest(stored):
    stand = Stand(stored=stored)
    account = stand.account(project_id="", email="", **STALE)
    assert MODEL in await stand.adapter.probe(account, QUICK)
    assert stand.refreshes(account) == 1
    found = stand.adapter.logins.current(account)
    assert found.email == "ok1@sandbox.example"
    assert found.project_id == project_of(refresh_token())


async def test_a_token_that_nobody_takes_ends_the_probe(stand):
    account = stand.account("unauthenticated")
    with pytest.raises(AccountRefused) as caught:
        await stand.adapter.probe(account, QUICK)
    assert caught.value.cause == "token_stale"
    assert stand.refreshes(account) <= 3


async def test_only_an_account_that_was_tried_to_an_end_counts_as_looked_at(
    stand, monkeypatch
):
    account = stand.account()
    answer = stand.adapter.answer

    async def away(*_given):
        raise ConnectFailed

    monkeypatch.setattr(stand.adapter, "answer", away)
    with pytest.raises(ConnectFailed):
        await stand.adapter.probe(account, QUICK)
    assert "checked_at" not in stand.store.facts[1]
    monkeypatch.setattr(stand.adapter, "answer", answer)
    await stand.adapter.probe(account, QUICK)
    assert stand.store.facts[1]["checked_at"]


async def test_a_refusal_is_an_end_as_well(stand):
    account = stand.account("license")
    with pytest.raises(AccountRefused):
        await stand.adapter.probe(account, QUICK)
    assert stand.store.facts[1]["checked_at"]
