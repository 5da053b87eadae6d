"""Bodies of the lean handler: how slowly they may come, and whose are taken."""

import asyncio
from typing import Any

import pytest

from gemproxy.lib import bodies
from gemproxy.lib.bodies import UNASKED_BYTES, BodyTooSlow, Stranger
from tests.lib.lean import Client, House, echo, part

PIECE = b"x" * 1000


class Trickle(Client):
    """Sends pieces for ever, one every ``pause`` seconds."""

    def __init__(self, piece: bytes, pause: float, most: int = 10**9) -> None:
        super().__init__()
        self.piece, self.pause, self.left_over = piece, pause, most

    async def receive(self) -> dict[str, Any]:
        await asyncio.sleep(self.pause)
        self.left_over -= 1
        return part(self.piece, more=self.left_over > 0)


def house(known: bool | None = None) -> House:
    """Return a house for large bodies that knows everybody, or nobody."""
    built = House(echo, each=10_000_000, together=20_000_000)
    built.asked = []  # type: ignore[attr-defined]

    async def is_known(scope: dict[str, Any]) -> bool:
        built.asked.append(scope["path"])  # type: ignore[attr-defined]
        return bool(known)

    built.handler._is_known = None if known is None else is_known
    return built


def refusals(built: House) -> list[type[Exception]]:
    return [type(error) for error in built.errors]


@pytest.mark.parametrize("length", [None, 100], ids=["chunked", "declared"])
async def test_a_body_that_stops_coming_is_given_up(
    monkeypatch: pytest.MonkeyPatch, length: int | None
) -> None:
    monkeypatch.setattr(bodies, "BODY_PAUSE_SECONDS", 0.05)
    built = house()
    client = await built.ask(Trickle(b"x", 0.2), length=length)
    assert refusals(built) == [BodyTooSlow]
    assert client.headers["connection"] == "close"


async def test_a_body_that_trickles_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bodies, "BODY_GRACE_SECONDS", 0.1)
    built = house()
    await built.ask(Trickle(b"x", 0.01))
    assert refusals(built) == [BodyTooSlow]


async def test_a_body_that_comes_fast_enough_may_take_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bodies, "BODY_GRACE_SECONDS", 0.1)
    client = await house().ask(Trickle(PIECE, 0.01, most=40))
    assert len(client.body) == 40 * len(PIECE)


async def test_a_large_body_of_a_stranger_is_not_held() -> None:
    built = house(known=False)
    seen = []

    class Watched(Trickle):
        async def receive(self) -> dict[str, Any]:
            seen.append(built.bodies.held)
            return await super().receive()

    client = await built.ask(Watched(PIECE, 0, most=3000))
    assert refusals(built) == [Stranger]
    assert max(seen) <= UNASKED_BYTES + len(PIECE)
    assert client.headers["connection"] == "close"


async def test_a_stranger_who_declares_much_sends_nothing_first() -> None:
    built = house(known=False)
    await built.ask(Trickle(PIECE, 0, most=200), length=200 * len(PIECE))
    assert refusals(built) == [Stranger]
    assert built.bodies.held == 0


async def test_somebody_known_is_asked_for_once() -> None:
    built = house(known=True)
    client = await built.ask(Trickle(PIECE, 0, most=300))
    assert len(client.body) == 300 * len(PIECE)
    assert built.asked == ["/view"]  # type: ignore[attr-defined]


async def test_nobody_is_asked_for_about_a_small_body() -> None:
    built = house(known=False)
    client = await built.ask(Client(part(PIECE)), length=len(PIECE))
    assert client.status == 200
    assert built.asked == []  # type: ignore[attr-defined]


async def test_only_short_paths_are_remembered() -> None:
    built = house()
    for number in range(50):
        await built.ask(Client(), path=f"/item/{number}")
        await built.ask(Client(), path="/item/" + "1" * 1000 + str(number))
    assert built.handler._resolve_known.cache_info().currsize == 50


async def test_what_is_fetched_for_a_request_counts_until_it_ends() -> None:
    held = []

    async def view(request: Any) -> Any:
        request.hold(5_000_000)
        held.append(built.bodies.held)
        with pytest.raises(bodies.NoRoom):
            request.hold(20_000_000)
        return await echo(request)

    built = House(view, each=10_000_000, together=20_000_000)
    client = await built.ask(Client(part(PIECE)))
    assert client.status == 200
    assert held == [5_000_000 + len(PIECE)]
    assert built.bodies.held == 0
