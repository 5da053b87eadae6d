"""How the scheduled jobs ran."""

from django.db import models


class JobRun(models.Model):
    """The last run of a declared job, and the claim of who runs it now."""

    class State(models.TextChoices):
        RUNNING = "running", "Running"
        DONE = "done", "Done"
        FAILED = "failed", "Failed"

    job = models.CharField(max_length=100, unique=True)
    #: The time at which the run that was claimed last had been due.
    slot = models.DateTimeField(null=True)
    claimed_until = models.DateTimeField(null=True)
    owner = models.CharField(max_length=32, blank=True)
    state = models.CharField(max_length=10, choices=State, blank=True)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    result = models.CharField(max_length=1000, blank=True)
    # What a job must know of its earlier runs.
    memory = models.JSONField(default=dict)

    class Meta:
        ordering = ["job"]

    def __str__(self) -> str:
        return f"{self.job}: {self.state}"
