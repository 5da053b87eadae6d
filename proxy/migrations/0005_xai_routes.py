"""Routes to the models of xAI that a new installation starts with.

They are listed once there is an account of xAI's.
"""

from django.db import migrations

M, K500, K256, K128, K8 = 1_000_000, 500_000, 256_000, 128_000, 8_192
# name, upstream model, display name, description, category, input, output, thinking
SHIPPED = [
    (
        "grok-4.7",
        "",
        "Grok 4.7",
        "Frontier model for coding, agents and long work.",
        "text",
        K500,
        K128,
        True,
    ),
    (
        "grok-4.5",
        "",
        "Grok 4.5",
        "Coding, agents and knowledge work.",
        "text",
        K500,
        K128,
        True,
    ),
    (
        "grok-4.3",
        "",
        "Grok 4.3",
        "Everyday model with a long context; thinking can be turned off.",
        "text",
        M,
        K128,
        True,
    ),
    (
        "grok-4",
        "grok-4.3",
        "Grok 4 (alias)",
        "Alias of grok-4.3, which xAI recommends in place of Grok 4.",
        "text",
        M,
        K128,
        True,
    ),
    (
        "grok-4.20-reasoning",
        "grok-4.20-0309-reasoning",
        "Grok 4.20 Reasoning",
        "Fast, thinks before it answers.",
        "text",
        M,
        K128,
        True,
    ),
    (
        "grok-4.20-non-reasoning",
        "grok-4.20-0309-non-reasoning",
        "Grok 4.20 Non-Reasoning",
        "Fast, answers at once.",
        "text",
        M,
        K128,
        False,
    ),
    (
        "grok-build-0.1",
        "",
        "Grok Build 0.1",
        "For coding agents.",
        "text",
        K256,
        K128,
        True,
    ),
    (
        "grok-imagine-image-2.0",
        "",
        "Grok Imagine 2.0",
        "Makes pictures.",
        "image",
        K8,
        K8,
        False,
    ),
    (
        "grok-2-image-1212",
        "",
        "Grok 2 Image",
        "Makes pictures.",
        "image",
        K8,
        K8,
        False,
    ),
    (
        "grok-2-image",
        "grok-2-image-1212",
        "Grok 2 Image (alias)",
        "Alias of grok-2-image-1212.",
        "image",
        K8,
        K8,
        False,
    ),
]


def ship(apps, schema_editor):
    Route = apps.get_model("proxy", "Route")
    Target = apps.get_model("proxy", "Target")
    alias = schema_editor.connection.alias
    for name, upstream, display, text, category, into, out, thinking in SHIPPED:
        route, made = Route.objects.using(alias).get_or_create(
            name=name,
            defaults={
                "display_name": display,
                "description": text,
                "category": category,
                "input_token_limit": into,
                "output_token_limit": out,
                "thinking": thinking,
            },
        )
        if made:
            Target.objects.using(alias).create(
                route=route, kind="xai", upstream_model=upstream or name
            )


def withdraw(apps, schema_editor):
    Route = apps.get_model("proxy", "Route")
    names = [row[0] for row in SHIPPED]
    Route.objects.using(schema_editor.connection.alias).filter(name__in=names).delete()


class Migration(migrations.Migration):
    dependencies = [("proxy", "0004_kinds")]
    operations = [migrations.RunPython(ship, withdraw)]
