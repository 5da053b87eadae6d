"""Accounts come, change and go; what was learned stays with those that stay."""

from typing import Any

import pytest

from proxy.scheduling.health import Rest
from proxy.scheduling.quota import UNKNOWN, Limits
from proxy.scheduling.roster import Roster
from proxy.scheduling.slots import Member, Slot
from tests.proxy.scheduling.pools import KIND, NOON, member


def roster(*members: Member) -> Roster:
    made = Roster()
    made.replace(members or [member(1), member(2)], None, NOON)
    return made


def slot(found: Roster, number: int = 1, model: str = "m") -> Slot:
    made = found.slot(number, model, NOON)
    assert made is not None
    return made


def rest(until: float = NOON + 60, **fields: Any) -> Rest:
    base = {"model": "m", "cause": "quota_minute", "since": NOON, "until": until}
    return Rest(**{**base, **fields})


def ready(found: Roster, model: str = "m") -> set[int]:
    tiers = found.ready_set(KIND, model, NOON).tiers
    return {slot.account_id for tier in tiers for slot in tier.slots}


def test_each_model_has_its_own_slots() -> None:
    found = roster()
    assert slot(found, 1, "a") is not slot(found, 1, "b")
    assert slot(found, 1, "a") is slot(found, 1, "a")
    assert ready(found, "a") == {1, 2}
    assert found.slot(9, "a", NOON) is None


def test_an_account_that_is_added_serves_known_models() -> None:
    found = roster()
    ready(found)
    found.put(member(3), NOON)
    assert ready(found) == {1, 2, 3}


def test_an_account_that_changes_keeps_what_is_known_of_it() -> None:
    found = roster()
    one = slot(found)
    one.window.count(NOON, 0)
    one.health.failed(NOON)
    found.rest(1, rest(), NOON)
    found.put(member(1, priority=3, label="new", limits=Limits(rpm=7)), NOON)
    assert slot(found) is one
    assert one.window.usage(NOON).requests == 1
    assert one.health.record.strikes == 1
    assert one.rest is not None
    assert one.limits == Limits(rpm=7)
    assert (one.member.priority, one.member.label) == (3, "new")
    assert ready(found) == {2}


def test_a_new_priority_moves_a_ready_slot() -> None:
    found = roster()
    ready(found)
    found.put(member(1, priority=9), NOON)
    tiers = found.ready_set(KIND, "m", NOON).tiers
    assert [[s.account_id for s in t.slots] for t in tiers] == [[2], [1]]


def test_accounts_that_are_gone_are_dropped() -> None:
    found = roster()
    one = slot(found)
    found.rest(1, rest(), NOON)
    found.replace([member(2)], None, NOON)
    assert ready(found) == {2}
    assert not found.rest(1, rest(), NOON)
    assert not found.end_rest(1, "m", NOON)
    assert not one.ready_set.place(one, NOON)
    found.drop(1)


def test_one_account_is_read_again_by_its_id() -> None:
    found = roster()
    found.replace([member(1, state="disabled")], 1, NOON)
    assert ready(found) == {2}
    found.replace([], 2, NOON)
    assert ready(found) == set()
    assert list(found.members) == [1]


def test_an_account_may_change_its_kind() -> None:
    found = roster()
    ready(found)
    found.put(member(1, kind="other"), NOON)
    assert ready(found) == {2}
    assert list(found.kind("other")) == [1]


@pytest.mark.parametrize(
    ("concurrency", "seats"), [((2, 3), 5), ((0, 3), None), ((1, 0), None)]
)
def test_seats_are_those_of_all_usable_accounts(
    concurrency: tuple[int, int], seats: int | None
) -> None:
    one, two = (member(n, concurrency=c) for n, c in enumerate(concurrency, 1))
    found = roster(one, two, member(3, state="disabled"))
    assert found.seats(KIND) == seats
    assert found.usable(KIND) == 2
    found.shelve(one, "leaked", NOON)
    assert found.usable(KIND) == 1
    assert (found.usable("none"), found.seats("none")) == (0, 0)


