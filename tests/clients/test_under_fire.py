"""Half the pool is broken in ten ways, and nobody notices."""

import asyncio
from collections import Counter
from typing import Any

import httpx
import pytest

from accounts.models import Account
from tests.clients.conftest import Gateway

BROKEN = [
    "perminute",
    "perday",
    "overloaded",
    "internal",
    "invalid",
    "leaked",
    "billing",
    "prepay",
    "html",
    "malformed",
]
FLASH = "gemini-2.5-flash"
Answers = list[tuple[int, str]]


async def fire(
    gateway: Gateway, bodies: list[tuple[str, dict[str, Any]]], at_once: int
) -> Answers:
    """Send all requests, so many at a time; return status and text of each."""
    gate = asyncio.Semaphore(at_once)
    headers = {"Authorization": f"Bearer {gateway.token}"}
    limits = httpx.Limits(max_connections=at_once)
    async with httpx.AsyncClient(
        base_url=gateway.url, headers=headers, timeout=60, limits=limits
    ) as client:

        async def one(path: str, body: dict[str, Any]) -> tuple[int, str]:
            async with gate:
                answer = await client.post(path, json=body)
                return answer.status_code, answer.text

        return await asyncio.gather(*(one(path, body) for path, body in bodies))


def mixed(number: int) -> list[tuple[str, dict[str, Any]]]:
    """Return requests of all surfaces, whole and streamed, in turn."""
    messages = [{"role": "user", "content": "count to 5"}]
    chat = {"model": FLASH, "messages": messages}
    native = {"contents": [{"role": "user", "parts": [{"text": "count to 5"}]}]}
    kinds = [
        ("/v1/chat/completions", chat),
        ("/v1/chat/completions", {**chat, "stream": True}),
        (f"/v1beta/models/{FLASH}:generateContent", native),
        (f"/v1beta/models/{FLASH}:streamGenerateContent?alt=sse", native),
    ]
    return [kinds[index % len(kinds)] for index in range(number)]


def is_whole(text: str) -> bool:
    return '"error"' not in text and ("STOP" in text or '"stop"' in text)


@pytest.mark.slow
@pytest.mark.parametrize("accounts", [[*BROKEN, *["ok"] * 10]], ids=["ten of twenty"])
async def test_two_thousand_requests_see_no_error(gateway: Gateway) -> None:
    answers = await fire(gateway, mixed(2000), at_once=50)
    assert Counter(status for status, _ in answers) == {200: 2000}
    assert all(is_whole(text) for _, text in answers)

    def states() -> dict[str, str]:
        return {a.label.partition("-")[0]: a.state for a in Account.objects.all()}

    from gemproxy.lib import db

    found = await db.run(states)
    for human in ("invalid", "leaked", "billing"):
        assert found[human] == "needs_attention", human
    for passing in ("perminute", "perday", "overloaded", "internal", "html", "ok"):
        assert found[passing] in ("new", "active"), passing


@pytest.mark.parametrize(
    "accounts", [["cut", "cutclean", "errormid", "ok", "ok"]], ids=["three cut"]
)
async def test_each_cut_stream_ends_in_one_error_frame(gateway: Gateway) -> None:
    messages = [{"role": "user", "content": "count to 9"}]
    body = {"model": FLASH, "messages": messages, "stream": True}
    answers = await fire(gateway, [("/v1/chat/completions", body)] * 20, at_once=5)
    for status, text in answers:
        assert status == 200
        ended_well = "[DONE]" in text and '"finish_reason":"stop"' in text
        frames = text.count('data: {"error"')
        assert frames == (0 if ended_well else 1)
    assert any('data: {"error"' in text for _, text in answers)

    def faults() -> int:
        return sum(row.outcome == "fault" for row in gateway.rows())

    from gemproxy.lib import db

    cut = sum('data: {"error"' in text for _, text in answers)
    assert await db.run(faults) == cut
