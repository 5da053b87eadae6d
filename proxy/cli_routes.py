"""The routes that Gemini CLI accounts serve, opened with the first such account."""

from typing import Any

from accounts.models import Account
from proxy.models import Route
from proxy.wire.code_assist import SEARCH

#: Models that the backend is known to have: the names of our routes, and what they are
#: called there. Google's own client asks for gemini-3-flash where it means 3.5 Flash.
MODELS = {
    "gemini-2.5-flash": "gemini-2.5-flash",
    "gemini-2.5-flash-lite": "gemini-2.5-flash-lite",
    "gemini-2.5-pro": "gemini-2.5-pro",
    "gemini-3-flash-preview": "gemini-3-flash-preview",
    "gemini-3-pro-preview": "gemini-3-pro-preview",
    "gemini-3.0-pro": "gemini-3.1-pro-preview",
    "gemini-3.1-flash-lite": "gemini-3.1-flash-lite",
    "gemini-3.1-pro-preview": "gemini-3.1-pro-preview",
    "gemini-3.1-pro-preview-customtools": "gemini-3.1-pro-preview-customtools",
    "gemini-3.5-flash": "gemini-3-flash",
    "gemini-3.5-flash-lite": "gemini-3.5-flash-lite",
    "gemini-3.8-flash": "gemini-3.8-flash",
}
#: Those among them that no other kind of account has a route for.
OWN: dict[str, dict[str, Any]] = {
    "gemini-3.1-flash-lite": {
        "display_name": "Gemini 3.1 Flash-Lite",
        "description": "Small and quick.",
    },
    "gemini-3.1-pro-preview-customtools": {
        "display_name": "Gemini 3.1 Pro Preview, custom tools",
        "description": "The same model, keener on its caller's own tools.",
    },
}
#: Those with an alias that looks things up.
SEARCHING = (
    "gemini-2.5-flash",
    "gemini-2.5-pro",
    "gemini-3-flash-preview",
    "gemini-3.1-pro-preview",
    "gemini-3.5-flash",
)
#: After other kinds of account, and before what operators put last.
POSITION = 20


def open_routes() -> None:
    """Add these accounts to the routes of their models, and make the search aliases.

    Routes that are there stay as they are, but for the new target.
    """
    for name, words in OWN.items():
        Route.objects.get_or_create(name=name, defaults=words)
    for route in Route.objects.filter(name__in=MODELS):
        model = MODELS[route.name]
        _serve(route, model)
        if route.name in SEARCHING:
            _serve(_alias(route), model + SEARCH)


def _alias(route: Route) -> Route:
    name = route.display_name or route.name
    made, _ = Route.objects.get_or_create(
        name=route.name + SEARCH,
        defaults={
            "display_name": f"{name} with search",
            "description": "Looks things up with Google's search.",
            "category": route.category,
            "input_token_limit": route.input_token_limit,
            "output_token_limit": route.output_token_limit,
            "thinking": route.thinking,
        },
    )
    return made


def _serve(route: Route, model: str) -> None:
    route.targets.get_or_create(
        kind=Account.Kind.CODE_ASSIST,
        upstream_model=model,
        defaults={"position": POSITION},
    )
