"""Pictures, sound, films and files in messages."""

import pytest

from tests.proxy.wire.chat_samples import (
    FLASH_3,
    FLASH_25,
    JPEG,
    MP4,
    PDF,
    PNG,
    WAV,
    b64,
    data_url,
    parse,
    refused,
    user,
)


def image(url, **extra) -> dict:
    return {"type": "image_url", "image_url": {"url": url, **extra}}


def sound(data, **extra) -> dict:
    return {"type": "input_audio", "input_audio": {"data": data, **extra}}


def file(**fields) -> dict:
    return {"type": "file", "file": fields}


def video(url) -> dict:
    return {"type": "video_url", "video_url": {"url": url}}


def read(part: dict, model: str = FLASH_3) -> dict:
    """Return the Gemini part that a content part becomes."""
    request = parse(user([part]), model=model)
    (found,) = request.body["contents"][0]["parts"]
    return found


def mime(part: dict) -> str:
    return read(part)["inlineData"]["mimeType"]


def test_a_data_url_becomes_inline_data():
    assert read(image(data_url(PNG))) == {
        "inlineData": {"mimeType": "image/png", "data": b64(PNG)}
    }


def test_an_image_url_may_be_a_bare_string():
    part = {"type": "image_url", "image_url": data_url(PNG)}
    assert read(part)["inlineData"]["data"] == b64(PNG)


@pytest.mark.parametrize(
    "url",
    [
        f"data:image/png,{b64(PNG)}",
        f"data:image/png;charset=utf-8;base64,{b64(PNG)}",
        f"DATA:image/png;BASE64,{b64(PNG)}",
        f"  data:image/png;base64,{b64(PNG)}  ",
        f"data:image/png;base64,{b64(PNG).rstrip('=')}",
        f"data:image/png;base64,{b64(PNG)[:8]}\n{b64(PNG)[8:]}",
        f"data:image/png;base64,{b64(PNG).replace('=', '%3D')}",
    ],
    ids=[
        "no base64",
        "charset",
        "capitals",
        "spaces",
        "no padding",
        "lines",
        "escaped",
    ],
)
def test_sloppy_data_urls_are_understood(url):
    assert read(image(url)) == read(image(data_url(PNG)))


def test_the_url_safe_alphabet_becomes_the_standard_one():
    raw = PNG + b"\xfb\xff\xfe"
    safe = b64(raw).replace("+", "-").replace("/", "_")
    assert "-" in safe or "_" in safe
    found = read(image(f"data:image/png;base64,{safe}"))
    assert found["inlineData"]["data"] == b64(raw)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (data_url(JPEG, "image/jpg"), "image/jpeg"),
        (data_url(PNG, "image/jpg"), "image/png"),
        (data_url(b"?" * 20, "image/jpg"), "image/jpeg"),
        (data_url(PNG, ""), "image/png"),
        (data_url(PNG, "application/octet-stream"), "image/png"),
        (data_url(PNG, "IMAGE/PNG"), "image/png"),
        (data_url(b"GIF89a" + bytes(9), ""), "image/gif"),
        (data_url(b"RIFF1234WEBPVP8 ", ""), "image/webp"),
        (data_url(b"0000ftypheic0000", ""), "image/heic"),
    ],
)
def test_the_media_type_is_looked_for_in_the_bytes_when_it_is_vague(url, expected):
    assert mime(image(url)) == expected


def test_data_without_any_recognisable_type_is_refused():
    refused(
        user([image(data_url(b"??", ""))]), param="messages[0].content[0].image_url"
    )


@pytest.mark.parametrize(
    "url",
    [
        "data:image/png;base64,***",
        "data:image/png;base64,A",
        "data:image/png;base64,",
        "data:image/png;base64,é",
        "data:image/png;base64",
        "data:image/png;base64,AA=A",
    ],
)
def test_a_data_url_that_does_not_decode_is_refused(url):
    refused(user([image(url)]), param="messages[0].content[0].image_url")


@pytest.mark.parametrize(
    "url",
    [
        "ftp://x.example/a.png",
        "file:///etc/passwd",
        "a.png",
        "",
        "http://",
        "https://[x",
    ],
)
def test_a_url_that_cannot_be_fetched_is_refused(url):
    refused(user([image(url)]), param="messages[0].content[0].image_url")


