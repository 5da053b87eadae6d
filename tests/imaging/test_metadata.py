"""Where a picture comes from: written into files, read back, pixels untouched."""

import re
from datetime import UTC, datetime
from xml.parsers import expat

import pytest
from hypothesis import given, settings, strategies as st

from imaging import metadata, xmp
from imaging.bounds import Limits, PictureRefused
from imaging.decoding import opened
from imaging.formats import jpeg, png, webp
from tests.imaging import samples

MADE = datetime(2026, 11, 21, 3, 4, 5, 678, tzinfo=UTC)
MODULES = {"png": png, "jpeg": jpeg, "webp": webp}
EXISTING = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
    'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="uuid:5" xmlns:dc="http://purl.org/dc/elements/1.1/" '
    'xmlns:e="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" e:DigitalSourceType="old">'
    '<dc:title><rdf:Alt><rdf:li xml:lang="x-default">Two &amp; three\u732b</rdf:li>'
    "</rdf:Alt></dc:title><e:AISystemUsed>older<e:part>x</e:part></e:AISystemUsed>"
    "</rdf:Description>"
    '<rdf:Description rdf:about="uuid:5" xmlns:xmp="http://ns.adobe.com/xap/1.0/" '
    'xmp:CreateDate="2001-01-01" xmp:Label="a&#10;b"/></rdf:RDF></x:xmpmeta>'
    '<?xpacket end="w"?>'
).encode()

quick = settings(deadline=None, database=None, max_examples=40)


def marked(data: bytes, model: str = "gemini-3-pro-image") -> bytes:
    return metadata.marked(data, model=model, created=MADE)


def packet_of(data: bytes) -> bytes:
    return opened(data).xmp


def with_packet(form: str, packet: bytes) -> bytes:
    data = samples.file(form=form)
    module = MODULES[form]
    return module.with_xmp(data, module.outline(data, Limits()), packet)


@pytest.mark.parametrize("form", samples.FORMATS)
def test_a_marked_file_says_what_made_it_and_when(form):
    data = samples.file(form=form)
    assert metadata.provenance(data) == {}
    assert metadata.provenance(marked(data)) == {
        "digital_source_type": "http://cv.iptc.org/newscodes/digitalsourcetype/"
        "trainedAlgorithmicMedia",
        "model": "gemini-3-pro-image",
        "created": "2026-11-21T03:04:05+00:00",
    }


@pytest.mark.parametrize("form", samples.FORMATS)
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_marking_leaves_pixels_profile_and_exif_alone(form, mode):
    image = samples.drawing(mode=mode if form != "jpeg" else mode[:3])
    profile, exif = samples.srgb_profile(), samples.orientation(3)
    data = samples.file(image, form, icc_profile=profile, exif=exif)
    before, after = opened(data), opened(marked(data))
    assert after.image.tobytes() == before.image.tobytes()
    assert samples.pixels(after.data) == samples.pixels(data)
    assert (after.icc, after.exif) == (profile, before.exif)
    assert after.image.mode == before.image.mode


@pytest.mark.parametrize("form", samples.FORMATS)
def test_every_other_byte_of_the_file_stays(form):
    data = samples.file(form=form)
    after = marked(data)
    module = MODULES[form]
    names = [s.kind for s in module.outline(after, Limits()).segments]
    segments = {
        form: [s.content(d) for s in module.outline(d, Limits()).segments]
        for form, d in (("before", data), ("after", after))
    }
    assert [c for c in segments["before"] if c not in segments["after"]] == []
    extra = {"png": [b"iTXt"], "jpeg": [b"\xe1"], "webp": [b"VP8X", b"XMP "]}[form]
    assert len(names) == len(segments["before"]) + len(extra)
    assert all(kind in names for kind in extra)


@pytest.mark.parametrize("form", samples.FORMATS)
def test_marking_twice_says_it_once_with_the_last_words(form):
    once = marked(samples.file(form=form), "first")
    twice = marked(once, "second")
    assert metadata.provenance(twice)["model"] == "second"
    packet = packet_of(twice)
    assert packet.count(b"DigitalSourceType xmlns") == 1
    assert b"first" not in packet
    assert len(marked(twice, "second")) == len(twice)


@pytest.mark.parametrize("form", samples.FORMATS)
def test_existing_xmp_is_merged(form):
    packet = packet_of(marked(with_packet(form, EXISTING)))
    shown = packet.decode()
    assert metadata.provenance(marked(with_packet(form, EXISTING))) == {
        "digital_source_type": metadata.MADE_BY_MODEL,
        "model": "gemini-3-pro-image",
        "created": "2026-11-21T03:04:05+00:00",
    }
    assert "Two &amp; three\u732b" in shown
    assert 'rdf:about="uuid:5"' in shown
    assert 'xmp:Label="a&#10;b"' in shown
    for gone in ("older", '"old"', "2001-01-01", "e:part"):
        assert gone not in shown
    expat.ParserCreate(namespace_separator=" ").Parse(packet, True)


