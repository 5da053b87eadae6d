"""A request in the middle language as a body of xAI's chat completions."""

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from proxy.errors import BadRequest
from proxy.wire.gemini import normalise
from proxy.wire.gemini_answer import Json, dicts, mapping
from proxy.wire.xai_models import efforts
from proxy.wire.xai_schema import plain_schema

#: Fields of a generationConfig that have a twin of the same meaning.
TWINS = {
    "temperature": "temperature",
    "topP": "top_p",
    "seed": "seed",
    "candidateCount": "n",
    "maxOutputTokens": "max_completion_tokens",
    "presencePenalty": "presence_penalty",
    "frequencyPenalty": "frequency_penalty",
    "responseLogprobs": "logprobs",
    "logprobs": "top_logprobs",
}
_PLAIN_BASE64 = str.maketrans("-_", "+/")
_MODES = {"AUTO": "auto", "VALIDATED": "auto", "NONE": "none", "ANY": "required"}
#: Up to which budget of thinking tokens an effort is meant.
_BUDGETS = ((0, "none"), (2048, "low"), (12288, "medium"), (24576, "high"))


def chat_request(body: Mapping[str, Any], model: str, *, stream: bool) -> Json:
    """Return the chat completion request that a generateContent body means.

    Fields are those of xAI's API reference. Pictures go along as data URLs; those
    that the model made itself are shown again by the user, as an assistant's message
    cannot hold any. Raises BadRequest for what xAI has no words for.
    """
    view = normalise(dict(body))
    if view.get("cachedContent"):
        raise BadRequest("xAI models know no cached contents.", param="cachedContent")
    request: Json = {"model": model, "messages": _messages(view)}
    config = mapping(view.get("generationConfig"))
    request |= _settings(config)
    request |= _tools(view)
    effort = _effort(mapping(config.get("thinkingConfig")), model)
    if effort:
        request["reasoning_effort"] = effort
    if stream:
        request |= {"stream": True, "stream_options": {"include_usage": True}}
    return request


def _settings(config: Json) -> Json:
    found = {
        twin: config[name]
        for name, twin in TWINS.items()
        if config.get(name) is not None
    }
    if config.get("stopSequences"):
        found["stop"] = config["stopSequences"]
    for word in config.get("responseModalities") or ():
        if str(word).upper() != "TEXT":
            raise BadRequest(
                f"This model answers in words, not by {str(word)[:20].lower()}.",
                param="responseModalities",
            )
    for name in ("speechConfig", "imageConfig"):
        if config.get(name):
            raise BadRequest(f"This model takes no {name}.", param=name)
    form = _form(config)
    return found | ({"response_format": form} if form else {})


def _form(config: Json) -> Json | None:
    schema = config.get("responseJsonSchema") or config.get("_responseJsonSchema")
    if schema is None and config.get("responseSchema") is not None:
        schema = plain_schema(config["responseSchema"])
    if isinstance(schema, dict):
        named = {"name": "answer", "schema": schema, "strict": True}
        return {"type": "json_schema", "json_schema": named}
    if config.get("responseMimeType") == "application/json":
        return {"type": "json_object"}
    return None


def _effort(thinking: Json, model: str) -> str:
    """Return the effort nearest to what was asked, "" to leave it to the model."""
    known = efforts(model)
    level, budget = thinking.get("thinkingLevel"), thinking.get("thinkingBudget")
    if isinstance(level, str):
        word = level.lower().replace("minimal", "low")
    elif isinstance(budget, int) and budget >= 0:
        word = next((name for most, name in _BUDGETS if budget <= most), "xhigh")
    else:
        return ""
    if not known or word in known:
        return word if known else ""
    return {"none": "low", "medium": "high", "xhigh": "high"}.get(word, "")


def _tools(view: Json) -> Json:
    """Return ``tools`` and ``tool_choice``; {} where no function is declared."""
    for tool in dicts(view.get("tools")):
        for name, value in tool.items():
            if value is not None and name != "functionDeclarations":
                raise BadRequest(
                    f"xAI models know no tool {name[:40]!r}.", param="tools"
                )
    functions: list[Json] = [
        {"type": "function", "function": _function(declared)}
        for tool in dicts(view.get("tools"))
        for declared in dicts(tool.get("functionDeclarations"))
    ]
    if not functions:
        return {}
    calling = mapping(mapping(view.get("toolConfig")).get("functionCallingConfig"))
    allowed = calling.get("allowedFunctionNames")
    if allowed:
        functions = [f for f in functions if f["function"]["name"] in allowed]
    choice: Any = _MODES.get(str(calling.get("mode") or ""))
    if choice == "required" and len(functions) == 1:
        name = functions[0]["function"]["name"]
        choice = {"type": "function", "function": {"name": name}}
    found: Json = {"tools": functions}
    return found | ({"tool_choice": choice} if choice else {})


