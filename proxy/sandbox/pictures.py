"""Pictures: drawn from a prompt, and described by size and colour."""

import hashlib
import io

import numpy as np
from PIL import Image, ImageDraw

NAMED_COLOURS = {
    "black": (0, 0, 0),
    "white": (255, 255, 255),
    "red": (220, 30, 30),
    "green": (30, 160, 60),
    "blue": (30, 60, 220),
    "yellow": (250, 220, 40),
    "orange": (250, 140, 20),
    "purple": (130, 40, 160),
    "pink": (250, 150, 190),
    "brown": (120, 70, 30),
    "gray": (128, 128, 128),
    "cyan": (40, 200, 220),
}
_EDGE = {"512": 512, "1K": 1024, "2K": 2048, "4K": 4096}
_GRID = 32


def picture_size(aspect_ratio: str, size: str) -> tuple[int, int]:
    """Width and height with the area of a square of that size, in steps of 32."""
    edge = _EDGE[size or "1K"]
    across, down = (int(side) for side in (aspect_ratio or "1:1").split(":"))
    width = edge * (across / down) ** 0.5
    height = edge * (down / across) ** 0.5
    return round(width / _GRID) * _GRID, round(height / _GRID) * _GRID


def draw(prompt: str, aspect_ratio: str = "", size: str = "") -> bytes:
    """A PNG: a gradient and a shape, in colours taken from the prompt."""
    width, height = picture_size(aspect_ratio, size)
    seed = hashlib.sha256(prompt.encode()).digest()
    picture = Image.fromarray(_gradient(width, height, seed))
    _shape(picture, prompt, seed)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _gradient(width: int, height: int, seed: bytes) -> np.ndarray:
    start = np.frombuffer(seed[:3], np.uint8).astype(float)
    end = np.frombuffer(seed[3:6], np.uint8).astype(float)
    share = np.linspace(0, 1, height)[:, None, None]
    column = start + (end - start) * share
    return np.broadcast_to(column, (height, width, 3)).astype(np.uint8)


def _shape(picture: Image.Image, prompt: str, seed: bytes) -> None:
    words = prompt.lower()
    named = next((rgb for name, rgb in NAMED_COLOURS.items() if name in words), None)
    colour = named or tuple(255 - value for value in seed[:3])
    width, height = picture.size
    radius = min(width, height) // 4
    middle = (width // 2, height // 2)
    box = (
        middle[0] - radius,
        middle[1] - radius,
        middle[0] + radius,
        middle[1] + radius,
    )
    pen = ImageDraw.Draw(picture)
    if "square" in words or (seed[6] % 2 and "circle" not in words):
        pen.rectangle(box, fill=colour)
    else:
        pen.ellipse(box, fill=colour)


def describe(picture: Image.Image) -> str:
    """Size and main colour, such as ``a 32x32 red image``."""
    width, height = picture.size
    pixels = np.asarray(picture.convert("RGB").resize((16, 16))).reshape(-1, 3)
    names = list(NAMED_COLOURS)
    palette = np.array([NAMED_COLOURS[name] for name in names], dtype=float)
    distances = ((pixels[:, None, :] - palette[None]) ** 2).sum(axis=2)
    votes = np.bincount(distances.argmin(axis=1), minlength=len(names))
    return f"a {width}x{height} {names[int(votes.argmax())]} image"
