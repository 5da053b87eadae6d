"""One more try for a body that Google refused for a reason we know how to mend."""

import re
from typing import Any

from proxy.wire.json_schema import strict_body
from proxy.wire.signatures import BYPASS

SCHEMA = re.compile(r"schema|unknown name|cannot find field", re.IGNORECASE)
SIGNATURE = re.compile(
    r"(?:invalid|corrupted) thought.?signature|thought.?signature is not valid",
    re.IGNORECASE,
)

EFFORT = re.compile(
    r"(?:does not support parameter|not supported on this model:?) .?reasoning",
    re.IGNORECASE,
)
KEYS = ("thoughtSignature", "thought_signature")


def repair(message: str, body: dict[str, Any]) -> dict[str, Any] | None:
    """Return a body to try instead, or None when the refusal cannot be mended.

    A refused JSON schema becomes the older OpenAPI form; signatures that another
    account, project or model made become the documented value that skips the check;
    how much to think is left to a model that cannot be told.
    """
    if SIGNATURE.search(message):
        return bypassed(body)
    if EFFORT.search(message):
        return without_thinking(body)
    if SCHEMA.search(message):
        return strict_body(body)
    return None


def repair_signatures(message: str, body: dict[str, Any]) -> dict[str, Any] | None:
    """Like ``repair``, for native requests: only what our change of accounts broke."""
    return bypassed(body) if SIGNATURE.search(message) else None


def without_thinking(body: dict[str, Any]) -> dict[str, Any] | None:
    """Return a copy without a thinkingConfig, None when there is none."""
    config = body.get("generationConfig")
    if not isinstance(config, dict) or "thinkingConfig" not in config:
        return None
    kept = {k: v for k, v in config.items() if k != "thinkingConfig"}
    return {**body, "generationConfig": kept}


def bypassed(body: dict[str, Any]) -> dict[str, Any] | None:
    """Return a copy whose function calls carry the value that skips the check.

    None when there is no signature to replace. Other signatures go: they help the
    model, but Google does not ask for them.
    """
    contents = body.get("contents")
    if not isinstance(contents, list):
        return None
    mended = [_content(content) for content in contents]
    return None if mended == contents else {**body, "contents": mended}


def _content(content: Any) -> Any:
    if not isinstance(content, dict) or not isinstance(content.get("parts"), list):
        return content
    return {**content, "parts": [_part(part) for part in content["parts"]]}


def _part(part: Any) -> Any:
    if not isinstance(part, dict) or not any(key in part for key in KEYS):
        return part
    kept = {k: v for k, v in part.items() if k not in KEYS}
    calls = any(key in part for key in ("functionCall", "function_call"))
    return {**kept, "thoughtSignature": BYPASS} if calls else kept
