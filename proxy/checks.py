"""System checks of the gateway, with ids and hints."""

from typing import Any

from django.core.checks import CheckMessage, Error, register

from proxy import schedules


@register()
def check_schedules(**_: Any) -> list[CheckMessage]:
    """Report scheduled jobs that could not run."""
    found: list[CheckMessage] = []
    for job in schedules.JOBS:
        try:
            job.function()
        except (ImportError, TypeError) as error:
            found.append(
                Error(
                    f"The scheduled job {job.name!r} cannot run: {error}.",
                    hint=f"Look at {job.path} and at proxy/schedules.py.",
                    id="gemproxy.E010",
                )
            )
    return found
