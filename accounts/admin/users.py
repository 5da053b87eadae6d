"""Users and groups in the admin."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin, UserAdmin
from django.contrib.auth.models import Group
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from accounts.admin.displays import NOTHING, ago, badge
from accounts.models import User
from gemproxy.adminkit import (
    AdminPasswordChangeForm,
    ModelAdmin,
    UserChangeForm,
    UserCreationForm,
)

POWERS = ("is_staff", "is_superuser", "groups", "user_permissions")

admin.site.unregister(Group)


class PersonForm(UserCreationForm):
    """A new person. Everybody has a password: there is no other way to sign in."""

    usable_password = None


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, ModelAdmin):
    """Groups of permissions, for operators who may not do everything."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        # Who may change a group they are in gives themselves every permission.
        return request.user.is_superuser and super().has_add_permission(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.is_superuser and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.is_superuser and super().has_delete_permission(request, obj)


@admin.register(User)
class PersonAdmin(UserAdmin, ModelAdmin):
    form = UserChangeForm
    add_form = PersonForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("username", "role", "email", "on_plan", "token_count", "seen")
    list_filter = ("is_staff", "is_active", "plan")
    list_select_related = ("plan",)
    search_fields = ("username", "email", "first_name", "last_name")
    ordering = ("username",)
    filter_horizontal = ("groups", "user_permissions")
    readonly_fields = ("last_login", "date_joined")
    fieldsets = (
        (None, {"fields": ("username", "password", "plan")}),
        ("Person", {"fields": ("first_name", "last_name", "email")}),
        ("May do", {"fields": ("is_active", *POWERS)}),
        ("Dates", {"fields": ("last_login", "date_joined")}),
    )
    add_fieldsets = (
        (None, {"fields": ("username", "password1", "password2", "email", "plan")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        live = Q(tokens__revoked_at=None, tokens__isnull=False)
        return super().get_queryset(request).annotate(live=Count("tokens", filter=live))

    def get_readonly_fields(
        self, request: HttpRequest, obj: User | None = None
    ) -> tuple[str, ...]:
        fields = super().get_readonly_fields(request, obj)
        return fields if request.user.is_superuser else (*fields, *POWERS)

    def has_change_permission(
        self, request: HttpRequest, obj: User | None = None
    ) -> bool:
        # Who may edit a superuser may set the password and become one.
        if obj is not None and obj.is_superuser and not request.user.is_superuser:
            return False
        return super().has_change_permission(request, obj)

    def has_delete_permission(
        self, request: HttpRequest, obj: User | None = None
    ) -> bool:
        if obj is not None and obj.is_superuser and not request.user.is_superuser:
            return False
        return super().has_delete_permission(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet) -> None:
        if not request.user.is_superuser:
            queryset = queryset.exclude(is_superuser=True)
        super().delete_queryset(request, queryset)

    @admin.display(description="Role", ordering="is_staff")
    def role(self, user: User) -> SafeString:
        if not user.is_active:
            return badge("Inactive", "quiet", "May not sign in; the tokens are closed")
        if user.is_superuser:
            return badge("Operator", "info", "May do everything")
        if user.is_staff:
            return badge("Staff", "info", "May do what the permissions say")
        return badge("User", "good")

    @admin.display(description="Plan", ordering="plan__name")
    def on_plan(self, user: User) -> Any:
        return user.plan or "default"

    @admin.display(description="Tokens", ordering="live")
    def token_count(self, user: User) -> str | SafeString:
        if not user.live:
            return NOTHING
        url = reverse("admin:accounts_token_changelist")
        return format_html(
            '<a class="gp-link" href="{}?user__id__exact={}">{}</a>',
            url,
            user.pk,
            user.live,
        )

    @admin.display(description="Last sign-in", ordering="last_login")
    def seen(self, user: User) -> str | SafeString:
        return ago(user.last_login)
