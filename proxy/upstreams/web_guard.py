"""``gemini_webapi`` behind a guard, and what its exceptions mean.

The package retries by itself, signs in for ever when a call fails, closes the session
under its neighbours, answers as a guest when cookies have expired, and waits for the
end of an answer when it is cancelled. Here each of these has an end: a request is sent
once, a failure only marks the session, the account's state is looked at, and whoever
gives up is free at once. Its private parts are used, so its version is pinned exactly.
"""

import asyncio
import contextlib
import datetime
import logging
from collections import OrderedDict
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

import loguru
from curl_cffi.curl import CurlError
from curl_cffi.requests.exceptions import RequestException
from gemini_webapi import GeminiClient
from gemini_webapi.constants import AccountStatus
from gemini_webapi.exceptions import APIError, AuthError, GeminiError
from gemini_webapi.types import AvailableModel

from accounts.credentials.cookies import WebCookies
from gemproxy.lib import clock
from gemproxy.lib.env import hand_over
from proxy.errors import Fault
from proxy.wire.web_errors import fault_of

logger = logging.getLogger(__name__)

#: The package keeps cookies in files and prefers them to those it is given. Below
#: this there can be none.
NO_FOLDER = "/dev/null/gemproxy"
#: The look at the account's state after an answer; the answer itself is complete.
CHECK_SECONDS = 10.0
#: One who is cancelled in the package waits at up to three places for the answer's
#: end, and each takes a cancellation of its own. Seconds between two, and their number.
CANCEL_SECONDS, MOST_CANCELS = 0.05, 40
#: All that the package can raise, apart from errors in our own code.
FOREIGN = (
    APIError,
    AuthError,
    GeminiError,
    CurlError,
    RequestException,
    AssertionError,
    ValueError,
)
#: Where an answer is reported to name its model; the package does not look there.
_NAME_SLOTS = (39, 42, 58)
_MOST_ANSWERS = 100
_CONVERSATION_WORD = "inconsistent"
_CONVERSATION_CODE = 1050
_FULL = 100

T = TypeVar("T")
_left_behind: set[asyncio.Task[Any]] = set()
_BATCH_EXECUTE = GeminiClient._batch_execute.__wrapped__


class GuardedClient(GeminiClient):  # type: ignore[misc]
    """A client that sends each request once and leaves its session to its owner.

    ``stale`` tells that the package wanted to close the session: whoever comes next
    should have a new one.
    """

    stale = False
    _generate = GeminiClient._generate.__wrapped__

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._served: OrderedDict[str, frozenset[str]] = OrderedDict()

    def served_instead(self, rcid: str, asked: AvailableModel) -> str:
        """Return the model that gave an answer, if it is known and not the one asked.

        Google serves a smaller model to sessions that it distrusts or whose share of
        the larger one is used up, and says so only in the answer's own names.
        """
        names = self._served.get(rcid, frozenset())
        if names & {asked.model_id, asked.display_name}:
            return ""
        for model in self.list_models() or ():
            if names & {model.model_id, model.display_name}:
                return str(model.display_name or model.model_name)
        return ""

    def _parse_candidate(
        self, candidate_data: list[Any], cid: str, rid: str, rcid: str
    ) -> Any:
        self._served[rcid] = _names_in(candidate_data)
        while len(self._served) > _MOST_ANSWERS:
            self._served.popitem(last=False)
        return super()._parse_candidate(candidate_data, cid, rid, rcid)

    async def _batch_execute(
        self,
        payloads: list[Any],
        source_path: str = "/app",
        close_on_error: bool = False,
        **kwargs: Any,
    ) -> Any:
        return await _BATCH_EXECUTE(
            self, payloads, source_path, close_on_error=False, **kwargs
        )

    async def _fetch_usage_info(self) -> None:
        """Read what is left, and with it whether the account is still signed in."""
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                await super()._fetch_usage_info()
        except (*FOREIGN, TimeoutError) as error:
            logger.info("the account's state is unknown: %s", type(error).__name__)
            self.stale = True

    async def read_chat(self, *_args: Any, **_kwargs: Any) -> None:
        """Refuse to look for the rest of a broken answer, for minutes, in the history."""
        raise GeminiError("The answer broke off.")

    async def close(self, delay: float = 0) -> None:
        """Note that the session should end; others may be using it."""
        self.stale = True

    async def shut(self) -> None:
        """End the session; idempotent."""
        session, self.client = self.client, None
        self._running = False
        if session is not None:
            await session.close()


