"""The project's own app: checks and the admin site."""

from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig as DjangoAdminConfig


class AdminConfig(DjangoAdminConfig):
    default_site = "gemproxy.admin_site.Site"


class GemproxyConfig(AppConfig):
    name = "gemproxy"

    def ready(self) -> None:
        from gemproxy import checks  # noqa: F401  (registers them)
