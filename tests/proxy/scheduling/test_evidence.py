"""What alike failures prove, and what they do not."""

import pytest

from proxy.errors import Fault, UpstreamFault, Verdict
from proxy.scheduling import evidence
from proxy.scheduling.evidence import (
    Accusation,
    Evidence,
    Kind,
    Shared,
    Thing,
    egress_key,
    fingerprint,
    kind_of,
    things_of,
    was_answered,
)
from tests.proxy.scheduling.attempts import (
    BAD_KEY,
    CRASH,
    CUT,
    FAULTS,
    FLASH,
    FULL,
    GONE,
    MINUTE,
    NONSENSE,
    OURS,
    PRO,
    REFUSED,
    SHUT_OUT,
    SILENT,
    T0,
    UNCLEAR,
    UNREACHABLE,
    failure,
    shared,
)

DIRECT = Thing("egress", "direct")


def warmed(accounts: int, model: str = FLASH, egress: str = "direct") -> Evidence:
    """Return evidence in which so many accounts answered a minute ago."""
    found = Evidence()
    for account in range(1, accounts + 1):
        answers(found, account, at=-60, over=shared(model=model, egress=egress))
    return found


def answers(
    found: Evidence, account: int, at: float, started: float | None = None,
    over: Shared | None = None,
) -> None:  # fmt: skip
    began = at if started is None else started
    found.acquit(over or shared(), account_id=account, started=T0 + began, now=T0 + at)


def told(found: Evidence, *failures: evidence.Failure) -> Accusation | None:
    """Add failures; return what the last of them accuses."""
    accused = None
    for one in failures:
        found.add(one)
        accused = found.accuse(one)
    return accused


def accused(found: Evidence, *failures: evidence.Failure) -> str:
    """Return what failures speak against, "" for nothing."""
    accusation = told(found, *failures)
    return accusation.thing.what if accusation else ""


# How an attempt failed


@pytest.mark.parametrize(
    ("verdict", "kind"),
    [
        (UNREACHABLE, "connect"),
        (SHUT_OUT, "connect"),
        (CUT, "lost"),
        (SILENT, "lost"),
        (FULL, "overload"),
        (UNCLEAR, "unclear"),
        (CRASH, "crash"),
        (NONSENSE, "crash"),
        (MINUTE, None),
        (BAD_KEY, None),
        (REFUSED, None),
        (GONE, None),
        (OURS, None),
    ],
    ids=lambda value: value.cause if isinstance(value, Verdict) else str(value),
)
def test_each_verdict_is_one_kind_of_evidence_or_none(
    verdict: Verdict, kind: Kind | None
) -> None:
    assert kind_of(verdict) == kind


@pytest.mark.parametrize(
    ("fault", "answered"),
    [
        (FAULTS["quota_minute"], True),
        (FAULTS["api_key_invalid"], True),
        (FAULTS["invalid_argument"], True),
        (FAULTS["overloaded"], True),
        (UpstreamFault("x", google={"code": 500}), True),
        (UpstreamFault("x"), False),
        (FAULTS["connection_failed"], False),
        (FAULTS["bad_gateway"], False),
        (FAULTS["timeout"], False),
    ],
    ids=lambda value: value.code if isinstance(value, Fault) else str(value),
)
def test_what_the_provider_said_itself_is_told_from_what_it_did_not(
    fault: Fault, answered: bool
) -> None:
    assert was_answered(fault) is answered


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        (("connect", "connection_failed"), ("connect", "ip_blocked"), True),
        (("connect", "connection_failed"), ("lost", "stream_cut"), True),
        (("lost", "timeout"), ("lost", "stream_cut"), True),
        (("overload", "overloaded"), ("overload", "model_capacity"), True),
        (("crash", "upstream_error"), ("crash", "upstream_error"), True),
        (("crash", "upstream_error"), ("crash", "bad_gateway"), False),
        (("crash", "upstream_error"), ("lost", "stream_cut"), False),
        (("overload", "overloaded"), ("crash", "overloaded"), False),
    ],
)
def test_failures_are_alike_by_kind_and_crashes_by_cause(
    one: tuple[Kind, str], other: tuple[Kind, str], alike: bool
) -> None:
    first = failure(1, one[0], cause=one[1])
    second = failure(2, other[0], cause=other[1])
    assert first.is_like(second) is alike
    assert second.is_like(first) is alike


