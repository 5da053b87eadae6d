"""The quotas that Google names, and what they teach."""

from typing import Any

import pytest

from proxy.errors import Fault, Overloaded, Quota, RateLimited
from proxy.wire.google_errors import read_error
from proxy.wire.quotas import bucket_of, learned_limit
from tests.proxy.wire.error_samples import (
    NOON,
    PER_DAY,
    PER_MINUTE,
    body,
    info,
    violation,
    violations,
)


def read(message: str, *details: dict[str, Any]) -> Fault:
    raw = body(429, message, "RESOURCE_EXHAUSTED", *details)
    return read_error(429, raw, {}, now=NOON)


def quota(*details: dict[str, Any]) -> Quota:
    found = read("m", *details).quota
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("quota_id", "metric", "unit", "period"),
    [
        ("GenerateRequestsPerMinutePerProjectPerModel-FreeTier", "", "requests", "minute"),
        ("GenerateContentPaidTierInputTokensPerModelPerMinute", "", "tokens", "minute"),
        ("GenerateRequestsPerDayPerProjectPerModel-FreeTier", "", "requests", "day"),
        ("GenerateContentInputTokensPerModelPerDay", "", "tokens", "day"),
        ("XPerMinute", "g.com/generate_content_free_tier_input_token_count", "tokens", "minute"),
        ("XPerMinute", "g.com/generate_content_free_tier_requests", "requests", "minute"),
        ("ImagesPerMinute", "g.com/images", "", "minute"),
        ("Concurrent", "", "", ""),
    ],
)  # fmt: skip
def test_a_quota_says_what_it_counts_and_per_what(
    quota_id: str, metric: str, unit: str, period: str
) -> None:
    found = quota(violations({"quotaId": quota_id, "quotaMetric": metric}))
    assert (found.unit, found.period) == (unit, period)


@pytest.mark.parametrize(
    ("named", "per_model"),
    [
        (PER_MINUTE, True),
        ({"quotaId": "RequestsPerMinutePerProjectPerModel"}, True),
        ({"quotaId": "requests_per_minute_per_base_model"}, True),
        ({"quotaId": "RequestsPerMinute", "quotaDimensions": {"model": "x"}}, True),
        ({"quotaId": "RequestsPerMinute", "quotaDimensions": {"base_model": "x"}}, True),
        ({"quotaId": "RequestsPerMinutePerProjectPerRegion"}, False),
        ({"quotaMetric": "g.com/requests"}, False),
        ({"quotaValue": "5"}, True),
    ],
)  # fmt: skip
def test_only_a_named_quota_without_a_model_is_the_whole_project_s(
    named: dict[str, Any], per_model: bool
) -> None:
    assert quota(violations(named)).per_model is per_model


def test_a_limit_without_details_is_not_taken_for_the_whole_project_s() -> None:
    assert quota() == Quota()
    assert quota().per_model


def test_the_message_may_tell_the_period() -> None:
    found = read("Quota exceeded: 15 requests per minute").quota
    assert found == Quota(period="minute")


METADATA = {
    "consumer": "projects/411082643095",
    "quota_limit": "GenerateContentRequestsPerMinutePerProjectPerRegion",
    "quota_limit_value": "60",
    "quota_metric": "generativelanguage.googleapis.com/generate_content_requests",
    "quota_location": "us-east1",
    "quota_unit": "1/min/{project}/{region}",
}


def test_a_quota_may_stand_in_the_error_info() -> None:
    found = quota(info("RATE_LIMIT_EXCEEDED", **METADATA))
    assert (found.id, found.value) == (METADATA["quota_limit"], 60)
    assert (found.period, found.unit, found.per_model) == ("minute", "requests", False)
    assert found.dimensions == {"location": "us-east1"}


@pytest.mark.parametrize(
    ("unit", "period"), [("1/d/{project}", "day"), ("1/min/{project}", "minute")]
)
def test_the_unit_tells_the_period_where_the_name_does_not(
    unit: str, period: str
) -> None:
    found = quota(info("RATE_LIMIT_EXCEEDED", quota_limit="Requests", quota_unit=unit))
    assert found.period == period


def test_of_several_violations_the_one_that_lasts_longest_counts() -> None:
    tokens = violation("InputTokensPerModelPerMinute", "250000")
    assert quota(violations(tokens, PER_DAY, PER_MINUTE)).value == 250
    assert quota(violations(tokens, PER_MINUTE)).value == 250000


@pytest.mark.parametrize("value", ["many", "", "-1", "1" * 5000, "²"])
def test_a_value_that_is_no_number_is_none(value: str) -> None:
    found = quota(violations({**PER_MINUTE, "quotaValue": value}))
    assert found.value is None
    assert learned_limit(found) is None


@pytest.mark.parametrize(
    ("found", "limit"),
    [
        (Quota(value=15, period="minute", unit="requests"), ("rpm", 15)),
        (Quota(value=250000, period="minute", unit="tokens"), ("tpm", 250000)),
        (Quota(value=250, period="day", unit="requests"), ("rpd", 250)),
        (Quota(value=5, period="day", unit="tokens"), ("tpd", 5)),
        (Quota(value=0, period="day", unit="requests"), None),
        (Quota(period="day", unit="requests"), None),
        (Quota(value=5, unit="requests"), None),
        (Quota(value=5, period="minute"), None),
    ],
)
def test_a_limit_is_learned_where_number_unit_and_period_are_known(
    found: Quota, limit: tuple[str, int] | None
) -> None:
    assert learned_limit(found) == limit


CONSUMER = "Quota exceeded for consumer 'project_number:411082643095'."


@pytest.mark.parametrize(
    "fault",
    [
        read("m", info("RATE_LIMIT_EXCEEDED", consumer="projects/411082643095")),
        read("m", info("X", **METADATA), violations(PER_MINUTE)),
        read(CONSUMER),
        read("Quota exceeded for consumer 'projects/411082643095'."),
        read("m", violations(violation("XPerMinute", "5", project="411082643095"))),
        read("m", violations(violation("XPerDay", "5", project_id="projects/411082643095"))),
    ],
)  # fmt: skip
def test_keys_of_one_project_share_a_bucket(fault: Fault) -> None:
    assert bucket_of(fault) == bucket_of(read(CONSUMER)) != ""


def test_a_bucket_does_not_name_the_project() -> None:
    fault = read(CONSUMER, info("X", **METADATA), violations(PER_MINUTE))
    assert bucket_of(fault).isalnum()
    assert "411082643095" not in repr(fault.quota) + repr(fault.google)


def test_other_projects_have_other_buckets() -> None:
    one, other = (
        read("m", info("X", consumer=f"projects/{number}")) for number in (1, 2)
    )
    assert bucket_of(one) != bucket_of(other)


@pytest.mark.parametrize(
    "fault",
    [
        read("m", violations(PER_MINUTE)),
        read("m", info("X", consumer="api_key:AIzaSyA")),
        read("m", info("X", consumer="projects/")),
        RateLimited(),
        Overloaded(),
    ],
)
def test_an_error_that_names_no_project_has_no_bucket(fault: Fault) -> None:
    assert bucket_of(fault) == ""
