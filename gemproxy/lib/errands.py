"""Small calls to addresses that the operator set: a webhook, the gateway's own URL.

Private addresses are the operator's choice. Such an address may hold a token, so it
is in no error; and no client is used that would write it into a log.
"""

from dataclasses import dataclass
from typing import Any

import httpx
import orjson

from gemproxy.lib import clock

PATIENCE = httpx.Timeout(10.0)
AGENT = "gemproxy"


class ErrandFailed(Exception):
    """Nobody answered; the message says why without the address."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: a status, and after how many seconds."""

    status: int
    seconds: float

    @property
    def is_good(self) -> bool:
        return 200 <= self.status < 300


def get(url: str) -> Answer:
    """Ask an address; raises ErrandFailed. Redirects are not followed."""
    return _call("GET", url)


def post_json(url: str, body: dict[str, Any]) -> Answer:
    """Send JSON to an address; raises ErrandFailed. Redirects are not followed."""
    return _call("POST", url, orjson.dumps(body), {"content-type": "application/json"})


def _call(
    method: str, url: str, content: bytes = b"", headers: dict[str, str] | None = None
) -> Answer:
    began = clock.monotonic()
    try:
        request = httpx.Request(
            method,
            url,
            content=content,
            headers={"user-agent": AGENT, "connection": "close", **(headers or {})},
            extensions={"timeout": PATIENCE.as_dict()},
        )
        # The transport alone: httpx's client logs each URL, and only the status is
        # of interest, so the body is not read.
        with httpx.HTTPTransport(trust_env=False) as transport:
            response = transport.handle_request(request)
            response.close()
    except httpx.TimeoutException:
        raise ErrandFailed("no answer in time") from None
    except (httpx.InvalidURL, httpx.UnsupportedProtocol):
        raise ErrandFailed("not a usable address") from None
    except httpx.HTTPError as error:
        raise ErrandFailed(f"not reachable ({type(error).__name__})") from None
    return Answer(response.status_code, clock.monotonic() - began)