def test_a_remote_picture_is_left_for_the_caller_to_fetch():
    request = parse(user([{"type": "text", "text": "a"}, image("https://x.example/a")]))
    (fetch,) = request.fetches
    assert fetch.url == "https://x.example/a"
    assert fetch.param == "messages[0].content[1].image_url"
    assert request.body["contents"][0]["parts"][1] is fetch.part
    fetch.part["inlineData"] = {"mimeType": "image/png", "data": "AAAA"}
    assert "inlineData" in request.body["contents"][0]["parts"][1]


@pytest.mark.parametrize(
    "url",
    [
        "https://generativelanguage.googleapis.com/v1beta/files/abc-123",
        "https://www.youtube.com/watch?v=abc",
        "https://youtu.be/abc",
        "gs://bucket/film.mp4",
    ],
)
def test_what_google_reads_itself_stays_a_reference(url):
    request = parse(user([image(url)]))
    assert request.fetches == []
    assert request.body["contents"][0]["parts"] == [{"fileData": {"fileUri": url}}]


@pytest.mark.parametrize(
    "url",
    [
        "https://youtube.com.evil.example/watch?v=a",
        "https://evil.example/generativelanguage.googleapis.com/files/a",
        "https://generativelanguage.googleapis.com/v1beta/models",
    ],
)
def test_what_only_looks_like_google_is_fetched(url):
    assert [fetch.url for fetch in parse(user([image(url)])).fetches] == [url]


@pytest.mark.parametrize(
    ("detail", "level"),
    [
        ("low", "MEDIA_RESOLUTION_LOW"),
        ("high", "MEDIA_RESOLUTION_HIGH"),
        ("original", "MEDIA_RESOLUTION_ULTRA_HIGH"),
    ],
)
def test_detail_becomes_the_resolution_on_gemini_3(detail, level):
    found = read(image(data_url(PNG), detail=detail), FLASH_3)
    assert found["mediaResolution"] == {"level": level}


@pytest.mark.parametrize("detail", ["auto", None])
def test_automatic_detail_says_nothing(detail):
    assert set(read(image(data_url(PNG), detail=detail))) == {"inlineData"}


def test_detail_is_dropped_by_name_before_gemini_3():
    parts = [image(data_url(PNG), detail="high"), image(data_url(PNG), detail="low")]
    request = parse(user(parts), model=FLASH_25)
    assert request.dropped == ["image_url.detail"]
    made = request.body["contents"][0]["parts"]
    assert all("mediaResolution" not in part for part in made)


def test_a_fetched_picture_keeps_its_resolution():
    (fetch,) = parse(user([image("https://x.example/a", detail="low")])).fetches
    assert fetch.part["mediaResolution"]["level"] == "MEDIA_RESOLUTION_LOW"


@pytest.mark.parametrize("detail", ["max", 3])
def test_an_unknown_detail_is_refused(detail):
    refused(
        user([image(data_url(PNG), detail=detail)]),
        param="messages[0].content[0].image_url.detail",
    )


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("wav", "audio/wav"),
        ("mp3", "audio/mpeg"),
        ("flac", "audio/flac"),
        ("ogg", "audio/ogg"),
        ("aac", "audio/aac"),
        ("aiff", "audio/aiff"),
        ("m4a", "audio/m4a"),
        ("audio/wav", "audio/wav"),
        ("WAV", "audio/wav"),
    ],
)
def test_sound_takes_its_type_from_the_format(form, expected):
    assert mime(sound(b64(bytes(20)), format=form)) == expected


def test_sound_without_format_is_recognised_by_its_bytes():
    assert mime(sound(b64(WAV))) == "audio/wav"


def test_sound_may_be_a_data_url():
    assert mime(sound(data_url(WAV, "audio/x-wav"), format="wav")) == "audio/wav"


