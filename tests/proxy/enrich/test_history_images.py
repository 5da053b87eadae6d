"""Pictures of earlier answers, put back where they stood."""

import copy
import time
from typing import Any

import pytest

from proxy.enrich.history_images import MOST_PICTURES, WORDS, with_pictures

DATA = "data:image/png;base64,AAAA"
OTHER = "data:image/webp;base64,BBBB"
OURS = "http://h/images/one.png?until=1&signature=x"
SECOND = "/images/two.png"
ELSEWHERE = "https://example.com/cat.png"
LIBRARY = {OURS: DATA, SECOND: OTHER}


def ai(content: Any = None, **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content, **more}


def user(content: Any = "make it blue") -> dict[str, Any]:
    return {"role": "user", "content": content}


def picture(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


def words(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


async def load(address: str) -> str | None:
    return LIBRARY.get(address)


async def made(*messages: Any, submit: Any = "last") -> list[Any]:
    body = {"model": "m", "messages": list(messages)}
    before = copy.deepcopy(body)
    found = await with_pictures(body, submit, load)
    assert body == before, "a caller's request is not to be changed"
    assert found["model"] == "m"
    return found["messages"]


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (f"![image]({OURS})", [picture(DATA)]),
        (f"Here:\n\n![image]({OURS})\nDone", [words("Here:"), picture(DATA), "Done"]),
        (f"![image]({DATA})\n", [picture(DATA)]),
        (f'![a cat](<{OURS}> "A cat")', [picture(DATA)]),
        (f"![]( {OURS} )![]({SECOND})", [picture(DATA), picture(OTHER)]),
        (f"![a]({ELSEWHERE}) ![b]({OURS})", [f"![a]({ELSEWHERE})", picture(DATA)]),
        ([words("Look"), words(f"![x]({OURS})")], [words("Look"), picture(DATA)]),
        ([picture(OURS)], [picture(DATA)]),
        ([{"type": "image_url", "image_url": OURS}], [picture(DATA)]),
        (f"![a]({OURS}) ![b]({OURS})", [picture(DATA)]),
    ],
)
@pytest.mark.parametrize("role", ["assistant", "model"])
async def test_a_picture_stands_where_it_was_shown(
    content: Any, parts: list[Any], role: str
) -> None:
    wanted = [words(part) if isinstance(part, str) else part for part in parts]
    (first, last) = await made({"role": role, "content": content}, user())
    assert first == {"role": role, "content": wanted}
    assert last == user()


@pytest.mark.parametrize("url", [DATA, OURS])
async def test_a_list_of_images_becomes_content(url: str) -> None:
    given = [picture(url) | {"index": 0}]
    (first,) = await made(ai("A cat.", images=given))
    assert first == ai([words("A cat."), picture(DATA)])


async def test_a_picture_in_text_and_list_is_sent_once() -> None:
    (first,) = await made(ai(f"![image]({OURS})", images=[picture(DATA)]))
    assert first == ai([picture(DATA)])


async def test_only_the_newest_answer_with_pictures_counts() -> None:
    found = await made(
        ai(f"old ![image]({OURS})"),
        user(),
        ai("new", images=[picture(OTHER)]),
        user(),
        ai("just words"),
    )
    assert found[0] == ai([words("old"), words(WORDS)])
    assert found[2] == ai([words("new"), picture(OTHER)])
    assert found[4] == ai("just words")


async def test_all_answers_count_if_that_is_set() -> None:
    first, _, second = await made(
        ai(f"![image]({OURS})"), user(), ai(f"![image]({SECOND})"), submit="all"
    )
    assert (first, second) == (ai([picture(DATA)]), ai([picture(OTHER)]))


async def test_a_link_elsewhere_stays_and_hides_no_older_picture() -> None:
    elsewhere = ai(f"![cat]({ELSEWHERE})")
    first, second = await made(ai(f"![image]({OURS})"), elsewhere)
    assert first == ai([picture(DATA)])
    assert second == elsewhere


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [user(f"![image]({OURS})")],
        [user([picture(OURS)])],
        [{"role": "system", "content": f"![image]({DATA})"}],
        [ai(), ai(7), ai([3, {"type": "text", "text": 4}]), ai(images="x")],
        [
            ai(images=[picture("")]),
            ai([{"type": "image_url", "image_url": {"url": 1}}]),
        ],
        [None, "text", 3, ["a"], {"role": ["assistant"], "content": DATA}],
        [ai(f"[image]({OURS})"), ai(f"{OURS}"), ai(f"![a\nb]({OURS})")],
        [ai(f"![sound](data:audio/wav;base64,{'A' * 9})")],
    ],
)
async def test_all_else_is_left_as_it_is(messages: list[Any]) -> None:
    assert await made(*messages) == messages


@pytest.mark.parametrize("messages", [None, "x", {"role": "assistant"}])
async def test_what_is_no_list_of_messages_is_left_to_the_translator(
    messages: Any,
) -> None:
    body = {"messages": messages}
    assert await with_pictures(body, "last", load) is body


async def test_other_fields_of_a_message_stay() -> None:
    calls = [{"id": "c", "type": "function", "function": {"name": "f"}}]
    (first,) = await made(ai(f"![i]({OURS})", tool_calls=calls, name="x"))
    assert (first["tool_calls"], first["name"]) == (calls, "x")


async def test_the_newest_are_looked_for_and_not_more() -> None:
    asked: list[str] = []

    async def count(address: str) -> str | None:
        asked.append(address)
        return None

    links = [ai(f"![i](/images/{n}.png)") for n in range(MOST_PICTURES + 5)]
    await with_pictures({"messages": links}, "all", count)
    assert asked == [f"/images/{n}.png" for n in range(MOST_PICTURES + 4, 4, -1)]


@pytest.mark.parametrize(
    "text", ["![" * 400_000, "![a](" * 200_000, f"![a]({'b' * 1_000_000}"]
)
async def test_odd_text_is_read_in_linear_time(text: str) -> None:
    # A pattern that goes back would need minutes here.
    began = time.process_time()
    assert await made(ai(text)) == [ai(text)]
    assert time.process_time() - began < 20
