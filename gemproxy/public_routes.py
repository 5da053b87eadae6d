"""All that a stranger may reach, with the reason; a test walks every URL for more."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PublicRoute:
    """A method and path that answers without sign-in or token.

    A path that ends in ``*`` stands for all that begin so.
    """

    method: str
    path: str
    reason: str

    def covers(self, method: str, path: str) -> bool:
        """Return whether this entry opens a method and path.

        HEAD goes with GET, and OPTIONS, which tells only methods, with any.
        """
        if method not in (self.method, "OPTIONS", "HEAD" * (self.method == "GET")):
            return False
        if self.path.endswith("*"):
            return path.startswith(self.path[:-1])
        return path == self.path


PUBLIC_ROUTES = (
    PublicRoute("GET", "/health", "load balancers ask whether the process answers"),
    PublicRoute("GET", "/healthz", "the same, under the name that Kubernetes uses"),
    PublicRoute("GET", "/wake", "a sleeping host is woken by any request"),
    PublicRoute("GET", "/sign-in/", "the way in"),
    PublicRoute("POST", "/sign-in/", "the way in"),
    PublicRoute("GET", "/admin/login/", "Django admin's own way in"),
    PublicRoute("POST", "/admin/login/", "Django admin's own way in"),
    PublicRoute("POST", "/sign-out/", "leaving needs no leave"),
    PublicRoute("GET", "/admin/logout/", "leads back to the way in"),
    PublicRoute("POST", "/admin/logout/", "leaving needs no leave"),
    PublicRoute("GET", "/static/*", "styles, scripts and icons hold no data"),
    PublicRoute("GET", "/admin/jsi18n/", "words of Django's own, no data"),
    PublicRoute(
        "GET", "/images/*", "the address is the key: signed, or a name nobody guesses"
    ),
)


def is_public(method: str, path: str) -> bool:
    """Return whether the table lists a method and path."""
    return any(route.covers(method, path) for route in PUBLIC_ROUTES)
