"""Plans: what a group of callers may use."""

from typing import Any

from django.core.exceptions import ValidationError
from django.db import models, transaction

from accounts.callers import Limits
from accounts.models.changes import Watched


def validate_patterns(value: Any) -> None:
    """Accept a list of non-empty texts."""
    if not isinstance(value, list) or not all(isinstance(v, str) and v for v in value):
        raise ValidationError(
            "Give a list of model name patterns, such as gemini-2.5-*."
        )


class Plan(Watched):
    """Limits for the tokens of everybody who is on it; an empty limit means none."""

    topic = "plan"

    name = models.SlugField(unique=True)
    description = models.CharField(max_length=200, blank=True)
    is_default = models.BooleanField(
        default=False, help_text="For people and tokens that name no plan of their own."
    )
    requests_per_minute = models.PositiveIntegerField(
        null=True, blank=True, help_text="For each token, over a sliding minute."
    )
    concurrency = models.PositiveIntegerField(
        null=True, blank=True, help_text="Requests of one token at the same moment."
    )
    image_days = models.PositiveIntegerField(
        "days that pictures are kept",
        null=True,
        blank=True,
        help_text="Empty: as long as IMAGE_RETENTION_DAYS says.",
    )
    images_kept = models.PositiveIntegerField(
        "pictures kept",
        null=True,
        blank=True,
        help_text="For each person; the oldest go first.",
    )
    models = models.JSONField(
        default=list,
        blank=True,
        validators=[validate_patterns],
        help_text="Model names that may be asked for, with * as a wildcard: "
        '["gemini-2.5-*"]. An empty list allows all.',
    )

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                fields=["is_default"],
                condition=models.Q(is_default=True),
                name="one_default_plan",
            )
        ]

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        with transaction.atomic():
            if self.is_default:
                Plan.objects.exclude(pk=self.pk).filter(is_default=True).update(
                    is_default=False
                )
            super().save(*args, **kwargs)

    def limits(self) -> Limits:
        return Limits(
            requests_per_minute=self.requests_per_minute,
            concurrency=self.concurrency,
            models=tuple(self.models),
        )
