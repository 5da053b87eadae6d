"""Routes: the model names that clients may ask for, and who answers to them."""

from django.core.validators import MinValueValidator
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
    remove_mark = models.BooleanField(
        "remove the corner mark",
        null=True,
        blank=True,
        help_text="From pictures that our accounts draw for this route. Unknown: as "
        "ENABLE_WATERMARK_REMOVAL says. A token may say otherwise.",
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Target(Watched):
    """One way to serve a route; the lowest position that can answer is used."""

    topic = "route"

    class ImageSize(models.TextChoices):
        HALF_K = "512", "512"
        ONE_K = "1K", "1K: about 1024 x 1024"
        TWO_K = "2K", "2K: about 2048 x 2048"
        FOUR_K = "4K", "4K: about 4096 x 4096"

    route = models.ForeignKey(Route, on_delete=models.CASCADE, related_name="targets")
    position = models.PositiveSmallIntegerField(default=0)
    kind = models.CharField(
        max_length=20, choices=Account.Kind, default=Account.Kind.GEMINI_API
    )
    upstream_model = models.CharField(max_length=120)
    image_size = models.CharField(
        max_length=4,
        blank=True,
        choices=ImageSize,
        help_text="Of pictures, unless the request names one. Empty: the provider's.",
    )
    upscale = models.BooleanField(
        default=False,
        help_text="Enlarge a picture that comes smaller than asked for (Lanczos); its "
        "metadata says so.",
    )
    image_price = models.DecimalField(
        max_digits=12,
        decimal_places=6,
        null=True,
        blank=True,
        validators=[MinValueValidator(0)],
        help_text="What one picture costs at this target's size by the provider's "
        "price list, in USD. Empty: not known, or nothing to pay.",
    )
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

    def emulated(self) -> frozenset[str]:
        """Return the capabilities that it is to imitate."""
        flags = {"tools": self.emulate_tools, "json_schema": self.emulate_json_schema}
        return frozenset(name for name, wanted in flags.items() if wanted)
