"""Pictures in the admin: a gallery, a page for each, and how often a mark is found."""

import datetime
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin import helpers
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import Truncator

from accounts.admin.displays import NOTHING, ago, badge, compact, two_lines
from accounts.admin.usage import AccountFilter, TokenFilter, UserFilter
from gemproxy.adminkit import ModelAdmin, TextInput
from gemproxy.lib import clock
from imaging import library, links, marks
from imaging.gallery import ancestors
from imaging.models import Blob, Image

DAYS = {"1": "Last day", "7": "Last 7 days", "30": "Last 30 days"}
LOOK_BACK = 5000
MOST_CHILDREN = 12
PROMPT_IN_LIST = 90
TONES = {
    Image.Mark.UNTRIED: "quiet",
    Image.Mark.NONE: "quiet",
    Image.Mark.REMOVED: "good",
    Image.Mark.RESIDUAL: "warn",
    Image.Mark.LEFT: "warn",
    Image.Mark.FAILED: "bad",
}


class AgeFilter(admin.SimpleListFilter):
    """Pictures of the latest days."""

    title = "made"
    parameter_name = "days"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return list(DAYS.items())

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        if self.value() not in DAYS:
            return queryset
        start = clock.now() - datetime.timedelta(days=int(self.value()))
        return queryset.filter(created_at__gte=start)


class ColumnFilter(admin.SimpleListFilter):
    """The values of a column that the latest pictures have."""

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        name = self.parameter_name
        latest = Image.objects.values_list(name, flat=True)[:LOOK_BACK]
        names = {value for value in (*latest, self.value()) if value}
        return [(value, value) for value in sorted(names)]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        chosen = self.value()
        return queryset.filter(**{self.parameter_name: chosen}) if chosen else queryset


class ModelFilter(ColumnFilter):
    title = parameter_name = "model"


class VariantFilter(ColumnFilter):
    title, parameter_name = "variant of the mark", "mark_variant"


