"""Incidents: troubles that accounts shared, and that were held against none of them."""

from django.db import models


class Incident(models.Model):
    """One trouble, as one server process met it; ``until`` is empty while it lasts."""

    class What(models.TextChoices):
        EGRESS = "egress", "Egress"
        MODEL = "model", "Model"
        REQUEST = "request", "Request"

    what = models.CharField(max_length=10, choices=What)
    which = models.CharField(max_length=200)
    cause = models.CharField(max_length=60)
    why = models.CharField(max_length=300)
    since = models.DateTimeField(db_index=True)
    until = models.DateTimeField(null=True, blank=True, db_index=True)
    #: Its process writes at least every few minutes while it lasts.
    updated_at = models.DateTimeField()
    owner = models.CharField(max_length=120, editable=False)
    accounts = models.JSONField(default=list)
    account_count = models.PositiveIntegerField(default=0)
    count = models.PositiveIntegerField("failures", default=0)

    class Meta:
        ordering = ["-since", "-id"]

    def __str__(self) -> str:
        return f"{self.get_what_display()} {self.which}"
