"""The usage log in the admin: read-only, and quick on millions of rows.

The gateway registers it, with what only it can tell of a request.

Nothing here counts or scans: pages walk an index by time, the choices of filters
come from bounded look-backs, and a search is one exact request id.
"""

import datetime
from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from accounts.admin.displays import (
    NOTHING,
    ago,
    badge,
    compact,
    milliseconds,
    pretty_json,
    two_lines,
)
from accounts.models import Account, Token, UsageHour, UsageRecord, User
from gemproxy.adminkit import InfinitePaginator, ModelAdmin
from gemproxy.lib import clock

HOURS = {"1h": 1, "24h": 24, "7d": 24 * 7}
WINDOWS = {"1h": "Last hour", "24h": "Last 24 hours", "7d": "Last 7 days", "all": "All"}
USUAL_WINDOW = "24h"
LOOK_BACK = 5_000
MOST_SCANNED = 250_000
TONES = {"ok": "good", "fault": "bad", "cancelled": "warn"}


class WindowFilter(admin.SimpleListFilter):
    """How far back; a day unless said otherwise or one request id is searched."""

    title = "time"
    parameter_name = "window"

    def __init__(self, request: HttpRequest, *args: Any) -> None:
        super().__init__(request, *args)
        self.searching = bool(request.GET.get("q", "").strip())

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return list(WINDOWS.items())

    def value(self) -> str:
        given = super().value()
        if given in WINDOWS:
            return given
        return "all" if self.searching else USUAL_WINDOW

    def choices(self, changelist: Any) -> Any:
        for value, title in self.lookup_choices:
            yield {
                "selected": self.value() == value,
                "query_string": changelist.get_query_string(
                    {self.parameter_name: value}
                ),
                "display": title,
            }

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        hours = HOURS.get(self.value())
        if hours is None:
            return queryset
        start = clock.now() - datetime.timedelta(hours=hours)
        return queryset.filter(started_at__gte=start)


class ModelFilter(admin.SimpleListFilter):
    """Models that the latest hourly sums name."""

    title = "model, latest 250,000 requests"
    parameter_name = "model_asked"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        latest = UsageHour.objects.order_by("-hour").values("model_asked")[:LOOK_BACK]
        return _choices((row["model_asked"] for row in latest), self.value())

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        model = self.value()
        return _latest(queryset).filter(model_asked=model) if model else queryset


class SurfaceFilter(admin.SimpleListFilter):
    """Surfaces that the latest requests came through."""

    title = "surface, latest 250,000 requests"
    parameter_name = "surface"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        latest = UsageRecord.objects.order_by("-id").values("surface")[:LOOK_BACK]
        return _choices((row["surface"] for row in latest), self.value())

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        surface = self.value()
        return _latest(queryset).filter(surface=surface) if surface else queryset


def _choices(seen: Iterable[str], chosen: str | None) -> list[tuple[str, str]]:
    """Return the names seen, and the one chosen, which may not be among them."""
    names = {*seen, *([chosen] if chosen else [])}
    return [(name, name) for name in sorted(names)]


def _latest(queryset: QuerySet) -> QuerySet:
    """Bound the rows that a filter without an index has to look at."""
    times = UsageRecord.objects.order_by("-started_at").values_list(
        "started_at", flat=True
    )
    edge = list(times[MOST_SCANNED : MOST_SCANNED + 1])
    return queryset.filter(started_at__gt=edge[0]) if edge else queryset


class ByIdFilter(admin.SimpleListFilter):
    """Rows of one token, user or account, reached by a link or a raw id."""

    template = "admin/accounts/usagerecord/by_id.html"
    model: type

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("", "")]  # The page offers a number to type, not a list.

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        value = self.value()
        if not value:
            return queryset
        if not value.isdecimal():
            return queryset.none()
        return queryset.filter(**{self.parameter_name: int(value)})

    def choices(self, changelist: Any) -> Any:
        yield {
            "name": self.parameter_name,
            "value": self.value() or "",
            "others": [
                (key, values[-1])
                for key, values in changelist.get_filters_params().items()
                if key != self.parameter_name
            ],
        }


