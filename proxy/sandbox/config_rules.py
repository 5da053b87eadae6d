"""Rules for generationConfig: ranges, and what each model can do."""

from typing import Any

from proxy.sandbox.catalogue import Card, Thinking
from proxy.sandbox.fields import snake
from proxy.sandbox.refusals import Complaints, invalid_argument
from proxy.sandbox.schema_rules import check_json_schema, check_schema

_MIME_TYPES = ("text/plain", "application/json", "text/x.enum")
_RANGES = {
    "temperature": (0, 2, "must be in the range [0.0, 2.0]."),
    "topP": (0, 1, "must be in the range [0.0, 1.0]."),
    "topK": (1, 1000, "must be positive."),
    "candidateCount": (1, 8, "must be in the range [1, 8]."),
    "maxOutputTokens": (1, 2**31, "must be positive."),
}
_MOST_STOPS = 5


def json_schema_of(config: dict[str, Any]) -> Any:
    """The JSON Schema asked for, under either of its two names."""
    return config.get("responseJsonSchema", config.get("_responseJsonSchema"))


def check_config(config: dict[str, Any], card: Card, complaints: Complaints) -> None:
    """Refuse or note what is wrong with a parsed ``GenerationConfig``."""
    _check_ranges(config, complaints)
    _check_abilities(config, card)
    _check_answer_form(config, card, complaints)
    _check_modalities(config, card)
    _check_picture(config.get("imageConfig", {}), card, complaints)
    if "thinkingConfig" in config:
        _check_thinking(config["thinkingConfig"], card)


def _check_ranges(config: dict[str, Any], complaints: Complaints) -> None:
    for name, (lowest, highest, text) in _RANGES.items():
        field = snake(name)
        if name in config and not lowest <= config[name] <= highest:
            complaints.add(f"generation_config.{field}", f"{field} {text}")
    if len(config.get("stopSequences", ())) > _MOST_STOPS:
        text = f"at most {_MOST_STOPS} stop sequences are allowed."
        complaints.add("generation_config.stop_sequences", text)


def _check_abilities(config: dict[str, Any], card: Card) -> None:
    several = config.get("candidateCount", 1) > 1
    if several and (card.generation >= 3 or card.draws):
        raise invalid_argument(f"Multiple candidates is not enabled for {card.name}")
    penalised = {"presencePenalty", "frequencyPenalty"} & config.keys()
    if penalised and card.generation > 2:
        raise invalid_argument(f"Penalty is not enabled for {card.name}")
    if config.get("responseLogprobs") or "logprobs" in config:
        raise invalid_argument(f"Logprobs is not enabled for {card.name}")


def _check_answer_form(
    config: dict[str, Any], card: Card, complaints: Complaints
) -> None:
    path = "generation_config"
    mime_type = config.get("responseMimeType", "")
    schema, json_schema = config.get("responseSchema"), json_schema_of(config)
    if mime_type and mime_type not in _MIME_TYPES:
        text = (
            "allowed mimetypes are `text/plain`, `application/json` and `text/x.enum`."
        )
        complaints.add(f"{path}.response_mime_type", text)
    if card.draws and mime_type == "application/json":
        raise invalid_argument(f"JSON mode is not enabled for {card.name}")
    if schema is not None and json_schema is not None:
        text = "response_schema and response_json_schema are mutually exclusive."
        complaints.add(f"{path}.response_schema", text)
    if mime_type in ("", "text/plain") and (
        schema is not None or json_schema is not None
    ):
        text = "only allowed when response_mime_type is 'application/json'."
        complaints.add(f"{path}.response_schema", text)
    if schema is not None:
        check_schema(schema, f"{path}.response_schema", complaints)
    if json_schema is not None:
        check_json_schema(json_schema, f"{path}.response_json_schema")
    if mime_type == "text/x.enum" and not _chooses(schema, json_schema):
        text = "text/x.enum needs a schema of STRING type with an enum."
        complaints.add(f"{path}.response_schema", text)


def _chooses(schema: dict[str, Any] | None, json_schema: Any) -> bool:
    asked = schema if schema is not None else json_schema
    return isinstance(asked, dict) and bool(asked.get("enum"))


def _check_modalities(config: dict[str, Any], card: Card) -> None:
    asked = set(config.get("responseModalities", ()))
    can = {"TEXT", "IMAGE"} if card.draws else {"TEXT"}
    if asked <= can:
        return
    accepted = "* TEXT, IMAGE\n* IMAGE\n" if card.draws else "* TEXT\n"
    raise invalid_argument(
        "The requested combination of response modalities"
        f" ({', '.join(sorted(asked))}) is not supported by the model. {card.name}"
        f" accepts the following combination of response modalities:\n{accepted}"
    )


def _check_picture(config: dict[str, Any], card: Card, complaints: Complaints) -> None:
    if config and not card.draws:
        raise invalid_argument(f"Aspect ratio is not enabled for {card.name}")
    path = "generation_config.image_config"
    ratio = config.get("aspectRatio") or "1:1"
    if card.draws and ratio not in card.aspect_ratios:
        text = f"aspect_ratio must be one of {', '.join(card.aspect_ratios)}."
        complaints.add(f"{path}.aspect_ratio", text)
    size = config.get("imageSize") or "1K"
    if card.draws and size not in card.picture_sizes:
        text = f"image_size must be one of {', '.join(card.picture_sizes)}."
        complaints.add(f"{path}.image_size", text)


def _check_thinking(config: dict[str, Any], card: Card) -> None:
    level = config.get("thinkingLevel", "THINKING_LEVEL_UNSPECIFIED")
    has_level = level != "THINKING_LEVEL_UNSPECIFIED"
    has_budget = "thinkingBudget" in config
    thinking = card.thinking
    if thinking is None:
        if has_level or has_budget or config.get("includeThoughts"):
            raise invalid_argument("Thinking is not supported by this model.")
        return
    if has_level and has_budget:
        raise invalid_argument(
            "You can only set only one of thinking budget and thinking level."
        )
    if has_level and not thinking.levels:
        raise invalid_argument("Thinking level is not supported for this model.")
    if has_level and level not in thinking.levels:
        raise invalid_argument(
            f"Thinking level {level} is not supported for this model."
        )
    if has_budget:
        _check_budget(config, thinking)


def _check_budget(config: dict[str, Any], thinking: Thinking) -> None:
    budget = config["thinkingBudget"]
    if not thinking.highest:
        raise invalid_argument("Thinking budget is not supported for this model.")
    if budget == -1:
        return
    if budget == 0:
        if not thinking.can_stop:
            raise invalid_argument(
                "Budget 0 is invalid. This model only works in thinking mode."
            )
        if config.get("includeThoughts"):
            raise invalid_argument(
                "Thinking_config.include_thoughts is only enabled when thinking is"
                " enabled."
            )
        return
    if not thinking.lowest <= budget <= thinking.highest:
        raise invalid_argument(
            f"The thinking budget {budget} is invalid. Please choose a value between"
            f" {thinking.lowest} and {thinking.highest}."
        )
