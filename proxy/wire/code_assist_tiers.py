"""What the Code Assist backend says about an account: its tier, project and obstacles."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from proxy.errors import AccountRefused, Fault
from proxy.wire.gemini_answer import dicts, mapping

_FREE = "free-tier"
_LEGACY = "legacy-tier"
#: Why a tier is closed to an account: the cause that the operator sees.
_CAUSES = {
    "VALIDATION_REQUIRED": "validation_required",
    "UNSUPPORTED_CLIENT": "no_license",
    "INELIGIBLE_ACCOUNT": "no_license",
    "NON_USER_ACCOUNT": "no_license",
    "DASHER_USER": "no_license",
    "RESTRICTED_AGE": "no_license",
    "UNSUPPORTED_LOCATION": "region",
    "UNKNOWN_LOCATION": "region",
    "RESTRICTED_NETWORK": "region",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ineligible:
    """A tier that an account cannot have, and why."""

    tier: str
    reason: str
    message: str
    link: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """An account as loadCodeAssist describes it; what it does not say is empty.

    ``joins`` is the tier to be joined first, when there is no current one.
    """

    tier: str = ""
    tier_name: str = ""
    project: str = ""
    joins: str = ""
    needs_project: bool = False
    ineligible: tuple[Ineligible, ...] = ()

    def obstacle(self) -> Fault | None:
        """Return why the account cannot be used, if only a human can change that."""
        if self.tier or not self.ineligible:
            return None
        first = next((t for t in self.ineligible if t.link), self.ineligible[0])
        if self.joins and first.reason != "VALIDATION_REQUIRED":
            return None
        return AccountRefused(
            f"The account has no tier: {first.message or first.reason}"[:300],
            code="permission_denied",
            cause=_CAUSES.get(first.reason, "refused_unclear"),
            link=first.link,
        )


def read_standing(data: Mapping[str, Any]) -> Standing:
    """Read the answer of loadCodeAssist."""
    current, paid = mapping(data.get("currentTier")), mapping(data.get("paidTier"))
    chosen = paid if paid.get("id") else current
    joined = {} if current else _first_choice(data.get("allowedTiers"))
    ineligible = tuple(map(_ineligible, dicts(data.get("ineligibleTiers"))))
    otherwise = "" if ineligible else _LEGACY
    return Standing(
        tier=_text(chosen, "id") if current else "",
        tier_name=_text(chosen, "name") if current else "",
        project=project_of(data),
        joins="" if current else _text(joined, "id") or otherwise,
        needs_project=bool(
            (current or joined).get("userDefinedCloudaicompanionProject")
        ),
        ineligible=ineligible,
    )


def project_of(data: Mapping[str, Any]) -> str:
    """Return the project in an answer, which is a string or an object with an id."""
    found = data.get("cloudaicompanionProject")
    return found if isinstance(found, str) else _text(mapping(found), "id")


def takes_project(tier: str) -> bool:
    """Tell whether joining a tier may name a project; the free one refuses that."""
    return tier != _FREE


def model_ids(quota: Mapping[str, Any]) -> list[str]:
    """Return the models in the answer of retrieveUserQuota, each once."""
    found = (_text(bucket, "modelId") for bucket in dicts(quota.get("buckets")))
    return [name for name in dict.fromkeys(found) if name]


def _first_choice(tiers: object) -> Mapping[str, Any]:
    offered = list(dicts(tiers))
    usual = (tier for tier in offered if tier.get("isDefault"))
    return next(usual, offered[0] if offered else {})


def _ineligible(tier: Mapping[str, Any]) -> Ineligible:
    return Ineligible(
        tier=_text(tier, "tierId"),
        reason=_text(tier, "reasonCode") or "UNKNOWN",
        message=_text(tier, "validationErrorMessage") or _text(tier, "reasonMessage"),
        link=_text(tier, "validationUrl"),
    )


def _text(values: Mapping[str, Any], name: str) -> str:
    value = values.get(name)
    return value if isinstance(value, str) else ""
