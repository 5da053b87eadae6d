"""Pictures, sound, films and files in OpenAI content parts, as Gemini parts."""

import binascii
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, unquote_to_bytes, urlsplit

from proxy.wire import media_types
from proxy.wire.openai_fields import maybe, name, record, text, wrong

_URL_SAFE = str.maketrans("-_", "+/")
_GOOGLE_FILES = "generativelanguage.googleapis.com"
_YOUTUBE = frozenset(
    {"youtube.com", "www.youtube.com", "m.youtube.com", "music.youtube.com", "youtu.be"}
)
#: OpenAI's ``detail`` as the level of a part's mediaResolution; None for no wish.
_DETAIL = {
    "auto": None,
    "low": "MEDIA_RESOLUTION_LOW",
    "medium": "MEDIA_RESOLUTION_MEDIUM",
    "high": "MEDIA_RESOLUTION_HIGH",
    "original": "MEDIA_RESOLUTION_ULTRA_HIGH",
}
_NEEDS = {"image": "images_in", "audio": "audio_in", "video": "video_in"}

_NO_UPLOADS = (
    "names an uploaded file, but file uploads are not offered here; "
    "send the file itself as file_data"
)


@dataclass(slots=True)
class Fetch:
    """Remote media for the caller to fetch: fill ``part["inlineData"]`` with
    ``{"mimeType", "data"}``. ``param`` is the request field that holds the URL."""

    url: str
    part: dict[str, Any]
    param: str


@dataclass(slots=True)
class MediaReader:
    """Reads media parts of one request and gathers what they ask of the gateway."""

    gemini3: bool
    fetches: list[Fetch] = field(default_factory=list)
    needs: set[str] = field(default_factory=set)
    dropped: list[str] = field(default_factory=list)

    def reads(self, kind: object) -> bool:
        """Is ``kind`` the type of a media part?"""
        return isinstance(kind, str) and kind in _READERS

    def read(self, part: dict[str, Any], param: str) -> dict[str, Any]:
        """Return the Gemini part for an OpenAI media part.

        The part of remote media stays without data until its Fetch is done. Raises
        BadRequest for data that does not decode, unknown kinds of media and URLs
        that are not http(s).
        """
        return _READERS[part["type"]](self, part, param)

    def picture(self, url: str, param: str) -> dict[str, Any]:
        """Return the Gemini part for a picture's URL, a data URL or any other."""
        return self._located(url, param, "image")

    def _image(self, part: dict[str, Any], param: str) -> dict[str, Any]:
        where = f"{param}.image_url"
        value = part.get("image_url")
        if isinstance(value, str):
            return self._located(value, where, "image")
        image = record(value, where)
        made = self._located(text(image.get("url"), f"{where}.url"), where, "image")
        self._set_resolution(made, maybe(image, "detail", text, where), where)
        return made

    def _set_resolution(
        self, part: dict[str, Any], detail: str | None, where: str
    ) -> None:
        if detail is None:
            return
        if detail not in _DETAIL:
            raise wrong(f"{where}.detail", f"must be one of: {', '.join(_DETAIL)}")
        level = _DETAIL[detail]
        if level is None:
            return
        if self.gemini3:
            part["mediaResolution"] = {"level": level}
        elif "image_url.detail" not in self.dropped:
            self.dropped.append("image_url.detail")

    def _audio(self, part: dict[str, Any], param: str) -> dict[str, Any]:
        where = f"{param}.input_audio"
        audio = record(part.get("input_audio"), where)
        data = text(audio.get("data"), f"{where}.data")
        mime = None
        if sound := maybe(audio, "format", text, where):
            mime = media_types.of_audio_format(sound)
            if mime is None:
                known = ", ".join(media_types.AUDIO_FORMATS)
                raise wrong(f"{where}.format", f"must be one of: {known}")
        if data[:5].lower() == "data:":
            return self._inline_url(data, f"{where}.data")
        return self._inline(data, mime, f"{where}.data")

    def _video(self, part: dict[str, Any], param: str) -> dict[str, Any]:
        key = part["type"]
        where = f"{param}.{key}"
        value = part.get(key)
        if isinstance(value, str):
            return self._located(value, where, "video")
        video = record(value, where)
        if video.get("url") is not None:
            return self._located(text(video["url"], f"{where}.url"), where, "video")
        data = text(video.get("data"), f"{where}.data")
        if data[:5].lower() == "data:":
            return self._inline_url(data, f"{where}.data")
        kind = maybe(video, "format", text, where)
        return self._inline(data, f"video/{kind}" if kind else None, f"{where}.data")

    def _file(self, part: dict[str, Any], param: str) -> dict[str, Any]:
        where = f"{param}.file"
        file = record(part.get("file"), where)
        title = maybe(file, "filename", text, where)
        data = maybe(file, "file_data", name, where)
        if data is None:
            return self._file_by_id(file, where)
        if _scheme(data) in ("data", "http", "https"):
            return self._located(data, f"{where}.file_data", "file", title)
        mime = media_types.of_filename(title) if title else None
        return self._inline(data, mime, f"{where}.file_data")

    def _file_by_id(self, file: dict[str, Any], where: str) -> dict[str, Any]:
        file_id = maybe(file, "file_id", name, where)
        if file_id is None:
            raise wrong(f"{where}.file_data", "is missing")
        if _scheme(file_id) not in ("http", "https", "gs"):
            raise wrong(f"{where}.file_id", _NO_UPLOADS)
        return self._located(file_id, f"{where}.file_id", "file")

    def _located(
        self, url: str, param: str, kind: str, title: str | None = None
    ) -> dict[str, Any]:
        """Return the part for a URL of any scheme."""
        url = url.strip()
        scheme = _scheme(url)
        if scheme == "data":
            return self._inline_url(url, param, title)
        if scheme not in ("http", "https", "gs"):
            raise wrong(param, "must be a data: or http(s) URL")
        host = _host(url, param)
        made: dict[str, Any] = {}
        if scheme == "gs" or _google_keeps(url, host):
            made["fileData"] = {"fileUri": url}
        else:
            self.fetches.append(Fetch(url, made, param))
        if host in _YOUTUBE:
            kind = "video"
        self.needs.add(_NEEDS.get(kind, "files_in"))
        return made

    def _inline_url(
        self, url: str, param: str, title: str | None = None
    ) -> dict[str, Any]:
        """Return the part for a data URL; a missing ``;base64`` is tolerated."""
        head, comma, data = url[5:].partition(",")
        if not comma:
            raise wrong(param, "is not a data URL: it has no comma")
        words = [word.strip().lower() for word in head.split(";")]
        mime = words[0] if "/" in words[0] else None
        if "base64" not in words[1:] and (mime or "text/plain").startswith("text/"):
            raw = unquote_to_bytes(data.encode("utf-8", "replace"))
            data = binascii.b2a_base64(raw, newline=False).decode()
            mime = mime or "text/plain"
        if mime is None and title:
            mime = media_types.of_filename(title)
        return self._inline(data, mime, param)

    def _inline(self, data: str, mime: str | None, param: str) -> dict[str, Any]:
        clean, head = _decoded(data, param)
        known = media_types.settled(mime, head)
        if known is None:
            raise wrong(param, "has no media type, and its data does not show one")
        self.needs.add(_NEEDS.get(known.partition("/")[0], "files_in"))
        return {"inlineData": {"mimeType": known, "data": clean}}


