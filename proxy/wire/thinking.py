"""How much a model shall think: OpenAI's and others' words into thinkingConfig."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from proxy.wire.model_names import ModelName, model_name
from proxy.wire.openai_fields import (
    choice,
    either,
    flag,
    maybe,
    record,
    text,
    whole,
    wrong,
)
from proxy.wire.xai_models import efforts

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")

#: Effort to budget on models that count tokens, per Google's compatibility table.
_BUDGETS = {
    "minimal": 1024,
    "low": 1024,
    "medium": 8192,
    "high": 24576,
    "xhigh": 24576,
    "max": 24576,
}
#: Effort to the levels that serve it, the best first.
_LEVELS = {
    "none": ("MINIMAL", "LOW"),
    "minimal": ("MINIMAL", "LOW"),
    "low": ("LOW", "MINIMAL"),
    "medium": ("MEDIUM", "HIGH"),
    "high": ("HIGH",),
    "xhigh": ("XHIGH", "HIGH"),
    "max": ("XHIGH", "HIGH"),
}
_TOP_BUDGET = 32768
_DYNAMIC = -1

_LOW_TO_HIGH = ("LOW", "MEDIUM", "HIGH")
_ALL_LEVELS = ("MINIMAL", *_LOW_TO_HIGH)

_effort = partial(choice, allowed=EFFORTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """How a model's thinking is steered.

    ``control`` is "none" for models that do not think. ``least`` and ``most`` bound a
    budget; ``off`` tells whether a budget of zero stops the thinking.
    """

    control: Literal["none", "budget", "level"]
    levels: tuple[str, ...] = ()
    least: int = 0
    most: int = 0
    off: bool = False


_NO_THINKING = Profile(control="none")
_SILENT_VARIANTS = ("tts", "embedding", "image", "live")


def profile(model: str) -> Profile:
    """Return how ``model`` thinks, per Google's thinking guide.

    An unknown newer id is steered by levels; its lowest is LOW for a Pro from 3 and
    a Flash from 3.7 on, else MINIMAL. Models of xAI take the efforts that their
    names tell.
    """
    if known := efforts(model):
        levels = tuple(word.upper() for word in known)
        return Profile(control="level", levels=levels, off="none" in known)
    named = model_name(model)
    if named.family == "gemma" and named.version >= (4, 0):
        return Profile(control="level", levels=("MINIMAL", "HIGH"))
    if named.family != "gemini" or named.version < (2, 5):
        return _NO_THINKING
    if named.gemini3:
        return _newer(named)
    return _gemini_2_5(named)


def _gemini_2_5(named: ModelName) -> Profile:
    if any(named.has(word) for word in _SILENT_VARIANTS):
        return _NO_THINKING
    if named.has("pro"):
        return Profile(control="budget", least=128, most=_TOP_BUDGET)
    least = 512 if named.has("flash-lite") else 1
    return Profile(control="budget", least=least, most=24576, off=True)


def _newer(named: ModelName) -> Profile:
    if named.has("tts") or named.has("embedding"):
        return _NO_THINKING
    if named.version == (3, 0) and named.has("pro"):
        if named.has("image"):
            return Profile(control="budget", least=128, most=_TOP_BUDGET)
        return Profile(control="level", levels=("LOW", "HIGH"))
    if named.has("flash-lite"):
        return Profile(control="level", levels=_ALL_LEVELS)
    late_flash = named.has("flash") and named.version >= (3, 7)
    levels = _LOW_TO_HIGH if named.has("pro") or late_flash else _ALL_LEVELS
    return Profile(control="level", levels=levels)


def from_effort(model: str, effort: str) -> dict[str, Any] | None:
    """Translate a ``reasoning_effort``; None when the model does not think.

    Raises BadRequest for a word that is not an effort. Budgets and level names are
    those of Google's OpenAI compatibility page, widened to the newer efforts.
    """
    _effort(effort, "reasoning_effort")
    known = profile(model)
    if known.control == "none":
        return None
    shown = effort != "none"
    if known.control == "budget":
        return {"thinkingBudget": _budget(known, effort), "includeThoughts": shown}
    if effort == "none" and known.off:
        return {"thinkingBudget": 0, "includeThoughts": False}
    level = next(word for word in _LEVELS[effort] if word in known.levels)
    return {"thinkingLevel": level, "includeThoughts": shown}


def _budget(known: Profile, effort: str) -> int:
    if effort == "none":
        return 0 if known.off else known.least
    if effort in ("xhigh", "max"):
        return known.most
    return _BUDGETS[effort]


def _from_tokens(model: str, tokens: int) -> dict[str, Any] | None:
    if tokens == 0:
        return from_effort(model, "none")
    known = profile(model)
    if known.control != "budget":
        return from_effort(model, _nearest_effort(tokens))
    budget = min(max(tokens, known.least), known.most)
    return {"thinkingBudget": budget, "includeThoughts": True}


def _nearest_effort(tokens: int) -> str:
    if tokens <= _BUDGETS["low"]:
        return "low"
    return "medium" if tokens <= _BUDGETS["medium"] else "high"


def _switched_on(model: str) -> dict[str, Any] | None:
    known = profile(model)
    if known.control == "none":
        return None
    if known.control == "budget":
        return {"thinkingBudget": _DYNAMIC, "includeThoughts": True}
    return {"includeThoughts": True}


def resolve(
    body: Mapping[str, Any], google: Mapping[str, Any], model: str
) -> tuple[dict[str, Any] | None, list[str]]:
    """Read every way to ask for thinking and return (thinkingConfig, dropped names).

    ``body`` is the OpenAI request, ``google`` its ``extra_body.google`` object. Only
    one way may be used at a time, as on Google's own endpoint; BadRequest otherwise.
    A wish that the model cannot follow because it does not think is dropped by name.
    """
    ways = [name for name in _WAYS if body.get(name) is not None]
    explicit = google_config(body, google, model)
    if explicit is not None:
        if ways:
            raise wrong(ways[0], "cannot be combined with thinking_config")
        return explicit or None, []
    if "thinking" in ways and len(ways) > 1:
        raise wrong("thinking", f"cannot be combined with {ways[0]}")
    if not ways:
        return None, []
    config, silent = _wish(body, model)
    dropped = [] if config is not None or silent else [ways[0]]
    return config, dropped


_WAYS = ("reasoning_effort", "reasoning", "thinking")


def _wish(body: Mapping[str, Any], model: str) -> tuple[dict[str, Any] | None, bool]:
    """Return the thinkingConfig and whether the wish was for no thinking at all."""
    if body.get("thinking") is not None:
        return _anthropic_style(body["thinking"], model)
    effort = maybe(body, "reasoning_effort", _effort)
    reasoning = maybe(body, "reasoning", record)
    if reasoning is not None:
        return _router_style(reasoning, effort, model)
    return _effort_or_tokens(effort, None, model, None, None)


def _router_style(
    reasoning: Mapping[str, Any], outer: str | None, model: str
) -> tuple[dict[str, Any] | None, bool]:
    """Read OpenRouter's ``reasoning`` object."""
    inner = maybe(reasoning, "effort", _effort, "reasoning")
    tokens = maybe(reasoning, "max_tokens", _tokens, "reasoning")
    enabled = maybe(reasoning, "enabled", flag, "reasoning")
    exclude = maybe(reasoning, "exclude", flag, "reasoning")
    if outer and inner and outer != inner:
        raise wrong("reasoning_effort", "contradicts reasoning.effort")
    effort = outer or inner
    if effort and tokens is not None:
        raise wrong("reasoning.max_tokens", "cannot be combined with an effort")
    if enabled is False:
        effort, tokens = "none", None
    config, silent = _effort_or_tokens(effort, tokens, model, enabled, exclude)
    if config is not None and exclude is True:
        config["includeThoughts"] = False
    return config, silent


