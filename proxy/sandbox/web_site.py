"""The imitated hosts: gemini.google.com, its sign-in, its uploads and its pictures."""

import asyncio
import io
from collections.abc import Awaitable, Callable
from email.parser import BytesParser
from email.policy import HTTP
from urllib.parse import parse_qsl

from PIL import Image

from proxy.sandbox.sending import EVER
from proxy.sandbox.web_accounts import (
    PSID,
    PSIDCC,
    PSIDTS,
    People,
    Person,
    label,
    sandbox_psidts,
)
from proxy.sandbox.web_answers import stream
from proxy.sandbox.web_calls import answer_call, read_calls
from proxy.sandbox.web_frames import batch
from proxy.sandbox.web_http import WebReply, WebRequest
from proxy.sandbox.web_prompts import Unreadable, read_prompt

_HTML = "text/html; charset=utf-8"
_JSON = "application/json; charset=utf-8"
_FORM = "application/x-www-form-urlencoded"
_SITE = "https://gemini.google.com"
_DATA = "/_/BardChatUi/data/"
_GENERATE = f"{_DATA}assistant.lamda.BardFrontendService/StreamGenerate"
_PUSH_ID = "feeds/sandbox0000001"
_ROTATION = b'[000,"-0000000000000000000"]'
_MEDIA_HOST = "work.fife.usercontent.google.com"
_PREVIEW_EDGE = 512
HOSTS = (
    "google.com",
    "*.google.com",
    "*.googleapis.com",
    "*.googleusercontent.com",
    "*.fife.usercontent.google.com",
)
_PAGE_FAULTS = {"pageblocked": 429, "pagebroken": 500, "pagedenied": 403}


