"""Callers of the gateway: they ask in one form or another, and some leave early."""

from typing import Any

import httpx

from proxy.faultlab.answers import EventReader, Seen, read_headers, read_whole
from proxy.faultlab.row import Form

#: How long a caller who leaves early waits.
EARLY_SECONDS = 0.5


def ask(client: httpx.Client, form: Form, model: str, prompt: str) -> Seen:
    """Ask and return what came, to its end."""
    seen = Seen(form.dialect)
    request = client.build_request(
        "POST", _path(form, model), json=_body(form, prompt, model)
    )
    try:
        response = client.send(request, stream=True)
        try:
            _read(response, form, seen)
        finally:
            response.close()
    except httpx.TransportError as error:
        seen.broken = type(error).__name__
    return seen


def leave_early(client: httpx.Client, form: Form, model: str, prompt: str) -> Seen:
    """Ask, wait a moment, and go before anything came."""
    seen = Seen(form.dialect)
    path, body = _path(form, model), _body(form, prompt, model)
    wait = httpx.Timeout(20, read=EARLY_SECONDS)
    try:
        answer = client.post(path, json=body, timeout=wait)
    except httpx.ReadTimeout:
        seen.broken = "left before the first byte"
    else:
        read_headers(seen, answer.status_code, answer.headers)
        seen.odd = answer.text[:80]
    return seen


def leave_late(client: httpx.Client, form: Form, model: str, prompt: str) -> Seen:
    """Ask for a stream and go as soon as there is content."""
    seen = Seen(form.dialect)
    reader = EventReader(seen)
    path, body = _path(form, model), _body(form, prompt, model)
    with client.stream("POST", path, json=body) as response:
        read_headers(seen, response.status_code, response.headers)
        for line in response.iter_lines():
            reader.feed(line)
            if seen.text:
                seen.broken = "left after the first content"
                break
    return seen


def _read(response: httpx.Response, form: Form, seen: Seen) -> None:
    read_headers(seen, response.status_code, response.headers)
    if not form.stream or response.status_code != 200:
        read_whole(seen, response.read())
        return
    reader = EventReader(seen)
    for line in response.iter_lines():
        reader.feed(line)


def _path(form: Form, model: str) -> str:
    if form.dialect == "openai":
        return "/v1/chat/completions"
    if form.stream:
        return f"/v1beta/models/{model}:streamGenerateContent?alt=sse"
    return f"/v1beta/models/{model}:generateContent"


def _body(form: Form, prompt: str, model: str) -> dict[str, Any]:
    if form.dialect == "gemini":
        return {"contents": [{"role": "user", "parts": [{"text": prompt}]}]}
    messages = [{"role": "user", "content": prompt}]
    return {"model": model, "messages": messages, "stream": form.stream}
