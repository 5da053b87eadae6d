"""Upstream accounts in the admin: trouble first, with its cause and what to do."""

import datetime
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Case, IntegerField, Q, QuerySet, Sum, Value, When
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from accounts.admin.displays import NOTHING, ago, badge, compact, two_lines
from accounts.models import Account, AccountEvent, UsageHour
from gemproxy.adminkit import ChangeList, ModelAdmin, TabularInline, header_link
from gemproxy.lib import clock
from proxy.admin.advice import account_advice
from proxy.admin.probe import try_account
from proxy.admin.upstream_forms import AccountForm, PasteForm
from proxy.imports import ImportResult, import_secrets

State = Account.State
TONES = {
    State.NEEDS_ATTENTION: "bad",
    State.NEW: "info",
    State.ACTIVE: "good",
    State.DISABLED: "quiet",
}
WORDS = {State.NEW: "New"}
TROUBLE = Case(
    When(state=State.NEEDS_ATTENTION, then=Value(0)),
    When(state=State.DISABLED, then=Value(2)),
    default=Value(1),
    output_field=IntegerField(),
)
MOST_TESTED = 10
MOST_EVENTS = 50


class AccountList(ChangeList):
    """The list, with the last day's sums of the accounts on the page."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list = list(self.result_list)
        sums = _last_day([account.pk for account in self.result_list])
        for account in self.result_list:
            account.day = sums.get(account.pk, {"all": 0, "failed": 0})


class EventInline(TabularInline):
    """What happened to the account, latest first."""

    model = AccountEvent
    verbose_name_plural = "History"
    fields = ("when", "what", "cause", "advice")
    readonly_fields = fields
    extra = 0
    can_delete = False

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        # The inline adds its own filter, so the bound goes in as a list of keys.
        account = request.resolver_match.kwargs.get("object_id", "")
        events = super().get_queryset(request)
        if not account.isdecimal():
            return events.none()
        latest = events.filter(account=account).values_list("pk", flat=True)
        return events.filter(pk__in=list(latest[:MOST_EVENTS]))

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.display(description="When")
    def when(self, event: AccountEvent) -> str | SafeString:
        return ago(event.at)

    @admin.display(description="State")
    def what(self, event: AccountEvent) -> SafeString:
        return _state_badge(event.state)


@admin.register(Account)
class AccountAdmin(ModelAdmin):
    form = AccountForm
    inlines = (EventInline,)
    list_display = (
        "name",
        "status",
        "since",
        "used",
        "requests_24h",
        "failures_24h",
        "egress",
    )
    list_filter = ("state", "kind")
    search_fields = ("label", "secret_hint", "base_url", "state_cause")
    actions = ("enable", "disable", "test_now")
    actions_list = ("paste",)
    ordering = (TROUBLE.asc(), "-state_since", "id")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type:
        return AccountList

    def get_fieldsets(self, request: HttpRequest, obj: Account | None = None) -> Any:
        secrets = ["new_secret", "base_url", "new_proxy"]
        if obj is None:
            return [(None, {"fields": ["kind", "label", *secrets]})]
        if obj.proxy_url:
            secrets.append("drop_proxy")
        return [
            (None, {"fields": ["label", "kind", "status", "since", "used"]}),
            ("Credential", {"fields": secrets}),
        ]

    def get_readonly_fields(
        self, request: HttpRequest, obj: Account | None = None
    ) -> tuple[str, ...]:
        return ("kind", "status", "since", "used") if obj else ()

    def get_inlines(self, request: HttpRequest, obj: Account | None) -> Iterable[type]:
        return self.inlines if obj else ()

    def save_model(
        self, request: HttpRequest, obj: Account, form: AccountForm, change: bool
    ) -> None:
        super().save_model(request, obj, form, change)
        refused = obj.state == State.NEEDS_ATTENTION
        if change and refused and form.cleaned_data["new_secret"]:
            obj.move(State.NEW, cause="new_secret")

    @admin.action(description="Enable", permissions=["change"])
    def enable(self, request: HttpRequest, queryset: QuerySet) -> None:
        resting = queryset.exclude(state__in=Account.USABLE)
        count = _move(resting, State.NEW, f"enabled by {request.user}")
        messages.success(request, f"Enabled {_accounts(count)}.")

    @admin.action(description="Disable", permissions=["change"])
    def disable(self, request: HttpRequest, queryset: QuerySet) -> None:
        running = queryset.exclude(state=State.DISABLED)
        count = _move(
            running, State.DISABLED, f"disabled by {request.user}", "Enable it again."
        )
        messages.success(request, f"Disabled {_accounts(count)}.")

    @admin.action(description="Test now", permissions=["change"])
    def test_now(self, request: HttpRequest, queryset: QuerySet) -> None:
        accounts = list(queryset[: MOST_TESTED + 1])
        if len(accounts) > MOST_TESTED:
            messages.error(request, f"Select at most {MOST_TESTED} to test at once.")
            return
        for account in accounts:
            verdict = try_account(account)
            level = messages.SUCCESS if verdict.passed else messages.ERROR
            messages.add_message(request, level, f"{account}: {verdict.text}")

    @header_link("Paste many", "paste")
    def paste(self, request: HttpRequest) -> HttpResponse:
        """Add many credentials at once; says what became of each line."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = PasteForm(request.POST or None)
        result = None
        if request.method == "POST" and form.is_valid():
            result = _import(form.cleaned_data)
            form = PasteForm()
        context = {
            **self.admin_site.each_context(request),
            "title": "Paste many accounts",
            "opts": self.opts,
            "form": form,
            "result": result,
        }
        return TemplateResponse(request, "admin/accounts/account/paste.html", context)

    @admin.display(description="Account", ordering="label")
    def name(self, account: Account) -> str | SafeString:
        kind = account.get_kind_display()
        label = account.label or account.secret_hint
        hint = f"{kind} {account.secret_hint}" if account.label else kind
        return two_lines(label, hint)

    @admin.display(description="Status", ordering=TROUBLE)
    def status(self, account: Account) -> SafeString:
        mark = _state_badge(account.state)
        if account.state in Account.USABLE or not account.state_cause:
            return mark
        if account.state == State.DISABLED:
            return format_html("<div>{} {}</div>", mark, account.state_cause)
        known = account_advice(account.state_cause)
        cause, todo = known.meaning, account.state_advice or known.action
        return two_lines(format_html("{} {}", mark, cause), todo)

    @admin.display(description="Since", ordering="state_since")
    def since(self, account: Account) -> str | SafeString:
        return ago(account.state_since)

    @admin.display(description="Last used", ordering="last_used_at")
    def used(self, account: Account) -> str | SafeString:
        return ago(account.last_used_at)

    @admin.display(description="Requests 24 h")
    def requests_24h(self, account: Account) -> str | SafeString:
        return _usage_link(account, account.day["all"])

    @admin.display(description="Failed 24 h")
    def failures_24h(self, account: Account) -> str | SafeString:
        return _usage_link(account, account.day["failed"], "fault")

    @admin.display(description="Goes to")
    def egress(self, account: Account) -> str | SafeString:
        proxied = badge("Proxy", "info") if account.proxy_url else ""
        if not (proxied or account.base_url):
            return "default"
        host = urlsplit(account.base_url).netloc or "default"
        return format_html(
            '<div title="{}">{} {}</div>', account.base_url, host, proxied
        )