class WebSite:
    """Answers requests for all these hosts, by its people's state."""

    def __init__(self, pace: float = 0.0) -> None:
        """``pace`` is the seconds between two steps of an answer."""
        self.people = People()
        self._pace = pace

    async def answer(self, request: WebRequest) -> WebReply:
        """Return the reply to one request."""
        self._note(request)
        handler = self._handler(request)
        if handler is None:
            return WebReply(status=404, body=b"No such page.")
        try:
            return await handler(request)
        except Unreadable as error:
            return WebReply(status=400, body=f"Bad request: {error}".encode())

    def _handler(
        self, request: WebRequest
    ) -> Callable[[WebRequest], Awaitable[WebReply]] | None:
        routes = {
            ("gemini.google.com", "GET", "/app"): self._page,
            ("gemini.google.com", "POST", f"{_DATA}batchexecute"): self._batch,
            ("gemini.google.com", "POST", _GENERATE): self._generate,
            ("accounts.google.com", "POST", "/RotateCookies"): self._rotate,
            ("www.google.com", "GET", "/"): self._front,
            ("www.google.com", "GET", "/sorry/index"): self._sorry,
            ("content-push.googleapis.com", "POST", "/upload"): self._upload,
        }
        found = routes.get((request.host, request.method, request.path or "/"))
        if found is None and request.path.startswith("/gg-dl/"):
            return self._picture
        if found is None and request.host == _MEDIA_HOST:
            return self._media
        return found

    def _note(self, request: WebRequest) -> None:
        self.people.counts[f"{request.method} {request.host}{request.path}"] += 1
        hidden = ("cookie", "authorization")
        self.people.requests.append(
            {
                "method": request.method,
                "host": request.host,
                "path": request.path,
                "query": request.query,
                "headers": {
                    k: v for k, v in request.headers.items() if k not in hidden
                },
                "account": label(request.cookies().get(PSID, "")),
                "cookies": sorted(request.cookies()),
                "body": request.body.decode(errors="replace")[:100_000],
            }
        )

    async def _page(self, request: WebRequest) -> WebReply:
        psid = request.cookies().get(PSID, "")
        who = self.people.find(request.cookies())
        name = who.behaviour if who and who.times != 0 else ""
        if name == "headstall":
            await asyncio.sleep(EVER)
        if name == "sorry":
            to = "https://www.google.com/sorry/index?continue=x"
            return WebReply(status=302, headers=[("location", to)])
        if name in _PAGE_FAULTS:
            return WebReply(status=_PAGE_FAULTS[name], body=b"<html>No.</html>")
        if name == "blank":
            return WebReply(body=b"<html></html>", content_type=_HTML)
        signed_in = who is not None and bool(psid)
        return WebReply(body=_page_of(who if signed_in else None), content_type=_HTML)

    async def _front(self, request: WebRequest) -> WebReply:
        cookie = "NID=511=sandbox; Domain=.google.com; Path=/; Secure"
        return WebReply(body=b"<html>Search</html>", headers=[("set-cookie", cookie)])

    async def _sorry(self, request: WebRequest) -> WebReply:
        return WebReply(status=429, body=b"<html>unusual traffic</html>")

    def _signed_in(self, request: WebRequest) -> tuple[Person | None, dict[str, str]]:
        """Return who calls, and the form; checks what the site's page always sends."""
        headers = request.headers
        kind = headers.get("content-type", "").partition(";")[0]
        if kind != _FORM or headers.get("x-same-domain") != "1":
            raise Unreadable("content type or x-same-domain")
        if headers.get("origin") != _SITE:
            raise Unreadable("origin")
        form = dict(parse_qsl(request.body.decode(), keep_blank_values=True))
        who = self.people.find(request.cookies())
        token = form.get("at")
        if who is None and token:
            raise Unreadable("a token of a session that is over")
        if who is not None and token != who.token:
            raise Unreadable("at")
        return who, form

    async def _batch(self, request: WebRequest) -> WebReply:
        who = self.people.find(request.cookies())
        if who is not None and who.does("rpchang"):
            await asyncio.sleep(EVER)
        if who is not None and who.does("rpcbroken"):
            return WebReply(status=500, body=b"Internal error")
        who, form = self._signed_in(request)
        calls = read_calls(form, request.query)
        denied = who is not None and who.answers > 0 and who.does("guest")
        answers = [(name, answer_call(name, text, who)) for name, text in calls]
        if who is not None and who.does("nofull") and answers[0][0] == "c8o8Fe":
            return WebReply(status=500, body=b"Internal error")
        body = batch(answers, denied=denied).encode()
        return WebReply(body=body, content_type=_JSON)

    async def _generate(self, request: WebRequest) -> WebReply:
        who, form = self._signed_in(request)
        if who is not None and who.does("expiring"):
            who.signed_out = True
            return WebReply(status=400, body=b"Bad request: at")
        status = (who.behaviour if who else "").removeprefix("http")
        if who is not None and status.isdecimal() and who.spend().startswith("http"):
            return WebReply(status=int(status), body=b"<html>No.</html>")
        someone = who or Person("guest")
        prompt = read_prompt(form, request.headers, someone)
        pieces = stream(prompt, someone, self.people, self._pace)
        return WebReply(content_type=_JSON, pieces=pieces)

    async def _rotate(self, request: WebRequest) -> WebReply:
        if request.body != _ROTATION or request.headers.get("origin") != (
            "https://accounts.google.com"
        ):
            return WebReply(status=400, body=b"Bad request")
        who = self.people.find(request.cookies())
        name = who.behaviour if who and who.times != 0 else ""
        if name == "rotatestall":
            await asyncio.sleep(EVER)
        if who is None or name == "rotate401":
            return WebReply(status=401, body=b"Unauthorized")
        if name in ("rotate429", "rotate500"):
            return WebReply(status=int(name.removeprefix("rotate")), body=b"No.")
        if name == "rotatesame" or PSIDTS not in request.cookies():
            return _with_cookies({PSIDCC: f"AKEysandbox{who.revision}"})
        who.revision += 1
        if name in ("rotatehold", "rotateburn"):
            who.only_newest = name == "rotateburn"
            await asyncio.sleep(EVER)
        renewed = {PSIDTS: sandbox_psidts(who.psid, who.revision)}
        return _with_cookies({**renewed, PSIDCC: f"AKEysandbox{who.revision}"})

    async def _upload(self, request: WebRequest) -> WebReply:
        headers = request.headers
        if headers.get("push-id") != _PUSH_ID or "cookie" in headers:
            raise Unreadable("push-id, or cookies at the wrong host")
        if headers.get("x-tenant-id") != "bard-storage":
            raise Unreadable("x-tenant-id")
        kind = headers.get("content-type", "")
        head = f"Content-Type: {kind}\r\n\r\n".encode()
        message = BytesParser(policy=HTTP).parsebytes(head + request.body)
        for part in message.iter_parts():
            name = part.get_filename()
            if name:
                data = part.get_payload(decode=True) or b""
                return self._stored(name, part.get_content_type(), data)
        raise Unreadable("no file")

    def _stored(self, name: str, kind: str, data: bytes) -> WebReply:
        token = f"/contrib_service/ttl_1d/{len(self.people.requests)}_{name}"
        # The host sees no cookies, so whoever names the token may use it.
        for person in self.people.everybody():
            person.uploads[token] = (name, kind, data)
        return WebReply(body=token.encode())

    async def _picture(self, request: WebRequest) -> WebReply:
        """A picture's preview, or the first step on the way to the whole."""
        if request.headers.get("referer") != f"{_SITE}/":
            return WebReply(status=403, body=b"Forbidden")
        token, _, size = request.path.removeprefix("/gg-dl/").partition("=")
        if token.startswith("full-"):
            where = f"https://{_MEDIA_HOST}/step/{token.removeprefix('full-')}"
            return WebReply(body=where.encode())
        to = f"https://{_MEDIA_HOST}/preview/{token}?size={size}"
        return WebReply(status=302, headers=[("location", to)])

    async def _media(self, request: WebRequest) -> WebReply:
        who = self.people.find(request.cookies())
        if who is None or who.does("nomedia"):
            return WebReply(status=403, body=b"Forbidden")
        _, step, token = request.path.split("/", 2)
        data = next(
            (d for key, d in self.people.media.items() if key.endswith(token)), None
        )
        if data is None:
            return WebReply(status=404, body=b"Not found")
        if step == "step":
            where = f"https://{_MEDIA_HOST}/whole/{token}"
            return WebReply(body=where.encode())
        if step == "preview":
            data = await asyncio.to_thread(_smaller, data)
        return WebReply(body=data, content_type="image/png")


def _page_of(who: Person | None) -> bytes:
    values = {
        "cfb2h": "boq_assistant-bard-web-server_20260801.00_p0",
        "FdrFJe": "-1234567890123456789",
        "TuX5cc": "en",
        "qKIAYe": _PUSH_ID,
    }
    if who is not None:
        values["SNlM0e"] = who.token
    pairs = ",".join(f'"{name}":"{value}"' for name, value in values.items())
    return (
        f"<html><script>window.WIZ_global_data = {{{pairs}}};</script></html>".encode()
    )


def _with_cookies(cookies: dict[str, str]) -> WebReply:
    rows = [
        ("set-cookie", f"{name}={value}; Domain=.google.com; Path=/; Secure; HttpOnly")
        for name, value in cookies.items()
    ]
    return WebReply(body=b"[]", content_type=_JSON, headers=rows)


def _smaller(data: bytes) -> bytes:
    picture = Image.open(io.BytesIO(data))
    picture.thumbnail((_PREVIEW_EDGE, _PREVIEW_EDGE))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()
