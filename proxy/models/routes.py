"""Routes: the model names that clients may ask for, and who answers to them."""

from django.db import models

from accounts.models import Account
from accounts.models.changes import Watched


class Route(Watched):
    """A model name of ours."""

    topic = "route"

    class Category(models.TextChoices):
        TEXT = "text", "Text"
        IMAGE = "image", "Pictures"
        EMBEDDING = "embedding", "Embeddings"

    name = models.CharField(max_length=120, unique=True)
    display_name = models.CharField(max_length=120, blank=True)
    description = models.CharField(max_length=400, blank=True)
    category = models.CharField(max_length=10, choices=Category, default=Category.TEXT)
    enabled = models.BooleanField(default=True)
    input_token_limit = models.PositiveIntegerField(default=1_048_576)
    output_token_limit = models.PositiveIntegerField(default=65_536)
    thinking = models.BooleanField(
        default=True, help_text="Shown in the native model list."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Target(Watched):
    """One way to serve a route; the lowest position that can answer is used."""

    topic = "route"

    route = models.ForeignKey(Route, on_delete=models.CASCADE, related_name="targets")
    position = models.PositiveSmallIntegerField(default=0)
    kind = models.CharField(
        max_length=20, choices=Account.Kind, default=Account.Kind.GEMINI_API
    )
    upstream_model = models.CharField(max_length=120)
    emulate_tools = models.BooleanField(
        default=False,
        help_text="Web accounts know no tools: describe them in the prompt and read "
        "calls from the answer. Less reliable than a model that was trained on them.",
    )
    emulate_json_schema = models.BooleanField(
        "emulate JSON schema",
        default=False,
        help_text="Web accounts know no response schema: ask for it in the prompt and "
        "check the answer against it.",
    )

    class Meta:
        ordering = ["position", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["route", "kind", "upstream_model"], name="one_target_each"
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind}: {self.upstream_model}"
