"""What a picture costs, and the list prices of the models that are shipped.

Prices in USD of ai.google.dev, "Gemini Developer API pricing" (standard, paid tier),
and of docs.x.ai, "Models and pricing". Grok Imagine has none: its price goes by a
quality that requests do not name. Prices that an operator has entered stay.
"""

from decimal import Decimal

import django.core.validators
from django.db import migrations, models

FLASH, PRO = "gemini-3.1-flash-image-preview", "gemini-3-pro-image-preview"
# kind, upstream model, image size, USD
PRICES = [
    ("gemini_api", "gemini-2.5-flash-image", "", "0.039"),
    ("gemini_api", FLASH, "", "0.067"),
    ("gemini_api", FLASH, "512", "0.045"),
    ("gemini_api", FLASH, "1K", "0.067"),
    ("gemini_api", FLASH, "2K", "0.101"),
    ("gemini_api", FLASH, "4K", "0.151"),
    ("gemini_api", PRO, "", "0.134"),
    ("gemini_api", PRO, "1K", "0.134"),
    ("gemini_api", PRO, "2K", "0.134"),
    ("gemini_api", PRO, "4K", "0.24"),
    ("gemini_api", "imagen-4.0-generate-001", "", "0.04"),
    ("gemini_api", "imagen-4.0-ultra-generate-001", "", "0.06"),
    ("gemini_api", "imagen-4.0-fast-generate-001", "", "0.02"),
    ("xai", "grok-2-image-1212", "", "0.07"),
]


def price(apps, schema_editor):
    Target = apps.get_model("proxy", "Target")
    targets = Target.objects.using(schema_editor.connection.alias)
    for kind, model, size, usd in PRICES:
        targets.filter(
            kind=kind, upstream_model=model, image_size=size, image_price=None
        ).update(image_price=Decimal(usd))


class Migration(migrations.Migration):
    dependencies = [("proxy", "0011_picture_routes")]
    operations = [
        migrations.AddField(
            model_name="target",
            name="image_price",
            field=models.DecimalField(
                blank=True,
                decimal_places=6,
                help_text="What one picture costs at this target's size by the provider's price list, in USD. Empty: not known, or nothing to pay.",
                max_digits=12,
                null=True,
                validators=[django.core.validators.MinValueValidator(0)],
            ),
        ),
        # The way back drops the column with all that is in it.
        migrations.RunPython(price, migrations.RunPython.noop),
    ]
