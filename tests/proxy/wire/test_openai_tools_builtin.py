"""Tools that run at Google, alone and beside functions."""

import pytest

from tests.proxy.wire.chat_samples import FLASH_3, FLASH_25, parse, refused, tool

OBJECT = {"type": "object", "properties": {"city": {"type": "string"}}}
SEARCH = {"type": "web_search"}


def declared(given: dict) -> list[dict]:
    """Return the function declarations that a tool becomes."""
    return parse(tools=[given]).body["tools"][0]["functionDeclarations"]


@pytest.mark.parametrize(
    ("given", "key"),
    [
        ({"type": "web_search"}, "googleSearch"),
        ({"type": "web_search_preview"}, "googleSearch"),
        ({"type": "web_search_preview_2025_03_11"}, "googleSearch"),
        ({"type": "google_search"}, "googleSearch"),
        ({"type": "googleSearch"}, "googleSearch"),
        ({"type": "url_context"}, "urlContext"),
        ({"type": "code_interpreter", "container": {"type": "auto"}}, "codeExecution"),
        ({"type": "codeExecution"}, "codeExecution"),
        ({"googleSearch": {}}, "googleSearch"),
        ({"google_search": {}}, "googleSearch"),
        ({"urlContext": {}}, "urlContext"),
        ({"code_execution": {}}, "codeExecution"),
        ({"google_maps": {}}, "googleMaps"),
        (tool("googleSearch"), "googleSearch"),
        (tool("codeExecution", parameters={"type": "object"}), "codeExecution"),
    ],
)
@pytest.mark.parametrize("model", [FLASH_25, FLASH_3])
def test_built_in_tools_are_known_by_all_their_names(given, key, model):
    assert parse(tools=[given], model=model).body["tools"] == [{key: {}}]


def test_a_raw_built_in_tool_keeps_its_settings():
    given = {"googleSearch": {"timeRangeFilter": {"startTime": "2026-01-01T00:00:00Z"}}}
    assert parse(tools=[given]).body["tools"] == [given]


def test_a_function_with_parameters_is_the_clients_own_whatever_its_name():
    assert (
        declared(tool("googleSearch", parameters=OBJECT))[0]["name"] == "googleSearch"
    )


@pytest.mark.parametrize("tools", [[], [SEARCH], [{"googleSearch": {}}]])
def test_web_search_options_switch_search_on_once(tools):
    body = parse(tools=tools, web_search_options={}).body
    assert body["tools"] == [{"googleSearch": {}}]


def test_search_settings_without_counterpart_are_dropped_by_name():
    options = {"search_context_size": "high", "user_location": {"type": "approximate"}}
    assert parse(web_search_options=options).dropped == [
        "web_search.search_context_size",
        "web_search.user_location",
    ]
    assert parse(web_search_options={"search_context_size": "medium"}).dropped == []


def test_a_limit_to_domains_is_refused_because_it_would_not_hold():
    refused(
        tools=[{**SEARCH, "filters": {"allowed_domains": ["x.example"]}}],
        param="tools[0].filters",
    )


@pytest.mark.parametrize(
    ("given", "need"),
    [
        (SEARCH, "search"),
        ({"type": "urlContext"}, "search"),
        ({"type": "code_interpreter"}, "code"),
        (tool("f"), "tools"),
    ],
)
def test_each_kind_of_tool_is_a_need(given, need):
    assert parse(tools=[given]).needs == {need}


def test_built_in_tools_and_functions_go_together_on_gemini_3():
    request = parse(tools=[SEARCH, tool("f")], model="gemini-3.6-flash")
    assert [next(iter(entry)) for entry in request.body["tools"]] == [
        "googleSearch",
        "functionDeclarations",
    ]
    assert request.body["toolConfig"] == {"includeServerSideToolInvocations": True}
    assert request.needs == {"search", "tools"}
    assert request.dropped == []


def test_before_gemini_3_functions_stay_and_built_in_tools_are_dropped_by_name():
    request = parse(tools=[SEARCH, tool("f")], model=FLASH_25)
    assert [next(iter(entry)) for entry in request.body["tools"]] == [
        "functionDeclarations"
    ]
    assert "toolConfig" not in request.body
    assert request.dropped == ["tools.googleSearch"]
    assert request.needs == {"tools"}


def test_choosing_none_leaves_no_built_in_tool():
    body = parse(tools=[SEARCH], tool_choice="none").body
    assert "tools" not in body
    mixed = parse(tools=[SEARCH, tool("f")], tool_choice="none").body
    assert mixed["toolConfig"] == {"functionCallingConfig": {"mode": "NONE"}}
    assert [next(iter(entry)) for entry in mixed["tools"]] == ["functionDeclarations"]


def test_a_built_in_tool_cannot_be_forced_and_that_is_said():
    assert parse(tools=[SEARCH], tool_choice="required").dropped == ["tool_choice"]


def test_allowed_tools_also_choose_among_built_in_tools():
    choice = {"type": "allowed_tools", "mode": "auto", "tools": [tool("f"), SEARCH]}
    listed = [tool("f"), tool("g"), SEARCH, {"type": "code_interpreter"}]
    body = parse(tools=listed, tool_choice=choice).body
    assert [next(iter(entry)) for entry in body["tools"]] == [
        "googleSearch",
        "functionDeclarations",
    ]


def test_only_built_in_tools_allowed_means_no_function_is_called():
    choice = {"type": "allowed_tools", "mode": "auto", "tools": [SEARCH]}
    body = parse(tools=[tool("f"), SEARCH], tool_choice=choice).body
    assert body["toolConfig"]["functionCallingConfig"] == {"mode": "NONE"}
    assert {"googleSearch": {}} in body["tools"]