class StateFilter(admin.SimpleListFilter):
    """Pictures that are not simply there."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("down", "Taken down"), ("waiting", "Wait for their storage")]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        if self.value() == "down":
            return queryset.filter(blob__taken_down_at__isnull=False)
        if self.value() == "waiting":
            return queryset.filter(blob__state=Blob.State.PENDING)
        return queryset


class TakedownForm(forms.Form):
    reason = forms.CharField(
        max_length=300,
        required=False,
        widget=TextInput,
        help_text="The owner of the picture and other operators read it.",
    )


@admin.register(Image)
class ImageAdmin(ModelAdmin):
    list_display = ("preview", "asked", "owner", "mark_badge", "size", "made", "state")
    list_display_links = ("asked",)
    list_filter = (
        AgeFilter,
        ModelFilter,
        StateFilter,
        "mark",
        VariantFilter,
        AccountFilter,
        TokenFilter,
        UserFilter,
    )
    list_before_template = "admin/imaging/image/marks_link.html"
    ordering = ("-created_at", "-id")
    sortable_by = ()
    search_fields = ("prompt", "=request_id", "=name")
    search_help_text = "Words of the prompt, a whole request id or name"
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    actions = ("take_down", "restore")
    fieldsets = (
        (None, {"fields": ("shown", "state", "files")}),
        (
            "Made",
            {"fields": ("prompt", "model", "made_by", "owner", "request_link", "cost")},
        ),
        ("Edits", {"fields": ("chain", "edits")}),
        (
            "Mark",
            {"fields": ("mark_badge", "mark_variant", "mark_facts", "mark_note")},
        ),
        ("Bytes", {"fields": ("size", "stored", "digest", "made", "ends")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        rows = super().get_queryset(request)
        # Owners that were deleted read as None. Joined, they would hide their pictures
        # from the filters by owner.
        return rows.select_related("blob", "original", "thumbnail").prefetch_related(
            "account", "token", "user"
        )

    def get_urls(self) -> list[Any]:
        page = self.admin_site.admin_view(self.marks_view)
        return [path("marks/", page, name="imaging_image_marks"), *super().get_urls()]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_take_down_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("imaging.change_image")

    def delete_model(self, request: HttpRequest, obj: Image) -> None:
        library.delete([obj])

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet) -> None:
        library.delete(queryset)

    def marks_view(self, request: HttpRequest) -> HttpResponse:
        """Show the share of pictures with a mark, by account and day."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        found = marks.shares()
        context = {
            **self.admin_site.each_context(request),
            "title": "Marks found",
            "rows": [(name, [_cell(s) for s in of]) for name, of in found.items()],
            "days": marks.latest_days(),
        }
        return TemplateResponse(request, "admin/imaging/image/marks.html", context)

    @admin.action(description="Take down", permissions=["take_down"])
    def take_down(
        self, request: HttpRequest, queryset: QuerySet
    ) -> HttpResponse | None:
        """Ask for a reason, then let nobody see the pictures."""
        form = TakedownForm(request.POST if "confirmed" in request.POST else None)
        if form.is_bound and form.is_valid():
            count = library.take_down(
                queryset, request.user.get_username(), form.cleaned_data["reason"]
            )
            messages.success(request, f"Took down {_pictures(count)}.")
            return None
        context = {
            **self.admin_site.each_context(request),
            "title": f"Take down {_pictures(len(queryset))}?",
            "pictures": [_source(image) for image in queryset],
            "keys": [image.pk for image in queryset],
            "checkbox": helpers.ACTION_CHECKBOX_NAME,
            "form": form,
        }
        return TemplateResponse(request, "admin/imaging/image/take_down.html", context)

    @admin.action(description="Restore", permissions=["take_down"])
    def restore(self, request: HttpRequest, queryset: QuerySet) -> None:
        down = queryset.filter(blob__taken_down_at__isnull=False)
        messages.success(request, f"Restored {_pictures(library.restore(down))}.")

    @admin.display(description="Picture")
    def preview(self, image: Image) -> SafeString:
        url = reverse("admin:imaging_image_change", args=[image.pk])
        if image.is_taken_down:
            return format_html(
                '<a class="gp-shot gp-shot-empty" href="{}">Taken down</a>', url
            )
        return format_html('<a href="{}">{}</a>', url, _thumbnail(image))

    @admin.display(description="Prompt")
    def asked(self, image: Image) -> SafeString:
        words = Truncator(" ".join(image.prompt.split())).chars(PROMPT_IN_LIST)
        return two_lines(words or image.name[:12], image.model)

    @admin.display(description="Caller")
    def owner(self, image: Image) -> str | SafeString:
        who = image.user.username if image.user else NOTHING
        return two_lines(who, image.token.name if image.token else "")

    @admin.display(description="Mark")
    def mark_badge(self, image: Image) -> SafeString:
        mark = badge(image.get_mark_display(), TONES[Image.Mark(image.mark)])
        return two_lines(mark, image.mark_variant)

    @admin.display(description="Size")
    def size(self, image: Image) -> SafeString:
        blob = image.blob
        return two_lines(
            f"{blob.width} x {blob.height}",
            f"{blob.extension.upper()}, {compact(blob.size)}B",
        )

    @admin.display(description="Made")
    def made(self, image: Image) -> str | SafeString:
        return ago(image.created_at)

    @admin.display(description="State")
    def state(self, image: Image) -> SafeString:
        blob = image.blob
        if blob.taken_down_at:
            told = f"by {blob.taken_down_by}: {blob.takedown_reason}".rstrip(": ")
            return two_lines(badge("Taken down", "bad"), told)
        if blob.state == Blob.State.PENDING:
            return two_lines(badge("Waits for its storage", "warn"), blob.trouble)
        return badge("There", "good")

    @admin.display(description="Picture")
    def shown(self, image: Image) -> str | SafeString:
        if image.is_taken_down:
            return "Not shown: it was taken down."
        source = links.path(image, seconds=links.PAGE_SECONDS)
        return format_html(
            '<a href="{0}"><img class="gp-picture" src="{0}" alt="{1}"></a>',
            source,
            Truncator(image.prompt).chars(PROMPT_IN_LIST),
        )

    @admin.display(description="Files")
    def files(self, image: Image) -> str | SafeString:
        if image.is_taken_down:
            return NOTHING
        found = [("The picture", links.path(image, seconds=links.PAGE_SECONDS))]
        if image.original:
            source = links.path(image, links.ORIGINAL, links.PAGE_SECONDS)
            found.append(("As the provider sent it", source))
        return format_html_join(" · ", '<a class="gp-link" href="{1}">{0}</a>', found)

    @admin.display(description="Account")
    def made_by(self, image: Image) -> str | SafeString:
        if image.account is None:
            return NOTHING
        url = reverse("admin:accounts_account_change", args=[image.account.pk])
        return format_html('<a class="gp-link" href="{}">{}</a>', url, image.account)

    @admin.display(description="Request")
    def request_link(self, image: Image) -> str | SafeString:
        if not image.request_id:
            return NOTHING
        url = reverse("admin:accounts_usagerecord_changelist")
        return format_html(
            '<a class="gp-link" href="{0}?q={1}">{1}</a>', url, image.request_id
        )

    @admin.display(description="Edited from")
    def chain(self, image: Image) -> str | SafeString:
        return _row(ancestors(image, Image.objects))

    @admin.display(description="Edits of it")
    def edits(self, image: Image) -> str | SafeString:
        joined = image.children.select_related("blob", "thumbnail")
        return _row(list(joined[:MOST_CHILDREN]))

    @admin.display(description="Found")
    def mark_facts(self, image: Image) -> str:
        if image.mark_score is None:
            return NOTHING
        strength = image.mark_strength
        told = [f"score {image.mark_score:.2f}"]
        if strength is not None:
            told.append(f"strength {strength:.2f}")
        if image.mark_box:
            told.append("box {} {} {} {}".format(*image.mark_box))
        return ", ".join(told)

    @admin.display(description="Storage")
    def stored(self, image: Image) -> SafeString:
        return two_lines(
            f"{image.blob.storage}: {image.blob.name}", image.blob.get_state_display()
        )

    @admin.display(description="SHA-256")
    def digest(self, image: Image) -> str:
        return image.blob.sha256

    @admin.display(description="Is deleted")
    def ends(self, image: Image) -> str | SafeString:
        return ago(image.ends_at) if image.ends_at else "by hand only"


def _source(image: Image) -> str:
    return links.path(image, links.THUMBNAIL, links.PAGE_SECONDS)


def _thumbnail(image: Image) -> SafeString:
    return format_html(
        '<img class="gp-shot" src="{}" alt="{}" loading="lazy">',
        _source(image),
        Truncator(image.prompt).chars(PROMPT_IN_LIST),
    )


def _row(images: list[Image]) -> str | SafeString:
    """Return small pictures, each a link to its page."""
    if not images:
        return NOTHING
    cells = [
        (
            reverse("admin:imaging_image_change", args=[image.pk]),
            "Taken down" if image.is_taken_down else _thumbnail(image),
        )
        for image in images
    ]
    return format_html(
        '<div class="gp-shots">{}</div>',
        format_html_join("", '<a class="gp-link" href="{}">{}</a>', cells),
    )


def _cell(share: marks.Share) -> dict[str, Any]:
    tone = "good" if share.percent >= 50 else "warn" if share.percent else "quiet"
    return {
        "day": share.day,
        "looked": share.looked,
        "accepted": share.accepted,
        "badge": badge(f"{share.percent} %", tone),
    }


def _pictures(count: int) -> str:
    return "1 picture" if count == 1 else f"{count} pictures"
