"""Thinking: which model is steered how, and every way to ask for it."""

import pytest

from proxy.errors import BadRequest
from proxy.wire.thinking import asks_to_think, from_effort, profile, resolve
from tests.proxy.wire.chat_samples import FLASH_3, FLASH_25, config, parse, refused

PRO_25 = "gemini-2.5-pro"
LITE_25 = "gemini-2.5-flash-lite"
PRO_3 = "gemini-3-pro-preview"
PRO_31 = "gemini-3.1-pro-preview"
FLASH_37 = "gemini-3.7-flash"
GEMMA_4 = "gemma-4-31b-it"
FLASH_20 = "gemini-2.0-flash"

ALL = ("MINIMAL", "LOW", "MEDIUM", "HIGH")
NO_MINIMAL = ("LOW", "MEDIUM", "HIGH")


@pytest.mark.parametrize(
    ("model", "levels"),
    [
        (PRO_3, ("LOW", "HIGH")),
        ("gemini-3.0-pro", ("LOW", "HIGH")),
        ("models/gemini-3-pro-preview", ("LOW", "HIGH")),
        (PRO_31, NO_MINIMAL),
        ("gemini-3.1-pro", NO_MINIMAL),
        (FLASH_3, ALL),
        ("gemini-3.5-flash", ALL),
        ("gemini-3.6-flash", ALL),
        ("gemini-3.5-flash-lite", ALL),
        ("gemini-3.9-flash-lite", ALL),
        (FLASH_37, NO_MINIMAL),
        ("gemini-4-flash", NO_MINIMAL),
        ("gemini-flash-latest", NO_MINIMAL),
        ("gemini-pro-latest", NO_MINIMAL),
        ("gemini-5-ultra", ALL),
        (GEMMA_4, ("MINIMAL", "HIGH")),
    ],
)
def test_newer_models_are_steered_by_levels(model, levels):
    assert (profile(model).control, profile(model).levels) == ("level", levels)


@pytest.mark.parametrize(
    ("model", "least", "most", "off"),
    [
        (FLASH_25, 1, 24576, True),
        ("gemini-2.5-flash-preview-09-2025", 1, 24576, True),
        (LITE_25, 512, 24576, True),
        (PRO_25, 128, 32768, False),
        ("google/gemini-2.5-pro", 128, 32768, False),
        ("gemini-3-pro-image", 128, 32768, False),
    ],
)
def test_2_5_models_are_steered_by_budgets(model, least, most, off):
    found = profile(model)
    assert found.control == "budget"
    assert (found.least, found.most, found.off) == (least, most, off)


@pytest.mark.parametrize(
    "model",
    [
        FLASH_20,
        "gemini-1.5-pro",
        "gemini-2.5-flash-image",
        "gemini-2.5-flash-preview-tts",
        "gemini-embedding-001",
        "gemma-3-27b-it",
        "some-model",
        "",
    ],
)
def test_other_models_do_not_think(model):
    assert profile(model).control == "none"
    assert from_effort(model, "high") is None


@pytest.mark.parametrize(
    ("model", "effort", "expected"),
    [
        (FLASH_25, "none", {"thinkingBudget": 0}),
        (LITE_25, "none", {"thinkingBudget": 0}),
        (PRO_25, "none", {"thinkingBudget": 128}),
        (FLASH_25, "minimal", {"thinkingBudget": 1024}),
        (LITE_25, "minimal", {"thinkingBudget": 1024}),
        (FLASH_25, "low", {"thinkingBudget": 1024}),
        (FLASH_25, "medium", {"thinkingBudget": 8192}),
        (FLASH_25, "high", {"thinkingBudget": 24576}),
        (PRO_25, "high", {"thinkingBudget": 24576}),
        (FLASH_25, "xhigh", {"thinkingBudget": 24576}),
        (PRO_25, "xhigh", {"thinkingBudget": 32768}),
        (PRO_25, "max", {"thinkingBudget": 32768}),
        (FLASH_3, "none", {"thinkingLevel": "MINIMAL"}),
        (FLASH_37, "none", {"thinkingLevel": "LOW"}),
        (PRO_31, "none", {"thinkingLevel": "LOW"}),
        (FLASH_3, "minimal", {"thinkingLevel": "MINIMAL"}),
        (FLASH_37, "minimal", {"thinkingLevel": "LOW"}),
        (PRO_31, "minimal", {"thinkingLevel": "LOW"}),
        (FLASH_3, "low", {"thinkingLevel": "LOW"}),
        (FLASH_3, "medium", {"thinkingLevel": "MEDIUM"}),
        (PRO_31, "medium", {"thinkingLevel": "MEDIUM"}),
        (PRO_3, "medium", {"thinkingLevel": "HIGH"}),
        (PRO_3, "minimal", {"thinkingLevel": "LOW"}),
        (FLASH_3, "high", {"thinkingLevel": "HIGH"}),
        (FLASH_3, "xhigh", {"thinkingLevel": "HIGH"}),
        (FLASH_3, "max", {"thinkingLevel": "HIGH"}),
        (GEMMA_4, "low", {"thinkingLevel": "MINIMAL"}),
        (GEMMA_4, "medium", {"thinkingLevel": "HIGH"}),
    ],
)
def test_an_effort_becomes_a_budget_or_a_level(model, effort, expected):
    shown = {"includeThoughts": effort != "none"}
    assert from_effort(model, effort) == {**expected, **shown}


