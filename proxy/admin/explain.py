"""The page that answers "who would answer now?", for a request or for a route.

It asks the pool of this process if it serves requests, and else one that is filled
from the database for this page only. Nothing here changes anything.
"""

import math
from dataclasses import dataclass
from typing import Any

from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.urls.resolvers import URLPattern

from accounts.admin.displays import ago
from gemproxy.adminkit import ModelAdmin
from proxy.admin.candidates import (
    Fits,
    Question,
    fit_of,
    groups,
    in_order,
    meaning,
    reason_of,
    shown,
)
from proxy.catalog import Catalog, RoutePlan
from proxy.errors import ModelNotFound
from proxy.models import Incident
from proxy.runtime import runtime
from proxy.scheduling.outlook import READY
from proxy.scheduling.pool import Pool
from proxy.scheduling.store import Store
from proxy.upstreams.http import Clients
from proxy.wire.image_models import lacks_of

MOST_ROWS = 500
NONE: frozenset[str] = frozenset()


class Reader(Store):
    """Reads what the pool keeps, and keeps nothing: to look must not change."""

    def set_aside(self, account_id: int, cause: str, advice: str, link: str) -> None:
        pass


@dataclass(frozen=True, slots=True)
class Source:
    """Routes and accounts to ask; ``live`` if requests are answered from them."""

    catalog: Catalog
    pool: Pool
    live: bool


def source() -> Source:
    """Return what this process answers from, else the same as the database has it."""
    if runtime.started:
        gateway = runtime.gateway
        return Source(gateway.catalog, gateway.pool, live=True)
    catalog, pool = Catalog(), Pool(Clients(), store=Reader())
    catalog.load()
    pool.load()
    pool.restore()
    return Source(catalog, pool, live=False)


def explanation(question: Question, only: str = "") -> dict[str, Any]:
    """Return what the page shows; ``only`` leaves out all but one reason."""
    asked = source()
    basis = {
        "question": question,
        "asked": ago(question.at) if question.at else "",
        "live": asked.live,
        "only": meaning(only) if only else "",
    }
    try:
        route = asked.catalog.resolve(question.model)
    except ModelNotFound:
        return basis
    fits = _fits(asked.pool, route, question.needs)
    found = in_order(asked.pool.explain(route, NONE), route.targets, fits)
    picked = [one for one in found if only in ("", reason_of(one, fits))]
    ready = {one.account_id for one in found if reason_of(one, fits) == READY}
    accounts = {one.account_id for one in found}
    return {
        **basis,
        "route": route,
        "groups": groups(found, fits),
        "answer": _answer(len(ready), asked.pool.earliest(route, question.needs)),
        "ready": len(ready),
        "accounts": len(accounts),
        "candidates": [shown(one, question, fits) for one in picked[:MOST_ROWS]],
        "listed": len(picked),
        "most": MOST_ROWS,
        "incidents": Incident.objects.filter(until__isnull=True).count(),
    }


def _fits(pool: Pool, route: RoutePlan, needs: frozenset[str]) -> Fits:
    """Return how each target of a route fits what a request needs."""
    return {
        (target.kind, target.upstream_model): fit_of(
            needs,
            pool.adapter(target.kind).capabilities - lacks_of(target.upstream_model),
            target.emulates,
        )
        for target in route.targets
    }


def _answer(ready: int, seconds: float | None) -> str:
    """Say when a request would be sent; ``seconds`` is None if nobody can tell."""
    if ready:
        return "A request would be sent at once."
    if seconds is None:
        return (
            "Time alone brings no account back: one must end a call, or you must act."
        )
    return f"The first account can answer in {max(1, math.ceil(seconds))} s."


class ExplainedAdmin(ModelAdmin):
    """Rows that name a model, with a page that says who would answer for it now."""

    def question(self, row: Any) -> Question:
        """Return what a row asks for."""
        raise NotImplementedError

    def get_urls(self) -> list[URLPattern]:
        page = path(
            "<path:object_id>/explain/",
            self.admin_site.admin_view(self.explain),
            name=self._explain_name(),
        )
        return [page, *super().get_urls()]

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        context = dict(extra_context or {})
        if object_id and self._may_explain(request):
            name = f"{self.admin_site.name}:{self._explain_name()}"
            context["explain_url"] = reverse(name, args=[object_id])
        return super().changeform_view(request, object_id, form_url, context)

    def explain(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show who would answer now, and why the others would not."""
        if not self._may_explain(request):
            raise PermissionDenied
        row = self.get_object(request, unquote(object_id))
        if row is None:
            raise Http404
        opts = self.opts
        back = f"{self.admin_site.name}:{opts.app_label}_{opts.model_name}_change"
        context = {
            **self.admin_site.each_context(request),
            **explanation(self.question(row), request.GET.get("reason", "")),
            "title": "Who would answer now?",
            "opts": opts,
            "row": row,
            "back": reverse(back, args=[row.pk]),
        }
        return TemplateResponse(request, "admin/explain.html", context)

    def _explain_name(self) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}_explain"

    def _may_explain(self, request: HttpRequest) -> bool:
        accounts: bool = request.user.has_perm("accounts.view_account")
        return accounts and self.has_view_permission(request)
