"""What an account's own page lists: its rests, its limits, and what happened to it."""

from collections import Counter
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from accounts.admin.displays import NOTHING, ago, compact, two_lines
from accounts.models import AccountEvent, CoolDown, LearnedLimit
from gemproxy.adminkit import TabularInline
from gemproxy.lib import clock
from proxy.admin.standing import ahead, because, outward, state_badge
from proxy.wire.causes import cause_of

MOST_EVENTS = 50
MOST_RESTS = 100


class _Listed(TabularInline):
    """Rows that are only looked at, and not too many of them."""

    extra = 0
    can_delete = False
    hide_title = True
    most = MOST_RESTS

    def rows(self, rows: QuerySet) -> QuerySet:
        """Return those of the account's rows that are shown, the first ones first."""
        return rows

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        # The inline adds its own filter, so the bound goes in as a list of keys.
        account = request.resolver_match.kwargs.get("object_id", "")
        found = super().get_queryset(request)
        if not account.isdecimal():
            return found.none()
        mine = self.rows(found.filter(account=account))
        return found.filter(pk__in=list(mine.values_list("pk", flat=True)[: self.most]))

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class RestInline(_Listed):
    """What of the account rests now."""

    model = CoolDown
    verbose_name_plural = "Rests now"
    fields = ("what", "why", "ends", "began", "todo")
    readonly_fields = fields

    def rows(self, rows: QuerySet) -> QuerySet:
        return rows.filter(until__gt=clock.now())

    @admin.display(description="What rests")
    def what(self, rest: CoolDown) -> str:
        return rest.model or "The whole account"

    @admin.display(description="Why")
    def why(self, rest: CoolDown) -> SafeString:
        failures = f"{rest.strikes} failures in a row. " if rest.strikes else ""
        return two_lines(because(rest.cause, rest.by), failures + rest.evidence)

    @admin.display(description="Until")
    def ends(self, rest: CoolDown) -> str | SafeString:
        return ahead(rest.until)

    @admin.display(description="Since")
    def began(self, rest: CoolDown) -> str | SafeString:
        return ago(rest.since)

    @admin.display(description="What to do")
    def todo(self, rest: CoolDown) -> SafeString:
        cause = cause_of(rest.cause, of_account=True)
        return two_lines(cause.action, outward(cause.link))


class LimitInline(_Listed):
    """What refusals taught of the account's quotas. Deleting one forgets it."""

    model = LearnedLimit
    verbose_name_plural = "Learned limits"
    fields = ("of", "per_minute", "tokens", "per_day", "shared_with", "learned")
    readonly_fields = fields
    can_delete = True

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        found = super().get_queryset(request)
        buckets = {row.bucket for row in found if row.bucket}
        twins = LearnedLimit.objects.filter(bucket__in=buckets).order_by()
        pairs = twins.values_list("bucket", "account").distinct()
        self.accounts = Counter(bucket for bucket, _ in pairs)
        return found

    @admin.display(description="Model")
    def of(self, limit: LearnedLimit) -> str:
        return limit.model or "All models"

    @admin.display(description="Requests / minute")
    def per_minute(self, limit: LearnedLimit) -> str:
        return _number(limit.rpm)

    @admin.display(description="Input tokens / minute")
    def tokens(self, limit: LearnedLimit) -> str:
        return _number(limit.tpm)

    @admin.display(description="Requests / day")
    def per_day(self, limit: LearnedLimit) -> str:
        return _number(limit.rpd)

    @admin.display(description="Shared with")
    def shared_with(self, limit: LearnedLimit) -> str:
        others = self.accounts[limit.bucket] - 1 if limit.bucket else 0
        if others < 1:
            return NOTHING
        word = "1 other account" if others == 1 else f"{others} other accounts"
        return f"{word} of its project"

    @admin.display(description="Learned")
    def learned(self, limit: LearnedLimit) -> str | SafeString:
        return ago(limit.learned_at)


class EventInline(_Listed):
    """What happened to the account, latest first."""

    model = AccountEvent
    verbose_name_plural = "Timeline"
    fields = ("when", "what", "why", "until_when", "todo")
    readonly_fields = fields
    most = MOST_EVENTS

    @admin.display(description="When")
    def when(self, event: AccountEvent) -> str | SafeString:
        return ago(event.at)

    @admin.display(description="What")
    def what(self, event: AccountEvent) -> SafeString:
        return two_lines(state_badge(event.state), event.model)

    @admin.display(description="Why")
    def why(self, event: AccountEvent) -> SafeString:
        reason = because(event.cause, event.by) or NOTHING
        return two_lines(reason, event.evidence)

    @admin.display(description="Until")
    def until_when(self, event: AccountEvent) -> str | SafeString:
        return ahead(event.until)

    @admin.display(description="What to do")
    def todo(self, event: AccountEvent) -> str:
        return event.advice or NOTHING


def _number(value: int | None) -> str:
    return NOTHING if value is None else compact(value)
