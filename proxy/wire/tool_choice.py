"""OpenAI's tool_choice and function_call: who may be called, and who must be."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from proxy.wire.builtin_tools import builtin_of
from proxy.wire.openai_fields import name, record, sequence, text, wrong

_MODES = {"auto": "AUTO", "none": "NONE", "required": "ANY", "any": "ANY"}


@dataclass(slots=True)
class ToolChoice:
    """A tool_choice: Gemini's calling mode (None when nothing was asked), the client's
    names of the functions it is limited to, and the built-in tools it leaves (None
    for all)."""

    mode: str | None = None
    names: list[str] = field(default_factory=list)
    builtins: frozenset[str] | None = None

    @classmethod
    def read(
        cls,
        body: Mapping[str, Any],
        functions: Collection[str],
        builtins: Collection[str],
    ) -> Self:
        """Read the choice of a request that declares these tools.

        Without tools there is nothing to choose, so it is not looked at. Raises
        BadRequest when it is malformed or names a function that is not declared.
        """
        if not functions and not builtins:
            return cls()
        param = "tool_choice"
        if body.get(param) is None:
            param = "function_call"
        choice = cls._parsed(body.get(param), param)
        for own in choice.names:
            if own not in functions:
                raise wrong(param, f"names {own!r}, which is not among the tools")
        return choice

    @classmethod
    def _parsed(cls, value: object, param: str) -> Self:
        if value is None:
            return cls()
        if isinstance(value, str):
            return cls._of_mode(_mode(value, param))
        given = record(value, param)
        if param == "function_call":
            return cls("ANY", [name(given.get("name"), f"{param}.name")])
        kind = text(given.get("type"), f"{param}.type")
        if kind in _MODES:
            return cls._of_mode(_MODES[kind])
        if kind in ("function", "custom"):
            return cls("ANY", [_chosen_name(given, kind, param)])
        if kind == "allowed_tools":
            return cls._allowed(given, param)
        raise wrong(f"{param}.type", f"{kind!r} cannot be forced")

    @classmethod
    def _of_mode(cls, mode: str) -> Self:
        return cls(mode, [], frozenset() if mode == "NONE" else None)

    @classmethod
    def _allowed(cls, given: dict[str, Any], param: str) -> Self:
        where = param
        if given.get("allowed_tools") is not None:
            where = f"{param}.allowed_tools"
            given = record(given["allowed_tools"], where)
        mode = _mode(text(given.get("mode", "auto"), f"{where}.mode"), f"{where}.mode")
        names: list[str] = []
        builtins: set[str] = set()
        for index, entry in enumerate(sequence(given.get("tools"), f"{where}.tools")):
            place = f"{where}.tools[{index}]"
            tool = record(entry, place)
            builtin = builtin_of(tool, place, [])
            if builtin is not None:
                builtins.add(builtin.key)
                continue
            kind = text(tool.get("type", "function"), f"{place}.type")
            names.append(_chosen_name(tool, kind, place))
        if not names:
            return cls("NONE", [], frozenset(builtins))
        mode = "VALIDATED" if mode == "AUTO" else mode
        return cls(mode, names, frozenset(builtins))


def _mode(word: str, param: str) -> str:
    if word not in _MODES:
        raise wrong(param, f"must be one of: {', '.join(_MODES)}")
    return _MODES[word]


def _chosen_name(given: dict[str, Any], kind: str, param: str) -> str:
    if given.get(kind) is None:
        return name(given.get("name"), f"{param}.name")
    return name(
        record(given[kind], f"{param}.{kind}").get("name"), f"{param}.{kind}.name"
    )
