"""What the names of xAI's models say."""

import pytest

from proxy.wire.model_names import model_name
from proxy.wire.thinking import from_effort, profile
from proxy.wire.xai_models import draws_in_chat, efforts, is_grok, makes_pictures


@pytest.mark.parametrize(
    ("model", "known"),
    [
        ("grok-4.3", ("none", "low", "medium", "high")),
        ("xai/grok-4.3-latest", ("none", "low", "medium", "high")),
        ("grok-4.5", ("low", "medium", "high")),
        ("grok-4.7", ("low", "medium", "high", "xhigh")),
        ("grok-5", ("low", "medium", "high", "xhigh")),
        ("grok-3-mini", ("low", "high")),
        ("grok-4.20-0309-reasoning", ()),
        ("grok-4.20-0309-non-reasoning", ()),
        ("grok-5-non-reasoning", ()),
        ("grok-4-0709", ()),
        ("grok-4", ()),
        ("grok-3", ()),
        ("grok-build-0.1", ()),
        ("grok-code-fast-1", ()),
        ("grok-2-image-1212", ()),
        ("gemini-3-flash-preview", ()),
    ],
)
def test_efforts_are_told_by_the_version(model: str, known: tuple[str, ...]) -> None:
    assert efforts(model) == known
    levels = tuple(word.upper() for word in known)
    if model.startswith(("grok", "xai")):
        assert profile(model).levels == levels


@pytest.mark.parametrize(
    ("model", "draws", "in_chat"),
    [
        ("grok-2-image", True, True),
        ("grok-2-image-1212", True, True),
        ("xai/grok-2-image-1212", True, True),
        ("grok-imagine-image-2.0", True, False),
        ("grok-2-vision-1212", False, False),
        ("grok-4.3", False, False),
        ("my-grok-2-image", False, False),
    ],
)
def test_models_for_pictures_are_told_by_how_they_begin(
    model: str, draws: bool, in_chat: bool
) -> None:
    assert (makes_pictures(model), draws_in_chat(model)) == (draws, in_chat)


def test_only_grok_is_grok() -> None:
    assert is_grok("x-ai/Grok-4")
    assert not is_grok("gemini-3-pro")


@pytest.mark.parametrize(
    ("model", "effort", "config"),
    [
        ("grok-4.3", "none", {"thinkingBudget": 0, "includeThoughts": False}),
        ("grok-4.7", "none", {"thinkingLevel": "LOW", "includeThoughts": False}),
        ("grok-4.7", "max", {"thinkingLevel": "XHIGH", "includeThoughts": True}),
        ("grok-4.5", "xhigh", {"thinkingLevel": "HIGH", "includeThoughts": True}),
        ("grok-3-mini", "medium", {"thinkingLevel": "HIGH", "includeThoughts": True}),
        ("grok-4.5", "minimal", {"thinkingLevel": "LOW", "includeThoughts": True}),
        ("grok-build-0.1", "high", None),
    ],
)
def test_an_effort_becomes_what_the_model_takes(
    model: str, effort: str, config: dict[str, object] | None
) -> None:
    assert from_effort(model, effort) == config


def test_grok_takes_a_schema_beside_tools_and_old_gemini_does_not() -> None:
    assert model_name("grok-4.3").json_beside_tools
    assert model_name("gemini-3-flash-preview").json_beside_tools
    assert not model_name("gemini-2.5-flash").json_beside_tools
