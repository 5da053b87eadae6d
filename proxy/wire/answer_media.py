"""Parts of a Gemini answer in the forms that OpenAI clients show."""

import base64
import io
import re
import secrets
import wave
from collections.abc import Mapping
from typing import Any

from proxy.wire.gemini_answer import Json, dicts, mapping

_RATE = re.compile(r"rate=(\d+)")
_CHANNELS = re.compile(r"channels=(\d+)")
_BACKTICKS = re.compile(r"`{3,}")
_FENCE_HEAD = re.compile(r"\s*```[\w+-]*[ \t]*\r?\n")
_FENCE_BEGUN = re.compile(r"\s*(`{0,2}|```[\w+-]{0,20}[ \t]*\r?)\Z")
_URL_SAFE = str.maketrans("-_", "+/")
#: Under this name a part says what our library knows of its picture: name, link (a
#: path, or a whole address), width, height, size in bytes. It never leaves the gateway.
KEPT = "_kept"


def _standard_base64(data: str) -> str:
    """Return base64 in the plain alphabet: bytes fields come in both."""
    return data.translate(_URL_SAFE) if "-" in data or "_" in data else data


def _decode(data: str) -> bytes:
    plain = _standard_base64(data).rstrip("=")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4))
    except ValueError:
        return b""


def image_url(part: Mapping[str, Any]) -> str | None:
    """Return the picture of an inlineData part as a data URL, the address of a hosted
    one, None for any other part."""
    inline = mapping(part.get("inlineData"))
    mime = str(inline.get("mimeType", ""))
    if mime.startswith("image/") and inline.get("data"):
        return f"data:{mime};base64,{_standard_base64(str(inline['data']))}"
    file = mapping(part.get("fileData"))
    if str(file.get("mimeType", "")).startswith("image/") and file.get("fileUri"):
        return str(file["fileUri"])
    return None


def is_picture(part: Mapping[str, Any]) -> bool:
    """Tell whether a part holds a picture inline."""
    inline = mapping(part.get("inlineData"))
    return str(inline.get("mimeType", "")).startswith("image/") and bool(
        inline.get("data")
    )


def kept_link(part: Mapping[str, Any]) -> str:
    """Return where our library shows the picture of a part, "" if it does not."""
    return str(mapping(part.get(KEPT)).get("link") or "")


def picture_bytes(part: Mapping[str, Any]) -> bytes:
    """Return the picture in an inlineData part, b"" for any other part."""
    if not is_picture(part):
        return b""
    return _decode(str(part["inlineData"]["data"]))


class Audio:
    """Collects the sound of an answer; a stream brings it in many pieces."""

    def __init__(self) -> None:
        self._mime = ""
        self._data = bytearray()

    def add(self, part: Mapping[str, Any]) -> bool:
        """Take an audio part; False if the part holds no sound."""
        inline = mapping(part.get("inlineData"))
        mime = str(inline.get("mimeType", ""))
        if not mime.startswith("audio/") or not inline.get("data"):
            return False
        self._mime = self._mime or mime
        self._data += _decode(str(inline["data"]))
        return True

    def __bool__(self) -> bool:
        return bool(self._data)

    def message(self, created: int) -> Json:
        """Return ``message.audio``: raw PCM wrapped as WAV, other formats as they are.

        Nothing is kept for a later reference by id, so it has expired already.
        """
        data = self._wav() if self._is_pcm() else bytes(self._data)
        return {
            "id": f"audio_{secrets.token_hex(12)}",
            "data": base64.b64encode(data).decode(),
            "transcript": "",
            "expires_at": created,
        }

    def _is_pcm(self) -> bool:
        return self._mime.lower().startswith(("audio/l16", "audio/pcm"))

    def _wav(self) -> bytes:
        rate, channels = _RATE.search(self._mime), _CHANNELS.search(self._mime)
        target = io.BytesIO()
        with wave.open(target, "wb") as sound:
            sound.setnchannels(int(channels[1]) if channels else 1)
            sound.setsampwidth(2)
            sound.setframerate(int(rate[1]) if rate else 24000)
            sound.writeframes(bytes(self._data))
        return target.getvalue()


def code_block(part: Mapping[str, Any]) -> str | None:
    """Return executed code or its output as a fenced block, None for other parts."""
    code = mapping(part.get("executableCode"))
    if code.get("code"):
        language = str(code.get("language") or "PYTHON").lower()
        known = "" if language == "language_unspecified" else language
        return _fenced(known, str(code["code"]))
    result = mapping(part.get("codeExecutionResult"))
    outcome = str(result.get("outcome") or "OUTCOME_OK")
    output = str(result.get("output") or "")
    if outcome != "OUTCOME_OK":
        output = f"[{outcome}]\n{output}"
    return _fenced("output", output) if output else None


def _fenced(language: str, text: str) -> str:
    longest = max((len(run) for run in _BACKTICKS.findall(text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}\n"


def read_logprobs(candidate: Mapping[str, Any]) -> Json | None:
    """Return a logprobsResult as a choice's ``logprobs``, None where there is none."""
    result = mapping(candidate.get("logprobsResult"))
    chosen = list(dicts(result.get("chosenCandidates")))
    if not chosen:
        return None
    ranked = [
        list(dicts(top.get("candidates"))) for top in dicts(result.get("topCandidates"))
    ]
    ranked += [[]] * (len(chosen) - len(ranked))
    content = [
        {**_token(token), "top_logprobs": [_token(other) for other in others]}
        for token, others in zip(chosen, ranked, strict=False)
    ]
    return {"content": content, "refusal": None}


def _token(row: Json) -> Json:
    token = str(row.get("token") or "")
    return {
        "token": token,
        "bytes": list(token.encode()),
        "logprob": row.get("logProbability") or 0.0,
    }


class FenceFilter:
    """Takes the Markdown fence off JSON text that comes in pieces.

    Text that does not begin with a fence passes unchanged and at once. Inside a
    fence only what may be its closing line is held back until more text shows that
    it is not.
    """

    def __init__(self) -> None:
        self._held = ""
        self._fenced: bool | None = None

    def feed(self, text: str) -> str:
        """Take a piece, return what can be shown now."""
        text, self._held = self._held + text, ""
        if self._fenced is None:
            text = self._open(text)
        if not self._fenced:
            return text
        shown = text.rstrip()
        ticks = min(len(shown) - len(shown.rstrip("`")), 3)
        shown = shown[: len(shown) - ticks].rstrip()
        self._held = text[len(shown) :]
        return shown

    def _open(self, text: str) -> str:
        """Decide whether there is a fence; hold the text while that is open."""
        opening = _FENCE_HEAD.match(text)
        if opening:
            self._fenced = True
            return text[opening.end() :]
        if _FENCE_BEGUN.match(text):
            self._held = text
            return ""
        self._fenced = False
        return text

    def flush(self) -> str:
        """Return what is left at the end; a closing fence is dropped."""
        held, self._held = self._held, ""
        return "" if self._fenced and held.strip() == "```" else held