def test_properties_are_read_as_attributes_and_as_elements():
    found = xmp.read(EXISTING, metadata.NAMES)
    assert found["digital_source_type"] == "old"
    assert found["model"].startswith("older")
    assert found["created"] == "2001-01-01"


def deep(levels: int) -> bytes:
    inner = "<a>" * levels + "</a>" * levels
    return EXISTING.decode().replace("Two ", f"{inner}Two ").encode()


UNREADABLE = [
    b"not xml",
    b"<a/>",
    b"",
    EXISTING[:200],
    b'<!DOCTYPE a [<!ENTITY b "c">]>' + EXISTING.split(b"?>", 1)[1],
    b'<!DOCTYPE a [<!ENTITY b "bbbbbb"><!ENTITY c "&b;&b;&b;&b;">]><a>&c;</a>',
    deep(100),
    b"\xff\xfe\x00",
]


@pytest.mark.parametrize("packet", UNREADABLE)
def test_a_packet_that_is_no_xmp_is_told_and_replaced(packet):
    with pytest.raises(xmp.Unreadable):
        xmp.read(packet, metadata.NAMES)
    data = with_packet("png", packet)
    assert metadata.provenance(data) == {}
    assert metadata.provenance(marked(data))["model"] == "gemini-3-pro-image"


def test_a_packet_of_common_depth_is_read():
    assert xmp.read(deep(20), metadata.NAMES)["digital_source_type"] == "old"


def test_zeros_after_a_packet_are_tolerated():
    assert xmp.read(EXISTING + b"\0" * 20, metadata.NAMES)["created"] == "2001-01-01"


def test_xmp_without_our_prefixes_for_rdf_is_merged():
    packet = EXISTING.replace(b"rdf:", b"r:").replace(b"xmlns:rdf", b"xmlns:r")
    merged = xmp.written(packet, metadata.NAMES, {"model": "m"})
    assert xmp.read(merged, metadata.NAMES)["model"] == "m"
    assert "Two &amp; three" in merged.decode()


def test_a_property_elsewhere_in_a_packet_is_not_taken():
    nested = EXISTING.replace(b"<rdf:Alt>", b'<rdf:Alt xmlns:xmp="u" xmp:Label="n">')
    assert xmp.read(nested, {"label": ("u", "xmp", "Label")}) == {}


@pytest.mark.parametrize("form", samples.FORMATS)
def test_a_manifest_is_told_and_does_not_outlive_a_change(form):
    jumbf = b"JP\0\1\0\0\0\1\0\0\0\x20jumb\0\0\0\x18jumdc2pa" + b"m" * 40
    more = b"JP\0\1\0\0\0\2" + b"n" * 40
    other = b"JP\0\2\0\0\0\1\0\0\0\x20jumb\0\0\0\x18jumdother"
    data = {
        "png": samples.png_with(png.chunk_of(b"caBX", jumbf)),
        "jpeg": samples.jpeg_with((0xEB, jumbf), (0xEB, more), (0xEB, other)),
        "webp": samples.webp_with(b"C2PA", jumbf),
    }[form]
    assert metadata.provenance(data) == {"c2pa": True}
    after = marked(data)
    assert "c2pa" not in metadata.provenance(after)
    assert b"mmmm" not in after and b"nnnn" not in after
    assert (b"jumdother" in after) is (form == "jpeg")
    assert samples.pixels(after) == samples.pixels(data)


@pytest.mark.parametrize("form", ["gif", "avif"])
def test_other_formats_cannot_say_anything(form):
    data = samples.file(form=form)
    assert metadata.provenance(data) == {}
    with pytest.raises(PictureRefused) as caught:
        marked(data)
    assert caught.value.reason == "no_metadata_here"


def test_what_is_no_picture_is_refused():
    with pytest.raises(PictureRefused):
        metadata.provenance(b"<svg/>")


def test_a_jpeg_that_cannot_hold_the_words_is_refused():
    room = jpeg.MOST_CONTENT - len(jpeg.XMP) - len(EXISTING)
    long = EXISTING.replace(b"Two ", b"x" * (room + 4))
    data = with_packet("jpeg", long)
    with pytest.raises(PictureRefused) as caught:
        marked(data)
    assert caught.value.reason == "metadata_full"


def test_another_files_xmp_is_carried_whole_or_by_its_origin():
    long = marked(with_packet("png", EXISTING.replace(b"Two ", b"x" * 66_000)))
    packet = packet_of(long)
    carried = metadata.carrying(samples.file(form="webp"), packet)
    assert packet_of(carried) == packet
    short = metadata.carrying(samples.file(form="jpeg"), packet)
    assert metadata.provenance(short) == metadata.provenance(long)
    assert metadata.carrying(b"as it is", b"") == b"as it is"


