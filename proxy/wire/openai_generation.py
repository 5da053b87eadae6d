"""OpenAI's sampling, length, format and modality fields as a generationConfig."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from proxy.wire.json_schema import normalise
from proxy.wire.openai_fields import (
    choice,
    either,
    flag,
    maybe,
    number,
    record,
    sequence,
    text,
    whole,
    whole_from,
    wrong,
)

MOST_STOPS = 5
MOST_COPIES = 8
_INT32 = 2**31 - 1
_LENGTHS = ("max_completion_tokens", "max_tokens", "max_output_tokens")
_JSON = "application/json"


@dataclass(slots=True)
class Generation:
    """A generationConfig in the making, and what goes with it.

    ``json`` tells that the answer shall be JSON.
    """

    config: dict[str, Any] = field(default_factory=dict)
    needs: set[str] = field(default_factory=set)
    dropped: list[str] = field(default_factory=list)
    json: bool = False


def read_generation(body: Mapping[str, Any]) -> Generation:
    """Read the fields of a chat request that steer one answer.

    Fields that current Gemini models refuse (penalties, log probabilities, biases)
    are left out and named in ``dropped`` when they would have had an effect. Raises
    BadRequest for wrong types, more than five stop sequences and unknown formats.
    """
    made = Generation()
    _read_sampling(body, made.config)
    _read_dropped(body, made.dropped)
    _read_format(body, made)
    _read_modalities(body, made)
    return made


def copies(body: Mapping[str, Any]) -> int:
    """Return ``n``, how many answers are wanted."""
    return maybe(body, "n", _one_to_eight) or 1


def json_by_words(made: Generation) -> str:
    """Take the JSON format out of ``made`` and return it as a sentence for the system
    text: models before Gemini 3 refuse the format beside tools."""
    made.config.pop("responseMimeType", None)
    schema = made.config.pop("responseJsonSchema", None)
    if schema is None:
        return "When you give your final answer, reply with one JSON object only."
    shown = orjson.dumps(schema).decode()
    return (
        "When you give your final answer, reply only with JSON that is valid under "
        f"this JSON Schema:\n{shown}"
    )


def _read_sampling(body: Mapping[str, Any], config: dict[str, Any]) -> None:
    for key, (gemini, read) in _SAMPLING.items():
        value = maybe(body, key, read)
        if value is not None and value != []:
            config[gemini] = value
    length = either(body, _LENGTHS, _positive)
    if length is not None:
        config["maxOutputTokens"] = min(length, _INT32)


_positive = whole_from(1, 2**63)
_one_to_eight = whole_from(1, MOST_COPIES)


def _seed(value: object, param: str) -> int:
    """Fold a seed into Gemini's 32 bits; the same seed stays the same."""
    found = whole(value, param)
    return found if -_INT32 - 1 <= found <= _INT32 else found & _INT32


def _stops(value: object, param: str) -> list[str]:
    if isinstance(value, str):
        return [value] if value else []
    if not isinstance(value, list):
        raise wrong(param, "must be a string or an array of strings")
    given = [text(word, f"{param}[{index}]") for index, word in enumerate(value)]
    if len(given) > MOST_STOPS:
        raise wrong(param, f"takes at most {MOST_STOPS} sequences")
    return [word for word in given if word]


_SAMPLING: dict[str, tuple[str, Callable[[object, str], Any]]] = {
    "temperature": ("temperature", number),
    "top_p": ("topP", number),
    "top_k": ("topK", whole),
    "seed": ("seed", _seed),
    "stop": ("stopSequences", _stops),
}
#: Fields without effect here, and how they are read to see whether one was wanted.
_DROPPED: dict[str, Callable[[object, str], Any]] = {
    "presence_penalty": number,
    "frequency_penalty": number,
    "logprobs": flag,
    "top_logprobs": whole,
    "logit_bias": record,
    "prediction": record,
}


def _read_dropped(body: Mapping[str, Any], dropped: list[str]) -> None:
    dropped += [key for key, read in _DROPPED.items() if maybe(body, key, read)]
    if maybe(body, "verbosity", text) not in (None, "medium"):
        dropped.append("verbosity")


def _read_format(body: Mapping[str, Any], made: Generation) -> None:
    form = maybe(body, "response_format", record)
    if form is None:
        return
    kinds = ("text", "json_object", "json_schema")
    kind = choice(form.get("type"), "response_format.type", kinds)
    if kind == "text":
        return
    made.json = True
    made.config["responseMimeType"] = _JSON
    made.needs.add("json_schema")
    schema, where = _schema(form, kind)
    if schema is None:
        return
    ready = normalise(schema, param=where)
    if ready:
        made.config["responseJsonSchema"] = ready


def _schema(form: dict[str, Any], kind: str) -> tuple[object, str]:
    """Return the schema of a response_format and where it stood."""
    if kind == "json_object":
        return form.get("response_schema"), "response_format.response_schema"
    where = "response_format.json_schema"
    named = record(form.get("json_schema"), where)
    maybe(named, "name", text, where)
    return named.get("schema"), f"{where}.schema"


_MODALITIES = {"text": "TEXT", "image": "IMAGE", "audio": "AUDIO"}


def _read_modalities(body: Mapping[str, Any], made: Generation) -> None:
    given = maybe(body, "modalities", sequence) or []
    words = [
        choice(text(word, f"modalities[{i}]").lower(), f"modalities[{i}]", _KNOWN)
        for i, word in enumerate(given)
    ]
    audio = maybe(body, "audio", record)
    if "audio" in words:
        # Speaking models answer with sound alone; OpenAI always asks for text too.
        made.config["responseModalities"] = ["AUDIO"]
        made.needs.add("audio_out")
        _read_voice(audio or {}, made.config)
    elif "image" in words:
        wanted = dict.fromkeys(_MODALITIES[word] for word in words)
        made.config["responseModalities"] = list(wanted)
        made.needs.add("images_out")


_KNOWN = tuple(_MODALITIES)


def _read_voice(audio: dict[str, Any], config: dict[str, Any]) -> None:
    if maybe(audio, "format", text, "audio") not in (None, "wav"):
        raise wrong("audio.format", "must be wav, the only format offered")
    voice = audio.get("voice")
    if isinstance(voice, dict):
        voice = voice.get("id")
    if voice is None:
        return
    prebuilt = {"voiceName": text(voice, "audio.voice")}
    config["speechConfig"] = {"voiceConfig": {"prebuiltVoiceConfig": prebuilt}}
