"""Web accounts stand behind API keys on the routes whose models the site offers."""

from django.db import migrations

#: After everything that the operator has put there.
POSITION = 20
MODELS = {
    "gemini-3.1-pro-preview": "gemini-pro",
    "gemini-3-pro-preview": "gemini-pro",
    "gemini-3.0-pro": "gemini-pro",
    "gemini-3-flash-preview": "gemini-flash",
    "gemini-3.5-flash": "gemini-flash",
    "gemini-3.5-flash-lite": "gemini-flash-lite",
    "gemini-2.5-pro": "gemini-pro",
    "gemini-2.5-flash": "gemini-flash",
    "gemini-2.5-flash-lite": "gemini-flash-lite",
    "gemini-2.5-flash-image": "gemini-flash-image",
    "gemini-3-pro-image-preview": "gemini-pro-image",
}


def add(apps, schema_editor):
    Route = apps.get_model("proxy", "Route")
    Target = apps.get_model("proxy", "Target")
    alias = schema_editor.connection.alias
    for route in Route.objects.using(alias).filter(name__in=MODELS):
        Target.objects.using(alias).get_or_create(
            route=route,
            kind="gemini_web",
            upstream_model=MODELS[route.name],
            defaults={"position": POSITION},
        )


def withdraw(apps, schema_editor):
    Target = apps.get_model("proxy", "Target")
    alias = schema_editor.connection.alias
    Target.objects.using(alias).filter(kind="gemini_web").delete()


class Migration(migrations.Migration):
    dependencies = [("proxy", "0005_xai_routes")]
    operations = [migrations.RunPython(add, withdraw)]