# What attempts share


def test_the_egress_is_suspected_first_then_the_model_then_the_request() -> None:
    assert [thing.what for thing in things_of(shared("r"))] == [
        "egress",
        "model",
        "request",
    ]
    assert [thing.what for thing in things_of(shared(""))] == ["egress", "model"]


@pytest.mark.parametrize(
    ("proxy", "base", "shown"),
    [
        ("", "", "direct"),
        ("http://ann:hush@10.0.0.1:3128", "", "10.0.0.1:3128"),
        ("socks5://ann:hush@proxy.example", "", "proxy.example"),
        ("", "https://gw.example:9000/v1beta?key=hush", "direct to gw.example:9000"),
        (
            "http://ann:hush@10.0.0.1:3128",
            "http://u:hush@gw.example",
            "10.0.0.1:3128 to gw.example",
        ),
        ("http://[broken", "", "?"),
        ("http://host:99999", "", "?"),
    ],
)
def test_an_egress_shows_hosts_and_ports_and_no_secret(
    proxy: str, base: str, shown: str
) -> None:
    key = egress_key(proxy, base)
    assert key.partition("#")[0] == shown
    assert "hush" not in key
    assert ("#" in key) is bool(proxy)


def test_users_of_one_proxy_host_have_different_egresses() -> None:
    ways = {
        egress_key(""),
        egress_key("http://a:1@p.example:1"),
        egress_key("http://b:1@p.example:1"),
        egress_key("http://a:1@p.example:1", "https://other.example"),
        egress_key("", "https://other.example"),
    }
    assert len(ways) == 5
    assert egress_key("http://a:1@p.example:1") in ways


def test_a_fingerprint_knows_method_model_and_body() -> None:
    usual = fingerprint("generateContent", "flash", b"{}")
    assert usual == fingerprint("generateContent", "flash", b"{}")
    assert len(usual) == 32
    others = {
        fingerprint("countTokens", "flash", b"{}"),
        fingerprint("generateContent", "pro", b"{}"),
        fingerprint("generateContent", "flash", b"{ }"),
        fingerprint("generateContentf", "lash", b"{}"),
    }
    assert len(others | {usual}) == 5


# Against an egress


@pytest.mark.parametrize(
    ("known", "needed"), [(1, 1), (2, 2), (3, 2), (4, 2), (5, 3), (6, 3), (40, 3)]
)
def test_half_of_a_few_accounts_or_three_of_many_accuse_an_egress(
    known: int, needed: int
) -> None:
    found = warmed(known)
    failures = [failure(n, "connect", n / 10) for n in range(1, needed + 1)]
    assert accused(found, *failures[:-1]) == ""
    assert accused(found, failures[-1]) == "egress"


def test_one_account_that_fails_often_accuses_nothing() -> None:
    found = warmed(5)
    assert accused(found, *(failure(1, "connect", n / 10) for n in range(9))) == ""


def test_failures_far_apart_accuse_nothing() -> None:
    found = warmed(5)
    apart = [failure(n, "connect", n * 5.1) for n in range(1, 6)]
    assert accused(found, *apart) == ""
    together = [failure(n, "connect", 100 + n * 4.9) for n in range(1, 4)]
    assert accused(found, *together) == "egress"


def test_a_success_in_between_acquits() -> None:
    found = warmed(5)
    told(found, failure(1, "connect"), failure(2, "connect", 0.1))
    answers(found, 3, at=0.2)
    assert accused(found, failure(4, "connect", 0.3)) == ""


def test_a_success_of_an_attempt_that_began_before_all_acquits_nobody() -> None:
    found = warmed(5)
    told(found, failure(1, "connect"), failure(2, "connect", 0.1))
    answers(found, 3, at=0.2, started=-30)
    assert accused(found, failure(4, "connect", 0.3)) == "egress"


