"""Pictures to find marks in: drawn from a seed, with and without, and their files.

The marks are laid on here in the way that Google does, by another road than the code
under test takes them off.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from imaging.watermark import star

Pixels = npt.NDArray[np.uint8]
Rng = np.random.Generator

#: Where each mark lies: box, margin, opacity.
PLACES = {
    "v1-48": (48, 32, 128 / 255),
    "v1-96": (96, 64, 128 / 255),
    "v2-48": (48, 96, 0.3),
}
#: Content is drawn for this corner; the rest of a larger picture is its mean colour.
CORNER = 416


def flat(rng: Rng, width: int, height: int) -> Image.Image:
    """One colour and the faintest noise."""
    base = rng.integers(int(rng.choice((0, 0, 226))), 252, 3)
    grain = rng.normal(0, rng.uniform(0, 1.5), (height, width, 3))
    return _image(base + grain)


def gradient(rng: Rng, width: int, height: int) -> Image.Image:
    """Two colours that run into each other, in any direction."""
    one, other = rng.integers(0, 250, (2, 3))
    turn = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[:height, :width]
    way = np.cos(turn) * x / width + np.sin(turn) * y / height
    way = (way - way.min()) / np.ptp(way)
    return _image(one + (other - one) * way[:, :, None])


def noise(rng: Rng, width: int, height: int) -> Image.Image:
    """Noise whose strength falls with its frequency, as in photographs."""
    base = rng.integers(20, 200, 3)
    common = _pink(rng, width, height, rng.uniform(0.8, 1.6))
    colour = [_pink(rng, width, height, 1.2) for _ in range(3)]
    contrast = rng.uniform(8, 60)
    return _image(base + contrast * (common[:, :, None] + 0.3 * np.dstack(colour)))


def shapes(rng: Rng, width: int, height: int) -> Image.Image:
    """Flat art: discs, bars and four-pointed stars of any size and colour."""
    image = Image.new("RGB", (width, height), _colour(rng))
    draw = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(8, 40))):
        x, y = rng.integers(0, width), rng.integers(0, height)
        size = int(rng.integers(8, 220))
        box = (int(x), int(y), int(x) + size, int(y) + int(rng.integers(8, 220)))
        kind = rng.integers(0, 3)
        if kind == 0:
            draw.ellipse(box, _colour(rng))
        elif kind == 1:
            draw.rectangle(box, _colour(rng))
        else:
            drawn_star(draw, (int(x), int(y)), size / 2, _colour(rng))
    return image


def text(rng: Rng, width: int, height: int) -> Image.Image:
    """A page full of words."""
    dark = bool(rng.integers(0, 2))
    paper, ink = (
        ((24, 26, 30), (225, 225, 220)) if dark else ((236, 233, 225), (20, 20, 24))
    )
    image = Image.new("RGB", (width, height), paper)
    draw = ImageDraw.Draw(image)
    size = int(rng.integers(12, 40))
    font = ImageFont.load_default(size)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz      ,.AEMS0123"))
    for y in range(0, height, int(size * 1.4)):
        draw.text((4, y), "".join(rng.choice(letters, width // size * 2)), ink, font)
    return image


def scene(rng: Rng, width: int, height: int) -> Image.Image:
    """Like a photograph: lit bodies before a hazy ground, grain over all."""
    image = noise(rng, width, height)
    surface = np.asarray(image)
    image = image.filter(ImageFilter.GaussianBlur(3))
    for _ in range(int(rng.integers(3, 10))):
        shift = tuple(int(by) for by in rng.integers(0, CORNER, 2))
        body = Image.fromarray(
            np.roll(surface, shift, (0, 1))[:, :, rng.permutation(3)]
        )
        mask = Image.new("L", (width, height))
        x, y = int(rng.integers(-99, width)), int(rng.integers(-99, height))
        wide, high = (int(side) for side in rng.integers(40, 400, 2))
        ImageDraw.Draw(mask).ellipse((x, y, x + wide, y + high), 255)
        image.paste(body, mask=mask.filter(ImageFilter.GaussianBlur(rng.uniform(0, 4))))
    grain = rng.normal(0, rng.uniform(0.5, 5), (height, width, 1))
    return _image(np.asarray(image) + grain)


BACKGROUNDS: tuple[Callable[[Rng, int, int], Image.Image], ...] = (
    flat,
    gradient,
    noise,
    shapes,
    text,
    scene,
)


def drawn_star(
    draw: ImageDraw.ImageDraw,
    centre: tuple[float, float],
    radius: float,
    colour: tuple[int, ...],
) -> None:
    """Draw a four-pointed star that is not the mark's."""
    turns = np.arange(0, 2 * np.pi, np.pi / 32)
    reach = radius / (abs(np.cos(turns)) ** 0.6 + abs(np.sin(turns)) ** 0.6) ** (
        1 / 0.6
    )
    x, y = centre
    draw.polygon(
        [
            (x + r * np.cos(t), y + r * np.sin(t))
            for r, t in zip(reach, turns, strict=True)
        ],
        colour,
    )


