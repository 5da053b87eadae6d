"""Every check of a request, in the order in which Google's servers make them."""

from typing import Any

from proxy.sandbox import tokens
from proxy.sandbox.catalogue import Card, find_card
from proxy.sandbox.config_rules import check_config
from proxy.sandbox.content_rules import (
    check_contents,
    check_media,
    check_parts,
    check_system,
    check_turns,
)
from proxy.sandbox.protojson import decode_json, parse
from proxy.sandbox.refusals import (
    Complaints,
    Refusal,
    invalid_argument,
    model_unknown,
)
from proxy.sandbox.signatures import check_signatures
from proxy.sandbox.tool_rules import check_tools

_MOST_EMBEDDINGS = 100
_VECTOR_SIZE = 3072


def require_card(model: str, version: str, method: str) -> Card:
    """The model's card; refuses models that are unknown or lack the method."""
    card = find_card(model)
    if card is None or not card.supports(method):
        raise model_unknown(model, version, method)
    return card


def read_generate(body: bytes, card: Card) -> dict[str, Any]:
    """A checked ``GenerateContentRequest`` from a body."""
    request = parse("GenerateContentRequest", decode_json(body))
    _check_model_name(request, card)
    check_generate(request, card)
    return request


def check_generate(request: dict[str, Any], card: Card) -> None:
    """Refuse a parsed request that the model would not take."""
    contents = request.get("contents", [])
    complaints = Complaints()
    check_contents(contents, complaints)
    check_system(request, card, complaints)
    _check_safety(request, complaints)
    check_tools(request, card, complaints)
    check_config(request.get("generationConfig", {}), card, complaints)
    complaints.refuse()
    check_turns(contents)
    check_signatures(contents, card)
    check_media(contents)
    _check_cache(request)
    check_length(request, card)


def check_length(request: dict[str, Any], card: Card) -> None:
    """Refuse a prompt that does not fit into the model's context."""
    count = tokens.total(tokens.prompt_tokens(request))
    if count > card.input_limit:
        raise invalid_argument(
            f"The input token count ({count}) exceeds the maximum number of tokens"
            f" allowed ({card.input_limit})."
        )


def read_count(body: bytes, card: Card) -> dict[str, Any]:
    """The checked request whose tokens a ``CountTokensRequest`` asks for."""
    request = parse("CountTokensRequest", decode_json(body))
    nested = request.get("generateContentRequest")
    if nested is None:
        complaints = Complaints("CountTokensRequest")
        check_contents(request.get("contents", []), complaints)
        complaints.refuse()
        check_media(request["contents"])
        return request
    if "contents" in request:
        raise invalid_argument(
            "contents and generate_content_request are mutually exclusive."
        )
    if not nested.get("model"):
        raise invalid_argument(
            "* CountTokensRequest.generate_content_request.model: model is required\n"
        )
    _check_model_name(nested, card)
    check_generate(nested, card)
    return nested


def read_embed(body: bytes, card: Card) -> dict[str, Any]:
    """A checked ``EmbedContentRequest`` from a body."""
    request = parse("EmbedContentRequest", decode_json(body))
    _check_embed(request, card, "EmbedContentRequest", "")
    return request


def read_batch_embed(body: bytes, card: Card) -> list[dict[str, Any]]:
    """The checked requests of a ``BatchEmbedContentsRequest``."""
    batch = parse("BatchEmbedContentsRequest", decode_json(body))
    requests: list[dict[str, Any]] = batch.get("requests", [])
    if not requests:
        raise invalid_argument(
            "* BatchEmbedContentsRequest.requests: requests is not specified\n"
        )
    if len(requests) > _MOST_EMBEDDINGS:
        raise invalid_argument(
            "* BatchEmbedContentsRequest.requests: at most 100 requests can be in one"
            " batch\n"
        )
    for index, request in enumerate(requests):
        path = f"requests[{index}]."
        if not request.get("model"):
            raise invalid_argument(
                f"* BatchEmbedContentsRequest.{path}model: model is required\n"
            )
        _check_embed(request, card, "BatchEmbedContentsRequest", path)
    return requests


def _check_embed(request: dict[str, Any], card: Card, message: str, path: str) -> None:
    _check_model_name(request, card)
    complaints = Complaints(message)
    content = request.get("content")
    if content is None:
        complaints.add(f"{path}content", "content is not specified")
    else:
        check_parts(content, f"{path}content", complaints)
    size = request.get("outputDimensionality", _VECTOR_SIZE)
    if not 1 <= size <= _VECTOR_SIZE:
        text = f"output_dimensionality must be in the range [1, {_VECTOR_SIZE}]"
        complaints.add(f"{path}output_dimensionality", text)
    if request.get("title") and request.get("taskType") != "RETRIEVAL_DOCUMENT":
        text = "title is only allowed for task type RETRIEVAL_DOCUMENT"
        complaints.add(f"{path}title", text)
    for part in (content or {}).get("parts", ()):
        if part and "text" not in part:
            complaints.add(f"{path}content", "only text can be embedded")
    complaints.refuse()


def _check_model_name(request: dict[str, Any], card: Card) -> None:
    named = request.get("model")
    if named and named not in (card.name, card.id):
        raise invalid_argument(
            f"The model in the body ({named}) differs from the model in the path"
            f" ({card.name})."
        )


def _check_safety(request: dict[str, Any], complaints: Complaints) -> None:
    seen = set()
    for index, setting in enumerate(request.get("safetySettings", ())):
        category = setting.get("category", "HARM_CATEGORY_UNSPECIFIED")
        path = f"safety_settings[{index}]"
        if category == "HARM_CATEGORY_UNSPECIFIED":
            complaints.add(f"{path}.category", "element predicate failed")
        if category in seen:
            text = f"element must be unique. Found duplicate {category}"
            complaints.add(f"{path}.category", text)
        seen.add(category)


def _check_cache(request: dict[str, Any]) -> None:
    if request.get("cachedContent"):
        raise Refusal(403, "CachedContent not found (or permission denied)")
