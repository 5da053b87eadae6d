"""Media types: from names and first bytes to the words that Gemini takes."""

AUDIO_FORMATS = {
    "wav": "audio/wav",
    "mp3": "audio/mpeg",
    "mpeg": "audio/mpeg",
    "flac": "audio/flac",
    "ogg": "audio/ogg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "aiff": "audio/aiff",
    "m4a": "audio/m4a",
}

_BY_EXTENSION = {
    **AUDIO_FORMATS,
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "gif": "image/gif",
    "heic": "image/heic",
    "heif": "image/heif",
    "pdf": "application/pdf",
    "txt": "text/plain",
    "log": "text/plain",
    "md": "text/markdown",
    "csv": "text/csv",
    "html": "text/html",
    "htm": "text/html",
    "css": "text/css",
    "xml": "text/xml",
    "rtf": "text/rtf",
    "json": "application/json",
    "js": "text/javascript",
    "py": "text/x-python",
    "mp4": "video/mp4",
    "m4v": "video/mp4",
    "mpg": "video/mpeg",
    "mov": "video/quicktime",
    "avi": "video/x-msvideo",
    "webm": "video/webm",
    "mkv": "video/x-matroska",
}

_ALIASES = {
    "image/pjpeg": "image/jpeg",
    "image/x-png": "image/png",
    "audio/mp3": "audio/mpeg",
    "audio/x-mp3": "audio/mpeg",
    "audio/x-wav": "audio/wav",
    "audio/wave": "audio/wav",
    "audio/vnd.wave": "audio/wav",
    "audio/x-m4a": "audio/m4a",
    "audio/x-flac": "audio/flac",
    "audio/x-aac": "audio/aac",
    "audio/x-aiff": "audio/aiff",
    "application/x-pdf": "application/pdf",
}

#: Words that say nothing about the data, or are known to be wrong about it.
_VAGUE = frozenset(
    {
        "",
        "image/jpg",
        "image/*",
        "audio/*",
        "video/*",
        "*/*",
        "application/octet-stream",
    }
)

_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"BM", "image/bmp"),
    (b"%PDF", "application/pdf"),
    (b"ID3", "audio/mpeg"),
    (b"\xff\xfb", "audio/mpeg"),
    (b"\xff\xf3", "audio/mpeg"),
    (b"\xff\xf1", "audio/aac"),
    (b"\xff\xf9", "audio/aac"),
    (b"OggS", "audio/ogg"),
    (b"fLaC", "audio/flac"),
    (b"\x1aE\xdf\xa3", "video/webm"),
)
_RIFF = {b"WEBP": "image/webp", b"WAVE": "audio/wav", b"AVI ": "video/x-msvideo"}
_FTYP = {
    b"heic": "image/heic",
    b"heix": "image/heic",
    b"mif1": "image/heif",
    b"avif": "image/avif",
    b"M4A ": "audio/m4a",
    b"qt  ": "video/quicktime",
}


def of_audio_format(word: str) -> str | None:
    """Return the media type for OpenAI's ``input_audio.format``."""
    return AUDIO_FORMATS.get(word.strip().lower().removeprefix("audio/"))


def of_filename(filename: str) -> str | None:
    """Return the media type for a file's name, by a table of our own: the system's
    differs from machine to machine."""
    return _BY_EXTENSION.get(filename.rpartition(".")[2].strip().lower())


def settled(declared: str | None, head: bytes) -> str | None:
    """Return the media type to send, given the declared one and the first bytes.

    A declared type wins unless it is vague; then the bytes decide. None when neither
    tells.
    """
    named = (declared or "").strip().lower()
    if named not in _VAGUE:
        return _ALIASES.get(named, named)
    seen = sniffed(head)
    return seen or ("image/jpeg" if named == "image/jpg" else None)


def sniffed(head: bytes) -> str | None:
    """Return the media type that the first bytes of a file show."""
    if head[:4] == b"RIFF":
        return _RIFF.get(head[8:12])
    if head[4:8] == b"ftyp":
        return _FTYP.get(head[8:12], "video/mp4")
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return "audio/aiff"
    return next((kind for magic, kind in _MAGIC if head.startswith(magic)), None)
