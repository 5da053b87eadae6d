"""ORM work from async code, on a small pool of threads of our own.

Django's own async calls lean on request signals to drop dead connections; the API
paths have none, so every piece of work here begins and ends with that check.
"""

import asyncio
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from django.db import connections

P = ParamSpec("P")
R = TypeVar("R")
THREADS = 4


@functools.cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="db")


def fresh(work: Callable[P, R]) -> Callable[P, R]:
    """Wrap sync ORM work so that it never meets a dead connection.

    For threads of ours, which live long: a sound connection is kept for the next
    work, however old it is.
    """

    @functools.wraps(work)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        _keep_sound_connections()
        try:
            return work(*args, **kwargs)
        finally:
            _keep_sound_connections()

    return wrapped


def _keep_sound_connections() -> None:
    """Close broken connections, and have the others checked before their next use."""
    for connection in connections.all(initialized_only=True):
        connection.close_at = None
        connection.close_if_unusable_or_obsolete()


async def run(work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run sync ORM work on a database thread and return its result."""
    call = functools.partial(fresh(work), *args, **kwargs)
    return await asyncio.get_running_loop().run_in_executor(_threads(), call)
