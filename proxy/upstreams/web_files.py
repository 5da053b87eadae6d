"""Files of a request on disk for a moment: the package uploads only from there
under a name that says what they are."""

import asyncio
import base64
import binascii
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from proxy.errors import UpstreamRefused
from proxy.wire.web_prompt import WebFile

_PREFIX = "gemproxy-web-"
_URL_SAFE = str.maketrans("-_", "+/")


@asynccontextmanager
async def written(files: Sequence[WebFile]) -> AsyncIterator[list[Path]]:
    """Write files into a folder of their own, which goes when the block ends.

    Raises UpstreamRefused for content that is no base64.
    """
    if not files:
        yield []
        return
    folder = await asyncio.to_thread(tempfile.TemporaryDirectory, prefix=_PREFIX)
    try:
        yield await asyncio.to_thread(_write, Path(folder.name), files)
    finally:
        await asyncio.to_thread(folder.cleanup)


def _decoded(data: str) -> bytes:
    """Return the bytes of base64 in either alphabet, as Google takes and its SDK sends
    it; line breaks and missing padding are forgiven. Raises ValueError."""
    plain = "".join(data.split()).translate(_URL_SAFE).rstrip("=")
    return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)


def _write(folder: Path, files: Sequence[WebFile]) -> list[Path]:
    paths = []
    for file in files:
        try:
            data = _decoded(file.data)
        except (binascii.Error, ValueError):
            raise UpstreamRefused("inlineData.data is no base64.") from None
        if not data:
            raise UpstreamRefused("inlineData.data is empty.")
        path = folder / file.name
        path.write_bytes(data)
        paths.append(path)
    return paths
