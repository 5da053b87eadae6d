"""Cutting event streams into payloads."""

import time

import pytest

from proxy.wire.sse import EventTooLarge, SSEDecoder

STREAM = (
    b": hello\r\n\r\n"
    b'data: {"a":1}\r\n\r\n'
    b"event: x\r\nid: 7\r\nretry: 5\r\ndata:two\r\n\r\n"
    b"\r\n"
    b"data: one\r\ndata: more\r\ndata\r\ndata:  blank first\r\n\r\n"
    b'data: {"u":"\xe2\x80\xa8\xe2\x80\xa9\x0b\x0c\x1c\xc2\x85"}\r\n\r\n'
    b"data: last"
)
PAYLOADS = [
    b'{"a":1}',
    b"two",
    b"one\nmore\n\n blank first",
    b'{"u":"\xe2\x80\xa8\xe2\x80\xa9\x0b\x0c\x1c\xc2\x85"}',
    b"last",
]


def decode(*chunks):
    decoder = SSEDecoder()
    payloads = [payload for chunk in chunks for payload in decoder.feed(chunk)]
    payloads += decoder.flush()
    assert decoder.stray == b""
    return payloads


def with_ends(stream, end):
    return stream.replace(b"\r\n", end)


@pytest.mark.parametrize("end", [b"\r\n", b"\n", b"\r"], ids=["crlf", "lf", "cr"])
def test_a_stream_in_one_piece(end):
    assert decode(with_ends(STREAM, end)) == PAYLOADS


@pytest.mark.parametrize("end", [b"\r\n", b"\n", b"\r"], ids=["crlf", "lf", "cr"])
def test_a_stream_cut_in_two_at_every_byte(end):
    stream = with_ends(STREAM, end)
    for at in range(len(stream) + 1):
        assert decode(stream[:at], stream[at:]) == PAYLOADS, at


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7])
@pytest.mark.parametrize("end", [b"\r\n", b"\n", b"\r"], ids=["crlf", "lf", "cr"])
def test_a_stream_in_small_pieces(end, size):
    stream = with_ends(STREAM, end)
    pieces = [stream[i : i + size] for i in range(0, len(stream), size)]
    assert decode(*pieces) == PAYLOADS


def test_mixed_line_ends_are_told_apart():
    assert decode(b"data: a\r\n\ndata: b\n\r\ndata: c\r\rdata: d\n\n") == [
        b"a",
        b"b",
        b"c",
        b"d",
    ]


@pytest.mark.parametrize("end", [b"\r\n\r\n", b"\n\n"], ids=["crlf", "lf"])
def test_one_event_per_read_is_handed_on_at_once(end):
    decoder = SSEDecoder()
    assert decoder.feed(b'data: {"a":1}' + end) == [b'{"a":1}']
    assert decoder.feed(b'data: {"b":2}' + end) == [b'{"b":2}']
    assert decoder.flush() == []


def test_an_event_is_complete_with_the_cr_of_its_blank_line():
    decoder = SSEDecoder()
    assert decoder.feed(b"data: a\r\n\r") == [b"a"]
    assert decoder.feed(b"\ndata: b\n\n") == [b"b"]


def test_two_events_of_one_read_come_together():
    assert SSEDecoder().feed(b"data: a\n\ndata: b\n\n") == [b"a", b"b"]


def test_the_quick_way_does_not_swallow_a_waiting_line():
    decoder = SSEDecoder()
    assert decoder.feed(b"data: a\n") == []
    assert decoder.feed(b"data: b\n\n") == [b"a\nb"]


def test_the_quick_way_does_not_join_a_waiting_piece():
    decoder = SSEDecoder()
    assert decoder.feed(b"da") == []
    assert decoder.feed(b"ta: b\n\n") == [b"b"]
    assert decoder.feed(b"x") == []
    assert decoder.feed(b"data: c\n\n") == []
    assert decoder.stray == b"xdata: c\n"


def test_empty_events_are_none():
    assert decode(b"\n\n\nevent: x\n\n: y\n\n") == []


def test_an_empty_payload_is_one():
    assert decode(b"data:\n\n") == [b""]


def test_empty_reads_change_nothing():
    assert decode(b"data: a\r", b"", b"\n\r\n") == [b"a"]


def test_flushing_twice_repeats_nothing():
    decoder = SSEDecoder()
    decoder.feed(b"data: a")
    assert decoder.flush() == [b"a"]
    assert decoder.flush() == []


@pytest.mark.parametrize(
    "chunks",
    [
        [b'{"error":{"code":500}}'],
        [b'{"error":\n', b'{"code":500}}\n'],
        [b'{"er', b'ror":{"code":500}}'],
    ],
    ids=["line", "lines", "pieces"],
)
def test_what_is_no_sse_is_kept_apart(chunks):
    decoder = SSEDecoder()
    for chunk in chunks:
        assert decoder.feed(chunk) == []
    assert decoder.flush() == []
    assert decoder.stray.replace(b"\n", b"") == b'{"error":{"code":500}}'


def test_little_is_kept_of_what_is_no_sse():
    decoder = SSEDecoder()
    for _ in range(100):
        decoder.feed(b"x" * 10_000 + b"\n")
    decoder.feed(b"y" * 1_000_000 + b"\n")
    assert len(decoder.stray) < 200_000


def test_a_large_event_in_many_pieces_takes_linear_time():
    decoder = SSEDecoder()
    piece = b"x" * 1024
    start = time.perf_counter()
    decoder.feed(b"data: ")
    for _ in range(20_000):
        decoder.feed(piece)
    (payload,) = decoder.feed(b"\n\n")
    assert len(payload) == 20_000 * 1024
    assert time.perf_counter() - start < 2


def feed_often(decoder, piece):
    for _ in range(11):
        assert decoder.feed(piece) == []


@pytest.mark.parametrize(
    "piece",
    [b"a" * 100, b"data: " + b"a" * 94 + b"\n"],
    ids=["a line without end", "lines without a blank one"],
)
def test_an_event_without_end_is_not_held_for_ever(piece):
    decoder = SSEDecoder(largest=1000)
    for _ in range(6):
        assert decoder.feed(piece) == []
    with pytest.raises(EventTooLarge):
        decoder.feed(piece * 5)


def test_many_events_under_the_bound_pass_whatever_their_sum():
    decoder = SSEDecoder(largest=1000)
    event = b"data: " + b"a" * 500
    for _ in range(10):
        assert decoder.feed(event) == []
        assert decoder.feed(b"\n\nda") == [b"a" * 500]
        assert decoder.feed(b"ta: b\n\n") == [b"b"]
