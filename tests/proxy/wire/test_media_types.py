"""Media types by name and by first bytes."""

import pytest

from proxy.wire.media_types import of_audio_format, of_filename, settled, sniffed


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff\xe1", "image/jpeg"),
        (b"GIF87a", "image/gif"),
        (b"RIFF----WEBP", "image/webp"),
        (b"RIFF----WAVE", "audio/wav"),
        (b"RIFF----AVI ", "video/x-msvideo"),
        (b"RIFF----????", None),
        (b"....ftypavif", "image/avif"),
        (b"....ftypM4A ", "audio/m4a"),
        (b"....ftypqt  ", "video/quicktime"),
        (b"....ftypisom", "video/mp4"),
        (b"FORM----AIFF", "audio/aiff"),
        (b"ID3\x04", "audio/mpeg"),
        (b"\xff\xfb\x90", "audio/mpeg"),
        (b"\xff\xf1\x50", "audio/aac"),
        (b"OggS", "audio/ogg"),
        (b"fLaC", "audio/flac"),
        (b"\x1aE\xdf\xa3", "video/webm"),
        (b"%PDF-1.4", "application/pdf"),
        (b"BM6", "image/bmp"),
        (b"hello", None),
        (b"", None),
    ],
)
def test_first_bytes_show_the_type(head, expected):
    assert sniffed(head) == expected


@pytest.mark.parametrize(
    ("filename", "expected"),
    [
        ("a.pdf", "application/pdf"),
        ("A.B.JPG", "image/jpeg"),
        ("song.mp3", "audio/mpeg"),
        ("film.mov", "video/quicktime"),
        ("data.json", "application/json"),
        ("strange.xyz", None),
        ("", None),
    ],
)
def test_a_file_name_shows_the_type(filename, expected):
    assert of_filename(filename) == expected


@pytest.mark.parametrize(
    ("declared", "head", "expected"),
    [
        ("image/png", b"\xff\xd8\xff", "image/png"),
        ("audio/mp3", b"", "audio/mpeg"),
        ("audio/wave", b"", "audio/wav"),
        ("image/*", b"GIF89a", "image/gif"),
        (None, b"%PDF", "application/pdf"),
        ("image/jpg", b"", "image/jpeg"),
        ("", b"", None),
    ],
)
def test_a_declared_type_wins_unless_it_says_nothing(declared, head, expected):
    assert settled(declared, head) == expected


def test_unknown_audio_formats_are_not_guessed():
    assert of_audio_format("tape") is None
    assert of_audio_format(" MP3 ") == "audio/mpeg"
