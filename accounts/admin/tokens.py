"""Tokens in the admin: issued, shown once, revoked."""

import datetime
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin import helpers
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.safestring import SafeString

from accounts.admin.displays import ago, badge
from accounts.models import Token
from gemproxy.adminkit import ModelAdmin
from gemproxy.lib import clock

SCOPES = {"api": "API", "operator": "Operator"}
TONES = {"active": "good", "expired": "warn", "revoked": "quiet"}


class StateFilter(admin.SimpleListFilter):
    """Tokens by what they are now."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(state, state.capitalize()) for state in TONES]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        now = clock.now()
        alive = Q(expires_at=None) | Q(expires_at__gt=now)
        wanted = {
            "active": Q(alive, revoked_at=None),
            "expired": Q(revoked_at=None, expires_at__lte=now),
            "revoked": Q(revoked_at__isnull=False),
        }
        return queryset.filter(wanted.get(self.value(), Q()))


class TokenForm(forms.ModelForm):
    """A new token or a changed one."""

    class Meta:
        model = Token
        fields = ("user", "name", "scope", "plan", "remove_mark", "expires_at")

    def clean_expires_at(self) -> datetime.datetime | None:
        expires_at = self.cleaned_data["expires_at"]
        if expires_at and not self.instance.pk and expires_at <= clock.now():
            raise forms.ValidationError("Give a moment that is still to come.")
        return expires_at

    def clean(self) -> dict[str, Any]:
        values = super().clean()
        owner = values.get("user")
        if values.get("scope") == Token.Scope.OPERATOR and not (
            owner is None or owner.is_staff
        ):
            self.add_error("scope", "Only staff users may hold an operator token.")
        return values


@admin.register(Token)
class TokenAdmin(ModelAdmin):
    form = TokenForm
    list_display = (
        "name",
        "user",
        "shown_prefix",
        "scope_badge",
        "state_badge",
        "used",
        "expires",
        "plan",
    )
    list_filter = (StateFilter, "scope", "plan")
    list_select_related = ("user", "plan")
    search_fields = ("name", "prefix", "user__username")
    autocomplete_fields = ("user",)
    ordering = ("-created_at",)
    actions = ("revoke",)

    def get_fields(
        self, request: HttpRequest, obj: Token | None = None
    ) -> tuple[str, ...]:
        fields = ("user", "name", "scope", "plan", "remove_mark", "expires_at")
        if obj is None:
            return fields
        return (*fields, "shown_prefix", "state_badge", "created_at", "used")

    def get_readonly_fields(
        self, request: HttpRequest, obj: Token | None = None
    ) -> tuple[str, ...]:
        if obj is None:
            return ()
        return ("user", "scope", "shown_prefix", "state_badge", "created_at", "used")

    def save_model(
        self, request: HttpRequest, obj: Token, form: forms.ModelForm, change: bool
    ) -> None:
        """Issue a new token; its text leaves only with this very response."""
        if change:
            super().save_model(request, obj, form, change)
            return
        if not _may_issue(request, obj):
            raise PermissionDenied("Only a superuser may do that.")
        token, obj.text = Token.issue(
            user=obj.user,
            name=obj.name,
            scope=obj.scope,
            plan=obj.plan,
            remove_mark=obj.remove_mark,
            expires_at=obj.expires_at,
        )
        obj.pk, obj.prefix, obj.created_at = token.pk, token.prefix, token.created_at

    def response_add(
        self, request: HttpRequest, obj: Token, post_url_continue: str | None = None
    ) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": "Token issued",
            "opts": self.opts,
            "token": obj,
            "text": obj.text,
        }
        response = TemplateResponse(
            request, "admin/accounts/token/issued.html", context
        )
        response["Cache-Control"] = "no-store"
        return response

    @admin.action(description="Revoke selected tokens", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet) -> HttpResponse | None:
        """Ask first; then close the door for the selected tokens."""
        tokens = queryset.filter(revoked_at=None).select_related("user")
        if not request.POST.get("confirmed"):
            return self._ask(request, tokens)
        count = 0
        for token in tokens:
            token.revoke()
            self.log_change(request, token, "Revoked.")
            count += 1
        messages.success(request, f"Revoked {count} token{'' if count == 1 else 's'}.")
        return None

    def _ask(self, request: HttpRequest, tokens: QuerySet) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": "Revoke tokens?",
            "opts": self.opts,
            "tokens": tokens,
            "checkbox": helpers.ACTION_CHECKBOX_NAME,
        }
        return TemplateResponse(request, "admin/accounts/token/revoke.html", context)

    @admin.display(description="Begins with", ordering="prefix")
    def shown_prefix(self, token: Token) -> str:
        return f"{token.prefix}…"

    @admin.display(description="Scope", ordering="scope")
    def scope_badge(self, token: Token) -> SafeString:
        tone = "info" if token.scope == Token.Scope.OPERATOR else "quiet"
        return badge(SCOPES[token.scope], tone, token.get_scope_display())

    @admin.display(description="State")
    def state_badge(self, token: Token) -> SafeString:
        return badge(token.state.capitalize(), TONES[token.state])

    @admin.display(description="Last used", ordering="last_used_at")
    def used(self, token: Token) -> str | SafeString:
        return ago(token.last_used_at)

    @admin.display(description="Expires", ordering="expires_at")
    def expires(self, token: Token) -> str | SafeString:
        return ago(token.expires_at) if token.expires_at else "never"


def _may_issue(request: HttpRequest, token: Token) -> bool:
    """A token acts as its owner, so staff must not make one of a superuser's."""
    return request.user.is_superuser or not (
        token.user.is_superuser or token.scope == Token.Scope.OPERATOR
    )
