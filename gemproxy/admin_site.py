"""The admin site: its front page, its menu and its throttled sign-in."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.templatetags.static import static
from django.urls import reverse_lazy

from accounts.pages.tries import throttled
from gemproxy.adminkit import AdminSite

# group → (title, icon, admin URL name, permission)
MENU = {
    "": [("Overview", "monitoring", "index", "")],
    "Gateway": [
        ("Upstream accounts", "key", "accounts_account_changelist", "accounts.account"),
        ("Incidents", "emergency", "proxy_incident_changelist", "proxy.incident"),
        ("Routes", "alt_route", "proxy_route_changelist", "proxy.route"),
        (
            "Usage",
            "receipt_long",
            "accounts_usagerecord_changelist",
            "accounts.usagerecord",
        ),
    ],
    "Pictures": [
        ("Gallery", "photo_library", "imaging_image_changelist", "imaging.image"),
    ],
    "Callers": [
        ("Users", "group", "accounts_user_changelist", "accounts.user"),
        ("Tokens", "vpn_key", "accounts_token_changelist", "accounts.token"),
        ("Plans", "speed", "accounts_plan_changelist", "accounts.plan"),
    ],
    "Jobs": [
        ("Schedules", "schedule", "django_q_schedule_changelist", "django_q.schedule"),
        ("Failed jobs", "error", "django_q_failure_changelist", "django_q.failure"),
        (
            "Finished jobs",
            "task_alt",
            "django_q_success_changelist",
            "django_q.success",
        ),
    ],
}


class Site(AdminSite):
    site_header = "gemproxy"
    site_title = "gemproxy"
    index_title = "Overview"

    def login(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Sign in, under the same count of failed tries as the portal's page."""
        return throttled(request, lambda: AdminSite.login(self, request, extra_context))


def style_sheet(request: HttpRequest) -> str:
    return static("gemproxy/admin.css")


def mark(request: HttpRequest) -> str:
    return static("gemproxy/mark.svg")


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """Return the sidebar: only what this person may see."""
    groups = []
    for title, entries in MENU.items():
        items = [_item(entry) for entry in entries if _may_see(request, entry[3])]
        if items:
            groups.append({"title": title, "separator": bool(title), "items": items})
    return groups


def _item(entry: tuple[str, str, str, str]) -> dict[str, Any]:
    title, icon, name, _ = entry
    return {"title": title, "icon": icon, "link": reverse_lazy(f"admin:{name}")}


def _may_see(request: HttpRequest, model: str) -> bool:
    if not model:
        return True
    app, _, name = model.partition(".")
    return request.user.has_perm(f"{app}.view_{name}")
