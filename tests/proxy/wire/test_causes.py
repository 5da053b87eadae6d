"""The one table of causes."""

import re
from pathlib import Path

import pytest

import proxy
from proxy import errors
from proxy.wire.causes import RULES, Cause, cause_of, is_limit

HERE = Path(proxy.__file__).parent
NAMED = re.compile(r'\b(?:code|cause)="(\w+)"')


def faults(kind: type[errors.Fault]) -> list[type[errors.Fault]]:
    return [kind] + [each for child in kind.__subclasses__() for each in faults(child)]


def sources() -> list[Path]:
    files = [HERE / "errors.py", HERE / "gateway.py", HERE / "limits.py"]
    for folder in ("wire", "upstreams", "surfaces"):
        files += (HERE / folder).glob("*.py")
    return files


@pytest.mark.parametrize("path", sources(), ids=lambda path: path.name)
def test_every_cause_that_the_code_names_is_in_the_table(path: Path) -> None:
    assert set(NAMED.findall(path.read_text())) <= RULES.keys()


def test_the_search_for_named_causes_finds_some() -> None:
    found = [NAMED.findall(path.read_text()) for path in sources()]
    assert sum(map(len, found)) > 30


@pytest.mark.parametrize(
    "kind",
    [kind for kind in faults(errors.Fault) if kind.__module__ == errors.__name__],
)
def test_the_code_of_every_fault_is_in_the_table(kind: type[errors.Fault]) -> None:
    assert kind.code in RULES


@pytest.mark.parametrize(("name", "cause"), RULES.items(), ids=RULES.keys())
def test_every_row_is_whole(name: str, cause: Cause) -> None:
    assert re.fullmatch(r"[a-z_]{3,60}", name)
    assert cause.meaning[0].isupper()
    assert not cause.meaning.endswith(".")
    assert cause.action.endswith(".")
    # The account's column for advice is no longer.
    assert len(cause.action) <= 300
    assert not cause.link or cause.link.startswith("https://")


@pytest.mark.parametrize(("name", "cause"), RULES.items(), ids=RULES.keys())
def test_every_row_makes_sense(name: str, cause: Cause) -> None:
    if cause.attention:
        assert (cause.who, cause.scope) == ("operator", "account")
        assert cause.rest_seconds is None
        assert not cause.strike
    if cause.who == "caller":
        assert cause.scope == "nothing"
        assert not cause.strike
    if cause.scope == "nothing":
        assert cause.rest_seconds is None
    if cause.rest_seconds is not None:
        assert 0 < cause.rest_seconds <= 24 * 3600


@pytest.mark.parametrize(
    "name",
    [name for name in RULES if "quota" in name or "throttled" in name]
    + ["rate_limit_exceeded", "overloaded", "model_capacity", "model_missing"],
)
def test_no_limit_and_no_missing_capacity_is_ever_a_strike(name: str) -> None:
    assert not RULES[name].strike


@pytest.mark.parametrize("name", ["overloaded", "model_capacity"])
def test_what_is_wrong_with_a_model_rests_the_model_and_not_the_account(
    name: str,
) -> None:
    assert RULES[name].scope == "model"


@pytest.mark.parametrize(
    "name",
    ["deadline", "client_closed", "queue_full", "no_account", "busy", "stream_cut",
     "stalled", "upstream_empty", "canary", "shared_trouble", "operator", "strikes",
     "unreadable", "no_models", "invalid_json", "sibling_failed", "minute_limit",
     "day_limit", "all_seats_taken", "canary_under_way", "needs_attention", "disabled"],
)  # fmt: skip
def test_what_the_gateway_itself_finds_is_in_the_table(name: str) -> None:
    assert name in RULES


@pytest.mark.parametrize("of_account", [True, False])
@pytest.mark.parametrize(
    ("code", "meaning"), [("never_heard_of", "Never heard of"), ("", "Unknown cause")]
)
def test_an_unknown_cause_is_named_with_a_next_step(
    code: str, meaning: str, of_account: bool
) -> None:
    found = cause_of(code, of_account=of_account)
    assert found.meaning == meaning
    assert found.action
    assert (found.scope, found.attention, found.strike) == ("nothing", False, False)


def test_an_account_s_refusal_is_not_mistaken_for_a_caller_s() -> None:
    assert "token" in cause_of("permission_denied").meaning
    assert "project" in cause_of("permission_denied", of_account=True).meaning
    assert cause_of("leaked", of_account=True) is cause_of("leaked")


@pytest.mark.parametrize(
    ("cause", "expected"),
    [
        ("quota_day", True),
        ("quota_minute", True),
        ("throttled", True),
        ("no_quota", True),
        ("web_usage_limit", True),
        ("rate_limit_exceeded", True),
        ("minute_limit", True),
        ("day_limit", True),
        ("overloaded", False),
        ("strikes", False),
        ("all_seats_taken", False),
        ("needs_attention", False),
        ("never_heard_of", False),
    ],
)
def test_limits_are_told_from_other_causes(cause: str, expected: bool) -> None:
    assert is_limit(cause) is expected


def test_the_table_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        RULES["new"] = cause_of("")  # type: ignore[index]