def test_a_longer_rest_is_not_shortened() -> None:
    found = roster()
    assert found.rest(1, rest(NOON + 60), NOON)
    assert not found.rest(1, rest(NOON + 30), NOON)
    assert found.rest(1, rest(NOON + 90), NOON)
    kept = slot(found).rest
    assert kept is not None
    assert kept.until == NOON + 90


def test_a_rest_of_the_account_holds_for_all_models() -> None:
    found = roster()
    ready(found, "a"), ready(found, "b")
    found.rest(1, rest(model=""), NOON)
    assert (ready(found, "a"), ready(found, "b")) == ({2}, {2})
    assert found.end_rest(1, "", NOON)
    assert (ready(found, "a"), ready(found, "b")) == ({1, 2}, {1, 2})


def test_a_quota_does_not_make_up_for_failures() -> None:
    found = roster()
    found.rest(1, rest(NOON + 10, canary=True, strikes=4), NOON)
    found.rest(1, rest(NOON + 60), NOON)
    kept = slot(found).rest
    assert kept is not None
    assert (kept.cause, kept.canary, kept.strikes) == ("quota_minute", True, 4)
    assert slot(found).half_open


def test_ending_a_rest_from_failures_forgets_them() -> None:
    found = roster()
    one = slot(found)
    for _ in range(3):
        one.health.failed(NOON)
    found.rest(1, rest(canary=True, strikes=3), NOON)
    assert found.end_rest(1, "m", NOON)
    assert one.health.record.strikes == 0
    assert not one.half_open


def test_an_operator_clears_all_at_once() -> None:
    found = roster()
    one = slot(found)
    one.health.failed(NOON)
    found.rest(1, rest(), NOON)
    found.rest(1, rest(model=""), NOON)
    found.shelve(one.member, "leaked", NOON)
    found.put(member(1, cleared=NOON + 5, since=NOON + 5), NOON + 5)
    assert ready(found) == {1, 2}
    assert one.health.record.strikes == 0
    # Once read, the same row clears nothing again.
    found.rest(1, rest(), NOON + 6)
    found.put(member(1, cleared=NOON + 5, since=NOON + 5), NOON + 6)
    assert ready(found) == {2}


@pytest.mark.parametrize(
    ("row", "back"),
    [
        ({"since": NOON - 100}, False),
        ({"since": NOON + 1}, True),
        ({"since": NOON - 100, "cleared": NOON + 1}, True),
        ({"since": NOON + 1, "state": "needs_attention", "config": None}, False),
    ],
)
def test_a_row_read_too_early_does_not_bring_an_account_back(
    row: dict[str, Any], back: bool
) -> None:
    found = roster(member(1, since=NOON - 100))
    found.shelve(slot(found).member, "leaked", NOON)
    assert ready(found) == set()
    found.put(member(1, **row), NOON + 2)
    assert ready(found) == ({1} if back else set())


def test_a_new_credential_brings_an_account_back() -> None:
    found = roster(member(1))
    found.shelve(slot(found).member, "leaked", NOON)
    fresh = member(1)
    fresh.config = member(77).config
    found.put(fresh, NOON)
    assert ready(found) == {1}


