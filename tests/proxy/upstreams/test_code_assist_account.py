"""Finding the project and the tier of an account, call by call."""

from typing import Any

import pytest

from proxy.errors import AccountRefused, Fault, UpstreamTimeout
from proxy.upstreams import code_assist_account
from proxy.upstreams.code_assist_account import discover

FREE = {"id": "free-tier", "name": "Free", "isDefault": True}
STANDARD = {"id": "standard-tier", "name": "Standard"}


class Backend:
    """Answers calls from a list; keeps what it was asked."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, Any]] = []

    async def __call__(self, name: str, body: Any) -> dict[str, Any]:
        self.asked.append((name, body))
        answer = self.answers.pop(0)
        if isinstance(answer, Fault):
            raise answer
        return answer

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.asked]


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(code_assist_account, "POLL_SECONDS", 0)


@pytest.mark.parametrize("project", ["its-own", {"id": "its-own"}])
async def test_googles_project_counts_more_than_the_named_one(project):
    backend = Backend({"currentTier": STANDARD, "cloudaicompanionProject": project})
    place = await discover(backend, "named-one")
    assert (place.project, place.standing.tier) == ("its-own", "standard-tier")
    assert backend.asked[0][1]["cloudaicompanionProject"] == "named-one"
    assert backend.asked[0][1]["metadata"]["duetProject"] == "named-one"


async def test_the_named_project_serves_when_google_has_none():
    place = await discover(Backend({"currentTier": STANDARD}), "named-one")
    assert place.project == "named-one"


async def test_without_any_project_the_owner_is_asked_for_one():
    with pytest.raises(AccountRefused, match="project_id") as caught:
        await discover(Backend({"currentTier": STANDARD}))
    assert caught.value.cause == "bad_project"


async def test_a_paid_tier_names_the_account():
    answer = {"currentTier": FREE, "paidTier": {"id": "g1-pro-tier", "name": "Pro"}}
    place = await discover(Backend({**answer, "cloudaicompanionProject": "p-1"}))
    assert (place.standing.tier, place.standing.tier_name) == ("g1-pro-tier", "Pro")


async def test_the_default_tier_is_joined_and_waited_for():
    backend = Backend(
        {"allowedTiers": [STANDARD, FREE]},
        {"name": "operations/1"},
        {"name": "operations/1"},
        {"done": True, "response": {"cloudaicompanionProject": {"id": "made-1"}}},
    )
    place = await discover(backend, "named-one")
    assert (place.project, place.standing.tier) == ("made-1", "free-tier")
    assert backend.names == ["loadCodeAssist", "onboardUser"] + ["operations/1"] * 2
    # The free tier refuses any project.
    assert "cloudaicompanionProject" not in backend.asked[1][1]
    assert "duetProject" not in backend.asked[1][1]["metadata"]


async def test_other_tiers_are_joined_with_the_named_project():
    backend = Backend({"allowedTiers": [STANDARD]}, {"done": True, "response": {}})
    assert (await discover(backend, "named-one")).project == "named-one"
    assert backend.asked[1][1]["cloudaicompanionProject"] == "named-one"
    assert backend.asked[1][1]["tierId"] == "standard-tier"


async def test_an_account_of_which_nothing_is_said_joins_the_legacy_tier():
    done = {"done": True, "response": {"cloudaicompanionProject": {"id": "made-1"}}}
    backend = Backend({}, done)
    await discover(backend)
    assert backend.asked[1][1]["tierId"] == "legacy-tier"


async def test_a_join_without_end_is_given_up():
    backend = Backend({"allowedTiers": [FREE]}, *[{"name": "operations/1"}] * 99)
    with pytest.raises(UpstreamTimeout):
        await discover(backend)
    assert len(backend.asked) == 2 + code_assist_account.MOST_POLLS


async def test_an_operation_without_a_name_is_not_waited_for():
    backend = Backend({"allowedTiers": [FREE]}, {})
    with pytest.raises(UpstreamTimeout):
        await discover(backend)
    assert len(backend.asked) == 2


async def test_a_join_that_fails_is_the_accounts_fault():
    error = {"code": 7, "message": "No licence."}
    backend = Backend({"allowedTiers": [FREE]}, {"done": True, "error": error})
    with pytest.raises(AccountRefused, match="No licence") as caught:
        await discover(backend)
    assert caught.value.cause == "no_license"


async def test_behind_a_perimeter_the_named_project_is_tried():
    hidden = AccountRefused(cause="security_policy")
    assert (await discover(Backend(hidden), "named-one")).project == "named-one"
    with pytest.raises(AccountRefused):
        await discover(Backend(AccountRefused(cause="security_policy")))


async def test_other_refusals_of_the_first_question_are_told_as_they_are():
    with pytest.raises(AccountRefused) as caught:
        await discover(Backend(AccountRefused(cause="tos_violation")), "named-one")
    assert caught.value.cause == "tos_violation"
