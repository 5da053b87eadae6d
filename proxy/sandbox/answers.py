"""GenerateContentResponse: a whole one, or the chunks of a stream, with usage."""

import re
from collections import Counter
from collections.abc import Iterator
from itertools import zip_longest
from typing import Any

from proxy.sandbox import tokens
from proxy.sandbox.catalogue import Card
from proxy.sandbox.model import Reply, compose, thinking_tokens

_WORD = re.compile(r"\s*\S+\s*")
_PIECES = 6
_URL_TOKENS = 50
_LONG_THOUGHT = 1024


class Answer:
    """One or more candidates for a checked request, ready to be sent."""

    def __init__(self, request: dict[str, Any], card: Card, response_id: str) -> None:
        config = request.get("generationConfig", {})
        self._card = card
        self._response_id = response_id
        self._tier = request.get("serviceTier")
        self._prompt = tokens.prompt_tokens(request)
        self._thoughts = thinking_tokens(config, card)
        count = config.get("candidateCount", 1)
        self.replies = [compose(request, card, index) for index in range(count)]
        for reply in self.replies:
            _stop_at(reply, config.get("stopSequences", ()))
        self._limit(config.get("maxOutputTokens"))

    def _limit(self, most: int | None) -> None:
        """Keep thinking and answer together within the limit."""
        most = self._card.output_limit if most is None else most
        for reply in self.replies:
            _shorten(reply, max(0, most - self._thoughts))
        self._thoughts = min(self._thoughts, most)

    def whole(self) -> dict[str, Any]:
        """The response of generateContent."""
        candidates, spent = [], []
        for index, reply in enumerate(self.replies):
            parts = _whole_parts(reply)
            spent.append(_spent(parts))
            candidates.append(_candidate(index, parts, reply, last=True))
        return self._response(candidates, spent)

    def chunks(self) -> Iterator[dict[str, Any]]:
        """The responses of streamGenerateContent; usage grows from one to the next."""
        seen: list[list[dict[str, Any]]] = [[] for _ in self.replies]
        pieces = [_pieces(reply, self._card) for reply in self.replies]
        for step, row in enumerate(zip_longest(*pieces)):
            candidates = []
            for index, parts in enumerate(row):
                if parts is None:
                    continue
                seen[index] += parts
                last = step == len(pieces[index]) - 1
                reply = self.replies[index]
                candidates.append(_candidate(index, parts, reply, last=last))
            yield self._response(candidates, [_spent(each) for each in seen])

    def blocked(self) -> dict[str, Any]:
        """A response to a prompt that was blocked: no candidates at all."""
        self._thoughts = 0
        response = self._response([], [])
        return {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, **response}

    def only_think(self) -> None:
        """Spend all that may be said on thinking: MAX_TOKENS and no text."""
        self._thoughts = max(self._thoughts, _LONG_THOUGHT)
        for reply in self.replies:
            reply.parts, reply.signature, reply.thought = [], "", ""
            reply.finish = "MAX_TOKENS"
            reply.extras.pop("groundingMetadata", None)

    def empty(self) -> dict[str, Any]:
        """A response without any candidates and without a reason."""
        self._thoughts = 0
        return self._response([], [])

    def _response(
        self, candidates: list[dict[str, Any]], spent: list[Counter[str]]
    ) -> dict[str, Any]:
        response: dict[str, Any] = {"candidates": candidates} if candidates else {}
        response["usageMetadata"] = self._usage(spent)
        response["modelVersion"] = self._card.id
        response["responseId"] = self._response_id
        return response

    def _usage(self, spent: list[Counter[str]]) -> dict[str, Any]:
        answer = sum(spent, Counter())
        prompt, candidates = tokens.total(self._prompt), tokens.total(answer)
        pages = sum(_pages_read(reply) for reply in self.replies) * _URL_TOKENS
        usage: dict[str, Any] = {"promptTokenCount": prompt}
        if candidates:
            usage["candidatesTokenCount"] = candidates
        usage["totalTokenCount"] = prompt + candidates + self._thoughts + pages
        usage["promptTokensDetails"] = tokens.details(self._prompt)
        if pages:
            usage["toolUsePromptTokenCount"] = pages
            usage["toolUsePromptTokensDetails"] = tokens.details(Counter(TEXT=pages))
        if answer["IMAGE"]:
            usage["candidatesTokensDetails"] = tokens.details(answer)
        if self._thoughts:
            usage["thoughtsTokenCount"] = self._thoughts
        if self._tier:
            usage["serviceTier"] = self._tier
        return usage