def test_an_answer_that_is_an_error_acquits_the_egress_only() -> None:
    found = warmed(5)
    told(found, failure(1, "lost"), failure(2, "lost", 0.1))
    found.acquit_egress(shared(), T0 + 0.15)
    newest = failure(4, "lost", 0.3)
    found.add(newest)
    accusation = found.accuse(newest)
    assert accusation is not None
    assert accusation.thing == Thing("model", FLASH)


def test_a_success_over_another_egress_acquits_only_that() -> None:
    found = warmed(5)
    told(found, failure(1, "connect"), failure(2, "connect", 0.1))
    answers(found, 3, at=0.2, over=shared(egress="p.example:1"))
    assert accused(found, failure(4, "connect", 0.3)) == "egress"


def test_the_accusation_names_the_failures_that_are_alike() -> None:
    found = warmed(5)
    failures = [failure(1, "connect"), failure(2, "lost", 0.1)]
    told(found, *failures, failure(3, "crash", 0.2))
    newest = failure(4, "connect", 0.3)
    found.add(newest)
    assert found.accuse(newest) == Accusation(DIRECT, (*failures, newest))


def test_the_only_account_of_an_egress_may_accuse_it_while_others_work() -> None:
    found = warmed(5)
    answers(found, 9, at=-60, over=shared(egress="p.example:1"))
    alone = failure(9, "connect", over=shared(egress="p.example:1"))
    accusation = told(found, alone)
    assert accusation is not None
    assert accusation.thing == Thing("egress", "p.example:1")


def test_the_only_account_of_an_egress_proves_nothing_if_other_egresses_fail() -> None:
    found = Evidence()
    ways = [shared(egress=f"p{n}.example:1") for n in range(1, 7)]
    for account, way in enumerate(ways, 1):
        answers(found, account, at=-60, over=way)
    told(found, failure(1, "connect", over=ways[0]))
    assert accused(found, failure(2, "connect", 0.1, over=ways[1])) == ""
    accusation = told(found, failure(3, "connect", 0.2, over=ways[2]))
    assert accusation is not None
    assert accusation.thing == Thing("model", FLASH)


def test_answers_that_break_off_accuse_an_egress_only_over_several_models() -> None:
    cut = [failure(n, "lost", n / 10) for n in range(1, 4)]
    assert accused(warmed(5), *cut) == "model"
    mixed = [*cut[:2], failure(3, "lost", 0.3, over=shared(model=PRO))]
    assert accused(warmed(5), *mixed) == "egress"


@pytest.mark.parametrize("kind", ["crash", "overload", "unclear"])
def test_what_the_provider_does_is_never_held_against_the_egress(kind: Kind) -> None:
    found = warmed(40)
    models = [shared(model=f"m{n}") for n in range(9)]
    failures = [failure(n, kind, n / 10, over=models[n]) for n in range(9)]
    assert accused(found, *failures) == ""


# Against a model


@pytest.mark.parametrize("kind", ["crash", "overload", "lost"])
def test_three_accounts_that_fail_alike_accuse_the_model(kind: Kind) -> None:
    found = warmed(9)
    assert accused(found, failure(1, kind), failure(2, kind, 0.1)) == ""
    assert accused(found, failure(3, kind, 0.2)) == "model"


def test_failures_of_different_causes_are_not_added_up() -> None:
    found = warmed(9)
    causes = ["upstream_error", "bad_gateway", "upstream_empty", "token_endpoint"]
    failures = [
        failure(n, "crash", n / 10, cause=cause) for n, cause in enumerate(causes)
    ]
    assert accused(found, *failures) == ""


def test_failures_on_different_models_are_not_added_up() -> None:
    found = warmed(9)
    failures = [
        failure(n, "crash", n / 10, over=shared(model=f"m{n}")) for n in range(6)
    ]
    assert accused(found, *failures) == ""


def test_the_only_account_proves_nothing_against_its_model() -> None:
    found = warmed(1)
    assert accused(found, *(failure(1, "crash", n / 10) for n in range(9))) == ""


def test_limits_of_accounts_never_accuse_the_model() -> None:
    found = warmed(9)
    assert accused(found, *(failure(n, "unclear", n / 10) for n in range(9))) == ""