def _last_day(accounts: list[int]) -> dict[int, dict[str, int]]:
    """Sum the last 24 hours of these accounts in one query over the roll-up."""
    start = clock.now() - datetime.timedelta(hours=24)
    rows = (
        UsageHour.objects.filter(hour__gte=start, account__in=accounts)
        .order_by()
        .values("account_id")
        .annotate(
            all=Sum("requests"),
            failed=Sum("requests", filter=Q(outcome="fault"), default=0),
        )
    )
    return {row["account_id"]: row for row in rows}


def _state_badge(state: str) -> SafeString:
    word = WORDS.get(state) or dict(State.choices).get(state, state)
    return badge(word, TONES.get(state, "quiet"))


def _usage_link(account: Account, number: int, outcome: str = "") -> str | SafeString:
    if not number:
        return NOTHING
    return format_html(
        '<a class="gp-link" href="{}?account_id={}{}">{}</a>',
        reverse("admin:accounts_usagerecord_changelist"),
        account.pk,
        f"&outcome__exact={outcome}" if outcome else "",
        compact(number),
    )


def _move(accounts: QuerySet, state: str, cause: str, todo: str = "") -> int:
    # Causes are a short column; a long user name must not break the action.
    return sum(
        account.move(state, cause=cause[:60], advice=todo) for account in accounts
    )


def _accounts(count: int) -> str:
    return "1 account" if count == 1 else f"{count} accounts"


def _import(values: dict[str, str]) -> ImportResult:
    return import_secrets(
        values["kind"],
        values["lines"].splitlines(),
        base_url=values["base_url"],
        proxy_url=values["proxy_url"],
        label=values["label"],
    )
