"""The admin page on which an operator signs a Google account in."""

import re
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from gemproxy.adminkit import PasswordInput, Textarea, TextInput
from proxy import cli_sign_in
from proxy.admin.probe import try_account
from proxy.admin.upstream_forms import AuthoritiesField, valid_proxy
from proxy.cli_logins import store_login
from proxy.errors import Fault
from proxy.imports import Where
from proxy.upstreams.base import Way
from proxy.upstreams.kinds import KINDS

_PROJECT = re.compile(r"(?:[a-z0-9.-]+:)?[a-z][a-z0-9-]{2,61}[a-z0-9]")
_TEMPLATE = "admin/accounts/account/sign_in.html"


class SignInForm(forms.Form):
    """What an operator brings back from Google's page."""

    address = forms.CharField(
        label="Address bar",
        max_length=8000,
        widget=Textarea(
            attrs={"rows": 3, "spellcheck": "false", "autocomplete": "off"}
        ),
        help_text="The whole address of the page that could not be opened.",
    )
    project = forms.CharField(
        label="Cloud project",
        required=False,
        max_length=80,
        widget=TextInput(),
        help_text="Empty: Google is asked for it. Licences of a company often need it.",
    )
    label = forms.CharField(required=False, max_length=80, widget=TextInput())
    proxy_url = forms.CharField(
        label="Egress proxy", required=False, widget=PasswordInput()
    )
    ca_pem = AuthoritiesField()

    def clean_project(self) -> str:
        project = self.cleaned_data["project"].strip()
        if project and not _PROJECT.fullmatch(project):
            raise forms.ValidationError(
                "Give the project's id, such as calm-river-1, not its number or name."
            )
        return str(project)

    def clean_proxy_url(self) -> str:
        return valid_proxy(self.cleaned_data["proxy_url"])


def sign_in_page(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    """Begin a sign-in, or take what came of it; ``context`` is the admin's own."""
    form = SignInForm(request.POST if "address" in request.POST else None)
    link, problem = "", ""
    if form.is_bound and form.is_valid():
        try:
            return _finished(request, form.cleaned_data)
        except (ValueError, Fault) as error:
            form.add_error("address", str(error))
    if request.method == "POST" and not form.is_bound:
        try:
            link = cli_sign_in.begin(request.session)
        except cli_sign_in.NotSetUp as error:
            problem = str(error)
    more = {
        "form": form,
        "link": link,
        "problem": problem,
        "minutes": cli_sign_in.MINUTES,
        "begun": bool(link) or form.is_bound,
        "warning": KINDS["code_assist"].warning,
    }
    return TemplateResponse(request, _TEMPLATE, {**context, **more})


def _finished(request: HttpRequest, values: dict[str, str]) -> HttpResponse:
    login = cli_sign_in.finish(
        request.session,
        values["address"],
        project=values["project"],
        way=Way(values["proxy_url"], values["ca_pem"]),
    )
    where = Where(
        label=values["label"], proxy_url=values["proxy_url"], ca_pem=values["ca_pem"]
    )
    stored = store_login(login, where, by=request.user.get_username())
    tested = try_account(stored.account)
    level = messages.SUCCESS if tested.passed else messages.ERROR
    messages.add_message(request, level, f"{stored.account}: {tested.text}")
    target = reverse("admin:accounts_account_change", args=[stored.account.pk])
    return HttpResponseRedirect(target)
