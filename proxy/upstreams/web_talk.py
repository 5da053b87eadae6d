"""One prompt typed into gemini.google.com, and the answer as it comes."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from gemini_webapi.types import AvailableModel, GeneratedImage, ModelOutput

from accounts.credentials.cookies import WebCookies
from proxy.calls import Event
from proxy.upstreams.base import AccountConfig, Order, Timeouts
from proxy.upstreams.web_files import written
from proxy.upstreams.web_guard import (
    GuardedClient,
    bounded,
    check_account,
    let_go,
    library_faults,
    signed_in,
)
from proxy.upstreams.web_pictures import fetch_pictures
from proxy.upstreams.web_sessions import WebSessions
from proxy.wire.token_estimates import estimated_tokens
from proxy.wire.web_answer import Said, WebAnswer
from proxy.wire.web_errors import fault_of
from proxy.wire.web_prompt import WebPrompt, read_prompt, site_model

SIGN_IN_SECONDS = 60.0
#: No such model, in the site's own count of errors.
_NO_MODEL = 1052
_END = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """What the site has said so far; ``done`` with its last words."""

    output: ModelOutput
    done: bool = False


def new_sessions(ca_file: str) -> WebSessions:
    """Return the sessions of one event loop; ``ca_file`` as for the adapter."""

    async def sign_in(cookies: WebCookies, proxy_url: str) -> GuardedClient:
        return await signed_in(
            cookies, proxy_url=proxy_url, ca_file=ca_file, seconds=SIGN_IN_SECONDS
        )

    return WebSessions(sign_in)


async def model_names(
    sessions: WebSessions, account: AccountConfig, timeouts: Timeouts
) -> list[str]:
    """Ask for the account's state; return the names of the models it is offered."""
    async with sessions.borrowed(account) as client:
        with library_faults():
            await bounded(client._fetch_user_status(), timeouts.total)
        check_account(client)
        return [model.model_name for model in client.list_models() or ()]


async def chunks(
    sessions: WebSessions, account: AccountConfig, order: Order, *, whole: bool
) -> AsyncIterator[Event]:
    """Yield the chunks of an answer, or with ``whole`` all of it at its end."""
    prompt = read_prompt(order.body, order.model)
    async with (
        sessions.borrowed(account) as client,
        written(prompt.files) as paths,
    ):
        model = _model(client, order.model)
        answer = WebAnswer(
            prompt,
            model.display_name or model.model_name,
            secrets.token_urlsafe(16),
            estimated_tokens(order.body),
        )
        steps = _steps(client, prompt, model, paths, order.timeouts)
        async with aclosing(steps):
            async for step in steps:
                last = step.done or whole
                chunk = None if last else answer.step(_said(step.output))
                if chunk is not None:
                    yield _event(chunk)
                if step.done or answer.stopped:
                    break
            else:
                raise fault_of("imagegeneration")
        yield _event(await _ending(client, answer, step.output, whole=whole))


async def _ending(
    client: GuardedClient, answer: WebAnswer, output: ModelOutput, *, whole: bool
) -> dict[str, Any]:
    """Return the last chunk, or the whole answer; raises if a stranger answered."""
    check_account(client)
    drawn = [image for image in output.images if isinstance(image, GeneratedImage)]
    pictures = await fetch_pictures(client, drawn)
    said = _said(output)
    if not pictures and not said.text.strip():
        raise fault_of("imagegeneration")
    return answer.whole(said, pictures) if whole else answer.end(said, pictures)


async def _steps(
    client: GuardedClient,
    prompt: WebPrompt,
    model: AvailableModel,
    paths: list[Path],
    timeouts: Timeouts,
) -> AsyncIterator[_Step]:
    """Yield what the site says as it grows, and at its end once more as done.

    The package runs in a task of its own, so that nobody has to wait for its end.
    """
    queue: asyncio.Queue[ModelOutput | None] = asyncio.Queue()
    source = client.generate_content_stream(
        prompt.text,
        files=list(paths) or None,
        model=model,
        temporary=True,
        extended_thinking=prompt.extended,
        timeout=timeouts.total,
    )
    task = asyncio.ensure_future(_pump(source, queue))
    last: ModelOutput | None = None
    ends = asyncio.get_running_loop().time() + timeouts.total
    try:
        while True:
            patience = timeouts.idle if last else timeouts.first_byte
            output = await _next(queue, patience, ends)
            if output is _END:
                break
            if last is not None and output.rcid != last.rcid:
                raise fault_of("rcid_changed")
            last = output
            yield _Step(output=output)
        with library_faults(client):
            await task
    finally:
        await let_go(task)
    if last is not None:
        yield _Step(output=last, done=True)


async def _pump(
    source: AsyncIterator[ModelOutput], queue: asyncio.Queue[ModelOutput | None]
) -> None:
    try:
        async for output in source:
            queue.put_nowait(output)
    finally:
        queue.put_nowait(_END)


async def _next(
    queue: asyncio.Queue[ModelOutput | None], patience: float, ends: float
) -> ModelOutput | None:
    left = ends - asyncio.get_running_loop().time()
    try:
        async with asyncio.timeout(min(patience, max(left, 0.001))):
            return await queue.get()
    except TimeoutError as error:
        raise fault_of("stalled" if patience < left else "timeout") from error


def _model(client: GuardedClient, name: str) -> AvailableModel:
    try:
        return client.resolve_model(site_model(name))
    except ValueError as error:
        raise fault_of("ModelInvalidError", _NO_MODEL) from error


def _said(output: ModelOutput) -> Said:
    sources = [(c.id, c.url, c.title or c.url) for c in output.citations if c.url]
    return Said(text=output.text, thoughts=output.thoughts or "", sources=sources)


def _event(data: Mapping[str, Any]) -> Event:
    made = dict(data)
    return Event(orjson.dumps(made), made)