def test_xmp_follows_exif_in_a_jpeg():
    data = marked(samples.file(form="jpeg", exif=samples.orientation(1)))
    assert 0 < data.index(b"Exif\0\0") < data.index(jpeg.XMP)


def test_compressed_xmp_is_read_and_bounded():
    import zlib

    text = png.XMP + b"\0\1\0\0\0" + zlib.compress(EXISTING)
    data = samples.png_with(png.chunk_of(b"iTXt", text))
    assert metadata.provenance(data)["created"] == "2001-01-01"
    assert packet_of(marked(data)).count(b"CreateDate") == 2


def test_a_name_as_long_as_a_book_is_cut():
    said = metadata.provenance(marked(samples.file(), "m" * 5000))
    assert said["model"] == "m" * 200


@quick
@given(model=st.text(max_size=60), form=st.sampled_from(samples.FORMATS))
def test_any_model_name_makes_a_sound_file(model, form):
    data = samples.file(form=form)
    after = marked(data, model)
    assert samples.pixels(after) == samples.pixels(data)
    expected = "".join(c for c in model if c.isprintable()).strip()
    assert metadata.provenance(after).get("model", "") == expected


@quick
@given(
    chunks=st.lists(
        st.tuples(
            st.sampled_from([b"tEXt", b"prVt", b"eXIf", b"caBX", b"iTXt"]),
            st.binary(max_size=200),
        ),
        max_size=6,
    )
)
def test_any_chunks_of_a_png_stay_in_order(chunks):
    data = samples.png_with(*[png.chunk_of(kind, body) for kind, body in chunks])
    after = marked(data)
    found = png.outline(after, Limits())
    kept = [(s.kind, s.content(after)) for s in found.segments]
    wanted = [(kind, body) for kind, body in chunks if kind != b"caBX"]
    ours = [pair for pair in kept if pair[1].startswith(png.XMP + b"\0")]
    assert [pair for pair in kept if pair in wanted and pair not in ours] == wanted
    assert len(ours) == 1
    assert all(
        png.chunk_of(s.kind, s.content(after)) == after[s.start : s.end]
        for s in found.segments
    )
    assert samples.pixels(after) == samples.pixels(data)


@quick
@given(
    segments=st.lists(
        st.tuples(
            st.sampled_from([0xE1, 0xE2, 0xE5, 0xEB, 0xED, 0xFE]),
            st.binary(min_size=1, max_size=200),
        ),
        max_size=6,
    )
)
def test_any_segments_of_a_jpeg_stay_in_order(segments):
    data = samples.jpeg_with(*segments)
    after = marked(data)
    found = jpeg.outline(after, Limits())
    kept = [(s.kind[0], s.content(after)) for s in found.segments]
    assert [pair for pair in kept if pair in segments] == segments
    assert metadata.provenance(after)["model"] == "gemini-3-pro-image"
    assert samples.pixels(after) == samples.pixels(data)


@quick
@given(kind=st.sampled_from([b"EXIF", b"ICCP", b"ABCD"]), body=st.binary(max_size=101))
def test_any_chunk_of_a_webp_is_padded_and_kept(kind, body):
    data = samples.webp_with(kind, body)
    after = marked(data)
    found = webp.outline(after, Limits())
    assert found.end == len(after) and len(after) % 2 == 0
    assert (kind, body) in [(s.kind, s.content(after)) for s in found.segments]
    assert samples.pixels(after) == samples.pixels(data)


@pytest.mark.parametrize("alpha", [True, False])
@pytest.mark.parametrize("lossless", [True, False])
def test_a_simple_webp_becomes_an_extended_one(alpha, lossless):
    image = samples.drawing(mode="RGBA" if alpha else "RGB")
    if alpha:
        image.putalpha(samples.drawing(mode="L"))
    data = samples.file(image, "webp", lossless=lossless)
    after = marked(data)
    head = webp.outline(after, Limits()).segments[0]
    flags = after[head.body]
    assert head.kind == b"VP8X"
    assert flags & 0x04
    assert bool(flags & 0x10) is alpha
    assert samples.pixels(after) == samples.pixels(data)


@quick
@given(text=st.text(max_size=80))
def test_what_stood_in_a_packet_stands_there_still(text):
    plain = re.sub(r"[^\w &<>\"']", "", text)
    shown = plain.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    packet = EXISTING.decode().replace("a&#10;b", shown).encode()
    merged = xmp.written(packet, metadata.NAMES, {"model": "m"})
    label = {"label": ("http://ns.adobe.com/xap/1.0/", "xmp", "Label")}
    assert xmp.read(merged, label).get("label", "") == plain