@pytest.mark.parametrize("effort", ["", "huge", "HIGH"])
def test_an_unknown_effort_is_refused(effort):
    with pytest.raises(BadRequest) as caught:
        from_effort(FLASH_3, effort)
    assert caught.value.param == "reasoning_effort"


def test_without_a_wish_the_model_decides():
    assert "thinkingConfig" not in config()
    assert "thinkingConfig" not in config(reasoning_effort=None, reasoning=None)


def test_reasoning_effort_reaches_the_generation_config():
    assert config(reasoning_effort="low")["thinkingConfig"] == {
        "thinkingLevel": "LOW",
        "includeThoughts": True,
    }


@pytest.mark.parametrize(
    ("model", "reasoning", "expected"),
    [
        (FLASH_3, {"effort": "low"}, {"thinkingLevel": "LOW", "includeThoughts": True}),
        (
            FLASH_3,
            {"effort": "high", "exclude": True},
            {"thinkingLevel": "HIGH", "includeThoughts": False},
        ),
        (FLASH_25, {"max_tokens": 2000}, {"thinkingBudget": 2000}),
        (FLASH_25, {"max_tokens": 99999}, {"thinkingBudget": 24576}),
        (PRO_25, {"max_tokens": 1}, {"thinkingBudget": 128}),
        (FLASH_3, {"max_tokens": 500}, {"thinkingLevel": "LOW"}),
        (FLASH_3, {"max_tokens": 5000}, {"thinkingLevel": "MEDIUM"}),
        (FLASH_3, {"max_tokens": 20000}, {"thinkingLevel": "HIGH"}),
        (FLASH_3, {"enabled": True}, {"includeThoughts": True}),
        (FLASH_25, {"enabled": True}, {"thinkingBudget": -1}),
        (FLASH_3, {"exclude": False}, {"includeThoughts": True}),
        (FLASH_3, {"exclude": True}, {"includeThoughts": False}),
    ],
)
def test_the_reasoning_object_is_understood(model, reasoning, expected):
    found = config(model=model, reasoning=reasoning)["thinkingConfig"]
    assert found == {"includeThoughts": True, **expected}


@pytest.mark.parametrize(
    "reasoning", [{"enabled": False}, {"max_tokens": 0}, {"effort": "none"}]
)
def test_reasoning_can_be_switched_off(reasoning):
    found = config(model=FLASH_25, reasoning=reasoning)["thinkingConfig"]
    assert found == {"thinkingBudget": 0, "includeThoughts": False}


def test_an_empty_reasoning_object_asks_for_nothing():
    request = parse(reasoning={})
    assert "generationConfig" not in request.body
    assert request.dropped == []


def test_effort_in_both_places_may_agree():
    found = config(reasoning_effort="low", reasoning={"effort": "low", "exclude": True})
    assert found["thinkingConfig"] == {
        "thinkingLevel": "LOW",
        "includeThoughts": False,
    }


@pytest.mark.parametrize(
    ("model", "thinking", "expected"),
    [
        (
            FLASH_25,
            {"type": "enabled", "budget_tokens": 4000},
            {"thinkingBudget": 4000},
        ),
        (
            FLASH_3,
            {"type": "enabled", "budget_tokens": 4000},
            {"thinkingLevel": "MEDIUM"},
        ),
        (FLASH_25, {"type": "enabled"}, {"thinkingBudget": -1}),
        (FLASH_25, {"type": "adaptive"}, {"thinkingBudget": -1}),
        (FLASH_3, {"type": "auto"}, {}),
        (FLASH_25, True, {"thinkingBudget": -1}),
        (
            FLASH_25,
            {"type": "disabled", "budget_tokens": 9},
            {"thinkingBudget": 0, "includeThoughts": False},
        ),
        (FLASH_25, False, {"thinkingBudget": 0, "includeThoughts": False}),
    ],
)
def test_the_thinking_object_is_understood(model, thinking, expected):
    found = config(model=model, thinking=thinking)["thinkingConfig"]
    assert found == {"includeThoughts": True, **expected}


@pytest.mark.parametrize(
    "fields",
    [
        {"extra_body": {"google": {"thinking_config": {"thinking_level": "low"}}}},
        {"google": {"thinking_config": {"thinking_level": "LOW"}}},
        {"google": {"thinkingConfig": {"thinkingLevel": "low"}}},
        {"thinking_config": {"thinking_level": "low"}},
    ],
)
def test_googles_own_thinking_config_is_taken_in_every_place(fields):
    assert config(**fields)["thinkingConfig"] == {"thinkingLevel": "LOW"}