class TestRestsOfTheDatabase:
    """What others wrote counts; what is not written yet is left alone."""

    def test_they_are_taken_in(self) -> None:
        found = roster()
        found.take_rests({(1, "m"): rest(), (9, "m"): rest()}, None, NOON, NOON)
        assert ready(found) == {2}

    def test_what_was_ended_elsewhere_ends(self) -> None:
        found = roster()
        found.take_rests({(1, "m"): rest(), (2, "m"): rest()}, None, NOON, NOON)
        found.take_rests({(2, "m"): rest()}, None, NOON + 1, NOON + 1)
        assert ready(found) == {1}

    def test_one_account_says_nothing_of_another(self) -> None:
        found = roster()
        found.take_rests({(1, "m"): rest(), (2, "m"): rest()}, None, NOON, NOON)
        found.take_rests({}, 1, NOON + 1, NOON + 1)
        assert ready(found) == {1}

    def test_what_is_not_written_yet_stays(self) -> None:
        found = roster()
        mine = rest()
        found.rest(1, mine, NOON)
        found.take_rests({}, None, NOON + 1, NOON + 1)
        assert slot(found).rest is mine
        found.note_kept(1, mine, NOON + 2)
        # Read before it was written.
        found.take_rests({}, None, NOON + 1, NOON + 3)
        assert slot(found).rest is mine
        found.take_rests({}, None, NOON + 3, NOON + 3)
        assert slot(found).rest is None

    def test_a_longer_one_of_ours_stays_until_it_is_written(self) -> None:
        found = roster()
        found.rest(1, rest(NOON + 90), NOON)
        found.take_rests({(1, "m"): rest(NOON + 60)}, None, NOON, NOON)
        assert (slot(found).until or 0) == NOON + 90

    def test_an_operator_may_shorten_one(self) -> None:
        found = roster()
        mine = rest(NOON + 90)
        found.rest(1, mine, NOON)
        found.note_kept(1, mine, NOON)
        found.take_rests({(1, "m"): rest(NOON + 5)}, None, NOON + 1, NOON + 1)
        assert (slot(found).until or 0) == NOON + 5

    def test_strikes_come_back_with_them(self) -> None:
        found = roster()
        stored = rest(NOON + 60, canary=True, strikes=5)
        found.take_rests({(1, "m"): stored}, None, NOON, NOON)
        assert slot(found).health.record.strikes == 5
        assert slot(found).half_open

    def test_one_that_ran_out_there_stays_half_open_here(self) -> None:
        found = roster()
        stored = rest(NOON + 60, canary=True, strikes=5)
        found.take_rests({(1, "m"): stored}, None, NOON, NOON)
        found.take_rests({}, None, NOON + 61, NOON + 61)
        assert slot(found).half_open


class TestLimits:
    """The operator's value, else what was learned, else what the tier grants."""

    def test_they_stand_over_each_other(self) -> None:
        flash = "gemini-2.5-flash"
        found = roster(member(1, tier="free", limits=Limits(rpm=3)))
        assert slot(found, 1, flash).limits == Limits(3, 250_000, 250)
        found.learn((1, ""), Limits(tpm=500, rpd=600), "", NOON)
        found.learn((1, flash), Limits(rpm=9, rpd=50), "", NOON)
        assert slot(found, 1, flash).limits == Limits(3, 500, 50)
        assert slot(found, 1, "m").limits == Limits(3, 500, 600)
        found.put(member(1, tier=""), NOON)
        assert slot(found, 1, flash).limits == Limits(9, 500, 50)

    def test_what_was_learned_may_be_forgotten(self) -> None:
        found = roster()
        for number in (1, 2):
            slot(found, number)
            found.learn((number, "m"), Limits(rpm=1), "", NOON)
        found.unlearn(1)
        found.refresh_limits(1, NOON)
        assert [slot(found, n).limits.rpm for n in (1, 2)] == [None, 1]
        found.unlearn(None)
        found.refresh_limits(None, NOON)
        assert slot(found, 2).limits == UNKNOWN

    def test_a_limit_that_is_learned_takes_effect_at_once(self) -> None:
        found = roster()
        slot(found).window.count(NOON, 0)
        found.learn((1, "m"), Limits(rpm=1), "", NOON)
        assert ready(found) == {2}
        found.learn((9, "m"), Limits(rpm=1), "", NOON)

    def test_keys_of_one_project_count_together(self) -> None:
        found = roster(member(1), member(2), member(3))
        for number in (1, 2):
            slot(found, number).window.count(NOON, 10)
            found.learn((number, "m"), Limits(rpm=3), "project", NOON)
        one, two, other = (slot(found, number) for number in (1, 2, 3))
        assert one.window is two.window
        assert one.window is not other.window
        assert one.window.usage(NOON).requests == 2
        assert list(found.mates(two)) == [two, one]
        assert list(found.mates(other)) == [other]
        one.window.count(NOON, 0)
        found.refresh_limits(None, NOON)
        assert ready(found) == {3}

    def test_a_mate_knows_the_limit_without_having_met_it(self) -> None:
        found = roster()
        found.learn((1, "m"), Limits(rpm=3), "project", NOON)
        found.learn((2, "x"), UNKNOWN, "project", NOON)
        assert slot(found, 2).limits == Limits(rpm=3)
        assert slot(found, 2).window is slot(found, 1).window
