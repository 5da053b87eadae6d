"""The models which the sandbox offers, with their limits and abilities."""

from dataclasses import dataclass
from typing import Any

GENERATE = (
    "generateContent",
    "countTokens",
    "createCachedContent",
    "batchGenerateContent",
)
EMBED = ("embedContent", "countTextTokens", "countTokens")
PREDICT = ("predict",)
_IMAGEN_RATIOS = ("1:1", "3:4", "4:3", "9:16", "16:9")
_WIDE = ("1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9")
_WIDEST = (*_WIDE, "1:4", "4:1", "1:8", "8:1")


@dataclass(frozen=True)
class Thinking:
    """How a model's thinking is steered (Google's thinking guide)."""

    levels: tuple[str, ...] = ()
    lowest: int = 0
    highest: int = 0
    can_stop: bool = False
    starts_on: bool = True


@dataclass(frozen=True)
class Card:
    """One model: its name, limits, and what it can do."""

    id: str
    title: str
    generation: float
    methods: tuple[str, ...] = GENERATE
    input_limit: int = 1048576
    output_limit: int = 65536
    thinking: Thinking | None = None
    draws: bool = False
    picture_sizes: tuple[str, ...] = ()
    late_finish: bool = False
    searches: bool = True

    @property
    def name(self) -> str:
        """The resource name, ``models/…``."""
        return f"models/{self.id}"

    @property
    def aspect_ratios(self) -> tuple[str, ...]:
        """The picture shapes it draws; empty for a model that does not draw."""
        if self.methods == PREDICT:
            return _IMAGEN_RATIOS
        if not self.draws:
            return ()
        return _WIDEST if self.generation > 3 else _WIDE

    @property
    def is_gemma(self) -> bool:
        """An open-weights model, which lacks some of the API's features."""
        return self.id.startswith("gemma")

    @property
    def signs_thoughts(self) -> bool:
        """Whether its answers carry thought signatures."""
        return self.generation >= 3 and not self.is_gemma

    @property
    def demands_signatures(self) -> bool:
        """Whether it refuses calls without their signature."""
        return self.signs_thoughts and not self.draws

    @property
    def family(self) -> str:
        """The name under which its thought signatures hold."""
        return self.id.removesuffix("-preview")

    def supports(self, method: str) -> bool:
        """Whether an RPC such as ``generateContent`` may be called on it."""
        if method == "streamGenerateContent":
            return "generateContent" in self.methods
        if method == "batchEmbedContents":
            return "embedContent" in self.methods
        return method in self.methods

    def resource(self) -> dict[str, Any]:
        """The ``Model`` resource of the models list."""
        resource: dict[str, Any] = {
            "name": self.name,
            "version": "001",
            "displayName": self.title,
            "description": f"Sandbox imitation of {self.title}",
            "inputTokenLimit": self.input_limit,
            "outputTokenLimit": self.output_limit,
            "supportedGenerationMethods": list(self.methods),
        }
        if "generateContent" in self.methods:
            resource |= {"temperature": 1, "topP": 0.95, "topK": 64}
            resource["maxTemperature"] = 2
        if self.thinking:
            resource["thinking"] = True
        return resource


_LOW_HIGH = Thinking(levels=("LOW", "HIGH"), lowest=128, highest=32768)
_LOW_MEDIUM_HIGH = Thinking(levels=("LOW", "MEDIUM", "HIGH"), lowest=128, highest=32768)
_ALL_LEVELS = Thinking(
    levels=("MINIMAL", "LOW", "MEDIUM", "HIGH"),
    lowest=1,
    highest=32768,
    can_stop=True,
)
_GEMMA_LEVELS = Thinking(levels=("MINIMAL", "HIGH"), can_stop=True, starts_on=False)
_PRO_BUDGET = Thinking(lowest=128, highest=32768)
_FLASH_BUDGET = Thinking(lowest=1, highest=24576, can_stop=True)
_LITE_BUDGET = Thinking(lowest=512, highest=24576, can_stop=True, starts_on=False)
_IMAGE_BUDGET = Thinking(lowest=128, highest=32768)

