"""How the gateway was in an hour."""

from django.db import models


class HealthSummary(models.Model):
    """One hour: its requests, and how accounts and incidents stood after its end."""

    hour = models.DateTimeField(unique=True)
    made_at = models.DateTimeField()
    answered = models.PositiveBigIntegerField(default=0)
    failed = models.PositiveBigIntegerField(default=0)
    cancelled = models.PositiveBigIntegerField("clients went away", default=0)
    # kind → state → how many accounts
    accounts = models.JSONField(default=dict)
    # The accounts with most trouble: id, name, state, cause, failed, requests.
    worst = models.JSONField(default=list)
    # Open ones: what, which, cause.
    incidents = models.JSONField(default=list)

    class Meta:
        ordering = ["-hour"]
        verbose_name_plural = "health summaries"

    def __str__(self) -> str:
        return f"{self.hour:%Y-%m-%d %H}h"

    @property
    def requests(self) -> int:
        return self.answered + self.failed + self.cancelled

    @property
    def share(self) -> float | None:
        """The part of the finished requests that was answered, in percent."""
        finished = self.answered + self.failed
        return 100 * self.answered / finished if finished else None

    def count(self, *states: str) -> int:
        """Return how many accounts of all kinds were in one of the states."""
        return sum(
            number
            for by_state in self.accounts.values()
            for state, number in by_state.items()
            if state in states
        )
