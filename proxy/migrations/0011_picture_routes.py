"""More names of models that draw: their sizes, older names, and Imagen.

Routes of these names that an operator has made stay as they are.
"""

from django.db import migrations

K32, K64 = 32_768, 65_536
#: After everything that the operator has put there.
WEB_POSITION = 20
FLASH, PRO = "gemini-3.1-flash-image-preview", "gemini-3-pro-image-preview"
OLD = "gemini-2.5-flash-image"
WEB_FLASH, WEB_PRO = "gemini-flash-image", "gemini-pro-image"
LARGER = (
    "Makes and edits pictures at {}; at most as large as the account's plan allows."
)
# name, upstream model, size, the site's model, display name, description, thinking
GEMINI = [
    (
        FLASH,
        FLASH,
        "",
        WEB_FLASH,
        "Gemini 3.1 Flash Image Preview",
        "Makes and edits pictures, up to 4K.",
        True,
    ),
    (
        "gemini-3-pro-image",
        PRO,
        "",
        WEB_PRO,
        "Gemini 3 Pro Image (alias)",
        "Alias of gemini-3-pro-image-preview.",
        True,
    ),
    (
        "gemini-2.5-flash-image-preview",
        OLD,
        "",
        WEB_FLASH,
        "Gemini 2.5 Flash Image (alias)",
        "Alias of gemini-2.5-flash-image, which replaced the preview.",
        False,
    ),
    *(
        (
            name,
            OLD,
            "",
            WEB_FLASH,
            "Gemini 2.0 Flash, pictures (alias)",
            "Old name, answered by gemini-2.5-flash-image.",
            False,
        )
        for name in (
            "gemini-2.0-flash-exp",
            "gemini-2.0-flash-exp-image-generation",
            "gemini-2.0-flash-preview-image-generation",
        )
    ),
    *(
        (f"{name}-{size.lower()}", model, size, site, f"{title} {size}", words, True)
        for size in ("2K", "4K")
        for name, model, site, title, words in (
            (PRO, PRO, WEB_PRO, "Gemini 3 Pro Image", LARGER.format(size)),
            (FLASH, FLASH, WEB_FLASH, "Gemini 3.1 Flash Image", LARGER.format(size)),
            (
                OLD,
                FLASH,
                WEB_FLASH,
                "Gemini Flash Image",
                f"{OLD} at {size}: drawn by {FLASH}, as 2.5 knows no sizes.",
            ),
        )
    ),
]
# name, upstream model, display name, description
IMAGEN = [
    (
        "imagen-4.0-generate-001",
        "imagen-4.0-generate-001",
        "Imagen 4",
        "Makes pictures from words alone, up to 2K.",
    ),
    (
        "imagen-4.0-ultra-generate-001",
        "imagen-4.0-ultra-generate-001",
        "Imagen 4 Ultra",
        "Makes pictures from words alone, up to 2K; keeps closest to the prompt.",
    ),
    (
        "imagen-4.0-fast-generate-001",
        "imagen-4.0-fast-generate-001",
        "Imagen 4 Fast",
        "Makes pictures from words alone; the quickest.",
    ),
    (
        "imagen-3.0-generate-002",
        "imagen-4.0-generate-001",
        "Imagen 3 (alias)",
        "Old name, answered by imagen-4.0-generate-001.",
    ),
]


def ship(apps, schema_editor):
    Route = apps.get_model("proxy", "Route")
    Target = apps.get_model("proxy", "Target")
    alias = schema_editor.connection.alias

    def open_route(name, title, text, into, out, thinking, targets):
        route, made = Route.objects.using(alias).get_or_create(
            name=name,
            defaults={
                "display_name": title,
                "description": text,
                "category": "image",
                "input_token_limit": into,
                "output_token_limit": out,
                "thinking": thinking,
            },
        )
        if made:
            rows = [Target(route=route, **fields) for fields in targets]
            Target.objects.using(alias).bulk_create(rows)

    for name, model, size, site, title, text, thinking in GEMINI:
        own = {"kind": "gemini_api", "upstream_model": model, "image_size": size}
        web = {"kind": "gemini_web", "upstream_model": site, "image_size": size}
        targets = [own, web | {"position": WEB_POSITION}]
        open_route(name, title, text, K64, K32, thinking, targets)
    for name, model, title, text in IMAGEN:
        targets = [{"kind": "gemini_api", "upstream_model": model}]
        open_route(name, title, text, 480, 8_192, False, targets)


def withdraw(apps, schema_editor):
    Route = apps.get_model("proxy", "Route")
    routes = Route.objects.using(schema_editor.connection.alias)
    ours = {row[0]: row[-2] for row in GEMINI} | {row[0]: row[-1] for row in IMAGEN}
    for name, text in ours.items():
        routes.filter(name=name, description=text).delete()


class Migration(migrations.Migration):
    dependencies = [("proxy", "0010_cli_routes")]
    operations = [migrations.RunPython(ship, withdraw)]
