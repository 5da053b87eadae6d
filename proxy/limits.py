"""What a caller may do now: models, requests a minute, requests at a time."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from fnmatch import fnmatchcase

from accounts.callers import Caller
from gemproxy.lib.live import live
from proxy.calls import Call
from proxy.errors import Forbidden, LimitReached

BUSY_RETRY_SECONDS = 1.0


async def admit(call: Call, model: str) -> None:
    """Let a call for a model of ours in, or raise Forbidden or LimitReached.

    Whatever came of it, ``leave`` must follow: who is cancelled in the middle may
    have a place already.
    """
    limits = call.caller.limits
    if call.is_part:
        return
    if limits.models and not may_use(call.caller, model):
        raise Forbidden(
            f"Your plan does not include the model {model!r}.",
            code="model_not_allowed",
            param="model",
        )
    await _take_place(call)
    if limits.requests_per_minute is not None:
        await _count(call, limits.requests_per_minute)


async def leave(call: Call) -> None:
    """Give the call's place back, if its plan counts places."""
    if call.caller.limits.concurrency is not None and not call.is_part:
        await live().leave_place(_places(call.caller), call.request_id)


@asynccontextmanager
async def place(call: Call) -> AsyncIterator[None]:
    """Hold a place for a request whose parts are calls of their own."""
    try:
        await _take_place(call)
        yield
    finally:
        await leave(call)


def may_use(caller: Caller, model: str) -> bool:
    """Return whether the caller's plan includes a model name."""
    patterns = caller.limits.models
    return not patterns or any(fnmatchcase(model, pattern) for pattern in patterns)


async def _take_place(call: Call) -> None:
    most = call.caller.limits.concurrency
    if most is None:
        return
    if not await live().take_place(_places(call.caller), most, call.request_id):
        raise LimitReached(
            f"Your plan allows {most} requests at a time.",
            code="concurrency_limit_exceeded",
            retry_after=BUSY_RETRY_SECONDS,
        )


async def _count(call: Call, per_minute: int) -> None:
    wait = await live().hit(f"rpm:{call.caller.key}", per_minute)
    if wait:
        raise LimitReached(
            f"Your plan allows {per_minute} requests a minute; "
            f"there is room again in {wait:.0f} s.",
            retry_after=wait,
        )


def _places(caller: Caller) -> str:
    return f"places:{caller.key}"
