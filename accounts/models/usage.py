"""The usage log: a row for each finished request, and hourly sums of them."""

from django.conf import settings
from django.db import models


def loose(to: str) -> models.ForeignKey:
    """A reference that survives the deletion of what it names, and costs no check."""
    return models.ForeignKey(
        to,
        null=True,
        blank=True,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )


class UsageRecord(models.Model):
    """One finished request."""

    class Outcome(models.TextChoices):
        OK = "ok", "Answered"
        FAULT = "fault", "Failed"
        CANCELLED = "cancelled", "Client went away"

    request_id = models.CharField(max_length=40, unique=True)
    started_at = models.DateTimeField()
    duration_ms = models.PositiveIntegerField(default=0)
    first_token_ms = models.PositiveIntegerField(null=True, blank=True)
    surface = models.CharField(max_length=24)
    method = models.CharField(max_length=24)
    streamed = models.BooleanField(default=False)
    model_asked = models.CharField(max_length=120)
    model_served = models.CharField(max_length=120, blank=True)
    kind = models.CharField(max_length=20, blank=True)
    account = loose("accounts.Account")
    token = loose("accounts.Token")
    user = loose(settings.AUTH_USER_MODEL)
    status = models.PositiveSmallIntegerField()
    outcome = models.CharField(max_length=10, choices=Outcome)
    cause = models.CharField(max_length=60, blank=True)
    blame = models.CharField(max_length=10, blank=True)
    finish = models.CharField(max_length=40, blank=True)
    attempts = models.JSONField(
        default=list, help_text="Each try: account, start and length in ms, code."
    )
    decision = models.JSONField(
        default=dict,
        help_text="If not the first account answered: why the others were not asked.",
    )
    prompt_tokens = models.PositiveIntegerField(default=0)
    cached_tokens = models.PositiveIntegerField(default=0)
    output_tokens = models.PositiveIntegerField(default=0)
    thoughts_tokens = models.PositiveIntegerField(default=0)
    tool_use_tokens = models.PositiveIntegerField(default=0)
    total_tokens = models.PositiveIntegerField(default=0)
    images = models.PositiveSmallIntegerField(default=0)
    usage_metadata = models.JSONField(
        default=dict, help_text="As the provider gave it."
    )
    client_ip = models.CharField(max_length=45, blank=True)
    user_agent = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["-id"]
        indexes = [
            # The usage list and the retention job walk by time.
            models.Index(fields=["started_at"], name="usage_by_time"),
            # A token's, a user's and an account's latest requests.
            models.Index(fields=["token", "started_at"], name="usage_by_token"),
            models.Index(fields=["user", "started_at"], name="usage_by_user"),
            models.Index(fields=["account", "started_at"], name="usage_by_account"),
            # "What failed lately?"
            models.Index(fields=["outcome", "started_at"], name="usage_by_outcome"),
        ]

    def __str__(self) -> str:
        return self.request_id


class UsageHour(models.Model):
    """Sums over one hour for one token, account, model and outcome."""

    hour = models.DateTimeField()
    token = loose("accounts.Token")
    user = loose(settings.AUTH_USER_MODEL)
    account = loose("accounts.Account")
    model_asked = models.CharField(max_length=120)
    outcome = models.CharField(max_length=10, choices=UsageRecord.Outcome)
    requests = models.PositiveBigIntegerField(default=0)
    prompt_tokens = models.PositiveBigIntegerField(default=0)
    cached_tokens = models.PositiveBigIntegerField(default=0)
    output_tokens = models.PositiveBigIntegerField(default=0)
    thoughts_tokens = models.PositiveBigIntegerField(default=0)
    total_tokens = models.PositiveBigIntegerField(default=0)
    images = models.PositiveBigIntegerField(default=0)
    duration_ms = models.PositiveBigIntegerField(default=0)
    first_token_ms = models.PositiveBigIntegerField(default=0)
    first_tokens = models.PositiveBigIntegerField(
        default=0, help_text="Requests that first_token_ms was summed over."
    )

    class Meta:
        ordering = ["-hour"]
        indexes = [
            # Dashboards and charts read a span of hours.
            models.Index(fields=["hour"], name="usage_hours"),
        ]

    def __str__(self) -> str:
        return f"{self.hour:%Y-%m-%d %H}h {self.model_asked}"


class UsageProgress(models.Model):
    """How far roll-up and retention have come: one row, claimed by who works."""

    rolled_up_to = models.PositiveBigIntegerField(
        default=0, help_text="The id up to which rows are in the hourly sums."
    )
    pruned_before = models.DateTimeField(
        null=True, help_text="Hours before this are no longer backed by rows."
    )
    claimed_until = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "usage progress"

    def __str__(self) -> str:
        return f"rolled up to {self.rolled_up_to}"