async def signed_in(
    cookies: WebCookies, *, proxy_url: str, ca_file: str, seconds: float
) -> GuardedClient:
    """Return a client of a signed-in account that sees models; else raise a fault.

    ``seconds`` bounds the whole sign-in; ``ca_file`` replaces the known authorities
    if it is given.
    """
    _keep_quiet()
    client = GuardedClient(
        cookies.psid,
        cookies.psidts or None,
        proxy=proxy_url or None,
        verify=ca_file or True,
    )
    client.cookies = {
        name: value
        for name, value in cookies.named().items()
        if name not in ("__Secure-1PSID", "__Secure-1PSIDTS")
    }
    try:
        with library_faults():
            await bounded(client.init(auto_refresh=False, timeout=seconds), seconds)
        check_account(client)
    except BaseException:
        await client.shut()
        raise
    client.stale = False
    return client


def check_account(client: GeminiClient) -> None:
    """Raise the fault that the account's state means, unless it is available.

    What cannot be read leaves the package's state at "available", without any model.
    """
    status = client.account_status
    if status != AccountStatus.AVAILABLE:
        raise fault_of("status", int(status))
    if not client.list_models():
        raise fault_of("no_models")


def _keep_quiet() -> None:
    """Keep the package from its files, and its log from names of them."""
    hand_over("GEMINI_COOKIE_PATH", NO_FOLDER)
    loguru.logger.disable("gemini_webapi")


@contextlib.contextmanager
def library_faults(client: GeminiClient | None = None) -> Iterator[None]:
    """Turn what the package raises into faults of ours.

    ``client`` may know when a used-up limit is reset.
    """
    try:
        yield
    except Fault:
        raise
    except TimeoutError as error:
        raise fault_of("timeout") from error
    except FOREIGN as error:
        raise _fault(error, client) from error


def _fault(error: Exception, client: GeminiClient | None) -> Fault:
    cause = error.__cause__
    if isinstance(error, APIError) and isinstance(cause, (CurlError, RequestException)):
        # The package wraps what happened to the connection in the middle of an answer.
        return fault_of("IncompleteRead" if _is_cut(cause) else type(cause).__name__)
    text = str(error)
    code = _status_of(error)
    if _CONVERSATION_WORD in text:
        code = _CONVERSATION_CODE
    wait = seconds_to_reset(client) if client is not None else None
    return fault_of(type(error).__name__, code, text, wait=wait)


def _names_in(candidate_data: list[Any]) -> frozenset[str]:
    """Return the texts in the places where an answer may name its model."""
    found: set[str] = set()
    for slot in _NAME_SLOTS:
        value = candidate_data[slot] if slot < len(candidate_data) else None
        values = value if isinstance(value, list) else [value]
        found.update(each for each in values if isinstance(each, str) and each)
    return frozenset(found)


def _is_cut(error: BaseException) -> bool:
    return type(error).__name__ in ("ConnectionError", "CurlError", "RequestException")


def _status_of(error: Exception) -> int | None:
    response = getattr(error, "response", None)
    status = getattr(response, "status_code", None)
    return status if isinstance(status, int) and status >= 300 else None


def seconds_to_reset(client: GeminiClient) -> float | None:
    """Return the seconds until the used-up limit of an account is reset, if known.

    Of several windows those that are full count, the last of them; if none is, the
    one that ends first.
    """
    now = clock.now()
    full: list[float] = []
    others: list[float] = []
    for name in ("current_5h", "weekly"):
        window = client.usage_info.get(name)
        if not isinstance(window, dict) or not window.get("reset_at"):
            continue
        at = datetime.datetime.fromisoformat(window["reset_at"])
        seconds = (at - now).total_seconds()
        is_full = (window.get("usage_percentage") or 0) >= _FULL
        if seconds > 0:
            (full if is_full else others).append(seconds)
    return max(full) if full else min(others, default=None)


async def bounded(work: Coroutine[Any, Any, T], seconds: float) -> T:
    """Return what the work returns; raises TimeoutError without waiting for its end."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait({task}, timeout=seconds)
        if not task.done():
            raise TimeoutError
        return task.result()
    finally:
        await let_go(task)


async def let_go(task: asyncio.Task[Any]) -> None:
    """Cancel a task that may not want to end; wait for it only for moments."""
    for _ in range(MOST_CANCELS):
        if task.done():
            break
        task.cancel()
        await asyncio.wait({task}, timeout=CANCEL_SECONDS)
    if not task.done():
        logger.warning("A call to gemini.google.com does not end; it is left behind")
        _left_behind.add(task)
        task.add_done_callback(_left_behind.discard)
    elif not task.cancelled():
        # Looked at, so that nobody complains of a fault that no one was left to hear.
        task.exception()
