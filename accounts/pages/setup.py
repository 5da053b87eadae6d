"""The page that makes the first operator, open once."""

from collections.abc import Callable
from typing import Any

from django.contrib.auth import login
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views import View

from accounts.models import User
from accounts.pages.forms import OperatorForm


def _closed(*_: Any) -> bool:
    return False


class SetUp(View):
    """Make a superuser for whoever holds the link, while there is none.

    ``is_valid`` tells whether a link's token is the current one; ``close`` ends it
    and tells whether it was open.
    """

    http_method_names = ["get", "head", "post"]
    is_valid: Callable[[str], bool] = _closed
    close: Callable[[], bool] = _closed

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not self._open(kwargs["token"]):
            raise Http404("There is nothing to set up.")
        return super().dispatch(request, *args, **kwargs)

    def get(self, request: HttpRequest, token: str) -> HttpResponse:
        return render(request, "pages/setup.html", {"form": OperatorForm()})

    def post(self, request: HttpRequest, token: str) -> HttpResponse:
        form = OperatorForm(request.POST)
        if not form.is_valid():
            return render(request, "pages/setup.html", {"form": form})
        with transaction.atomic():
            if not self._open(token):
                raise Http404("There is nothing to set up.")
            form.instance.is_staff = form.instance.is_superuser = True
            user = form.save()
            # Of two who send the form at once, one finds the link used.
            if not self.close():
                raise Http404("There is nothing to set up.")
        login(request, user)
        return redirect("home")

    def _open(self, token: str) -> bool:
        return not User.objects.filter(is_superuser=True).exists() and bool(
            self.is_valid(token)
        )
