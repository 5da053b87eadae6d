"""The network guard of admin and every operator page."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseForbidden

from gemproxy.lib.network import client_ip, is_inside

GUARDED = ("/admin/", "/api/operator/")


def may_operate(address: str) -> bool:
    """Return whether ADMIN_ALLOWED_IPS lets this address reach operator paths."""
    allowed = settings.ADMIN_ALLOWED_IPS
    return not allowed or is_inside(address, allowed)


class OperatorNetworkMiddleware:
    """Refuse admin pages to addresses outside ADMIN_ALLOWED_IPS."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path_info.startswith(GUARDED) and not may_operate(_address(request)):
            return HttpResponseForbidden("Not reachable from this address.")
        return self.get_response(request)


def _address(request: HttpRequest) -> str:
    return client_ip(
        request.META.get("REMOTE_ADDR", ""),
        request.META.get("HTTP_X_FORWARDED_FOR", ""),
        settings.TRUSTED_PROXY_HOPS,
    )