_CARDS = (
    Card(
        "gemini-3.1-pro-preview",
        "Gemini 3.1 Pro Preview",
        3.1,
        thinking=_LOW_MEDIUM_HIGH,
    ),
    Card("gemini-3-pro-preview", "Gemini 3 Pro Preview", 3, thinking=_LOW_HIGH),
    Card("gemini-3-flash-preview", "Gemini 3 Flash Preview", 3, thinking=_ALL_LEVELS),
    Card(
        "gemini-3.5-flash",
        "Gemini 3.5 Flash",
        3.5,
        thinking=_ALL_LEVELS,
        late_finish=True,
    ),
    Card(
        "gemini-3.5-flash-lite",
        "Gemini 3.5 Flash-Lite",
        3.5,
        thinking=_ALL_LEVELS,
        late_finish=True,
    ),
    Card(
        "gemini-3.6-flash",
        "Gemini 3.6 Flash",
        3.6,
        thinking=_ALL_LEVELS,
        late_finish=True,
    ),
    Card(
        "gemini-3.7-flash",
        "Gemini 3.7 Flash",
        3.7,
        thinking=_LOW_MEDIUM_HIGH,
        late_finish=True,
    ),
    Card(
        "gemini-3.8-flash",
        "Gemini 3.8 Flash",
        3.8,
        thinking=_LOW_MEDIUM_HIGH,
        late_finish=True,
    ),
    Card("gemini-2.5-pro", "Gemini 2.5 Pro", 2.5, thinking=_PRO_BUDGET),
    Card("gemini-2.5-flash", "Gemini 2.5 Flash", 2.5, thinking=_FLASH_BUDGET),
    Card("gemini-2.5-flash-lite", "Gemini 2.5 Flash-Lite", 2.5, thinking=_LITE_BUDGET),
    Card(
        "gemini-2.5-flash-image",
        "Nano Banana",
        2.5,
        input_limit=32768,
        output_limit=32768,
        draws=True,
        picture_sizes=("1K",),
        searches=False,
    ),
    Card(
        "gemini-3-pro-image-preview",
        "Nano Banana Pro",
        3,
        input_limit=131072,
        output_limit=32768,
        thinking=_IMAGE_BUDGET,
        draws=True,
        picture_sizes=("1K", "2K", "4K"),
    ),
    Card(
        "gemini-3.1-flash-image-preview",
        "Nano Banana 2",
        3.1,
        input_limit=131072,
        output_limit=32768,
        thinking=Thinking(levels=("MINIMAL", "HIGH"), can_stop=True),
        draws=True,
        picture_sizes=("512", "1K", "2K", "4K"),
    ),
    *(
        Card(
            f"imagen-4.0-{variant}generate-001",
            f"Imagen 4{title}",
            4,
            methods=PREDICT,
            input_limit=480,
            output_limit=8192,
            draws=True,
            picture_sizes=sizes,
            searches=False,
        )
        for variant, title, sizes in (
            ("", "", ("1K", "2K")),
            ("ultra-", " Ultra", ("1K", "2K")),
            ("fast-", " Fast", ("1K",)),
        )
    ),
    Card("gemini-2.0-flash", "Gemini 2.0 Flash", 2, output_limit=8192),
    Card(
        "gemini-embedding-001",
        "Gemini Embedding 001",
        2,
        methods=EMBED,
        input_limit=2048,
        output_limit=1,
    ),
    Card(
        "gemma-4-31b-it",
        "Gemma 4 31B IT",
        4,
        methods=("generateContent", "countTokens"),
        input_limit=262144,
        output_limit=32768,
        thinking=_GEMMA_LEVELS,
        searches=False,
    ),
)
CARDS = {card.id: card for card in _CARDS}


#: What the Code Assist backend calls models that are known under another id elsewhere.
_OF_CODE_ASSIST = {
    "gemini-3-flash": "gemini-3.5-flash",
    "gemini-3.1-flash-lite": "gemini-3.5-flash-lite",
    "gemini-3.1-pro-preview-customtools": "gemini-3.1-pro-preview",
}


def find_backend_card(model: str) -> Card | None:
    """The card of a model id of the Code Assist backend, or ``None``."""
    return CARDS.get(_OF_CODE_ASSIST.get(model, model))


def find_card(model: str) -> Card | None:
    """The card of a model id, or ``None``."""
    return CARDS.get(model)