_READERS: dict[str, Callable[[MediaReader, dict[str, Any], str], dict[str, Any]]] = {
    "image_url": MediaReader._image,
    "input_audio": MediaReader._audio,
    "video_url": MediaReader._video,
    "input_video": MediaReader._video,
    "file": MediaReader._file,
}


def _scheme(url: str) -> str:
    head, colon, _ = url[:16].partition(":")
    return head.strip().lower() if colon else ""


def _host(url: str, param: str) -> str:
    try:
        host = urlsplit(url).hostname
    except ValueError as error:
        raise wrong(param, "is not a valid URL") from error
    if not host:
        raise wrong(param, "is a URL without a host")
    return host.lower()


def _google_keeps(url: str, host: str) -> bool:
    """Does Google read this URL itself: its Files API, or YouTube?"""
    if host in _YOUTUBE:
        return True
    return host == _GOOGLE_FILES and "/files/" in urlsplit(url).path


def _decoded(data: str, param: str) -> tuple[str, bytes]:
    """Return standard base64 and the first decoded bytes; accepts the URL-safe
    alphabet, missing padding, line breaks and percent escapes."""
    clean = unquote(data) if "%" in data else data
    clean = "".join(clean.split()).translate(_URL_SAFE).rstrip("=")
    clean += "=" * (-len(clean) % 4)
    try:
        raw = binascii.a2b_base64(clean, strict_mode=True)
    except ValueError as error:
        raise wrong(param, "is not valid base64") from error
    if not raw:
        raise wrong(param, "is empty")
    return clean, raw[:64]
