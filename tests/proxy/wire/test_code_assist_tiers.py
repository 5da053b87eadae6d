"""What loadCodeAssist says, as we read it."""

import pytest

from proxy.wire.code_assist_tiers import (
    model_ids,
    project_of,
    read_standing,
    takes_project,
)


def closed(reason, **more):
    return {"tierId": "free-tier", "reasonCode": reason, "reasonMessage": "No.", **more}


@pytest.mark.parametrize(
    ("reason", "cause"),
    [
        ("UNSUPPORTED_CLIENT", "no_license"),
        ("DASHER_USER", "no_license"),
        ("RESTRICTED_AGE", "no_license"),
        ("UNSUPPORTED_LOCATION", "region"),
        ("RESTRICTED_NETWORK", "region"),
        ("A_NEW_REASON", "refused_unclear"),
    ],
)
def test_a_closed_tier_without_another_is_an_obstacle(reason, cause):
    fault = read_standing({"ineligibleTiers": [closed(reason)]}).obstacle()
    assert fault is not None
    assert (fault.cause, fault.link) == (cause, "")
    assert "No." in fault.message


def test_a_verification_is_an_obstacle_even_where_another_tier_is_open():
    verify = closed("VALIDATION_REQUIRED", validationUrl="https://v.example/x")
    offered = [{"id": "standard-tier", "isDefault": True}]
    standing = read_standing(
        {
            "ineligibleTiers": [closed("DASHER_USER"), verify],
            "allowedTiers": offered,
        }
    )
    fault = standing.obstacle()
    assert fault is not None
    assert (fault.cause, fault.link) == ("validation_required", "https://v.example/x")


@pytest.mark.parametrize(
    "answer",
    [
        {"currentTier": {"id": "standard-tier"}, "ineligibleTiers": [closed("X")]},
        {"allowedTiers": [{"id": "a"}], "ineligibleTiers": [closed("DASHER_USER")]},
        {},
    ],
    ids=["has one", "may join one", "nothing said"],
)
def test_nothing_is_in_the_way_of_other_accounts(answer):
    assert read_standing(answer).obstacle() is None


def test_malformed_answers_say_nothing():
    standing = read_standing(
        {"currentTier": "x", "allowedTiers": {"a": 1}, "ineligibleTiers": [3]}
    )
    assert (standing.tier, standing.project, standing.joins) == ("", "", "legacy-tier")
    assert standing.ineligible == ()


def test_a_tier_that_wants_an_own_project_is_marked():
    own = {"id": "standard-tier", "userDefinedCloudaicompanionProject": True}
    assert read_standing({"currentTier": own}).needs_project
    assert read_standing({"allowedTiers": [own]}).needs_project
    assert not read_standing({"currentTier": {"id": "free-tier"}}).needs_project


@pytest.mark.parametrize(
    ("value", "project"),
    [("a-b", "a-b"), ({"id": "a-b"}, "a-b"), ({"id": 3}, ""), (None, ""), ([], "")],
)
def test_a_project_is_a_string_or_an_object(value, project):
    assert project_of({"cloudaicompanionProject": value}) == project


def test_only_the_free_tier_takes_no_project():
    assert [takes_project(t) for t in ("free-tier", "standard-tier", "x")] == [
        False,
        True,
        True,
    ]


def test_models_are_named_once_each_in_their_order():
    buckets = [{"modelId": "b"}, {"modelId": "a"}, {"modelId": "b"}, {}, 7]
    assert model_ids({"buckets": buckets}) == ["b", "a"]
    assert model_ids({"buckets": None}) == []