@pytest.mark.parametrize(
    ("audio", "param"),
    [
        ({"data": b64(WAV), "format": "tape"}, ".format"),
        ({"data": b64(WAV), "format": 7}, ".format"),
        ({"format": "wav"}, ".data"),
        ({"data": "***", "format": "wav"}, ".data"),
        ({"data": b64(bytes(9))}, ".data"),
        ("wav", ""),
    ],
)
def test_malformed_sound_is_refused(audio, param):
    part = {"type": "input_audio", "input_audio": audio}
    refused(user([part]), param=f"messages[0].content[0].input_audio{param}")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"file_data": data_url(PDF, "application/pdf")}, "application/pdf"),
        ({"file_data": b64(PDF)}, "application/pdf"),
        ({"file_data": b64(b"a,b"), "filename": "t.csv"}, "text/csv"),
        ({"file_data": b64(b"x"), "filename": "NOTES.TXT"}, "text/plain"),
        ({"file_data": data_url(b"x", ""), "filename": "a.md"}, "text/markdown"),
        ({"file_data": "data:text/plain,hello%20you"}, "text/plain"),
    ],
)
def test_a_file_takes_its_type_from_url_name_or_bytes(fields, expected):
    assert mime(file(**fields)) == expected


def test_plain_text_in_a_data_url_is_encoded():
    found = read(file(file_data="data:text/plain,hello%20you"))
    assert found["inlineData"]["data"] == b64(b"hello you")


def test_a_file_may_be_remote():
    (fetch,) = parse(user([file(file_data="https://x.example/a.pdf")])).fetches
    assert fetch.url == "https://x.example/a.pdf"
    assert fetch.param == "messages[0].content[0].file.file_data"


def test_an_uploaded_file_is_refused_because_uploads_are_not_offered():
    fault = refused(
        user([file(file_id="file-abc")]), param="messages[0].content[0].file.file_id"
    )
    assert "uploads are not offered" in fault.message


def test_a_file_id_that_is_a_google_file_stays_a_reference():
    uri = "https://generativelanguage.googleapis.com/v1beta/files/abc"
    assert read(file(file_id=uri)) == {"fileData": {"fileUri": uri}}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({}, ".file_data"),
        ({"file_data": 7}, ".file_data"),
        ({"file_data": "  "}, ".file_data"),
        ({"file_data": b64(b"??")}, ".file_data"),
        ({"filename": 7}, ".filename"),
        ({"file_id": 7}, ".file_id"),
    ],
)
def test_malformed_files_are_refused(fields, param):
    refused(user([file(**fields)]), param=f"messages[0].content[0].file{param}")


def test_a_film_may_be_a_data_url_or_remote():
    assert mime(video(data_url(MP4, "video/mp4"))) == "video/mp4"
    (fetch,) = parse(user([video("https://x.example/a.mp4")])).fetches
    assert fetch.param == "messages[0].content[0].video_url"


@pytest.mark.parametrize(
    "value",
    [data_url(MP4, "video/mp4"), {"data": b64(MP4)}, {"data": data_url(MP4, "")}],
    ids=["string", "raw", "data url"],
)
def test_input_video_is_understood(value):
    assert mime({"type": "input_video", "input_video": value}) == "video/mp4"


def test_input_video_takes_its_type_from_the_format():
    part = {"type": "input_video", "input_video": {"data": b64(b"?"), "format": "webm"}}
    assert mime(part) == "video/webm"


@pytest.mark.parametrize(
    ("part", "need"),
    [
        (image(data_url(PNG)), "images_in"),
        (image("https://x.example/a"), "images_in"),
        (sound(b64(WAV), format="wav"), "audio_in"),
        (video("https://x.example/a"), "video_in"),
        (image("https://youtu.be/abc"), "video_in"),
        (file(file_data=data_url(PDF, "application/pdf")), "files_in"),
        (file(file_data=data_url(PNG)), "images_in"),
        (file(file_data="https://x.example/a.pdf"), "files_in"),
    ],
)
def test_media_are_a_need_of_their_kind(part, need):
    assert parse(user([part])).needs == {need}


@pytest.mark.parametrize("value", [None, 7, [], {}, {"url": None}, {"url": 7}])
def test_a_malformed_image_url_is_refused(value):
    part = {"type": "image_url", "image_url": value}
    expected = "messages[0].content[0].image_url"
    if isinstance(value, dict):
        expected += ".url"
    refused(user([part]), param=expected)


def test_a_large_picture_is_passed_on_as_it_is():
    raw = PNG + bytes(2_000_000)
    assert read(image(data_url(raw)))["inlineData"]["data"] == b64(raw)
