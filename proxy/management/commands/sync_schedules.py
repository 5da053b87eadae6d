"""Write the declared schedules into the job queue's table."""

from typing import Any

from django.core.management.base import BaseCommand

from proxy import schedules


class Command(BaseCommand):
    help = "Write the declared schedules into the job queue's table."

    def handle(self, **_: Any) -> None:
        changes = schedules.sync()
        for line in changes:
            self.stdout.write(line)
        if not changes:
            self.stdout.write("The schedules are as declared.")
