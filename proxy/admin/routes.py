"""Routes in the admin: a model name and who answers to it."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from accounts.admin.displays import badge, compact
from gemproxy.adminkit import TabularInline
from proxy.admin.explain import ExplainedAdmin, Question
from proxy.models import Route, Target
from proxy.upstreams.kinds import KINDS

#: Capabilities in words, and the fields that have them imitated.
EMULATED = {
    "tools": ("Tools", "emulate_tools"),
    "json_schema": ("JSON schemas", "emulate_json_schema"),
}


class TargetForm(forms.ModelForm):
    """A target; only what its kind of account can imitate may be switched on."""

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        kind = KINDS.get(values.get("kind", ""))
        for name, (words, field) in EMULATED.items():
            if kind and values.get(field) and name not in kind.imitates():
                able = [
                    each.label for each in KINDS.values() if name in each.imitates()
                ]
                self.add_error(
                    field, f"{words} can be imitated only for: {', '.join(able)}."
                )
        return values


class TargetInline(TabularInline):
    model = Target
    form = TargetForm
    fields = (
        "position",
        "kind",
        "upstream_model",
        *(f for _, f in EMULATED.values()),
        "image_size",
        "upscale",
        "image_price",
    )
    extra = 0
    min_num = 1
    verbose_name_plural = "Targets: the lowest position that can answer is used"


@admin.register(Route)
class RouteAdmin(ExplainedAdmin):
    change_form_outer_before_template = "admin/proxy/route/explain.html"
    inlines = (TargetInline,)
    list_display = ("name", "state", "served_by", "category", "limits", "display_name")
    list_filter = ("enabled", "category")
    search_fields = ("name", "display_name", "targets__upstream_model")
    actions = ("enable", "disable")
    fieldsets = (
        (None, {"fields": ("name", "enabled", "category")}),
        ("Pictures", {"fields": ("remove_mark",)}),
        (
            "In model lists",
            {
                "fields": (
                    "display_name",
                    "description",
                    "input_token_limit",
                    "output_token_limit",
                    "thinking",
                )
            },
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).prefetch_related("targets")

    def question(self, row: Route) -> Question:
        return Question(model=row.name)

    @admin.action(description="Enable", permissions=["change"])
    def enable(self, request: HttpRequest, queryset: QuerySet) -> None:
        self._switch(request, queryset, enabled=True)

    @admin.action(description="Disable", permissions=["change"])
    def disable(self, request: HttpRequest, queryset: QuerySet) -> None:
        self._switch(request, queryset, enabled=False)

    def _switch(
        self, request: HttpRequest, queryset: QuerySet, *, enabled: bool
    ) -> None:
        keys = list(queryset.values_list("pk", flat=True))
        changed = Route.objects.filter(pk__in=keys).exclude(enabled=enabled)
        count = changed.update(enabled=enabled)
        verb = "Enabled" if enabled else "Disabled"
        self.message_user(request, f"{verb} {count} route{'' if count == 1 else 's'}.")

    @admin.display(description="State", ordering="enabled")
    def state(self, route: Route) -> SafeString:
        if not route.enabled:
            return badge("Disabled", "quiet", "Clients get 404 for this name")
        if not route.targets.all():
            return badge("No target", "bad", "Nothing answers to this name")
        return badge("Enabled", "good")

    @admin.display(description="Served by")
    def served_by(self, route: Route) -> SafeString:
        lines = (
            (target.upstream_model, target.kind, _imitated(target))
            for target in route.targets.all()
        )
        return format_html_join(
            "", '<span class="gp-line" title="{1}">{0}{2}</span>', lines
        )

    @admin.display(description="Tokens in / out")
    def limits(self, route: Route) -> str:
        given, made = route.input_token_limit, route.output_token_limit
        return f"{compact(given)} / {compact(made)}"


def _imitated(target: Target) -> str:
    wanted = target.emulated()
    words = [words for name, (words, _) in EMULATED.items() if name in wanted]
    return f" (imitated: {', '.join(words)})" if words else ""
