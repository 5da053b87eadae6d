"""One prompt typed into gemini.google.com, and the answer as it comes."""

import asyncio
import logging
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from gemini_webapi import ChatSession
from gemini_webapi.types import AvailableModel, GeneratedImage, ModelOutput, WebImage

from accounts.credentials.cookies import WebCookies
from proxy.calls import Event
from proxy.errors import Fault, UpstreamFault
from proxy.upstreams.authorities import Bundles
from proxy.upstreams.base import AccountConfig, Order, Timeouts, Way
from proxy.upstreams.web_chats import (
    ChatStore,
    Conversation,
    Head,
    conversation_of,
    is_gone,
)
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
from proxy.wire.web_answer import Picture, Said, WebAnswer
from proxy.wire.web_errors import fault_of
from proxy.wire.web_prompt import WebPrompt, read_prompt, site_model

logger = logging.getLogger(__name__)

SIGN_IN_SECONDS = 60.0
DELETE_SECONDS = 30.0
#: No such model, in the site's own count of errors.
_NO_MODEL = 1052
_END = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """What the site has said so far; ``done`` with its last words."""

    output: ModelOutput
    done: bool = False


def new_sessions(bundles: Bundles) -> WebSessions:
    """Return the sessions of one event loop; ``bundles`` say whom they trust."""

    async def sign_in(cookies: WebCookies, way: Way) -> GuardedClient:
        return await signed_in(
            cookies,
            proxy_url=way.proxy_url,
            ca_file=await asyncio.to_thread(bundles.path, way.ca_pem),
            seconds=SIGN_IN_SECONDS,
        )

    return WebSessions(sign_in)


async def model_names(
    sessions: WebSessions, account: AccountConfig, timeouts: Timeouts
) -> list[str]:
    """Ask for the account's state; return the names of the models it is offered."""
    async with sessions.borrowed(account, timeouts.total) as client:
        with library_faults():
            await bounded(client._fetch_user_status(), timeouts.total)
        check_account(client)
        return [model.model_name for model in client.list_models() or ()]


async def chunks(
    sessions: WebSessions,
    account: AccountConfig,
    order: Order,
    *,
    whole: bool,
    chats: ChatStore | None = None,
) -> AsyncIterator[Event]:
    """Yield the chunks of an answer, or with ``whole`` all of it at its end.

    With ``chats`` a conversation goes on in the chat that knows it, where there is
    one; a chat that is gone gives way to a new one before anybody notices.
    """
    prompt = read_prompt(order.body, order.model, order.emulates)
    talk = await conversation_of(chats, account.id, order)
    async with sessions.borrowed(account, order.timeouts.first_byte) as client:
        work = _Work(client, sessions, account, order, talk, whole=whole)
        source = work.answer(prompt)
        head = await talk.take() if talk else None
        if talk and head:
            rest = read_prompt(talk.rest(order.body), order.model)
            source = _either(work.answer(rest, head), source)
        async with aclosing(source):
            async for chunk in source:
                yield chunk


async def _either(
    continued: AsyncGenerator[Event, None], anew: AsyncGenerator[Event, None]
) -> AsyncGenerator[Event, None]:
    """Yield what the first says; if its chat is gone before a word, the second."""
    async with aclosing(continued), aclosing(anew):
        source = continued
        try:
            first = await anext(continued)
        except UpstreamFault as fault:
            if not is_gone(fault):
                raise
            logger.info("a kept chat cannot go on (%s); a new one does", fault.cause)
            source = anew
        if source is anew:
            first = await anext(anew)
        yield first
        async for chunk in source:
            yield chunk


