"""Names of tools: what Gemini takes, and the way back."""

import re

import pytest

from proxy.wire.tool_names import ToolNames
from tests.proxy.wire.chat_samples import parse, tool

TAKEN_BY_GOOGLE = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")


@pytest.mark.parametrize("name", ["f", "_f", "get_weather", "a.b-c", "F" * 64])
def test_a_valid_name_stays(name):
    names = ToolNames([name])
    assert names.upstream(name) == name
    assert names.renamed == {}


@pytest.mark.parametrize(
    ("name", "upstream"),
    [
        ("srv/tool.name", "srv_tool.name"),
        ("9lives", "_9lives"),
        ("a:b", "a_b"),
        ("two words", "two_words"),
        ("-dash", "_-dash"),
        ("天気", "__"),
    ],
)
def test_a_foreign_name_is_made_valid_and_leads_back(name, upstream):
    names = ToolNames([name])
    assert names.upstream(name) == upstream
    assert names.renamed == {upstream: name}


@pytest.mark.parametrize("name", ["x" * 65, "x" * 90, "y" * 5000, "9" * 64])
def test_a_long_name_is_cut_to_64(name):
    upstream = ToolNames([name]).upstream(name)
    assert len(upstream) <= 64
    assert TAKEN_BY_GOOGLE.fullmatch(upstream)


def test_long_names_that_start_alike_stay_apart():
    first, second = "x" * 80 + "a", "x" * 80 + "b"
    names = ToolNames([first, second])
    assert names.upstream(first) != names.upstream(second)


def test_a_changed_name_never_takes_the_place_of_anothers_own():
    names = ToolNames(["a/b", "a_b"])
    assert names.upstream("a_b") == "a_b"
    assert names.upstream("a/b") not in ("a_b", "a/b")


def test_names_that_would_become_equal_stay_apart():
    given = ["a/b", "a:b", "a b", "a?b"]
    names = ToolNames(given)
    assert len({names.upstream(name) for name in given}) == 4
    assert sorted(names.renamed.values()) == sorted(given)


def test_a_name_gets_the_same_upstream_name_every_time():
    name = "z" * 70
    assert ToolNames([name]).upstream(name) == ToolNames(["q", name]).upstream(name)


@pytest.mark.parametrize("count", [300])
def test_many_awkward_names_are_unique_valid_and_reversible(count):
    given = [f"{'n' * 70}/{number}" for number in range(count)]
    names = ToolNames(given)
    upstream = [names.upstream(name) for name in given]
    assert len(set(upstream)) == count
    assert all(TAKEN_BY_GOOGLE.fullmatch(name) for name in upstream)
    assert [names.renamed[name] for name in upstream] == given


def test_a_request_tells_only_the_names_that_changed():
    request = parse(tools=[tool("plain"), tool("srv/tool")])
    assert request.tool_names == {"srv_tool": "srv/tool"}
