"""Portal pages about me: the pictures that my tokens made."""

import datetime
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe

from accounts.models import Token
from accounts.pages.security import guarded
from imaging import gallery, library, links
from imaging.models import NAME, Blob, Image
from imaging.snippets import edits

FIRST_YEAR, LAST_YEAR = 1970, 9000


class FilterForm(forms.Form):
    """Which of my pictures I want to see."""

    q = forms.CharField(label="Words of the prompt", required=False, max_length=200)
    model = forms.ChoiceField(required=False)
    token = forms.ModelChoiceField(
        Token.objects.none(), required=False, empty_label="Any"
    )
    since = forms.DateField(
        label="From", required=False, widget=forms.DateInput({"type": "date"})
    )
    until = forms.DateField(
        label="To", required=False, widget=forms.DateInput({"type": "date"})
    )
    edits = forms.BooleanField(label="Edits only", required=False)

    def __init__(self, user: Any, data: Any) -> None:
        super().__init__(data)
        models = [(model, model) for model in gallery.models_of(user)]
        self.fields["model"].choices = [("", "Any"), *models]
        tokens = self.fields["token"]
        tokens.queryset = Token.objects.filter(user=user).order_by("name", "pk")
        tokens.label_from_instance = lambda token: f"{token.name} ({token.prefix}…)"

    def clean_since(self) -> datetime.date | None:
        return _sane(self.cleaned_data["since"])

    def clean_until(self) -> datetime.date | None:
        return _sane(self.cleaned_data["until"])


@guarded
@login_required
@require_safe
def pictures(request: HttpRequest) -> HttpResponse:
    """Show a page of my pictures, newest first, as the filters ask."""
    form = FilterForm(request.user, request.GET)
    page = gallery.Shelf([], "")
    if form.is_valid():
        rows = gallery.chosen(gallery.owned(request.user), form.cleaned_data)
        page = _shelf(rows, request.GET.get("before", ""))
    query = request.GET.copy()
    query["before"] = page.older
    context = {
        "form": form,
        "cards": [_card(image) for image in page.images],
        "older": query.urlencode() if page.older else "",
        "is_filtered": any(request.GET.get(name) for name in form.fields),
        "is_later_page": "before" in request.GET,
    }
    return render(request, "pages/gallery.html", context)


@guarded
@login_required
@require_safe
def picture(request: HttpRequest, name: str) -> HttpResponse:
    """Show one of my pictures and all that is known of it."""
    if not NAME.fullmatch(name):
        raise Http404("There is no such picture.")
    mine = gallery.owned(request.user)
    image = get_object_or_404(mine, name=name)
    token = Token.objects.filter(pk=image.token_id, user=request.user).first()
    context = {
        "image": image,
        "token": token,
        "waits": image.blob.state == Blob.State.PENDING,
        "parents": [_card(one) for one in gallery.ancestors(image, mine)],
        "children": [_card(one) for one in gallery.children(image, mine)],
    }
    if not image.is_taken_down:
        context |= _files(request, image)
    return render(request, "pages/gallery_picture.html", context)


@guarded
@login_required
@require_POST
def delete(request: HttpRequest) -> HttpResponse:
    """Ask whether pictures of mine shall be deleted; delete them once confirmed.

    What was taken down stays: its fate is the operators'.
    """
    given = request.POST.getlist("name")[: gallery.PAGE]
    names = [name for name in given if NAME.fullmatch(name)]
    found = list(gallery.owned(request.user).filter(name__in=names))
    images = [image for image in found if not image.is_taken_down]
    if not images:
        messages.error(request, "No picture is selected that can be deleted.")
        return redirect("pictures")
    if "confirmed" not in request.POST:
        cards = [_card(image) for image in images]
        return render(request, "pages/gallery_delete.html", {"cards": cards})
    count = library.delete(images)
    told = "1 picture is" if count == 1 else f"{count} pictures are"
    messages.success(request, f"{told} deleted.")
    return redirect("pictures")


def _sane(day: datetime.date | None) -> datetime.date | None:
    """Refuse days whose midnight some time zone or database cannot tell."""
    if day and not FIRST_YEAR <= day.year <= LAST_YEAR:
        raise forms.ValidationError("Enter a valid date.")
    return day


def _shelf(rows: Any, place: str) -> gallery.Shelf:
    try:
        return gallery.shelf(rows, place)
    except ValueError as error:
        raise Http404("There is no such page.") from error


def _card(image: Image) -> dict[str, Any]:
    """Return what a small view of a picture needs; the source only if it is shown."""
    shown = not image.is_taken_down
    source = links.path(image, links.THUMBNAIL, links.PAGE_SECONDS) if shown else ""
    return {"image": image, "source": source}


def _files(request: HttpRequest, image: Image) -> dict[str, Any]:
    url = settings.PUBLIC_URL or links.base_of(request)
    link = links.link(image, url)
    original = ""
    if image.original and image.original.taken_down_at is None:
        original = links.path(image, links.ORIGINAL, links.PAGE_SECONDS)
    return {
        "source": links.path(image, seconds=links.PAGE_SECONDS),
        "original": original,
        "link": link,
        "link_ends_at": gallery.link_ends_at(image),
        "snippets": edits(
            url=url,
            link=link,
            model=image.model or settings.DEFAULT_IMAGE_MODEL,
            file=image.file_name,
            media_type=image.blob.media_type,
        ),
    }
