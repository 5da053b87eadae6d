"""The RPCs of the API: from a body to a response, without any network."""

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from proxy.sandbox import predictions, tokens, validation
from proxy.sandbox.answers import Answer
from proxy.sandbox.catalogue import CARDS, Card, find_card
from proxy.sandbox.embeddings import FULL_SIZE, content_text, embed
from proxy.sandbox.refusals import invalid_argument, model_unknown

_PAGE = 50
_LARGEST_PAGE = 1000
_GENERATING = ("generateContent", "streamGenerateContent")
_EMBEDDING = ("embedContent", "batchEmbedContents")
_METHODS = (*_GENERATING, *_EMBEDDING, "countTokens", "predict")


@dataclass(frozen=True)
class Call:
    """One POST to a model: API version, model id and RPC."""

    version: str
    model: str
    method: str

    @property
    def runs_model(self) -> bool:
        """Whether quotas and overload concern it."""
        return self.method != "countTokens"

    @property
    def is_heavy(self) -> bool:
        """Whether it takes long enough to leave the event loop alone."""
        card = find_card(self.model)
        return self.method in _EMBEDDING or bool(card and card.draws)


def find_call(version: str, model: str, method: str) -> Call | None:
    """The call that a path names, or ``None`` for an unknown RPC."""
    return Call(version, model, method) if method in _METHODS else None


def run(
    call: Call, body: bytes, response_id: str, admit: Callable[[int], None]
) -> Answer | dict[str, Any]:
    """Do what a call asks.

    ``admit`` is told the input tokens and may refuse. Returns an ``Answer`` for the
    generating RPCs and the finished response for the others. Raises ``Refusal``.
    """
    card = validation.require_card(call.model, call.version, call.method)
    if call.method in _GENERATING:
        request = validation.read_generate(body, card)
        admit(tokens.total(tokens.prompt_tokens(request)))
        return Answer(request, card, response_id)
    if call.method == "countTokens":
        return _count(body, card)
    if call.method == "predict":
        asked = predictions.read_predict(body, card)
        admit(tokens.text_tokens(asked["prompt"]))
        return predictions.predict(asked)
    if call.method == "embedContent":
        request = validation.read_embed(body, card)
        admit(tokens.text_tokens(content_text(request["content"])))
        return {"embedding": _embedding(request)}
    requests = validation.read_batch_embed(body, card)
    admit(sum(tokens.text_tokens(content_text(r["content"])) for r in requests))
    return {"embeddings": [_embedding(request) for request in requests]}


def _count(body: bytes, card: Card) -> dict[str, Any]:
    counted = tokens.prompt_tokens(validation.read_count(body, card))
    return {
        "totalTokens": tokens.total(counted),
        "promptTokensDetails": tokens.details(counted),
    }


def _embedding(request: dict[str, Any]) -> dict[str, Any]:
    size = request.get("outputDimensionality", FULL_SIZE)
    text = content_text(request["content"])
    return {"values": embed(text, request.get("taskType", ""), size)}


def list_models(kind: str, query: Mapping[str, str]) -> dict[str, Any]:
    """A page of the models list. Raises ``Refusal`` for a bad size or token."""
    size = _page_size(query.get("pageSize", ""))
    start = _page_start(query.get("pageToken", ""))
    if kind == "tunedModels":
        return {}
    cards = list(CARDS.values())
    page: dict[str, Any] = {
        "models": [card.resource() for card in cards[start : start + size]]
    }
    if start + size < len(cards):
        token = base64.urlsafe_b64encode(f"from {start + size}".encode())
        page["nextPageToken"] = token.decode()
    return page


def _page_size(text: str) -> int:
    if not text:
        return _PAGE
    if not text.lstrip("-").isdecimal():
        raise invalid_argument(f"Invalid value at 'page_size' (TYPE_INT32), \"{text}\"")
    size = int(text)
    if size < 0:
        raise invalid_argument("* ListModelsRequest.page_size: must not be negative\n")
    return min(size or _PAGE, _LARGEST_PAGE)


def _page_start(token: str) -> int:
    if not token:
        return 0
    try:
        word, _, number = base64.urlsafe_b64decode(token).decode().partition(" ")
    except (binascii.Error, UnicodeDecodeError):
        word, number = "", ""
    if word != "from" or not number.isdecimal():
        raise invalid_argument("* ListModelsRequest.page_token: invalid page token\n")
    return int(number)


def get_model(version: str, model: str) -> dict[str, Any]:
    """One model. Raises ``Refusal`` for an unknown one."""
    card = find_card(model)
    if card is None:
        raise model_unknown(model, version, "getModel")
    return card.resource()
