"""Plans in the admin."""

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.db.models import Count, IntegerField, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest

from accounts.admin.displays import badge
from accounts.models import Plan, Token, User
from gemproxy.adminkit import Checkbox, ModelAdmin, Textarea


class PatternsField(forms.CharField):
    """A list of texts, one on each line."""

    def prepare_value(self, value: object) -> object:
        return "\n".join(value) if isinstance(value, list) else value

    def clean(self, value: str) -> list[str]:
        return [
            line.strip() for line in super().clean(value).splitlines() if line.strip()
        ]

    def has_changed(self, initial: object, data: object) -> bool:
        return super().has_changed(self.prepare_value(initial), data)


class PlanForm(forms.ModelForm):
    # Not the model's own field: its constraint would refuse a second default, while
    # ``Plan.save`` makes the first one step back.
    default = forms.BooleanField(
        required=False,
        widget=Checkbox(),
        help_text="For people and tokens that name no plan; replaces the present one.",
    )
    models = PatternsField(
        label="Models",
        required=False,
        widget=Textarea(attrs={"rows": 4}),
        help_text="One name on each line, * as a wildcard, such as gemini-2.5-*. "
        "Empty: every model.",
    )

    class Meta:
        model = Plan
        fields = (
            "name",
            "description",
            "requests_per_minute",
            "concurrency",
            "image_days",
            "images_kept",
            "models",
        )
        help_texts: ClassVar = {
            "image_days": "Empty: as long as IMAGE_RETENTION_DAYS says, which also "
            "is the longest. 0: gone at the next clean-up.",
            "images_kept": "For each person of this plan; the oldest go first. "
            "Empty: any number.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["default"].initial = self.instance.is_default

    def save(self, commit: bool = True) -> Plan:
        self.instance.is_default = self.cleaned_data["default"]
        return super().save(commit)


@admin.register(Plan)
class PlanAdmin(ModelAdmin):
    form = PlanForm
    fields = (
        "name",
        "description",
        "default",
        "requests_per_minute",
        "concurrency",
        "image_days",
        "images_kept",
        "models",
    )
    list_display = (
        "name",
        "default_badge",
        "requests_per_minute",
        "concurrency",
        "allowed",
        "people",
        "token_count",
        "description",
    )
    search_fields = ("name", "description")

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return (
            super()
            .get_queryset(request)
            .annotate(people_count=_count(User), tokens_count=_count(Token))
        )

    @admin.display(description="Default", ordering="is_default")
    def default_badge(self, plan: Plan) -> str:
        return badge("Default", "info") if plan.is_default else ""

    @admin.display(description="Models")
    def allowed(self, plan: Plan) -> str:
        return ", ".join(plan.models) or "all"

    @admin.display(description="Users", ordering="people_count")
    def people(self, plan: Plan) -> int:
        return plan.people_count

    @admin.display(description="Tokens", ordering="tokens_count")
    def token_count(self, plan: Plan) -> int:
        return plan.tokens_count


def _count(model: type) -> Coalesce:
    """Count rows of a model that name the plan, without joining two of them."""
    rows = (
        model.objects.filter(plan=OuterRef("pk"))
        .order_by()
        .values("plan")
        .annotate(n=Count("pk"))
    )
    return Coalesce(Subquery(rows.values("n"), output_field=IntegerField()), 0)