class TokenFilter(ByIdFilter):
    title, parameter_name, model = "token id", "token_id", Token


class UserFilter(ByIdFilter):
    title, parameter_name, model = "user id", "user_id", User


class AccountFilter(ByIdFilter):
    title, parameter_name, model = "account id", "account_id", Account


class UsageAdmin(ModelAdmin):
    list_display = (
        "when",
        "caller",
        "surface",
        "models",
        "state",
        "latency",
        "tokens",
        "tries",
    )
    list_display_links = ("when",)
    list_filter = (
        WindowFilter,
        "outcome",
        SurfaceFilter,
        ModelFilter,
        TokenFilter,
        UserFilter,
        AccountFilter,
    )
    list_filter_sheet = False
    list_select_related = ("user", "token")
    # The index by time gives this order; an order by id would be sorted.
    ordering = ("-started_at", "-id")
    sortable_by = ()
    search_fields = ("request_id",)
    search_help_text = "One whole request id, as in the x-request-id header"
    paginator = InfinitePaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    actions = None
    fieldsets = (
        (
            None,
            {
                "fields": (
                    "request_id", "started_at", "state", "caller", "client_ip",
                    "user_agent",
                )
            },
        ),
        (
            "Answer",
            {
                "fields": (
                    "surface", "method", "streamed", "models", "served_by", "finish",
                    "latency",
                )
            },
        ),
        (
            "Tokens",
            {
                "fields": (
                    "prompt_tokens", "cached_tokens", "output_tokens",
                    "thoughts_tokens", "tool_use_tokens", "total_tokens", "images",
                )
            },
        ),
        ("Details", {"fields": ("metadata",)}),
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        # Joined, a deleted owner reads as None; fetched later, it would raise.
        return super().get_queryset(request).select_related("user", "token", "account")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet, search_term: str
    ) -> tuple[QuerySet, bool]:
        term = search_term.strip()
        return (queryset.filter(request_id=term) if term else queryset), False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.display(description="Time")
    def when(self, row: UsageRecord) -> str | SafeString:
        return ago(row.started_at)

    @admin.display(description="Caller")
    def caller(self, row: UsageRecord) -> str | SafeString:
        who = row.user.username if row.user else NOTHING
        return two_lines(who, row.token.name if row.token else "")

    @admin.display(description="Model")
    def models(self, row: UsageRecord) -> str | SafeString:
        other = row.model_served not in ("", row.model_asked)
        return two_lines(row.model_asked, f"→ {row.model_served}" if other else "")

    @admin.display(description="Status")
    def state(self, row: UsageRecord) -> SafeString:
        mark = badge(
            f"{row.status} {row.get_outcome_display()}",
            TONES.get(row.outcome, "quiet"),
            f"Blame: {row.blame}" if row.blame else "",
        )
        return two_lines(mark, row.cause)

    @admin.display(description="Latency")
    def latency(self, row: UsageRecord) -> str | SafeString:
        first = row.first_token_ms
        return two_lines(
            milliseconds(row.duration_ms),
            "" if first is None else f"first in {milliseconds(first)}",
        )

    @admin.display(description="Tokens in / out")
    def tokens(self, row: UsageRecord) -> str | SafeString:
        thoughts = row.thoughts_tokens
        return two_lines(
            f"{compact(row.prompt_tokens)} / {compact(row.output_tokens)}",
            f"{compact(thoughts)} thinking" if thoughts else "",
        )

    @admin.display(description="Tries")
    def tries(self, row: UsageRecord) -> int:
        return len(row.attempts)

    @admin.display(description="Served by")
    def served_by(self, row: UsageRecord) -> str | SafeString:
        if row.account is None:
            return row.kind or NOTHING
        url = reverse("admin:accounts_account_change", args=[row.account.pk])
        return format_html('<a class="gp-link" href="{}">{}</a>', url, row.account)

    @admin.display(description="Provider's usage")
    def metadata(self, row: UsageRecord) -> SafeString:
        return pretty_json(row.usage_metadata)
