"""The guard: shared trouble is told from accounts' own, held back and reopened."""

from typing import Any

import pytest

from proxy.errors import UpstreamFault, Verdict
from proxy.scheduling.breakers import Trouble
from proxy.scheduling.guard import Guard
from tests.proxy.scheduling.attempts import (
    BAD_KEY,
    CRASH,
    CUT,
    FLASH,
    FULL,
    GONE,
    MINUTE,
    NONSENSE,
    PRO,
    REFUSED,
    SHUT_OUT,
    SILENT,
    T0,
    UNREACHABLE,
    Scene,
    shared,
)


class Notes:
    """A listener that remembers."""

    def __init__(self) -> None:
        self.all: list[tuple[str, Trouble]] = []

    def opened(self, trouble: Trouble) -> None:
        self.all.append(("opened", trouble))

    def updated(self, trouble: Trouble) -> None:
        self.all.append(("updated", trouble))

    def ended(self, trouble: Trouble) -> None:
        self.all.append(("ended", trouble))

    def events(self) -> list[str]:
        return [event for event, _ in self.all]


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
def scene(notes: Notes) -> Scene:
    """Nine accounts that answered a minute ago, directly and on one model."""
    found = Scene(Guard(notes))
    found.warm(9)
    return found


def cut_off(scene: Scene, at: float = 0.0) -> Any:
    """Three accounts find the egress gone; return the last judgement."""
    for account in (1, 2, 3):
        judgement = scene.fails(account, UNREACHABLE, at + account / 10)
    return judgement


# Opening


def test_while_nothing_is_wrong_every_attempt_may_start(scene: Scene) -> None:
    assert scene.gate(0).is_open
    assert not scene.fails(1, UNREACHABLE, 0).shared
    assert scene.gate(0.1).is_open
    assert scene.what() == []


def test_the_third_alike_failure_is_shared_and_forgives_those_before(
    scene: Scene,
) -> None:
    assert not scene.fails(1, UNREACHABLE, 0.1).shared
    assert not scene.fails(2, UNREACHABLE, 0.2).shared
    third = scene.fails(3, UNREACHABLE, 0.3)
    assert third.shared
    assert third.what == "egress"
    assert third.forgive == ((1, "flash"), (2, "flash"), (3, "flash"))
    assert third.until == T0 + 0.8
    assert scene.what() == [("egress", "direct")]


@pytest.mark.parametrize(
    "verdict", [MINUTE, BAD_KEY, REFUSED, GONE], ids=lambda v: v.cause
)
def test_what_is_no_evidence_opens_nothing(scene: Scene, verdict: Verdict) -> None:
    for account in range(1, 10):
        assert not scene.fails(account, verdict, account / 10).shared
    assert scene.what() == []


@pytest.mark.parametrize(
    ("verdict", "what", "which"),
    [
        (UNREACHABLE, "egress", "direct"),
        (CUT, "model", FLASH),
        (SILENT, "model", FLASH),
        (CRASH, "model", FLASH),
        (FULL, "model", FLASH),
    ],
    ids=lambda value: getattr(value, "cause", None),
)
def test_what_fails_alike_is_held_against_what_is_shared(
    scene: Scene, verdict: Verdict, what: str, which: str
) -> None:
    for account in (1, 2, 3):
        judgement = scene.fails(account, verdict, account / 10)
    assert judgement.what == what
    assert scene.what() == [(what, which)]


def test_one_poisonous_request_is_told_and_the_accounts_are_not(scene: Scene) -> None:
    over = shared("poison-0123456789")
    for account in (1, 2, 3):
        scene.gate(account / 10, over)
        judgement = scene.fails(account, CRASH, account / 10, over=over)
    assert judgement.shared
    assert judgement.what == "request"
    assert len(judgement.forgive) == 3
    assert scene.what() == [("request", f"{FLASH} poison-01234")]
    held = scene.gate(1.0, over)
    assert held.is_held
    assert not held.worth_waiting
    assert scene.gate(1.0).is_open
    assert scene.guard.wants_fingerprints()


def test_a_request_whose_first_attempt_had_no_fingerprint_accuses_no_model(
    scene: Scene,
) -> None:
    over = shared("poison")
    assert not scene.fails(1, CRASH, 0.1, over=shared("")).shared
    assert not scene.fails(2, CRASH, 0.2, over=over).shared
    assert not scene.fails(3, CRASH, 0.3, over=over).shared
    assert scene.fails(4, CRASH, 0.4, over=over).what == "request"


