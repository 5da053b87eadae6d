"""Threads for pictures: a few for making and storing them, others for reading."""

import asyncio
import functools
from collections.abc import AsyncIterator, Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import ParamSpec, TypeVar

from django.conf import settings

from gemproxy.lib.db import fresh

P = ParamSpec("P")
R = TypeVar("R")
READERS = 8


@functools.cache
def _makers() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(settings.IMAGE_THREADS, thread_name_prefix="pictures")


@functools.cache
def _readers() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(READERS, thread_name_prefix="picture-readers")


async def run(work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run work on pictures, such as ``library.save``, beside the event loop.

    Only IMAGE_THREADS of it run at once; more waits in order.
    """
    call = functools.partial(fresh(work), *args, **kwargs)
    return await asyncio.get_running_loop().run_in_executor(_makers(), call)


class Stream:
    """What a blocking iterator yields, each step on a thread of its own.

    Whoever answers with it closes it, also when the client has gone away.
    """

    def __init__(self, chunks: Generator[bytes, None, None]) -> None:
        self._chunks = chunks

    async def __aiter__(self) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        while chunk := await loop.run_in_executor(_readers(), next, self._chunks, b""):
            yield chunk

    def close(self) -> None:
        """Let go of the file or connection behind the iterator."""
        # A step that nobody waits for any more may still run; it ends by itself.
        with suppress(ValueError):
            self._chunks.close()