def _effort_or_tokens(
    effort: str | None,
    tokens: int | None,
    model: str,
    enabled: bool | None,
    exclude: bool | None,
) -> tuple[dict[str, Any] | None, bool]:
    if effort is not None:
        return from_effort(model, effort), effort == "none"
    if tokens is not None:
        return _from_tokens(model, tokens), tokens == 0
    if enabled:
        return _switched_on(model), False
    if exclude is None or profile(model).control == "none":
        return None, True
    return {"includeThoughts": not exclude}, False


def _anthropic_style(value: object, model: str) -> tuple[dict[str, Any] | None, bool]:
    """Read ``thinking``: true, false, or {"type", "budget_tokens"}."""
    if isinstance(value, bool):
        return _on_or_off(value, model)
    thinking = record(value, "thinking")
    kinds = ("enabled", "disabled", "adaptive", "auto")
    kind = choice(thinking.get("type", "enabled"), "thinking.type", kinds)
    tokens = maybe(thinking, "budget_tokens", _tokens, "thinking")
    if kind == "disabled" or tokens is None:
        return _on_or_off(kind != "disabled", model)
    return _from_tokens(model, tokens), tokens == 0


def _on_or_off(enabled: bool, model: str) -> tuple[dict[str, Any] | None, bool]:
    if enabled:
        return _switched_on(model), False
    return from_effort(model, "none"), True


def _tokens(value: object, param: str) -> int:
    found = whole(value, param)
    if found < 0:
        raise wrong(param, "must not be negative")
    return found


def asks_to_think(config: Mapping[str, Any] | None) -> bool:
    """Does a thinkingConfig want thinking, rather than little or none of it?"""
    if not config:
        return False
    budget = config.get("thinkingBudget", 0)
    much = budget == _DYNAMIC or budget >= _BUDGETS["low"]
    deep = config.get("thinkingLevel") in ("MEDIUM", "HIGH", "XHIGH")
    return much or deep or config.get("includeThoughts") is True


def google_config(
    body: Mapping[str, Any], google: Mapping[str, Any], model: str
) -> dict[str, Any] | None:
    """Read ``thinking_config`` in either place and casing; None when there is none.

    Raises BadRequest when level and budget come together, and when a level is asked
    of a Gemini before 3, both of which Google refuses too.
    """
    for source, prefix in ((google, "extra_body.google"), (body, "")):
        found = either(source, ("thinking_config", "thinkingConfig"), record, prefix)
        if found is not None:
            param = f"{prefix}.thinking_config" if prefix else "thinking_config"
            return _typed_config(found, param, model)
    return None


def _typed_config(found: Mapping[str, Any], param: str, model: str) -> dict[str, Any]:
    budget = either(found, ("thinking_budget", "thinkingBudget"), whole, param)
    level = either(found, ("thinking_level", "thinkingLevel"), text, param)
    shown = either(found, ("include_thoughts", "includeThoughts"), flag, param)
    if budget is not None and level is not None:
        raise wrong(param, "takes thinking_budget or thinking_level, not both")
    if level is not None and profile(model).control == "budget":
        raise wrong(
            f"{param}.thinking_level",
            "is not known to this model; it takes thinking_budget",
        )
    config: dict[str, Any] = {}
    if budget is not None:
        config["thinkingBudget"] = budget
    if level is not None:
        config["thinkingLevel"] = level.upper()
    if shown is not None:
        config["includeThoughts"] = shown
    return config
