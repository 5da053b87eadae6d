"""Thought signatures in OpenAI messages: reading, restoring and the bypass value."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from proxy.wire.model_names import model_name
from proxy.wire.openai_fields import text

#: The documented value that makes the signature check of a function call pass, for
#: calls whose signature is lost. Of the two it is the one every endpoint knows.
BYPASS = "skip_thought_signature_validator"
BYPASS_VALUES = frozenset({BYPASS, "context_engineering_is_the_way_to_go"})

#: Some clients carry the signature behind this mark in the tool call's id.
ID_MARK = "__thought__"

#: Base64 in either alphabet; anything else cannot be what a model sent.
_SIGNATURE = re.compile(r"[A-Za-z0-9+/_-]+={0,2}")


def split_id(call_id: str) -> tuple[str, str | None]:
    """Return a tool call's own id and the signature that was glued to it."""
    own, mark, glued = call_id.partition(ID_MARK)
    return own, _plausible(glued) if mark else None


def of_call(call: Mapping[str, Any], param: str) -> str | None:
    """Return the signature a client sent with a tool call.

    It is looked for in ``extra_content`` and ``provider_specific_fields`` of the call
    and of its function, then in the id. Raises BadRequest when it is not a string.
    """
    call_id = call.get("id")
    glued = split_id(call_id)[1] if isinstance(call_id, str) else None
    return _first_plausible(_holders(call), param) or glued


def of_message(message: Mapping[str, Any], param: str) -> str | None:
    """Return the signature a client sent with an assistant message's text."""
    return _first_plausible([message], param)


def _holders(call: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    function = call.get("function")
    return [call, function] if isinstance(function, dict) else [call]


def _first_plausible(holders: list[Mapping[str, Any]], param: str) -> str | None:
    for carrier, value in _carried(holders):
        found = _plausible(text(value, f"{param}.{carrier}.thought_signature"))
        if found:
            return found
    return None


def _carried(holders: list[Mapping[str, Any]]) -> Iterator[tuple[str, object]]:
    """Yield where a signature was found, and what was there."""
    for holder in holders:
        extra = holder.get("extra_content")
        google = extra.get("google") if isinstance(extra, dict) else None
        specific = holder.get("provider_specific_fields")
        for carrier, fields in (
            ("extra_content.google", google),
            ("provider_specific_fields", specific),
        ):
            value = (
                fields.get("thought_signature") if isinstance(fields, dict) else None
            )
            if value is not None:
                yield carrier, value


def _plausible(signature: str) -> str | None:
    return signature if _SIGNATURE.fullmatch(signature) else None


def restore(
    contents: list[dict[str, Any]], cached: Mapping[str, str], model: str
) -> None:
    """Give the function calls of the current turn the signatures they need, in place.

    What the client sent stays. For Gemini 3 and newer a missing one comes from
    ``cached`` (call id to signature), and the first call of each step that still has
    none gets the bypass value; Google checks no other call. Older models do not
    check, so nothing is added for them.
    """
    if not model_name(model).gemini3:
        return
    for calls in _current_steps(contents):
        for part in calls:
            signature = cached.get(part["functionCall"].get("id", ""))
            if signature and "thoughtSignature" not in part:
                part["thoughtSignature"] = signature
        calls[0].setdefault("thoughtSignature", BYPASS)


def _current_steps(contents: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Yield the function call parts of each model step since the last user turn.

    A content that holds tool results does not start a turn, even when the caller's
    own words follow in it.
    """
    for content in reversed(contents):
        parts = content["parts"]
        if content["role"] == "user":
            if not any("functionResponse" in part for part in parts):
                return
            continue
        calls = [part for part in parts if "functionCall" in part]
        if calls:
            yield calls


def missing(messages: object) -> list[str]:
    """Return the ids of the current turn's tool calls that came without signature.

    ``messages`` is the request's list as sent; what is malformed in it is skipped,
    because translating it reports that.
    """
    found: list[str] = []
    in_user_turn = False
    for message in reversed(messages if isinstance(messages, list) else []):
        role = message.get("role") if isinstance(message, dict) else None
        if role in ("tool", "function"):
            in_user_turn = False
        elif role == "user":
            in_user_turn = True
        elif role in ("assistant", "model"):
            calls = _raw_calls(message)
            if in_user_turn and not calls:
                break
            in_user_turn = False
            found = _unsigned(calls) + found
    return list(dict.fromkeys(found))


def _raw_calls(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    calls = message.get("tool_calls")
    if not isinstance(calls, list):
        return []
    return [call for call in calls if isinstance(call, dict)]


def _unsigned(calls: list[dict[str, Any]]) -> list[str]:
    found = []
    for call in calls:
        call_id = call.get("id")
        if isinstance(call_id, str) and not _has_signature(call):
            found.append(split_id(call_id)[0])
    return [own for own in found if own]


def _has_signature(call: Mapping[str, Any]) -> bool:
    carried = (value for _, value in _carried(_holders(call)))
    if any(isinstance(value, str) and _plausible(value) for value in carried):
        return True
    return split_id(str(call.get("id")))[1] is not None
