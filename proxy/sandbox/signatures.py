"""Thought signatures: made for calls and texts, verified when they come back."""

import base64
import hashlib
import hmac
import json
from typing import Any

from proxy.sandbox.catalogue import Card
from proxy.sandbox.refusals import invalid_argument

_SECRET = b"sandbox thought signatures"
_MAGIC = b"\x12\x34\x0a"
_SUBJECT_BYTES = 12
_SEAL_BYTES = 24
# Documented values by which a client says that it has no signature to send. Some
# clients send them as they are (they parse as base64), some encode them once more.
BYPASSES = (
    "context_engineering_is_the_way_to_go",
    "skip_thought_signature_validator",
)


def _settled(value: Any) -> Any:
    """``value`` with integral floats as integers, however a client wrote them."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _settled(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_settled(item) for item in value]
    return value


def _subject(name: str, payload: Any) -> bytes:
    canonical = json.dumps([name, _settled(payload)], sort_keys=True)
    return hashlib.sha256(canonical.encode()).digest()[:_SUBJECT_BYTES]


def _seal(family: str, subject: bytes) -> bytes:
    sealed = hmac.new(_SECRET, family.encode() + b"\0" + subject, hashlib.sha256)
    return sealed.digest()[:_SEAL_BYTES]


def sign_call(card: Card, name: str, args: dict[str, Any]) -> str:
    """The base64 signature of a function call by this model."""
    return _sign(card, _subject(name, args))


def sign_text(card: Card, text: str) -> str:
    """The base64 signature of an answer without calls."""
    return _sign(card, _subject("", text))


def _sign(card: Card, subject: bytes) -> str:
    signature = _MAGIC + subject + _seal(card.family, subject)
    return base64.b64encode(signature).decode()


def is_bypass(signature: bytes) -> bool:
    """Whether decoded bytes are a bypass value, sent literally or encoded."""
    if signature.decode("ascii", "replace") in BYPASSES:
        return True
    return base64.urlsafe_b64encode(signature).decode().rstrip("=") in BYPASSES


def is_genuine(card: Card, signature: bytes) -> bool:
    """Whether this model made the signature, for whatever it was."""
    subject = signature[len(_MAGIC) : len(_MAGIC) + _SUBJECT_BYTES]
    expected = _MAGIC + subject + _seal(card.family, subject)
    return hmac.compare_digest(signature, expected)


def _belongs_to_call(signature: bytes, call: dict[str, Any]) -> bool:
    subject = signature[len(_MAGIC) : len(_MAGIC) + _SUBJECT_BYTES]
    return subject == _subject(call.get("name", ""), call.get("args", {}))


def check_signatures(contents: list[dict[str, Any]], card: Card) -> None:
    """Refuse missing, foreign and altered signatures of the current turn.

    The turn starts after the last user content that is no function response. In
    each step of it the first function call must carry its signature; earlier turns
    are not looked at (Google's guide to thought signatures).
    """
    if not card.demands_signatures:
        return
    step_has_call = False
    for index in range(_turn_start(contents), len(contents)):
        content = contents[index]
        if content.get("role") != "model":
            step_has_call = False
            continue
        for part in content.get("parts", ()):
            _check_part(part, card, index, first=not step_has_call)
            step_has_call = step_has_call or "functionCall" in part


def _turn_start(contents: list[dict[str, Any]]) -> int:
    for index in range(len(contents) - 1, -1, -1):
        content = contents[index]
        parts = content.get("parts", ())
        if content.get("role") == "model":
            continue
        if not any("functionResponse" in part for part in parts):
            return index + 1
    return 0


def _check_part(part: dict[str, Any], card: Card, index: int, *, first: bool) -> None:
    signature = part.get("thoughtSignature")
    call = part.get("functionCall")
    if not signature:
        if call is not None and first:
            raise _missing(call.get("name", ""), index + 1)
        return
    if is_bypass(signature):
        return
    genuine = is_genuine(card, signature)
    if not genuine or (call is not None and not _belongs_to_call(signature, call)):
        raise invalid_argument("Corrupted thought signature.")


def _missing(name: str, position: int) -> Exception:
    return invalid_argument(
        "Function call is missing a thought_signature in functionCall parts. This is"
        " required for tools to work correctly, and missing thought_signature may lead"
        " to degraded model performance. Additional data, function call"
        f" `default_api:{name}` , position {position}. Please refer to"
        " https://ai.google.dev/gemini-api/docs/thought-signatures for more details."
    )
