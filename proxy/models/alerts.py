"""What operators are told of."""

from django.db import models

from gemproxy.lib import clock


class Alert(models.Model):
    """One thing to tell by one channel; it is told once, later if it must be."""

    class Channel(models.TextChoices):
        WEBHOOK = "webhook", "Webhook"
        EMAIL = "email", "E-mail"

    class What(models.TextChoices):
        ATTENTION = "account_needs_attention", "Account needs attention"
        DISABLED = "account_disabled", "Account disabled"
        COOKIES = "cookies_ending", "Cookies end soon"
        OPENED = "incident_opened", "Incident"
        ENDED = "incident_ended", "Incident over"
        OUT = "kind_out", "No usable account"
        BACK = "kind_back", "Usable accounts again"

    channel = models.CharField(max_length=10, choices=Channel)
    # The same news has the same key, whoever finds it and how often.
    key = models.CharField(max_length=120)
    what = models.CharField(max_length=24, choices=What)
    text = models.CharField(max_length=600)
    about = models.JSONField(default=dict)
    at = models.DateTimeField()
    created_at = models.DateTimeField(default=clock.now, db_index=True)
    # The sender asks each minute for what is due; empty: nothing more to do.
    next_try_at = models.DateTimeField(null=True, default=clock.now, db_index=True)
    claim = models.CharField(max_length=32, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    error = models.CharField(max_length=200, blank=True)
    sent_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["at", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["channel", "key"], name="one_alert_a_channel"
            )
        ]

    def __str__(self) -> str:
        return f"{self.channel}: {self.key}"
