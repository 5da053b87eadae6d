"""What a request asks for: the words, tools and pictures of its last turn."""

import re
from functools import cached_property
from itertools import pairwise
from typing import Any

from PIL import Image

from proxy.sandbox.content_rules import open_picture
from proxy.sandbox.schema_values import Words
from proxy.sandbox.tool_rules import built_in, declarations_of

_MY_NAME = re.compile(r"\bmy name is\s+[\"'“]?([^\s.,!?;:\"'”]+)", re.IGNORECASE)
_WHAT_NAME = re.compile(
    r"\bwhat(?:['\u2019]s| is| was) my name\b|\bwho am i\b|\bremember my name\b",
    re.IGNORECASE,
)
_ECHO = re.compile(r"\b(?:say exactly|repeat)\s*:\s*(.+)", re.IGNORECASE | re.DOTALL)
_COUNT = re.compile(r"\bcount (?:up )?to (\d+)", re.IGNORECASE)
_CODE = re.compile(
    r"\b(?:code|python|calculate|compute|execute)\b|code_?execution", re.IGNORECASE
)
_ENDING = re.compile(
    r"\balways end with\s+(?:the (?:words?|phrase)\s+)?"
    r"(?:\"([^\"]+)\"|'([^']+)'|“([^”]+)”|([^\s.,;]+))",
    re.IGNORECASE,
)
_URL = re.compile(r"https?://[^\s<>\"')\]]+")
_HIGHEST_COUNT = 2000


class Question:
    """A view of one checked request."""

    def __init__(self, request: dict[str, Any]) -> None:
        self.request = request
        self.config: dict[str, Any] = request.get("generationConfig", {})
        self._contents: list[dict[str, Any]] = request["contents"]

    @cached_property
    def last(self) -> list[dict[str, Any]]:
        """The parts of the last turn."""
        return list(self._contents[-1].get("parts", ()))

    @cached_property
    def text(self) -> str:
        """The user's last words: of the last user turn that has any."""
        for content in reversed(self._contents):
            texts = [part["text"] for part in content["parts"] if part.get("text")]
            if content.get("role") != "model" and texts:
                return "\n".join(texts)
        return ""

    @cached_property
    def results(self) -> list[dict[str, Any]]:
        """Function responses in the last turn."""
        return [
            part["functionResponse"] for part in self.last if "functionResponse" in part
        ]

    @property
    def calling_config(self) -> dict[str, Any]:
        """The ``functionCallingConfig``."""
        config: dict[str, Any] = self.request.get("toolConfig", {})
        return config.get("functionCallingConfig", {}) or {}

    @cached_property
    def callable(self) -> list[dict[str, Any]]:
        """Declarations that may be called now."""
        if self.calling_config.get("mode") == "NONE":
            return []
        allowed = self.calling_config.get("allowedFunctionNames")
        declared = declarations_of(self.request)
        return [each for each in declared if not allowed or each["name"] in allowed]

    @cached_property
    def named(self) -> list[dict[str, Any]]:
        """Callable declarations that the last words name, in that order."""
        found = [(self._place(each["name"]), each) for each in self.callable]
        placed = [(place, each) for place, each in found if place >= 0]
        return [each for _, each in sorted(placed, key=lambda pair: pair[0])]

    def texts_for(self, wanted: list[dict[str, Any]]) -> list[str]:
        """Where the arguments of each call are: after its name, if others follow.

        A stretch without anything to take gives way to the whole text.
        """
        places = [self._place(each["name"]) for each in wanted]
        if len(wanted) == 1:
            return [self.text]
        stretches = [
            self.text[start:end] for start, end in pairwise([*places, len(self.text)])
        ]
        return [
            stretch if Words(stretch).has_any else self.text for stretch in stretches
        ]

    def _place(self, name: str) -> int:
        spaced = re.escape(name).replace("_", "[_ ]")
        match = re.search(rf"(?<![\w-]){spaced}(?![\w-])", self.text, re.IGNORECASE)
        return match.start() if match else -1

    @property
    def must_call(self) -> bool:
        """Whether the answer has to be a function call."""
        return self.calling_config.get("mode") == "ANY"

    @cached_property
    def built_in(self) -> set[str]:
        """Names of the built-in tools."""
        return built_in(self.request)

    @property
    def shows_tools(self) -> bool:
        """Whether server-side tool use is shown in the answer."""
        config = self.request.get("toolConfig", {})
        return bool(config.get("includeServerSideToolInvocations"))

    @property
    def wants_code(self) -> bool:
        """Whether code should be run to answer."""
        return "codeExecution" in self.built_in and bool(_CODE.search(self.text))

    @property
    def mime_type(self) -> str:
        """The wanted form of the answer."""
        return str(self.config.get("responseMimeType") or "text/plain")

    @cached_property
    def pictures(self) -> list[Image.Image]:
        """Pictures of the last turn, those in function responses too."""
        parts = list(self.last)
        for result in self.results:
            parts += result.get("parts", ())
        blobs = [part["inlineData"] for part in parts if "inlineData" in part]
        return [
            open_picture(blob["data"])
            for blob in blobs
            if blob["mimeType"] in ("image/png", "image/jpeg", "image/webp")
        ]

    @property
    def echo(self) -> str | None:
        """What shall be said word for word."""
        match = _ECHO.search(self.text)
        return match[1].strip() if match else None

    @property
    def count(self) -> int | None:
        """How far to count."""
        match = _COUNT.search(self.text)
        return min(int(match[1]), _HIGHEST_COUNT) if match else None

    @property
    def asks_name(self) -> bool:
        """Whether the user asks for their own name."""
        return bool(_WHAT_NAME.search(self.text))

    @cached_property
    def name(self) -> str | None:
        """The name that the user has told last, in any turn."""
        for content in reversed(self._contents):
            if content.get("role") == "model":
                continue
            for part in reversed(content["parts"]):
                told = _MY_NAME.findall(part.get("text", ""))
                if told:
                    return str(told[-1])
        return None

    @cached_property
    def ending(self) -> str:
        """What the system instruction wants at the end of every answer."""
        parts = self.request.get("systemInstruction", {}).get("parts", ())
        match = _ENDING.search("\n".join(part.get("text", "") for part in parts))
        return next(filter(None, match.groups())) if match else ""

    @property
    def urls(self) -> list[str]:
        """Addresses which the URL tool would read."""
        return _URL.findall(self.text) if "urlContext" in self.built_in else []