def _pages_read(reply: Reply) -> int:
    return len(reply.extras.get("urlContextMetadata", {}).get("urlMetadata", ()))


def _candidate(
    index: int, parts: list[dict[str, Any]], reply: Reply, *, last: bool
) -> dict[str, Any]:
    content: dict[str, Any] = {"parts": parts} if parts else {}
    candidate: dict[str, Any] = {"content": {**content, "role": "model"}}
    if last and reply.finish:
        candidate["finishReason"] = reply.finish
    candidate["index"] = index
    return candidate | reply.extras if last else candidate


def _thought_parts(reply: Reply) -> list[dict[str, Any]]:
    return [{"text": reply.thought, "thought": True}] if reply.thought else []


def _whole_parts(reply: Reply) -> list[dict[str, Any]]:
    parts = [*_thought_parts(reply), *reply.parts]
    if reply.signature and reply.parts:
        parts[-1] = {**parts[-1], "thoughtSignature": reply.signature}
    return parts


def _pieces(reply: Reply, card: Card) -> list[list[dict[str, Any]]]:
    """The parts of each chunk: texts in pieces, everything else one by one."""
    pieces = [[part] for part in _thought_parts(reply)]
    for part in reply.parts:
        if set(part) != {"text"}:
            pieces.append([part])
            continue
        texts = split(part["text"], word_by_word=reply.word_by_word)
        pieces += [[{"text": text}] for text in texts]
    if reply.signature and reply.parts:
        pieces.append([{"text": "", "thoughtSignature": reply.signature}])
    elif card.late_finish and reply.parts:
        pieces.append([{"text": ""}])
    return pieces or [[]]


def split(text: str, *, word_by_word: bool = False) -> list[str]:
    """The pieces in which a text is streamed; together they are the text."""
    words = _WORD.findall(text) or [text]
    if word_by_word:
        return words
    if len(words) == 1:
        middle = len(text) // 2
        return [text[:middle], text[middle:]] if middle else [text]
    size = -(-len(words) // _PIECES)
    return [
        "".join(words[start : start + size]) for start in range(0, len(words), size)
    ]


def _spent(parts: list[dict[str, Any]]) -> Counter[str]:
    """Tokens of answer parts; the same however a text was split."""
    answer = [part for part in parts if not part.get("thought")]
    text = "".join(part.get("text", "") for part in answer)
    counted: Counter[str] = Counter(TEXT=tokens.text_tokens(text))
    for part in answer:
        if "inlineData" in part:
            counted["IMAGE"] += tokens.DRAWN_IMAGE_TOKENS
        elif "text" not in part:
            counted += tokens.part_tokens(part)
    return counted


def _stop_at(reply: Reply, sequences: list[str] | tuple[()]) -> None:
    for index, part in enumerate(reply.parts):
        text = part.get("text", "")
        places = [text.find(each) for each in sequences if each and each in text]
        if places:
            part["text"] = text[: min(places)]
            del reply.parts[index + 1 :]
            reply.extras.pop("groundingMetadata", None)
            return


def _shorten(reply: Reply, most: int) -> None:
    left = most
    for index, part in enumerate(reply.parts):
        cost = tokens.total(_spent([part]))
        if cost <= left:
            left -= cost
            continue
        kept = part.get("text", "").encode()[: 4 * left].decode(errors="ignore")
        reply.parts[index:] = [{**part, "text": kept}] if kept else []
        reply.finish = "MAX_TOKENS"
        reply.extras.pop("groundingMetadata", None)
        if not most:
            reply.thought = ""
        return