def test_googles_own_budget_is_passed_on():
    given = {"thinking_budget": 0, "include_thoughts": False}
    assert config(model=FLASH_25, thinking_config=given)["thinkingConfig"] == {
        "thinkingBudget": 0,
        "includeThoughts": False,
    }


def test_an_empty_thinking_config_asks_for_nothing():
    assert "thinkingConfig" not in config(thinking_config={})


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        (
            {"reasoning_effort": "low", "thinking_config": {"thinking_level": "LOW"}},
            "reasoning_effort",
        ),
        (
            {"reasoning": {}, "google": {"thinking_config": {"thinking_level": "LOW"}}},
            "reasoning",
        ),
        ({"thinking": True, "thinking_config": {}}, "thinking"),
        ({"thinking": True, "reasoning_effort": "low"}, "thinking"),
        (
            {"reasoning_effort": "low", "reasoning": {"effort": "high"}},
            "reasoning_effort",
        ),
        ({"reasoning": {"effort": "low", "max_tokens": 5}}, "reasoning.max_tokens"),
        (
            {"thinking_config": {"thinking_level": "LOW", "thinking_budget": 5}},
            "thinking_config",
        ),
        ({"reasoning_effort": "huge"}, "reasoning_effort"),
        ({"reasoning_effort": 3}, "reasoning_effort"),
        ({"reasoning": "high"}, "reasoning"),
        ({"reasoning": {"effort": "huge"}}, "reasoning.effort"),
        ({"reasoning": {"max_tokens": -1}}, "reasoning.max_tokens"),
        ({"reasoning": {"max_tokens": "9"}}, "reasoning.max_tokens"),
        ({"reasoning": {"enabled": "yes"}}, "reasoning.enabled"),
        ({"reasoning": {"exclude": 1}}, "reasoning.exclude"),
        ({"thinking": "on"}, "thinking"),
        ({"thinking": {"type": "maybe"}}, "thinking.type"),
        ({"thinking": {"budget_tokens": 1.5}}, "thinking.budget_tokens"),
        ({"thinking_config": 3}, "thinking_config"),
        ({"thinking_config": {"thinking_level": 3}}, "thinking_config.thinking_level"),
        (
            {"thinking_config": {"thinking_budget": "x"}},
            "thinking_config.thinking_budget",
        ),
        (
            {"google": {"thinking_config": {"include_thoughts": "x"}}},
            "extra_body.google.thinking_config.include_thoughts",
        ),
    ],
)
def test_contradictions_and_wrong_types_are_refused(fields, param):
    refused(param=param, **fields)


def test_a_level_is_refused_for_a_model_that_counts_tokens():
    refused(
        param="thinking_config.thinking_level",
        model=FLASH_25,
        thinking_config={"thinking_level": "LOW"},
    )


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"reasoning_effort": "high"}, "reasoning_effort"),
        ({"reasoning": {"max_tokens": 500}}, "reasoning"),
        ({"reasoning": {"enabled": True}}, "reasoning"),
        ({"thinking": True}, "thinking"),
    ],
)
def test_a_model_that_does_not_think_drops_the_wish_by_name(fields, name):
    request = parse(model=FLASH_20, **fields)
    assert request.dropped == [name]
    assert "generationConfig" not in request.body
    assert "thinking" not in request.needs


@pytest.mark.parametrize(
    "fields",
    [
        {"reasoning_effort": "none"},
        {"reasoning": {"enabled": False}},
        {"reasoning": {"exclude": True}},
        {"thinking": False},
    ],
)
def test_not_to_think_is_no_loss_for_a_model_that_does_not(fields):
    assert parse(model=FLASH_20, **fields).dropped == []


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (None, False),
        ({}, False),
        ({"thinkingBudget": 0, "includeThoughts": False}, False),
        ({"thinkingLevel": "MINIMAL", "includeThoughts": False}, False),
        ({"thinkingBudget": -1}, True),
        ({"thinkingBudget": 8192, "includeThoughts": False}, True),
        ({"thinkingBudget": 1024, "includeThoughts": False}, True),
        ({"thinkingBudget": 128, "includeThoughts": False}, False),
        ({"thinkingLevel": "HIGH", "includeThoughts": False}, True),
        ({"includeThoughts": True}, True),
    ],
)
def test_thinking_is_a_need_only_when_it_is_wanted(config, expected):
    assert asks_to_think(config) is expected


def test_thinking_is_listed_among_the_needs():
    assert "thinking" in parse(reasoning_effort="high").needs
    assert "thinking" not in parse(reasoning_effort="none").needs


@pytest.mark.parametrize("model", [FLASH_25, PRO_25, FLASH_3, PRO_3, GEMMA_4, FLASH_37])
@pytest.mark.parametrize("effort", ["none", "minimal", "low", "medium", "high", "max"])
def test_level_and_budget_never_come_together(model, effort):
    found, dropped = resolve({"reasoning_effort": effort}, {}, model)
    assert found is not None
    assert ("thinkingLevel" in found) != ("thinkingBudget" in found)
    assert dropped == []
