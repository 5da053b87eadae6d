"""Which project and tier a Code Assist account has: asked, joined, waited for."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from proxy.errors import AccountRefused, UpstreamTimeout
from proxy.wire.code_assist_tiers import (
    Standing,
    project_of,
    read_standing,
    takes_project,
)
from proxy.wire.gemini_answer import mapping

#: Calls ``v1internal``: method and body, or an operation's name and None.
Call = Callable[[str, dict[str, Any] | None], Awaitable[dict[str, Any]]]

POLL_SECONDS = 2.0
MOST_POLLS = 30
#: ``pluginType`` names the product whose tiers are asked about, which is Gemini Code
#: Assist whatever program asks; nothing else is known to be answered. What would
#: describe that program stays unspecified: who we are is in the User-Agent.
_METADATA = {
    "ideType": "IDE_UNSPECIFIED",
    "platform": "PLATFORM_UNSPECIFIED",
    "pluginType": "GEMINI",
}
_PERIMETER = "security_policy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an account's requests are counted, and as what."""

    project: str
    standing: Standing


async def discover(call: Call, project: str = "") -> Place:
    """Ask for the account's standing; join a tier if it has none yet.

    ``project`` is the one that its owner named; Google's word counts more. Raises the
    fault that tells what is in the way.
    """
    try:
        standing = read_standing(await call("loadCodeAssist", _asking(project)))
    except AccountRefused as fault:
        # Inside a perimeter nobody is told, but a named project may well work.
        if fault.cause != _PERIMETER or not project:
            raise
        return Place(project=project, standing=Standing(tier="standard-tier"))
    obstacle = standing.obstacle()
    if obstacle is not None:
        raise obstacle
    if standing.tier:
        return _placed(standing, standing.project or project)
    joined = await _join(call, standing, project)
    tier = replace(standing, tier=standing.joins)
    return _placed(tier, joined or standing.project or project)


async def _join(call: Call, standing: Standing, project: str) -> str:
    """Join the tier that is offered; return the project that comes with it."""
    named = project if takes_project(standing.joins) else ""
    body = {"tierId": standing.joins, **_asking(named)}
    operation = await call("onboardUser", body)
    for _ in range(MOST_POLLS):
        if operation.get("done"):
            return _outcome(operation)
        name = operation.get("name")
        if not isinstance(name, str) or not name:
            break
        await asyncio.sleep(POLL_SECONDS)
        operation = await call(name, None)
    raise UpstreamTimeout("Joining a Code Assist tier takes too long.")


def _outcome(operation: dict[str, Any]) -> str:
    error = mapping(operation.get("error"))
    if error:
        said = str(error.get("message") or "without a reason")[:200]
        raise AccountRefused(
            f"Google did not let the account join: {said}", cause="no_license"
        )
    return project_of(mapping(operation.get("response")))


def _asking(project: str) -> dict[str, Any]:
    if not project:
        return {"metadata": _METADATA}
    metadata = {**_METADATA, "duetProject": project}
    return {"metadata": metadata, "cloudaicompanionProject": project}


def _placed(standing: Standing, project: str) -> Place:
    if not project:
        raise AccountRefused(
            "The account needs a Cloud project with Gemini for Google Cloud enabled:"
            " import it again with project_id.",
            cause="bad_project",
        )
    return Place(project=project, standing=standing)