def test_a_success_on_the_model_acquits_it() -> None:
    found = warmed(9)
    told(found, failure(1), failure(2, at=0.1))
    answers(found, 3, at=0.2)
    assert accused(found, failure(4, at=0.3), failure(5, at=0.4)) == ""
    assert accused(found, failure(6, at=0.5)) == "model"


# Against a request


def poison(account: int, at: float, kind: Kind = "crash") -> evidence.Failure:
    return failure(account, kind, at, over=shared("poison"))


@pytest.mark.parametrize("kind", ["crash", "lost", "unclear"])
def test_one_request_that_fails_on_account_after_account_is_accused(kind: Kind) -> None:
    found = warmed(9)
    assert accused(found, poison(1, 0.1, kind), poison(2, 0.2, kind)) == ""
    assert accused(found, poison(3, 0.3, kind)) == "request"


@pytest.mark.parametrize("kind", ["connect", "overload"])
def test_no_request_is_accused_of_what_no_request_can_cause(kind: Kind) -> None:
    found = warmed(9)
    failures = [poison(n, n / 10, kind) for n in range(1, 9)]
    assert accused(found, *failures) == ("egress" if kind == "connect" else "model")


@pytest.mark.parametrize(("known", "needed"), [(1, 2), (2, 2), (3, 3), (9, 3)])
def test_all_of_a_few_accounts_must_fail_on_a_request(known: int, needed: int) -> None:
    found = warmed(known)
    for account in range(1, needed):
        assert accused(found, poison(account, account / 10)) == ""
    assert accused(found, poison(needed, 1.0)) == "request"


def test_a_request_that_passed_once_is_sound() -> None:
    found = warmed(9)
    answers(found, 7, at=-1, over=shared("poison"))
    assert accused(found, *(poison(n, n / 10) for n in range(1, 6))) == ""


def test_a_request_is_not_accused_while_another_account_works_on_it() -> None:
    found = warmed(9)
    found.begin(shared("poison"))
    told(found, *(poison(n, n / 10) for n in range(1, 4)))
    assert accused(found, poison(4, 0.4)) == ""
    found.end(shared("poison"))
    assert accused(found, poison(5, 0.5)) == "request"


def test_accounts_that_fail_on_other_requests_too_are_no_witnesses() -> None:
    found = warmed(9)
    told(found, *(failure(n, at=-20 + n) for n in (1, 2)))
    assert accused(found, poison(1, 0.1), poison(2, 0.2), poison(3, 0.3)) == ""
    assert accused(found, poison(4, 0.4), poison(5, 0.5)) == "request"


def test_an_account_that_works_again_is_a_witness_again() -> None:
    found = warmed(9)
    told(found, *(failure(n, at=-20 + n) for n in (1, 2)))
    for account in (1, 2):
        answers(found, account, at=-1)
    assert accused(found, *(poison(n, n / 10) for n in (1, 2, 3))) == "request"


def test_failures_long_ago_do_not_spoil_a_witness() -> None:
    found = warmed(9)
    told(found, failure(1, at=-61), failure(2, at=-61))
    assert accused(found, *(poison(n, n / 10) for n in (1, 2, 3))) == "request"


def test_without_fingerprints_no_request_is_accused() -> None:
    found = warmed(9)
    failures = [failure(n, at=n / 10, over=shared("")) for n in range(1, 4)]
    assert accused(found, *failures) == "model"


# Memory


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence._keep, "__kwdefaults__", {"most": 10})
    found = Evidence()
    for number in range(50):
        one = failure(number, "crash", number)
        found.begin(one.shared)
        answers(found, number, at=number, over=shared(model=f"m{number}"))
        found.add(one)
    for store in (
        found._streaks,
        found._known,
        found._sound_requests,
        found._running,
        found._troubled,
    ):
        assert 0 < len(store) <= 10


def test_accounts_not_used_for_long_no_longer_count_as_known() -> None:
    found = warmed(40)
    late = 600.0
    assert accused(found, failure(1, "connect", late)) == "egress"


def test_an_ended_attempt_leaves_nothing_behind() -> None:
    found = Evidence()
    for _ in range(3):
        found.begin(shared("r"))
    for _ in range(3):
        found.end(shared("r"))
    assert not found._running
    found.end(shared("r"))
    assert not found._running
