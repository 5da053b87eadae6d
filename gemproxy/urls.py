"""The whole map of the pages. API paths are in proxy.surfaces.urls."""

from django.contrib import admin
from django.urls import include, path

from accounts.pages.security import guarded
from accounts.pages.setup import SetUp
from gemproxy.setup import close_setup, redeem_is_valid
from proxy.admin.cli_auth import import_login
from proxy.pages.home import home

urlpatterns = [
    path("", guarded(home), name="home"),
    path("", include("accounts.pages.urls")),
    path("images/", include("imaging.urls")),
    path("pictures/", include("imaging.gallery_urls")),
    path(
        "setup/<str:token>/",
        guarded(SetUp.as_view(is_valid=redeem_is_valid, close=close_setup)),
        name="setup",
    ),
    path("admin/cli-auth/import", import_login),
    path("admin/", admin.site.urls),
]

handler403 = "accounts.pages.views.forbidden"
handler404 = "accounts.pages.views.not_found"
handler500 = "accounts.pages.views.broken"