def _function(declared: Json) -> Json:
    schema = declared.get("parametersJsonSchema")
    if schema is None:
        schema = plain_schema(declared.get("parameters") or {"type": "OBJECT"})
    function: Json = {"name": declared.get("name"), "parameters": _whole(schema)}
    if declared.get("description"):
        function["description"] = declared["description"]
    return function


def _whole(schema: Any) -> Any:
    """xAI refuses an object schema that does not list its properties."""
    if isinstance(schema, dict) and schema.get("type") == "object":
        return {"properties": {}, **schema}
    return schema


def _messages(view: Json) -> list[Json]:
    writer = _Writer()
    system = _texts(mapping(view.get("systemInstruction")))
    if system:
        writer.messages.append({"role": "system", "content": system})
    for content in dicts(view.get("contents")):
        if content.get("role") == "model":
            writer.model(content)
        else:
            writer.user(content)
    writer.end()
    if not writer.messages:
        raise BadRequest("There is nothing to answer.", param="contents")
    return writer.messages


class _Writer:
    """Writes turns as messages; a call and its result are tied by their id."""

    def __init__(self) -> None:
        self.messages: list[Json] = []
        self._count = 0
        #: (id, name) of calls that no result has answered yet.
        self._open: list[tuple[str, str]] = []
        #: Pictures of the model's that the next message of the user shows.
        self._drawn: list[Json] = []

    def model(self, content: Json) -> None:
        parts = [part for part in dicts(content.get("parts")) if _is_said(part)]
        message: Json = {"role": "assistant", "content": _texts({"parts": parts})}
        calls = [
            self._call(mapping(part["functionCall"]))
            for part in parts
            if "functionCall" in part
        ]
        self._drawn += [shown for part in parts if (shown := _picture(part))]
        if calls:
            message["tool_calls"] = calls
        if calls or message["content"]:
            self.messages.append(message)

    def user(self, content: Json) -> None:
        shown: list[Json] = []
        for part in dicts(content.get("parts")):
            if "functionResponse" in part:
                shown += self._result(mapping(part["functionResponse"]))
            elif not part.get("thought"):
                shown += _shown(part)
        self._say(shown)

    def end(self) -> None:
        """Show what is left to show."""
        self._say([])

    def _say(self, shown: list[Json]) -> None:
        drawn, self._drawn = self._drawn, []
        if drawn:
            shown = [{"type": "text", "text": "(Your pictures:)"}, *drawn, *shown]
        if not shown:
            return
        texts = [part["text"] for part in shown if part["type"] == "text"]
        plain = len(texts) == len(shown)
        said: Any = "\n".join(texts) if plain else shown
        self.messages.append({"role": "user", "content": said})

    def _call(self, call: Json) -> Json:
        self._count += 1
        call_id = str(call.get("id") or f"call_{self._count}")
        name = str(call.get("name") or "")
        self._open.append((call_id, name))
        arguments = orjson.dumps(mapping(call.get("args"))).decode()
        function = {"name": name, "arguments": arguments}
        return {"id": call_id, "type": "function", "function": function}

    def _result(self, result: Json) -> list[Json]:
        """Write a result; return the pictures in it, which a tool cannot show."""
        call_id = self._answered(str(result.get("id") or ""), str(result.get("name")))
        said = orjson.dumps(mapping(result.get("response"))).decode()
        self.messages.append({"role": "tool", "tool_call_id": call_id, "content": said})
        inner = dicts(result.get("parts"))
        return [shown for part in inner for shown in _shown(part)]

    def _answered(self, call_id: str, name: str) -> str:
        """Return the id of the open call that a result belongs to."""
        for place, (known, own) in enumerate(self._open):
            if known == call_id or (not call_id and own == name):
                del self._open[place]
                return known
        raise BadRequest(
            f"The result of {name!r} follows no call of it.", param="contents"
        )


def _is_said(part: Json) -> bool:
    return not part.get("thought")


def _texts(content: Json) -> str:
    parts = dicts(content.get("parts"))
    return "\n".join(str(part["text"]) for part in parts if part.get("text"))


def _shown(part: Json) -> Iterator[Json]:
    """Yield a part of a user's turn as a content part."""
    if part.get("text"):
        yield {"type": "text", "text": str(part["text"])}
        return
    picture = _picture(part)
    if picture:
        yield picture
    elif "inlineData" in part or "fileData" in part:
        data = mapping(part.get("inlineData") or part.get("fileData"))
        raise BadRequest(
            f"xAI models take no {data.get('mimeType') or 'files'}.", param="contents"
        )


def _picture(part: Json) -> Json | None:
    inline, file = mapping(part.get("inlineData")), mapping(part.get("fileData"))
    kind = str(inline.get("mimeType") or file.get("mimeType") or "")
    if not kind.startswith("image/"):
        return None
    # Google takes both alphabets of base64, and its SDK sends the other one.
    data = str(inline.get("data") or "").translate(_PLAIN_BASE64)
    url = file.get("fileUri") or f"data:{kind};base64,{data}"
    return {"type": "image_url", "image_url": {"url": url}}