def test_first_attempts_of_several_requests_accuse_the_model(scene: Scene) -> None:
    for account in (1, 2, 3):
        judgement = scene.fails(account, CRASH, account / 10, over=shared(""))
    assert judgement.what == "model"


def test_ten_accounts_failing_each_in_its_own_way_open_nothing(scene: Scene) -> None:
    ways = [UNREACHABLE, SILENT, CRASH, NONSENSE, FULL, MINUTE, BAD_KEY, REFUSED]
    for turn in range(20):
        for account, way in enumerate(ways, 1):
            at = turn + account / 100
            scene.fails(account, way, at)
            scene.passes(20 + account, at + 0.005, started=at)
    assert scene.what() == []


# Held, canaries


def test_while_it_lasts_attempts_are_held_with_a_time_and_a_fault(
    scene: Scene,
) -> None:
    cut_off(scene)
    gate = scene.gate(0.4)
    assert gate.is_held
    assert gate.worth_waiting
    assert gate.retry_at == T0 + 0.8
    assert gate.trouble is not None
    assert gate.trouble.which == "direct"
    assert gate.fault.code == "connection_failed"
    assert gate.fault.retry_after == 1.0
    assert gate.fault is not scene.gate(0.4).fault


def test_one_canary_goes_after_the_pause_and_the_next_after_another(
    scene: Scene,
) -> None:
    cut_off(scene)
    assert scene.gate(0.79).is_held
    assert scene.gate(0.81).is_canary
    assert scene.gate(0.82).is_held
    assert scene.gate(1.30).is_held
    assert scene.gate(1.32).is_canary


def test_pauses_grow_to_a_bound_so_that_service_is_back_soon(scene: Scene) -> None:
    cut_off(scene)
    at, pauses = 0.3, []
    for _ in range(8):
        waiting = scene.gate(at)
        pauses.append(round(waiting.retry_at - T0 - at, 3))
        at = waiting.retry_at - T0
        assert scene.gate(at).is_canary
        judgement = scene.fails(1, UNREACHABLE, at, started=at)
        assert judgement.shared
        assert judgement.forgive == ()
    assert pauses[0] == 0.5
    assert pauses == sorted(pauses)
    assert pauses[-1] == 1.0


def test_a_failing_attempt_from_before_does_not_put_the_canary_off(
    scene: Scene,
) -> None:
    cut_off(scene)
    assert scene.fails(4, CUT, 0.6, started=-20).shared
    assert scene.gate(0.81).is_canary


def test_a_canary_that_comes_through_reopens_at_once(scene: Scene) -> None:
    woken: list[int] = []
    scene.guard.on_close = lambda: woken.append(1)
    cut_off(scene)
    assert scene.gate(0.9).is_canary
    scene.passes(4, 0.95, started=0.9)
    assert scene.what() == []
    assert woken == [1]
    assert all(scene.gate(0.96).is_open for _ in range(50))


def test_an_abandoned_canary_lets_the_next_go_at_once(scene: Scene) -> None:
    cut_off(scene)
    over = shared()
    assert scene.gate(0.9, over).is_canary
    assert scene.gate(0.91).is_held
    scene.guard.abandoned(over, started=T0 + 0.9, now=T0 + 0.92)
    assert scene.gate(0.93).is_canary


def test_an_attempt_abandoned_from_before_frees_nothing(scene: Scene) -> None:
    cut_off(scene)
    scene.guard.abandoned(shared(), started=T0 - 5, now=T0 + 0.4)
    assert scene.gate(0.45).is_held


@pytest.mark.parametrize(
    "verdict", [MINUTE, BAD_KEY, REFUSED], ids=lambda verdict: verdict.cause
)
def test_an_error_of_the_provider_proves_the_way_to_it(
    scene: Scene, verdict: Verdict
) -> None:
    cut_off(scene)
    assert scene.gate(0.9).is_canary
    assert not scene.fails(4, verdict, 0.95, started=0.9).shared
    assert scene.what() == []


def test_the_same_error_proves_nothing_about_an_overloaded_model(
    scene: Scene,
) -> None:
    for account in (1, 2, 3):
        scene.fails(account, FULL, account / 10)
    assert scene.gate(0.9).is_canary
    assert not scene.fails(4, MINUTE, 0.95, started=0.9).shared
    assert scene.what() == [("model", FLASH)]
    assert scene.gate(0.96).is_canary


