"""The front door: everybody is led to the place that is theirs."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect


def home(request: HttpRequest) -> HttpResponse:
    """Strangers go to sign-in, operators to the admin, users to their tokens."""
    user = request.user
    if not user.is_authenticated:
        return redirect("sign-in")
    return redirect("admin:index" if user.is_staff else "tokens")
