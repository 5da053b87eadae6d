"""Gemini JSON in the envelope of the Code Assist backend, and out of it again.

The backend refuses every field that it does not know, so only those go out that its
own client sends; a request that needs another one is refused with its name.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from proxy.errors import UpstreamFault
from proxy.wire.gemini import normalise
from proxy.wire.gemini_answer import Json, dicts, mapping

_REQUEST = frozenset(
    {
        "contents",
        "systemInstruction",
        "tools",
        "toolConfig",
        "labels",
        "safetySettings",
        "generationConfig",
    }
)
_GENERATION = frozenset(
    {
        "temperature",
        "topP",
        "topK",
        "candidateCount",
        "maxOutputTokens",
        "stopSequences",
        "responseLogprobs",
        "logprobs",
        "presencePenalty",
        "frequencyPenalty",
        "seed",
        "responseMimeType",
        "responseSchema",
        "responseJsonSchema",
        "routingConfig",
        "modelSelectionConfig",
        "responseModalities",
        "mediaResolution",
        "speechConfig",
        "audioTimestamp",
        "thinkingConfig",
    }
)
_TOOLS = frozenset(
    {
        "functionDeclarations",
        "googleSearch",
        "urlContext",
        "codeExecution",
        "googleMaps",
    }
)
_TOOL_CONFIG = frozenset({"functionCallingConfig", "retrievalConfig"})
_WRAPPED = "generateContentRequest"
#: A model's name that ends so is the model with Google's search at hand.
SEARCH = "-search"
#: Files that were uploaded to the Gemini API are not seen by this backend.
_UPLOADED = ("files/", "https://generativelanguage.googleapis.com/")


def bare_model(model: str) -> str:
    """Return a model's id as this backend wants it."""
    return model.removeprefix("models/").removesuffix(SEARCH)


def generate_request(body: Json, *, model: str, project: str, prompt_id: str) -> Json:
    """Return the envelope for a Gemini request of any casing; ``body`` stays as it is.

    Raises a fault that lets another kind of account answer if the request holds what
    this backend does not take.
    """
    view = normalise(body)
    view.pop("model", None)
    _only(view, _REQUEST, "")
    config = _generation(mapping(view.get("generationConfig")))
    tools = list(dicts(view.get("tools")))
    _check_tools(tools)
    if model.endswith(SEARCH) and not tools:
        # With tools of the caller's own the backend would refuse it.
        view["tools"] = [{"googleSearch": {}}]
    _only(mapping(view.get("toolConfig")), _TOOL_CONFIG, "toolConfig.")
    request = {name: item for name, item in view.items() if item not in (None, [], {})}
    request["contents"] = list(_contents(view.get("contents")))
    if config:
        request["generationConfig"] = config
    system = mapping(view.get("systemInstruction"))
    if system:
        request["systemInstruction"] = {**system, "role": "user"}
    return {
        "model": bare_model(model),
        "project": project,
        "user_prompt_id": prompt_id,
        "request": request,
    }


def count_request(body: Json, *, model: str) -> Json:
    """Return the body of countTokens; what else the model would read becomes text."""
    view = normalise(body)
    nested = mapping(view.get(_WRAPPED))
    whole = nested or view
    contents = list(_contents(whole.get("contents")))
    system = list(dicts(mapping(whole.get("systemInstruction")).get("parts")))
    if system:
        contents.insert(0, {"role": "user", "parts": system})
    tools = list(dicts(whole.get("tools")))
    if tools:
        part = {"text": orjson.dumps(tools).decode()}
        contents.insert(0, {"role": "user", "parts": [part]})
    return {"request": {"model": f"models/{bare_model(model)}", "contents": contents}}


def unwrapped(data: Json) -> Json:
    """Return the Gemini answer or chunk inside an envelope; empty if there is none."""
    inner = data.get("response")
    if not isinstance(inner, dict):
        return {}
    if data.get("traceId") and not inner.get("responseId"):
        return {**inner, "responseId": data["traceId"]}
    return inner


def _contents(value: object) -> Iterator[Json]:
    """Yield contents with the roles that are known, without parts that say nothing."""
    for content in dicts(value):
        parts = [part for part in dicts(content.get("parts")) if _says(part)]
        if not parts:
            continue
        for part in parts:
            _check_part(part)
        role = "model" if content.get("role") == "model" else "user"
        yield {"role": role, "parts": parts}


def _says(part: Json) -> bool:
    if part.get("thought") and "thoughtSignature" not in part:
        return False
    return any(value is not None for name, value in part.items() if name != "thought")


def _check_part(part: Json) -> None:
    uri = str(mapping(part.get("fileData")).get("fileUri", ""))
    if uri.startswith(_UPLOADED):
        raise _unsupported("fileData of an uploaded file")


def _generation(config: Mapping[str, Any]) -> Json:
    """Return the generationConfig under the names of this backend."""
    named = {
        "responseJsonSchema" if name == "_responseJsonSchema" else name: value
        for name, value in config.items()
        if value is not None
    }
    _only(named, _GENERATION, "generationConfig.")
    return named


def _check_tools(tools: list[Json]) -> None:
    names: set[str] = set()
    for tool in tools:
        _only(tool, _TOOLS, "tools.")
        names |= {name for name, value in tool.items() if value is not None}
    if "functionDeclarations" in names and len(names) > 1:
        raise _unsupported("functions together with Google's own tools")


def _only(values: Mapping[str, Any], known: frozenset[str], place: str) -> None:
    for name, value in values.items():
        if name not in known and value not in (None, [], {}):
            raise _unsupported(f"{place}{name}")


def _unsupported(what: str) -> UpstreamFault:
    # Nobody is to blame: another kind of account may do it.
    return UpstreamFault(
        f"A Gemini CLI account does not take {what[:80]}.",
        status=400,
        code="invalid_argument",
        blame="gateway",
        cause="method_unsupported",
    )
