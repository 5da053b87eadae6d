"""Gemini CLI accounts that are there already serve the backend's current models too.

Without such an account there is nothing to do: the first one opens its routes.
"""

from django.db import migrations

#: After other kinds of account, and before what operators put last.
POSITION = 20
#: Route, and what the backend calls the model.
MODELS = {
    "gemini-3.0-pro": "gemini-3.1-pro-preview",
    "gemini-3.1-flash-lite": "gemini-3.1-flash-lite",
    "gemini-3.1-pro-preview-customtools": "gemini-3.1-pro-preview-customtools",
    "gemini-3.5-flash": "gemini-3-flash",
    "gemini-3.5-flash-lite": "gemini-3.5-flash-lite",
    "gemini-3.8-flash": "gemini-3.8-flash",
    "gemini-3.5-flash-search": "gemini-3-flash-search",
}
OWN = {
    "gemini-3.1-flash-lite": ("Gemini 3.1 Flash-Lite", "Small and quick."),
    "gemini-3.1-pro-preview-customtools": (
        "Gemini 3.1 Pro Preview, custom tools",
        "The same model, keener on its caller's own tools.",
    ),
    "gemini-3.5-flash-search": (
        "Gemini 3.5 Flash with search",
        "Looks things up with Google's search.",
    ),
}


def add(apps, schema_editor):
    Account = apps.get_model("accounts", "Account")
    Route = apps.get_model("proxy", "Route")
    Target = apps.get_model("proxy", "Target")
    alias = schema_editor.connection.alias
    if not Account.objects.using(alias).filter(kind="code_assist").exists():
        return
    for name, (title, text) in OWN.items():
        Route.objects.using(alias).get_or_create(
            name=name, defaults={"display_name": title, "description": text}
        )
    for route in Route.objects.using(alias).filter(name__in=MODELS):
        Target.objects.using(alias).get_or_create(
            route=route,
            kind="code_assist",
            upstream_model=MODELS[route.name],
            defaults={"position": POSITION},
        )


def withdraw(apps, schema_editor):
    Route = apps.get_model("proxy", "Route")
    Target = apps.get_model("proxy", "Target")
    alias = schema_editor.connection.alias
    Target.objects.using(alias).filter(
        kind="code_assist", route__name__in=MODELS
    ).delete()
    # A route that its operator has given to others as well stays.
    Route.objects.using(alias).filter(name__in=OWN, targets__isnull=True).delete()


class Migration(migrations.Migration):
    dependencies = [("proxy", "0009_pictures"), ("accounts", "0004_kinds")]
    operations = [migrations.RunPython(add, withdraw)]