def test_a_success_begun_before_all_that_failed_closes_nothing(scene: Scene) -> None:
    cut_off(scene)
    scene.passes(5, 0.5, started=-30)
    assert scene.what() == [("egress", "direct")]


def test_a_success_begun_among_those_that_failed_closes_a_mistaken_breaker(
    scene: Scene,
) -> None:
    cut_off(scene)
    scene.passes(5, 0.4, started=0.15)
    assert scene.what() == []


def test_little_evidence_is_tested_at_once() -> None:
    scene = Scene(Guard())
    scene.warm(1)
    assert scene.fails(1, UNREACHABLE, 0).shared
    assert scene.gate(0.01).is_canary
    assert scene.gate(0.02).is_held


def test_a_provider_that_shuts_us_out_is_asked_rarely(scene: Scene) -> None:
    for account in (1, 2, 3):
        scene.fails(account, SHUT_OUT, account / 10)
    assert scene.what() == [("egress", "direct")]
    assert scene.gate(9).is_held
    assert scene.gate(10.4).is_canary
    assert scene.fails(4, SHUT_OUT, 10.5, started=10.4).shared
    assert scene.gate(25).is_held
    assert scene.gate(26).is_canary


def test_attempts_over_other_things_are_not_held(scene: Scene) -> None:
    for account in (1, 2, 3):
        scene.fails(account, CRASH, account / 10)
    assert scene.gate(0.4).is_held
    assert scene.gate(0.4, shared(model=PRO)).is_open
    cut_off(scene, 1.0)
    assert scene.gate(1.4, shared(model=PRO)).is_held
    assert scene.gate(1.4, shared(model=PRO, egress="p.example:1")).is_open


def test_an_attempt_over_two_troubles_waits_for_the_later(scene: Scene) -> None:
    for account in (1, 2, 3):
        scene.fails(account, CRASH, account / 10)
    cut_off(scene, 5.0)
    gate = scene.gate(5.4)
    assert gate.is_held
    assert gate.trouble.what == "egress"
    assert scene.gate(5.9).is_canary
    scene.passes(4, 6.0, started=5.9)
    assert scene.what() == []


# Who is clean


def test_whatever_breaks_off_while_the_egress_is_gone_is_shared(scene: Scene) -> None:
    cut_off(scene)
    for account, how in ((4, CUT), (5, SILENT), (6, UNREACHABLE)):
        judgement = scene.fails(account, how, 2.0, started=-account)
        assert judgement.shared
        assert judgement.what == "egress"


def test_what_hung_since_the_trouble_is_shared_after_its_end(scene: Scene) -> None:
    cut_off(scene)
    scene.gate(0.9)
    scene.passes(4, 10.0, started=0.9)
    assert scene.fails(5, SILENT, 60.0, started=-1).shared
    assert not scene.fails(6, SILENT, 60.0, started=11.0).shared


def test_an_old_trouble_explains_nothing_for_ever(scene: Scene) -> None:
    cut_off(scene)
    scene.gate(0.9)
    scene.passes(4, 10.0, started=0.9)
    scene.guard.sweep(T0 + 1000)
    assert not scene.fails(5, SILENT, 1001.0, started=-1).shared


def test_a_failure_of_another_kind_stays_the_accounts_own(scene: Scene) -> None:
    for account in (1, 2, 3):
        scene.fails(account, CRASH, account / 10)
    assert scene.gate(0.9).is_canary
    assert not scene.fails(4, NONSENSE, 1.0, started=0.9).shared
    assert scene.fails(4, CRASH, 1.1, started=0.9).shared


def test_streams_cut_first_are_put_down_to_the_egress_once_that_shows(
    scene: Scene, notes: Notes
) -> None:
    for account in (1, 2, 3):
        scene.fails(account, CUT, account / 100, started=-5)
    assert scene.what() == [("model", FLASH)]
    judgement = scene.fails(4, UNREACHABLE, 0.05)
    assert judgement.shared
    assert judgement.what == "egress"
    assert (1, "flash") in judgement.forgive
    assert scene.what() == [("egress", "direct")]
    assert notes.events() == ["opened", "updated", "opened", "ended"]


