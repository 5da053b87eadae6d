"""`manage.py doctor`: what is wrong with this installation, and what to do."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from proxy import diagnosis
from proxy.diagnosis import Finding


class Command(BaseCommand):
    """Print one line per check; end with exit code 1 if one failed."""

    help = "Check configuration, database, Redis, keys, schedules and accounts."
    # They are among the findings, which must not end at the first error.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--live", action="store_true", help="one call to the provider per account"
        )

    def handle(self, **options: Any) -> None:
        found: list[Finding] = []

        def report(finding: Finding) -> None:
            found.append(finding)
            self.stdout.write(str(finding))

        for finding in diagnosis.examine():
            report(finding)
        if options["live"] and not _failed(found, "database"):
            diagnosis.live(report)
        failures = sum(finding.level == "FAIL" for finding in found)
        if failures:
            raise CommandError(f"{failures} checks failed.")


def _failed(found: list[Finding], subject: str) -> bool:
    return any(f.level == "FAIL" and f.subject.startswith(subject) for f in found)
