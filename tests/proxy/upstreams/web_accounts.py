"""Web accounts on an imitation of gemini.google.com, for tests of several layers."""

import base64
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

from accounts.credentials.cookies import WebCookies
from accounts.credentials.websession import WebSession
from proxy.sandbox.web_accounts import sandbox_psid, sandbox_psidts
from proxy.sandbox.web_proxy import WebSandbox, web_sandbox
from proxy.upstreams.base import AccountConfig, Order, Timeouts
from proxy.upstreams.gemini_web import GeminiWeb
from proxy.upstreams.http import Clients

GENERATE = (
    "POST gemini.google.com/_/BardChatUi/data/"
    "assistant.lamda.BardFrontendService/StreamGenerate"
)
PAGE = "GET gemini.google.com/app"
SHORT = Timeouts(connect=5.0, first_byte=5.0, idle=5.0, total=10.0)


class Site:
    """A running imitation, and accounts of it."""

    def __init__(self, sandbox: WebSandbox, folder: Path) -> None:
        self.sandbox = sandbox
        self.people = sandbox.site.people
        self.ca_file = str(folder / "sandbox-ca.pem")
        self._number = 0

    def adapter(self) -> GeminiWeb:
        return GeminiWeb(Clients(), "", ca_file=self.ca_file)

    def account(self, behaviour: str = "ok", **fields: Any) -> AccountConfig:
        """A new account of the pool whose cookies stand for a behaviour."""
        self._number += 1
        psid = sandbox_psid(behaviour, self._number)
        return self.account_of(psid, id=self._number, **fields)

    def account_of(self, psid: str, revision: int = 1, **fields: Any) -> AccountConfig:
        cookies = WebCookies(psid=psid, psidts=sandbox_psidts(psid, revision))
        session = WebSession(cookies=cookies, version=revision)
        defaults = {"proxy_url": self.sandbox.proxy_url, "kind": "gemini_web", "id": 1}
        return AccountConfig(secret=session.secret(), **{**defaults, **fields})

    def count(self, name: str) -> int:
        return self.people.counts[name]


@contextmanager
def served(folder: Path) -> Iterator[Site]:
    with web_sandbox(folder) as sandbox:
        yield Site(sandbox, folder)


def order(text: str = "Hello", *, timeouts: Timeouts = SHORT, **fields: Any) -> Order:
    """An order of one question; ``fields`` go into the body."""
    model = fields.pop("model", "gemini-flash")
    parts = fields.pop("parts", [{"text": text}])
    body = {"contents": [{"role": "user", "parts": parts}], **fields}
    return Order(method="generateContent", model=model, body=body, timeouts=timeouts)


def png(width: int = 30, height: int = 20, colour: str = "red") -> str:
    """A picture as base64."""
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def text_of(data: dict[str, Any]) -> str:
    parts = data["candidates"][0]["content"]["parts"]
    return "".join(p.get("text", "") for p in parts if not p.get("thought"))
