"""Portal pages about me: sign-in, my tokens, my password."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import LoginView, LogoutView, PasswordChangeView
from django.db.models import F
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse_lazy
from django.views.decorators.http import require_http_methods

from accounts.models import Token
from accounts.pages.forms import TokenForm
from accounts.pages.security import guarded
from accounts.pages.snippets import snippets
from accounts.pages.tries import throttled

MOST_LISTED = 200


class SignIn(LoginView):
    """The sign-in page of users and operators alike."""

    template_name = "pages/sign_in.html"
    redirect_authenticated_user = True

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return throttled(request, lambda: super(SignIn, self).dispatch(request))


class PasswordChange(PasswordChangeView):
    """A new password, for those who know the old one."""

    template_name = "pages/password.html"
    success_url = reverse_lazy("tokens")

    def form_valid(self, form: Any) -> HttpResponse:
        messages.success(self.request, "Your password is changed.")
        return super().form_valid(form)


sign_in = guarded(SignIn.as_view())
sign_out = guarded(LogoutView.as_view())
password = guarded(PasswordChange.as_view())


@guarded
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def tokens(request: HttpRequest) -> HttpResponse:
    """List my tokens; a POST issues one and shows it this once."""
    form = TokenForm(request.POST or None)
    issued = None
    if request.method == "POST" and form.is_valid():
        issued = _issue(request, form)
        form = TokenForm()
    return render(
        request,
        "pages/tokens.html",
        {"tokens": _listed(request), "form": form, "issued": issued},
    )


@guarded
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def revoke(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask whether a token of mine shall be closed; a POST closes it."""
    token = get_object_or_404(Token, pk=pk, user=request.user)
    if request.method != "POST":
        return render(request, "pages/revoke.html", {"token": token})
    token.revoke()
    messages.success(request, f"“{token.name}” is revoked.")
    return redirect("tokens")


def _issue(request: HttpRequest, form: TokenForm) -> dict[str, Any]:
    token, text = Token.issue(
        user=request.user,
        name=form.cleaned_data["name"],
        expires_at=form.expires_at(),
    )
    url = settings.PUBLIC_URL or request.build_absolute_uri("/").rstrip("/")
    return {
        "token": token,
        "text": text,
        "url": url,
        "snippets": snippets(url, text, settings.DEFAULT_MODEL),
    }


def _listed(request: HttpRequest) -> list[Token]:
    """Return my tokens, usable ones first."""
    mine = Token.objects.filter(user=request.user)
    order = F("revoked_at").desc(nulls_first=True), "-created_at"
    found = list(mine.order_by(*order)[:MOST_LISTED])
    return sorted(found, key=lambda token: token.state != "active")


@guarded
def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return render(request, "404.html", status=404)


@guarded
def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    return render(request, "403.html", status=403)


@guarded
def broken(request: HttpRequest) -> HttpResponse:
    # Nothing here may need what has just failed: no session, no database.
    return render(None, "500.html", status=500)
