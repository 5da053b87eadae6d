"""Which way up a picture is."""

import pytest
from hypothesis import given, settings, strategies as st
from PIL import Image

from imaging import exif
from tests.imaging import samples


def block(value: int, order: str = "little") -> bytes:
    """A TIFF block with an orientation after another entry."""
    head = b"II*\0" if order == "little" else b"MM\0*"

    def number(amount: int, size: int) -> bytes:
        return amount.to_bytes(size, order)

    first = number(0x0100, 2) + number(3, 2) + number(1, 4) + number(7, 2) + b"\0\0"
    ours = number(0x0112, 2) + number(3, 2) + number(1, 4) + number(value, 2) + b"\0\0"
    return head + number(8, 4) + number(2, 2) + first + ours + number(0, 4)


@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize("value", range(1, 9))
def test_the_orientation_is_read_and_reset(order, value):
    data = block(value, order)
    assert exif.orientation(data) == value
    after = exif.upright(data)
    assert exif.orientation(after) == 1
    assert len(after) == len(data)
    assert sum(a != b for a, b in zip(after, data, strict=True)) == (value != 1)


@pytest.mark.parametrize("value", [3, 8])
def test_what_pillow_writes_is_read(value):
    data = samples.orientation(value).removeprefix(b"Exif\0\0")
    assert exif.orientation(data) == value
    reset = Image.Exif()
    reset.load(exif.upright(data))
    assert (reset[0x0112], reset[0x010F]) == (1, "Maker")


@pytest.mark.parametrize("value", [0, 9, 60_000])
def test_an_orientation_that_is_none_counts_as_upright(value):
    assert exif.orientation(block(value)) == 1


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"II*\0",
        b"Exif\0\0II*\0",
        block(6)[:30],
        b"MM\0*\xff\xff\xff\xff",
        block(6).replace(b"\x12\x01\x03\x00", b"\x12\x01\x04\x00"),
    ],
)
def test_a_block_that_tells_nothing_is_upright_and_stays(data):
    assert exif.orientation(data) == 1
    assert exif.upright(data) == data


@settings(deadline=None, database=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_survived(data):
    for head in (b"", b"II*\0", b"MM\0*"):
        found = head + data
        assert 1 <= exif.orientation(found) <= 8
        assert len(exif.upright(found)) == len(found)
