"""The routes that a new installation starts with."""

from django.db import migrations

M, K64, K32, K8 = 1_048_576, 65_536, 32_768, 8_192
# name, upstream model, display name, description, category, input, output, thinking
SHIPPED = [
    (
        "gemini-3.1-pro-preview",
        "",
        "Gemini 3.1 Pro Preview",
        "Hardest questions, long contexts, tools.",
        "text",
        M,
        K64,
        True,
    ),
    (
        "gemini-3-pro-preview",
        "",
        "Gemini 3 Pro Preview",
        "The first 3 Pro; 3.1 Pro follows it.",
        "text",
        M,
        K64,
        True,
    ),
    (
        "gemini-3.0-pro",
        "gemini-3.1-pro-preview",
        "Gemini 3 Pro (alias)",
        "Alias of the current 3 Pro: gemini-3.1-pro-preview.",
        "text",
        M,
        K64,
        True,
    ),
    (
        "gemini-3-flash-preview",
        "",
        "Gemini 3 Flash Preview",
        "Fast everyday model.",
        "text",
        M,
        K64,
        True,
    ),
    (
        "gemini-3.5-flash",
        "",
        "Gemini 3.5 Flash",
        "Fast everyday model.",
        "text",
        M,
        K64,
        True,
    ),
    (
        "gemini-3.5-flash-lite",
        "",
        "Gemini 3.5 Flash-Lite",
        "Lowest cost and latency.",
        "text",
        M,
        K64,
        True,
    ),
    (
        "gemini-3.6-flash",
        "",
        "Gemini 3.6 Flash",
        "Fast everyday model.",
        "text",
        M,
        K64,
        True,
    ),
    (
        "gemini-3.7-flash",
        "",
        "Gemini 3.7 Flash",
        "Fast everyday model; thinks at least a little.",
        "text",
        M,
        K64,
        True,
    ),
    (
        "gemini-3.8-flash",
        "",
        "Gemini 3.8 Flash",
        "Fast everyday model, newest; gemini-cli asks for it by itself.",
        "text",
        M,
        K64,
        True,
    ),
    (
        "gemini-2.5-pro",
        "",
        "Gemini 2.5 Pro",
        "Complex tasks with thinking budgets.",
        "text",
        M,
        K64,
        True,
    ),
    (
        "gemini-2.5-pro-preview",
        "gemini-2.5-pro",
        "Gemini 2.5 Pro (alias)",
        "Alias of gemini-2.5-pro, which replaced the preview.",
        "text",
        M,
        K64,
        True,
    ),
    (
        "gemini-2.5-flash",
        "",
        "Gemini 2.5 Flash",
        "Everyday model with thinking budgets.",
        "text",
        M,
        K64,
        True,
    ),
    (
        "gemini-2.5-flash-lite",
        "",
        "Gemini 2.5 Flash-Lite",
        "Low cost; thinking is off unless asked for.",
        "text",
        M,
        K64,
        True,
    ),
    (
        "gemini-2.5-flash-image",
        "",
        "Gemini 2.5 Flash Image",
        "Makes and edits pictures.",
        "image",
        K32,
        K32,
        False,
    ),
    (
        "gemini-3-pro-image-preview",
        "",
        "Gemini 3 Pro Image Preview",
        "Makes and edits pictures, up to 4K.",
        "image",
        K64,
        K32,
        True,
    ),
    (
        "gemini-embedding-001",
        "",
        "Gemini Embedding 001",
        "Text embeddings of up to 3072 dimensions.",
        "embedding",
        2_048,
        1,
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
                route=route, kind="gemini_api", upstream_model=upstream or name
            )


def withdraw(apps, schema_editor):
    Route = apps.get_model("proxy", "Route")
    names = [row[0] for row in SHIPPED]
    Route.objects.using(schema_editor.connection.alias).filter(name__in=names).delete()


class Migration(migrations.Migration):
    dependencies = [("proxy", "0001_initial")]
    operations = [migrations.RunPython(ship, withdraw)]