def marked(
    image: Image.Image, variant: str, opacity: float | None = None
) -> Image.Image:
    """Lay a native mark on a picture, level by level as measured on captures."""
    size, margin, usual = PLACES[variant]
    alpha = star.levels(size)[:, :, None] / 16 * (usual if opacity is None else opacity)
    x, y = image.width - margin - size, image.height - margin - size
    seen = np.asarray(image.convert("RGB")).astype(float)
    part = seen[y : y + size, x : x + size]
    seen[y : y + size, x : x + size] = 255 * alpha + (1 - alpha) * part
    result = _image(seen)
    if image.mode == "RGBA":
        result.putalpha(image.getchannel("A"))
    return result


def background(rng: Rng, size: tuple[int, int], number: int) -> Image.Image:
    """Draw the picture of this number in this size."""
    width, height = (min(side, CORNER) for side in size)
    corner = BACKGROUNDS[number % len(BACKGROUNDS)](rng, width, height)
    if (width, height) == size:
        return corner
    # A step at the corner's edge lies on a codec's block border in all sizes here.
    image = Image.new(
        "RGB", size, corner.resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
    )
    image.paste(corner, (size[0] - width, size[1] - height))
    return image


@dataclass(frozen=True, slots=True)
class Codec:
    """A way to write a file; ``lossless`` ones give every pixel back."""

    name: str
    form: str
    options: tuple[tuple[str, object], ...] = ()
    lossless: bool = False

    def file(self, image: Image.Image) -> bytes:
        target = io.BytesIO()
        image.save(target, self.form, **dict(self.options))
        return target.getvalue()


PNG = Codec("png", "PNG", (("compress_level", 1),), lossless=True)


def jpeg(quality: int, subsampling: str = "4:2:0") -> Codec:
    options = (("quality", quality), ("subsampling", subsampling))
    return Codec(f"jpeg{quality}", "JPEG", options)


def webp(quality: int) -> Codec:
    return Codec(f"webp{quality}", "WEBP", (("quality", quality), ("method", 2)))


CODECS = (
    *(PNG, jpeg(75), webp(75), PNG, jpeg(85, "4:4:4"), webp(85)),
    *(PNG, jpeg(90), webp(90), PNG, jpeg(95, "4:4:4"), webp(95)),
)

SIZES = (
    *((512, 512), (1024, 1024), (768, 1376), (1408, 768), (1200, 896), (848, 1264)),
    *(
        (2048, 2048),
        (2752, 1536),
        (1696, 2528),
        (2400, 1792),
        (1024, 572),
        (4096, 4096),
    ),
    *((1344, 768), (896, 1152), (1000, 700), (1584, 672), (3072, 4096), (640, 640)),
)


SMALL = ((512, 512), (640, 480), (512, 704))

