"""Upstream accounts in the admin: trouble first, with its cause and what to do."""

import dataclasses
import datetime
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

from django.contrib import admin, messages
from django.contrib.admin import helpers
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Q, QuerySet, Sum
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from accounts.admin.displays import NOTHING, ago, badge, compact, two_lines
from accounts.models import Account, UsageHour
from gemproxy.adminkit import ChangeList, ModelAdmin, header_link
from gemproxy.lib import clock
from proxy.admin import standing, web_session
from proxy.admin.login_facts import facts_table
from proxy.admin.probe import try_accounts, try_new
from proxy.admin.sign_in import sign_in_page
from proxy.admin.standing import TROUBLE, CauseFilter, RestFilter, running_rests
from proxy.admin.timeline import EventInline, LimitInline, RestInline
from proxy.admin.upstream_forms import (
    AccountForm,
    CoolForm,
    PasteForm,
    told_authorities,
)
from proxy.importing import import_data
from proxy.imports import ImportResult, Where

State = Account.State
MOST_TESTED = 10
NOW = ("status", "until", "todo", "used")
SCHEDULING = ("priority", "weight", "concurrency", "rpm", "tpm", "rpd", "tier")


class AccountList(ChangeList):
    """The list, with how the accounts on the page stand and their last day's sums."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list = list(self.result_list)
        keys = [account.pk for account in self.result_list]
        sums, rests = _last_day(keys), running_rests(keys)
        for account in self.result_list:
            account.day = sums.get(account.pk, {"all": 0, "failed": 0})
            account.stands = standing.standing(account, rests[account.pk])


@admin.register(Account)
class AccountAdmin(ModelAdmin):
    form = AccountForm
    inlines = (RestInline, LimitInline, EventInline)
    list_display = (
        "name",
        "status",
        "until",
        "todo",
        "used",
        "last_24h",
        "egress",
    )
    list_filter = ("state", CauseFilter, RestFilter, "kind")
    search_fields = ("label", "secret_hint", "base_url", "state_cause")
    actions = ("enable", "disable", "clear", "cool", "test_now")
    actions_list = ("paste", "sign_in")
    ordering = (TROUBLE.asc(), "-state_since", "id")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type:
        return AccountList

    def get_fieldsets(self, request: HttpRequest, obj: Account | None = None) -> Any:
        secrets = ["new_secret", "base_url", "new_proxy"]
        if obj is None:
            return [(None, {"fields": ["kind", "label", *secrets, "ca_pem"]})]
        if obj.proxy_url:
            secrets.append("drop_proxy")
        secrets.append("ca_pem")
        if obj.ca_pem:
            secrets.append("trusts")
        found = [("Google account", {"fields": ["login"]})] if _is_login(obj) else []
        return [
            (None, {"fields": ["label", "kind", *NOW, "in_use", "clear_now"]}),
            *found,
            ("Scheduling", {"fields": SCHEDULING}),
            ("Credential", {"fields": secrets}),
            *_of_kind(obj),
        ]

    def get_readonly_fields(
        self, request: HttpRequest, obj: Account | None = None
    ) -> tuple[str, ...]:
        return ("kind", *NOW, "login", "renewal", "trusts") if obj else ()

    def get_inlines(self, request: HttpRequest, obj: Account | None) -> Iterable[type]:
        return self.inlines if obj else ()

    def save_model(
        self, request: HttpRequest, obj: Account, form: AccountForm, change: bool
    ) -> None:
        if form.cleaned_data["new_secret"]:
            # Not before: nobody is asked while a transaction is open.
            transaction.on_commit(lambda: _tell_tested(request, obj))
        if not change:
            super().save_model(request, obj, form, change)
            return
        # Only what the form says: a job may renew the credential at the same moment.
        obj.save(update_fields=form.columns())
        by = request.user.get_username()
        if not form.cleaned_data["in_use"]:
            obj.disable(by)
        elif obj.state == State.DISABLED:
            obj.enable(by)
        if form.cleaned_data["clear_now"]:
            obj.clear(by)
        if obj.state == State.NEEDS_ATTENTION and form.cleaned_data["new_secret"]:
            obj.move(State.NEW, cause="new_secret", by=by)

    @admin.action(description="Enable", permissions=["change"])
    def enable(self, request: HttpRequest, queryset: QuerySet) -> None:
        count = _each(queryset, request, Account.enable)
        messages.success(request, f"Enabled {_accounts(count)}.")

    @admin.action(description="Disable", permissions=["change"])
    def disable(self, request: HttpRequest, queryset: QuerySet) -> None:
        count = _each(queryset, request, Account.disable)
        messages.success(request, f"Disabled {_accounts(count)}.")

    @admin.action(
        description="Clear: end rests, forget failures", permissions=["change"]
    )
    def clear(self, request: HttpRequest, queryset: QuerySet) -> None:
        count = _each(queryset, request, Account.clear)
        messages.success(
            request, f"Cleared {_accounts(count)}: nothing is held against them."
        )

    @admin.action(description="Let rest until …", permissions=["change"])
    def cool(self, request: HttpRequest, queryset: QuerySet) -> HttpResponse | None:
        """Ask until when; then let the selected accounts rest."""
        form = CoolForm(request.POST if "cooled" in request.POST else None)
        if not form.is_valid():
            return self._ask(request, list(queryset), form)
        by, until = request.user.get_username(), form.cleaned_data["until"]
        for account in queryset:
            account.cool(until, by)
        count = _accounts(len(queryset))
        messages.success(request, f"{count} at rest until {until:%Y-%m-%d %H:%M %Z}.")
        return None

    def _ask(
        self, request: HttpRequest, accounts: list[Account], form: CoolForm
    ) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": "Let rest until …",
            "opts": self.opts,
            "accounts": accounts,
            "form": form,
            "checkbox": helpers.ACTION_CHECKBOX_NAME,
        }
        return TemplateResponse(request, "admin/accounts/account/cool.html", context)

    @admin.action(description="Test now", permissions=["change"])
    def test_now(self, request: HttpRequest, queryset: QuerySet) -> None:
        accounts = list(queryset[: MOST_TESTED + 1])
        if len(accounts) > MOST_TESTED:
            messages.error(request, f"Select at most {MOST_TESTED} to test at once.")
            return
        for account, verdict in zip(accounts, try_accounts(accounts), strict=True):
            level = messages.SUCCESS if verdict.passed else messages.ERROR
            messages.add_message(request, level, f"{account}: {verdict.text}")

    @header_link("Paste many", "paste")
    def paste(self, request: HttpRequest) -> HttpResponse:
        """Add many credentials at once; says what became of each line."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = PasteForm(request.POST or None)
        result, tested = None, []
        if request.method == "POST" and form.is_valid():
            result = _import_or_say_why(form)
        if result:
            stored = [*result.added, *result.replaced]
            tested = try_new(form.cleaned_data["kind"], stored)
            form = PasteForm()
        context = {
            **self.admin_site.each_context(request),
            "title": "Paste many accounts",
            "opts": self.opts,
            "form": form,
            "result": result,
            "tested": tested,
        }
        return TemplateResponse(request, "admin/accounts/account/paste.html", context)

    @header_link("Sign in at Google", "sign-in")
    def sign_in(self, request: HttpRequest) -> HttpResponse:
        """Add a Gemini CLI account by signing in; see ``proxy.admin.sign_in``."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        context = {
            **self.admin_site.each_context(request),
            "title": "Sign a Gemini CLI account in",
            "opts": self.opts,
        }
        return sign_in_page(request, context)

    @admin.display(description="What Google says")
    def login(self, account: Account) -> SafeString:
        return facts_table(account)

    @admin.display(description="Account", ordering="label")
    def name(self, account: Account) -> str | SafeString:
        kind = account.get_kind_display()
        label = account.label or account.secret_hint
        hint = f"{kind} {account.secret_hint}" if account.label else kind
        return two_lines(label, hint)

    @admin.display(description="Status", ordering=TROUBLE)
    def status(self, account: Account) -> SafeString:
        return standing.shown(standing.of(account))

    @admin.display(description="Until")
    def until(self, account: Account) -> str | SafeString:
        return standing.shown_end(standing.of(account))

    @admin.display(description="What to do")
    def todo(self, account: Account) -> str | SafeString:
        return standing.shown_todo(standing.of(account))

    @admin.display(description="Last used", ordering="last_used_at")
    def used(self, account: Account) -> str | SafeString:
        return ago(account.last_used_at)

    @admin.display(description="Renewal")
    def renewal(self, account: Account) -> str | SafeString:
        return web_session.renewal(account)

    @admin.display(description="Trusts")
    def trusts(self, account: Account) -> str:
        return told_authorities(account)

    @admin.display(description="Last 24 h")
    def last_24h(self, account: Account) -> str | SafeString:
        failed = account.day["failed"]
        link = _usage_link(account, failed, "fault")
        return two_lines(
            _usage_link(account, account.day["all"]),
            format_html("{} failed", link) if failed else "",
        )

    @admin.display(description="Goes to")
    def egress(self, account: Account) -> str | SafeString:
        proxied = badge("Proxy", "info") if account.proxy_url else ""
        trusted = badge("Own CA", "info") if account.ca_pem else ""
        if not (proxied or trusted or account.base_url):
            return "default"
        host = urlsplit(account.base_url).netloc or "default"
        return format_html(
            '<div title="{}">{} {} {}</div>', account.base_url, host, proxied, trusted
        )


def _tell_tested(request: HttpRequest, account: Account) -> None:
    """Try a credential that has just been stored if its kind wants that; say how."""
    for _, verdict in try_new(account.kind, [account]):
        level = messages.SUCCESS if verdict.passed else messages.ERROR
        messages.add_message(request, level, f"{account}: {verdict.text}")


def _is_login(account: Account) -> bool:
    return account.kind == Account.Kind.CODE_ASSIST


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


def _each(
    accounts: QuerySet, request: HttpRequest, act: Callable[[Account, str], bool | None]
) -> int:
    """Do something to each account; return how many it changed."""
    by = request.user.get_username()
    return sum(act(account, by) is not False for account in accounts)


def _of_kind(account: Account) -> list[Any]:
    """Return the parts of the page that only accounts of this kind have."""
    if account.kind == Account.Kind.GEMINI_WEB:
        return [("Cookies", {"fields": ["renewal"]})]
    return []


def _accounts(count: int) -> str:
    return "1 account" if count == 1 else f"{count} accounts"


def _import_or_say_why(form: PasteForm) -> ImportResult | None:
    try:
        return _import(form.cleaned_data)
    except ValueError as error:
        form.add_error("lines", str(error))
        return None


def _import(values: dict[str, Any]) -> ImportResult:
    said = {each.name: values[each.name] for each in dataclasses.fields(Where)}
    return import_data(values["kind"], values["lines"], Where(**said))
