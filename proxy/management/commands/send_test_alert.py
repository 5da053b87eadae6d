"""`manage.py send_test_alert`: does an alert reach the operators?"""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from gemproxy.lib import clock
from proxy.alerts.channels import Line, NotTold, in_use
from proxy.models import Alert


class Command(BaseCommand):
    help = "Send a test alert by webhook and e-mail, as far as they are set up."

    def handle(self, **_: Any) -> None:
        channels = in_use()
        if not channels:
            raise CommandError("Set ALERT_WEBHOOK_URL, or ALERT_EMAILS with EMAIL_URL.")
        at = f"{clock.now():%Y-%m-%d %H:%M:%S} UTC"
        line = Line("test", "This is a test: alerts of gemproxy arrive here.", at)
        failed = 0
        for name, channel in channels.items():
            label = Alert.Channel(name).label
            try:
                channel([line])
            except NotTold as trouble:
                failed += 1
                self.stdout.write(f"{label}: {trouble}")
            else:
                self.stdout.write(f"{label}: sent")
        if failed:
            raise CommandError(f"{failed} of {len(channels)} did not take it.")
