"""Which model names we answer to, and who serves them."""

import difflib
import re
import threading
from collections.abc import Iterable, Set
from dataclasses import dataclass
from decimal import Decimal

from proxy.errors import ModelNotFound
from proxy.models import Route, Target
from proxy.upstreams.kinds import KINDS
from proxy.wire.image_models import lacks_of
from proxy.wire.model_lists import ModelInfo

# What SDKs put before a model id: `models/`, `tunedModels/`, `google/`,
# `publishers/google/models/`.
PREFIXES = re.compile(r"^(?:(?:models|tunedModels|publishers|google)/)+")
METHODS = {
    Route.Category.TEXT: ("generateContent", "streamGenerateContent", "countTokens"),
    Route.Category.IMAGE: (
        "generateContent",
        "streamGenerateContent",
        "countTokens",
        "predict",
    ),
    Route.Category.EMBEDDING: ("embedContent", "batchEmbedContents", "countTokens"),
}
NEAREST = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetPlan:
    """One way to serve a model."""

    kind: str
    upstream_model: str
    #: Capabilities that its kind lacks and that are to be imitated.
    emulates: frozenset[str] = frozenset()
    #: Of pictures, where the request names none; "" leaves it to the provider.
    image_size: str = ""
    #: Enlarge what comes smaller than that.
    upscale: bool = False
    #: Of one picture at that size, in USD; None if unknown or nothing is to be paid.
    image_price: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutePlan:
    """A model name of ours with its targets, best first."""

    name: str
    category: str
    targets: tuple[TargetPlan, ...]
    info: ModelInfo
    #: Whether the corner mark goes off its pictures; None leaves it to the setting.
    remove_mark: bool | None = None

    @property
    def upstream_model(self) -> str:
        return self.targets[0].upstream_model


class Catalog:
    """The routes, as last read from the database."""

    def __init__(self) -> None:
        self._routes: dict[str, RoutePlan] = {}
        # Who read later must also write later.
        self._loading = threading.Lock()

    def load(self, _key: str = "") -> None:
        """Read the routes (sync; any thread)."""
        with self._loading:
            rows = Route.objects.filter(enabled=True).prefetch_related("targets")
            plans = (_plan(row) for row in rows)
            self._routes = {plan.name: plan for plan in plans if plan.targets}

    def resolve(self, name: str) -> RoutePlan:
        """Return the route of a model name; raise ModelNotFound with near names."""
        plan = self._routes.get(name) or self._routes.get(PREFIXES.sub("", name))
        if plan is None:
            raise ModelNotFound(
                f"The model {name[:120]!r} does not exist here.{self._hint(name)}",
                param="model",
            )
        return plan

    def models(self, kinds: Set[str] | None = None) -> list[ModelInfo]:
        """Return what we offer, by name; with ``kinds`` what these can serve."""
        return [
            plan.info
            for _, plan in sorted(self._routes.items())
            if kinds is None or any(target.kind in kinds for target in plan.targets)
        ]

    def has_target(self, kind: str, upstream_model: str) -> bool:
        """Return whether a route leads to a model of a kind."""
        return any(
            (target.kind, target.upstream_model) == (kind, upstream_model)
            for plan in self._routes.values()
            for target in plan.targets
        )

    def categories(self) -> dict[str, list[str]]:
        """Return model names by category."""
        found: dict[str, list[str]] = {str(c): [] for c in Route.Category.values}
        for name, plan in sorted(self._routes.items()):
            found[plan.category].append(name)
        return found

    def _hint(self, name: str) -> str:
        near = difflib.get_close_matches(
            PREFIXES.sub("", name)[:120], self._routes, n=NEAREST, cutoff=0.5
        )
        if near:
            return f" Did you mean {_either(near)}?"
        return " GET /v1/models lists what there is."


def _plan(row: Route) -> RoutePlan:
    return RoutePlan(
        name=row.name,
        category=row.category,
        targets=tuple(
            TargetPlan(
                kind=target.kind,
                upstream_model=target.upstream_model,
                emulates=_emulated(target),
                image_size=target.image_size,
                upscale=target.upscale,
                image_price=target.image_price,
            )
            for target in row.targets.all()
        ),
        info=ModelInfo(
            name=row.name,
            display_name=row.display_name or row.name,
            description=row.description,
            created=int(row.created_at.timestamp()),
            input_limit=row.input_token_limit,
            output_limit=row.output_token_limit,
            methods=_methods(row),
            thinking=row.thinking,
            category=row.category,
        ),
        remove_mark=row.remove_mark,
    )


def _methods(row: Route) -> tuple[str, ...]:
    """Return what may be called on a route: nobody counts tokens where none can."""
    lost = [lacks_of(target.upstream_model) for target in row.targets.all()]
    counts = not all("count_tokens" in lacks for lacks in lost)
    return tuple(m for m in METHODS[row.category] if counts or m != "countTokens")


def _emulated(target: Target) -> frozenset[str]:
    """Return what a target imitates: what its row wants and its kind can."""
    wanted = target.emulated()
    known = KINDS.get(target.kind) if wanted else None
    return wanted & known.imitates() if known else frozenset()


def _either(names: Iterable[str]) -> str:
    return " or ".join(names)