class _Work:
    """One order on one client, within its time."""

    def __init__(
        self,
        client: GuardedClient,
        sessions: WebSessions,
        account: AccountConfig,
        order: Order,
        talk: Conversation | None,
        *,
        whole: bool,
    ) -> None:
        self._client = client
        self._sessions = sessions
        self._account = account
        self._order = order
        self._talk = talk
        self._whole = whole
        self._model = _model(client, order.model)
        self._ends = asyncio.get_running_loop().time() + order.timeouts.total

    async def answer(
        self, prompt: WebPrompt, head: Head | None = None
    ) -> AsyncGenerator[Event, None]:
        """Yield the chunks of the answer to a prompt, which may go on with a chat."""
        chat, kept = self._chat(head), False
        answer = WebAnswer(
            prompt,
            self._model.display_name or self._model.model_name,
            secrets.token_urlsafe(16),
            estimated_tokens(self._order.body),
        )
        try:
            async with written(prompt.files) as paths:
                steps = self._steps(prompt, chat, paths)
                async with aclosing(steps):
                    async for step in steps:
                        chunk = self._chunk(answer, step)
                        if chunk is not None:
                            yield _event(chunk)
                        if step.done or answer.stopped:
                            break
                    else:
                        raise fault_of("imagegeneration")
                    last, pictures = await self._ending(answer, step)
            kept = await self._keep(chat, answer, pictures)
            yield _event(last)
        finally:
            if not kept:
                await self._give_up(chat)

    def _chunk(self, answer: WebAnswer, step: _Step) -> dict[str, Any] | None:
        last = step.done or self._whole
        return None if last else answer.step(self._said(step.output))

    async def _ending(
        self, answer: WebAnswer, step: _Step
    ) -> tuple[dict[str, Any], list[Picture]]:
        """Return the last chunk, or the whole answer, and the pictures in it.

        Raises the fault if a stranger answered.
        """
        client, output = self._client, step.output
        if not step.done:
            # The package looks only at the end of an answer, and this one was left.
            await client._fetch_usage_info()
        check_account(client)
        drawn = [image for image in output.images if isinstance(image, GeneratedImage)]
        pictures = await fetch_pictures(client, drawn)
        said = self._said(output)
        if said.served:
            logger.warning(
                "account %d was asked for %s and answered with %s",
                self._account.id,
                self._model.display_name,
                said.served,
            )
        if not (pictures or said.links or said.text.strip()):
            raise fault_of("imagegeneration")
        made = answer.whole if self._whole else answer.end
        return made(said, pictures), pictures

    def _said(self, output: ModelOutput) -> Said:
        sources = [(c.id, c.url, c.title or c.url) for c in output.citations if c.url]
        found = [image for image in output.images if isinstance(image, WebImage)]
        return Said(
            text=output.text,
            thoughts=output.thoughts or "",
            sources=sources,
            links=[(image.url, image.alt) for image in found],
            served=self._client.served_instead(output.rcid, self._model),
        )

    def _chat(self, head: Head | None) -> ChatSession | None:
        """Return the chat to type into; None for a temporary one."""
        if self._talk is None:
            return None
        chat: ChatSession = self._client.start_chat(model=self._model)
        if head:
            chat.metadata = list(head)
        return chat

    async def _keep(
        self, chat: ChatSession | None, answer: WebAnswer, pictures: list[Picture]
    ) -> bool:
        """Keep the chat for the next turn; delete those that nobody continued.

        What was cut at a stop sequence is not kept: the chat has said more.
        """
        if chat is None or self._talk is None or answer.stopped:
            return False
        over = await self._talk.keep(chat.metadata, answer.text, pictures)
        if over is None:
            return False
        if over:
            store = self._talk.store
            self._sessions.aside(_delete(self._sessions, self._account, store, over))
        return True

    async def _give_up(self, chat: ChatSession | None) -> None:
        """Have a chat deleted later whose answer nobody goes on with."""
        if chat is not None and self._talk is not None and chat.cid:
            await self._talk.store.remind(self._account.id, [chat.cid])

    async def _steps(
        self, prompt: WebPrompt, chat: ChatSession | None, paths: list[Path]
    ) -> AsyncIterator[_Step]:
        """Yield what the site says as it grows, and at its end once more as done.

        The package runs in a task of its own, so that nobody has to wait for its end.
        """
        timeouts = self._order.timeouts
        left = max(self._ends - asyncio.get_running_loop().time(), 0.001)
        queue: asyncio.Queue[ModelOutput | None] = asyncio.Queue()
        source = self._client.generate_content_stream(
            prompt.text,
            files=list(paths) or None,
            model=self._model,
            chat=chat,
            temporary=chat is None,
            extended_thinking=prompt.extended,
            timeout=left,
        )
        task = asyncio.ensure_future(_pump(source, queue))
        last: ModelOutput | None = None
        try:
            while True:
                patience = timeouts.idle if last else timeouts.first_byte
                output = await _next(queue, patience, self._ends)
                if output is _END:
                    break
                if last is not None and output.rcid != last.rcid:
                    raise fault_of("rcid_changed")
                last = output
                yield _Step(output=output)
            with library_faults(self._client):
                await task
        finally:
            await let_go(task)
        if last is not None:
            yield _Step(output=last, done=True)


async def _delete(
    sessions: WebSessions, account: AccountConfig, store: ChatStore, over: list[str]
) -> None:
    """Delete chats from the account's history; what fails is tried again later."""
    left = list(over)
    try:
        async with sessions.borrowed(account) as client:
            while left:
                with library_faults():
                    await bounded(client.delete_chat(left[0]), DELETE_SECONDS)
                del left[0]
    except Fault as fault:
        logger.info("account %d keeps chats for now: %s", account.id, fault.cause)
    finally:
        if left:
            await store.remind(account.id, left)


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


def _event(data: Mapping[str, Any]) -> Event:
    made = dict(data)
    return Event(orjson.dumps(made), made)
