"""Incidents in the admin: what failed for many accounts at once. Read only."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from accounts.admin.displays import NOTHING, ago, badge, milliseconds, two_lines
from accounts.models import Account
from gemproxy.adminkit import ModelAdmin
from gemproxy.lib import clock
from proxy.models import Incident
from proxy.wire.causes import cause_of

UNBROKEN = "\N{NO-BREAK SPACE}"
EFFECTS = {
    Incident.What.EGRESS: "Held back until this way out works again",
    Incident.What.MODEL: "Held back until the model answers again",
    Incident.What.REQUEST: "Refused while it fails on account after account",
}


class StateFilter(admin.SimpleListFilter):
    """What lasts, or what is over."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("open", "Lasts"), ("ended", "Ended")]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        if self.value() in ("open", "ended"):
            return queryset.filter(until__isnull=self.value() == "open")
        return queryset


@admin.register(Incident)
class IncidentAdmin(ModelAdmin):
    list_display = ("state", "failed", "reason", "begun", "length", "hit")
    list_display_links = ("state", "failed")
    list_filter = (StateFilter, "what", "cause")
    search_fields = ("which", "cause", "why")
    actions = None
    fieldsets = (
        (None, {"fields": ("state", "what", "which", "effect")}),
        ("Cause", {"fields": ("meaning", "why", "todo")}),
        ("When", {"fields": ("since", "until", "length")}),
        ("Met by", {"fields": ("count", "account_links")}),
    )

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.display(description="State", ordering="until")
    def state(self, incident: Incident) -> SafeString:
        if incident.until is None:
            return badge("Lasts", "bad", "Attempts wait; one at a time tests it")
        return badge("Ended", "quiet")

    @admin.display(description="What failed", ordering="which")
    def failed(self, incident: Incident) -> str | SafeString:
        return two_lines(incident.which, incident.get_what_display())

    @admin.display(description="Why", ordering="cause")
    def reason(self, incident: Incident) -> str | SafeString:
        return two_lines(cause_of(incident.cause).meaning, incident.why)

    @admin.display(description="Since", ordering="since")
    def begun(self, incident: Incident) -> str | SafeString:
        return ago(incident.since)

    @admin.display(description="Duration")
    def length(self, incident: Incident) -> str:
        end = incident.until or clock.now()
        text = milliseconds((end - incident.since).total_seconds() * 1000)
        return text.replace(" ", UNBROKEN)

    @admin.display(description="Accounts", ordering="account_count")
    def hit(self, incident: Incident) -> str | SafeString:
        failures = incident.count
        told = "1 failure" if failures == 1 else f"{failures} failures"
        return two_lines(incident.account_count, told.replace(" ", UNBROKEN))

    @admin.display(description="Effect")
    def effect(self, incident: Incident) -> str:
        return EFFECTS.get(incident.what, NOTHING)

    @admin.display(description="What it means")
    def meaning(self, incident: Incident) -> str:
        return cause_of(incident.cause).meaning

    @admin.display(description="What to do")
    def todo(self, incident: Incident) -> str | SafeString:
        known = cause_of(incident.cause)
        if not known.link:
            return known.action
        page = format_html(
            '<a class="gp-link" href="{}" rel="noreferrer">{}</a>',
            known.link,
            "Read more",
        )
        return format_html("{} {}", known.action, page)

    @admin.display(description="Accounts")
    def account_links(self, incident: Incident) -> str | SafeString:
        """Name the accounts that are still there; none of them was to blame."""
        rows = Account.objects.filter(pk__in=incident.accounts).order_by("id")
        links = format_html_join(
            ", ",
            '<a class="gp-link" href="{}">{}</a>',
            (
                (reverse("admin:accounts_account_change", args=[row.pk]), row)
                for row in rows
            ),
        )
        more = incident.account_count - len(incident.accounts)
        return format_html("{} and {} more", links, more) if more > 0 else links
