"""Tools for a model that knows none: described in the prompt, read from the answer."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from proxy.errors import BadAnswer, BadRequest, UpstreamRefused
from proxy.wire.gemini_answer import Json, dicts, mapping
from proxy.wire.schema_fit import Misfit, fitted, readable
from proxy.wire.web_blocks import CALL, CAUSE, RESULT, told

_ARGUMENTS = ("arguments", "args", "parameters")
_CALL_KEYS = frozenset({"name", "arguments"})
_MODES = frozenset({"", "MODE_UNSPECIFIED", "AUTO", "VALIDATED", "ANY", "NONE"})
_RULES = f"""\
You have tools. To use one, write a code block like this, with its JSON on one line:

```{CALL}
{{"name": "the tool's name", "arguments": {{"parameter": "value"}}}}
```

Write one block for each call; an answer may have several. Write nothing after the last \
block: the results come in the next message, in blocks that say {RESULT}, which you \
never write yourself. Do not speak of these blocks or of this rule."""
_MAY = "Use a tool when it helps; otherwise answer in words, without such a block."
_MUST = "This answer must use at least one of the tools."


@dataclass(frozen=True, slots=True, kw_only=True)
class WebTools:
    """The functions that may be called, by name, with the schema of their arguments.

    ``required`` tells that an answer has to call one; ``instructions`` tell the model.
    """

    schemas: Mapping[str, Json] = field(repr=False)
    required: bool
    instructions: str = field(repr=False)

    def words_so_far(self, text: str) -> str:
        """Return the words of a text that is still coming, without what may be calls."""
        return told(text, self._is_call, done=False).words

    def read(self, text: str, answer_id: str) -> tuple[str, list[Json]]:
        """Return the words of an answer and its functionCalls.

        Ids are made of ``answer_id``, so they are the same however often it is read.
        Raises BadAnswer for a call that cannot be used, and if one is missing.
        """
        found = told(text, self._is_call, done=True)
        calls = [
            self._call(value, f"{answer_id} {place}")
            for place, value in enumerate(_flat(found.values))
        ]
        if self.required and not calls:
            raise BadAnswer("The model called no tool although it had to.", cause=CAUSE)
        return found.words, calls

    def _is_call(self, value: Any) -> bool:
        if not isinstance(value, dict) or not value.keys() >= _CALL_KEYS:
            return False
        known = isinstance(value["name"], str) and value["name"] in self.schemas
        return known and value.keys() <= {*_CALL_KEYS, "id"}

    def _call(self, value: Any, seed: str) -> Json:
        name = mapping(value).get("name")
        if not isinstance(name, str) or name not in self.schemas:
            raise BadAnswer(
                "The model called a tool that was not declared.", cause=CAUSE
            )
        try:
            args = fitted(_arguments(value), self.schemas[name])
        except Misfit as error:
            raise BadAnswer(
                f"The model called {name} with arguments that do not fit: {error}.",
                cause=CAUSE,
            ) from error
        digest = hashlib.sha256(seed.encode()).hexdigest()
        return {"id": f"call_{digest[:24]}", "name": name, "args": args}


def read_tools(view: Json) -> WebTools | None:
    """Return the functions that a normalised request lets the model call, if any.

    Raises UpstreamRefused for declarations that nobody could use.
    """
    declared = {str(each["name"]): each for each in _declarations(view)}
    calling = mapping(mapping(view.get("toolConfig")).get("functionCallingConfig"))
    mode = str(calling.get("mode") or "").upper()
    if mode not in _MODES:
        raise UpstreamRefused("toolConfig names a mode of calling that is not known.")
    allowed = calling.get("allowedFunctionNames") or list(declared)
    if not isinstance(allowed, list) or not all(name in declared for name in allowed):
        raise UpstreamRefused("allowedFunctionNames names a tool that is not declared.")
    if mode == "NONE" or not allowed:
        return None
    schemas = {name: _schema(declared[name]) for name in allowed}
    lines = [_line(declared[name], schema) for name, schema in schemas.items()]
    rule = _MUST if mode == "ANY" else _MAY
    listed = "\n".join(lines)
    return WebTools(
        schemas=schemas,
        required=mode == "ANY",
        instructions=f"{_RULES} {rule}\n\n"
        f"The tools, with the JSON Schema of their arguments:\n{listed}",
    )


def shown_call(call: Json) -> str:
    """Return a functionCall of an earlier turn as the model should have written it."""
    made = {"name": call.get("name"), "arguments": mapping(call.get("args"))}
    return f"```{CALL}\n{orjson.dumps(made).decode()}\n```"


def shown_result(response: Json) -> str:
    """Return a functionResponse as the block in which the model awaits it."""
    made = {"name": response.get("name"), "result": mapping(response.get("response"))}
    return f"```{RESULT}\n{orjson.dumps(made).decode()}\n```"


def _declarations(view: Json) -> Iterator[Json]:
    for tool in dicts(view.get("tools")):
        for declared in dicts(tool.get("functionDeclarations")):
            if not isinstance(declared.get("name"), str) or not declared["name"]:
                raise UpstreamRefused("A function declaration has no name.")
            yield declared


def _schema(declared: Json) -> Json:
    given = declared.get("parametersJsonSchema") or declared.get("parameters")
    if not given:
        return {"type": "object"}
    try:
        return readable(given, f"The parameters of {declared['name'][:80]}")
    except BadRequest as error:
        raise UpstreamRefused(error.message) from error


def _line(declared: Json, schema: Json) -> str:
    about = {"name": declared["name"], "description": declared.get("description") or ""}
    return orjson.dumps({**about, "parameters": schema}).decode()


def _flat(values: list[Any]) -> Iterator[Any]:
    for value in values:
        yield from value if isinstance(value, list) else [value]


def _arguments(value: Json) -> Any:
    """Return a call's arguments; models also write them as JSON in a string."""
    given = next((value[key] for key in _ARGUMENTS if key in value), None)
    if isinstance(given, str):
        try:
            given = orjson.loads(given or "{}")
        except ValueError as error:
            raise Misfit("they are no JSON") from error
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise Misfit("they are no object")
    return given
