"""Forms, as clients send them and as they arrive broken."""

import os

import pytest

from gemproxy.lib.multipart import MOST_PARTS, BadForm, is_form, read_parts

TYPE = "multipart/form-data; boundary=line"
PROMPT = b'Content-Disposition: form-data; name="prompt"'


def form(*parts: tuple[bytes, bytes]) -> bytes:
    """Return a form of parts, each with its head and its content."""
    shown = (b"--line\r\n%b\r\n\r\n%b\r\n" % part for part in parts)
    return b"".join(shown) + b"--line--\r\n"


def file_head(*more: bytes) -> bytes:
    return b"\r\n".join([b'Content-Disposition: form-data; name="image"', *more])


def test_texts_and_files_come_in_their_order() -> None:
    head = b'Content-Disposition: form-data; name="image[]"; filename="a.png"'
    typed = b"%b\r\nContent-Type: image/png" % head
    parts = read_parts(form((PROMPT, b"a fox"), (typed, b"\x89PNG")), TYPE)
    shown = [(p.name, p.filename, p.content_type, p.content) for p in parts]
    assert shown == [
        ("prompt", None, "", b"a fox"),
        ("image[]", "a.png", "image/png", b"\x89PNG"),
    ]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\r\n",
        b"\r\n--lin",
        b"--line",
        b"\r\n--linE--\r\n",
        "将背景改为蓝色天空".encode(),
        bytes(range(256)) * 40,
        b"\r\n--l" * 1000,
    ],
    ids=repr,
)
def test_content_arrives_byte_for_byte(content: bytes) -> None:
    # A file without a name is still what it was: no text, no other line ends.
    (part,) = read_parts(form((file_head(), content)), TYPE)
    assert (part.filename, part.content) == (None, content)


def test_a_large_file_arrives_whole() -> None:
    content = os.urandom(3_000_000)
    (part,) = read_parts(form((file_head(), content)), TYPE)
    assert part.content == content


def test_names_outside_of_ascii_are_read() -> None:
    head = 'Content-Disposition: form-data; name="image"; filename="猫.png"'
    (part,) = read_parts(form((head.encode(), b"x")), TYPE)
    assert part.filename == "猫.png"


@pytest.mark.parametrize(
    "head",
    [b'content-disposition: form-data; name="prompt"', PROMPT + b'; filename=""'],
)
def test_heads_are_read_as_clients_write_them(head: bytes) -> None:
    (part,) = read_parts(form((head, b"x")), TYPE)
    assert (part.name, part.filename or "") == ("prompt", "")


def test_a_quoted_boundary_is_the_same() -> None:
    quoted = 'multipart/form-data; charset=utf-8; boundary="line"'
    assert len(read_parts(form((PROMPT, b"x")), quoted)) == 1


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "ends too early"),
        (b"--line\r\n", "ends too early"),
        (form((PROMPT, b"x"))[:-8], "ends too early"),
        (form((PROMPT, b"x" * 5000))[:3000], "ends too early"),
        (b'{"prompt": "x"}', "not made as its boundary says"),
        (form((PROMPT, b"x")).replace(b"line", b"lame"), "as its boundary says"),
        (form((b"X-Other: y", b"x")), "has no name"),
        (form((b'Content-Disposition: form-data; name=""', b"x")), "has no name"),
        (form((b'Content-Disposition: file; name="a"', b"x")), "has no name"),
        (form(*[(PROMPT, b"x")] * (MOST_PARTS + 1)), "more than"),
        (form((PROMPT + b"\r\nX: y" * 20, b"x")), "as its boundary says"),
        (form((PROMPT + b"\r\nX: " + b"y" * 9000, b"x")), "as its boundary says"),
    ],
    ids=lambda value: value if isinstance(value, str) else repr(value[:20]),
)
def test_a_form_that_is_none_is_refused(content: bytes, why: str) -> None:
    with pytest.raises(BadForm, match=why):
        read_parts(content, TYPE)


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=" + "b" * 5000,
    ],
    ids=len,
)
def test_a_form_needs_a_boundary(content_type: str) -> None:
    with pytest.raises(BadForm):
        read_parts(form((PROMPT, b"x")), content_type)


@pytest.mark.parametrize(
    ("content_type", "form_like"),
    [
        (TYPE, True),
        ("Multipart/Form-Data", True),
        ("application/json", False),
        ("multipart/mixed; boundary=line", False),
        ("", False),
    ],
)
def test_forms_are_told_by_their_type(content_type: str, form_like: bool) -> None:
    assert is_form(content_type) is form_like


def test_a_part_shows_none_of_itself_in_logs() -> None:
    (part,) = read_parts(form((PROMPT, b"hush")), TYPE)
    assert "hush" not in repr(part)