def test_a_provider_gone_for_every_egress_is_the_models_trouble(
    notes: Notes,
) -> None:
    scene = Scene(Guard(notes))
    ways = [shared(egress=f"p{n}.example:1") for n in range(8)]
    for account, way in enumerate(ways):
        scene.passes(account, -60, over=way)
    first = scene.fails(0, UNREACHABLE, 0.0, over=ways[0])
    assert (first.shared, first.what) == (True, "egress")
    assert not scene.fails(1, UNREACHABLE, 0.1, over=ways[1]).shared
    third = scene.fails(2, UNREACHABLE, 0.2, over=ways[2])
    assert third.what == "model"
    assert third.forgive == ((0, "flash"), (1, "flash"), (2, "flash"))
    assert scene.what() == [("model", FLASH)]
    assert scene.fails(3, UNREACHABLE, 0.3, over=ways[3]).shared
    assert notes.events() == ["opened", "opened", "ended", "updated"]


# What others may know


def test_a_trouble_says_what_why_since_when_and_who_met_it(
    scene: Scene, notes: Notes
) -> None:
    cut_off(scene)
    scene.fails(4, CUT, 0.9, started=-3)
    scene.passes(5, 2.0, started=1.9)
    assert notes.events() == ["opened", "updated", "ended"]
    opened, updated, ended = (trouble for _, trouble in notes.all)
    assert opened.why == "3 accounts failed alike within 0.2 s: connection_failed"
    assert (opened.what, opened.which) == ("egress", "direct")
    assert opened.cause == "connection_failed"
    assert opened.since == T0 + 0.3
    assert opened.until is None
    assert opened.accounts == (1, 2, 3)
    assert (updated.account_count, updated.count) == (4, 4)
    assert ended.until == T0 + 2.0
    assert opened.number == updated.number == ended.number


def test_no_secret_of_a_proxy_is_in_a_trouble(notes: Notes) -> None:
    scene = Scene(Guard(notes))
    over = shared(egress="10.0.0.1:3128#0123456789abcdef")
    scene.fails(1, UNREACHABLE, 0, over=over)
    assert notes.all[0][1].which == "10.0.0.1:3128"
    assert notes.all[0][1].why == "1 account failed within 0.1 s: connection_failed"


def test_only_fifty_accounts_are_named(scene: Scene) -> None:
    cut_off(scene)
    for account in range(100):
        scene.fails(account, UNREACHABLE, 0.4, started=0.1)
    (trouble,) = scene.guard.troubles()
    assert len(trouble.accounts) == 50
    assert trouble.account_count == 100


def test_a_breaker_nobody_asks_about_is_given_up(scene: Scene, notes: Notes) -> None:
    cut_off(scene)
    scene.guard.sweep(T0 + 590)
    assert scene.what() == [("egress", "direct")]
    scene.guard.sweep(T0 + 602)
    assert scene.what() == []
    assert notes.events() == ["opened", "ended"]


def test_one_that_is_asked_about_stays(scene: Scene) -> None:
    cut_off(scene)
    for minute in range(1, 20):
        scene.gate(minute * 60)
    assert scene.what() == [("egress", "direct")]


def test_a_fault_that_is_told_keeps_what_it_says(scene: Scene) -> None:
    fault = UpstreamFault("Gone.", status=500, code="upstream_error", google=None)
    for account in (1, 2, 3):
        scene.fails(account, CRASH, account / 10, fault=fault)
    told = scene.gate(0.4).fault
    assert told is not fault
    assert (type(told), told.message) == (UpstreamFault, "Gone.")
    assert (told.status, told.code, told.blame) == (500, "upstream_error", "upstream")
    assert fault.retry_after is None


# The whole story


def test_an_outage_of_ten_seconds_leaves_forty_accounts_clean() -> None:
    """Callers come all the time; what starts while the egress is gone fails."""
    scene = Scene(Guard())
    scene.warm(40)
    struck: set[int] = set()
    back, fails_until = 0.0, 10.0
    for step in range(1500):
        at = step / 100
        account = step % 40 + 1
        over = shared()
        if scene.gate(at, over).is_held:
            continue
        if at < fails_until:
            judgement = scene.fails(account, UNREACHABLE, at, over=over)
            if not judgement.shared:
                struck.add(account)
            struck -= {pair[0] for pair in judgement.forgive}
        else:
            scene.passes(account, at, over=over)
            back = back or at
    assert struck == set()
    assert fails_until <= back <= fails_until + 2


def test_at_fifty_in_flight_a_mistaken_breaker_is_gone_with_the_first_answer(
    scene: Scene,
) -> None:
    cut_off(scene)
    assert scene.gate(0.31).is_held
    scene.passes(7, 0.35, started=0.1)
    assert scene.gate(0.36).is_open
    # Those that failed are now judged one by one again.
    assert not scene.fails(1, UNREACHABLE, 0.5).shared