#: How often each mark occurs in the set.
SHARES = {
    "v1-48": 0.24,
    "v1-96": 0.26,
    "v2-48": 0.2,
    "v2-96": 0.16,
    "v1-48-scaled": 0.07,
    "v2-48-scaled": 0.07,
}


@dataclass(frozen=True, slots=True)
class Sample:
    """A picture of the set: the file with a mark, or none, and the one without.

    ``gain`` is how many levels the mark brought inside the star on the average.
    """

    number: int
    variant: str | None
    codec: Codec
    data: bytes
    clean: bytes
    gain: float


def sample(seed: int, number: int, *, with_mark: bool, small: bool = False) -> Sample:
    """Draw one picture of the set of a seed; ``small`` ones are drawn fast."""
    rng = np.random.default_rng((seed, number, with_mark))
    codec = CODECS[int(rng.integers(len(CODECS)))]
    if not with_mark:
        image = background(rng, _size(rng, small=small), number)
        data = codec.file(image)
        return Sample(number, None, codec, data, data, 0.0)
    variant = str(rng.choice(list(SHARES), p=list(SHARES.values())))
    seen, clean, gain = _pair(rng, variant, number, small=small)
    return Sample(number, variant, codec, codec.file(seen), codec.file(clean), gain)


def _size(rng: Rng, *, small: bool) -> tuple[int, int]:
    sizes = SMALL if small else SIZES
    return sizes[int(rng.integers(len(sizes)))]


def _pair(
    rng: Rng, variant: str, number: int, *, small: bool
) -> tuple[Image.Image, Image.Image, float]:
    """Return a picture with its mark, without it, and the levels between them."""
    native = variant.removesuffix("-scaled")
    size = _size(rng, small=small)
    change: Callable[[Image.Image], Image.Image] = lambda image: image  # noqa: E731
    if variant == "v2-96":
        native = "v2-48"
        if not small:
            size = ((1024, 1024), (1376, 768), (848, 1264))[number % 3]
        double = (size[0] * 2, size[1] * 2)
        change = lambda image: image.resize(double, Image.Resampling.BICUBIC)  # noqa: E731
    elif variant.endswith("-scaled"):
        size, small = (
            ((1376, 768), (1024, 572)),
            ((1024, 1024), (700, 700)),
            ((1408, 768), (1024, 559)),
        )[number % 3]
        change = lambda image: image.resize(small, Image.Resampling.LANCZOS)  # noqa: E731
    clean = background(rng, size, number)
    seen = marked(clean, native)
    box, margin, _ = PLACES[native]
    place = slice(-margin - box, -margin)
    inside = star.levels(box) == 16
    before, after = (
        np.asarray(one).astype(float)[place, place] for one in (clean, seen)
    )
    gain = float((after - before)[inside].mean())
    return change(seen), change(clean), gain


def psnr(one: Pixels, other: Pixels) -> float:
    """Return the likeness of two pictures in dB, at most 99."""
    error = float(((one.astype(float) - other) ** 2).mean())
    return 99.0 if error == 0 else min(99.0, 10 * float(np.log10(255**2 / error)))


def pixels(data: bytes) -> Pixels:
    """Return a file's pixels, red, green and blue."""
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


def _pink(rng: Rng, width: int, height: int, power: float) -> npt.NDArray[np.float64]:
    across, down = np.fft.rfftfreq(width), np.fft.fftfreq(height)
    frequency = np.hypot(across[None, :], down[:, None])
    frequency[0, 0] = 1
    spectrum = np.fft.rfft2(rng.normal(size=(height, width))) / frequency**power
    spectrum[0, 0] = 0
    values = np.fft.irfft2(spectrum, (height, width))
    result: npt.NDArray[np.float64] = values / values.std()
    return result


def _colour(rng: Rng) -> tuple[int, int, int]:
    red, green, blue = (int(value) for value in rng.integers(0, 256, 3))
    return red, green, blue


def _image(values: npt.NDArray[np.floating]) -> Image.Image:
    return Image.fromarray(np.rint(values).clip(0, 255).astype(np.uint8))
