"""What our admin pages use of the theme: the only module that imports it."""

from django.utils.functional import cached_property
from unfold.admin import ModelAdmin as ThemedModelAdmin, TabularInline
from unfold.decorators import action
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from unfold.paginator import InfinitePaginator as UncountedPaginator
from unfold.sites import UnfoldAdminSite as AdminSite
from unfold.views import ChangeList
from unfold.widgets import (
    UnfoldAdminPasswordWidget as PasswordInput,
    UnfoldAdminSelectWidget as Select,
    UnfoldAdminTextareaWidget as Textarea,
    UnfoldAdminTextInputWidget as TextInput,
    UnfoldBooleanWidget as Checkbox,
)

__all__ = [
    "AdminPasswordChangeForm",
    "AdminSite",
    "ChangeList",
    "Checkbox",
    "InfinitePaginator",
    "ModelAdmin",
    "PasswordInput",
    "Select",
    "TabularInline",
    "TextInput",
    "Textarea",
    "UserChangeForm",
    "UserCreationForm",
    "header_link",
]


class ModelAdmin(ThemedModelAdmin):
    """A themed ``ModelAdmin`` with the page size of all our lists."""

    list_per_page = 50
    list_fullwidth = True


class InfinitePaginator(UncountedPaginator):
    """Pages of a table that is too large to count.

    It never asks for a COUNT and stops at a depth where OFFSET is still cheap; what
    lies deeper is found by a filter. The theme knows by the name of the class that
    there is no number of results to show.
    """

    depth = 10_000

    @cached_property
    def count(self) -> int:
        return self.depth


def header_link(description: str, url_path: str):
    """Mark an admin method as a page that the list's header links to.

    The theme sends the link as GET, so the method must change nothing on GET.
    """
    return action(description=description, url_path=url_path)
