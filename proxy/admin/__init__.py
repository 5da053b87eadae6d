"""Admin pages of the gateway: upstream accounts, routes, jobs, the front page."""

from proxy.admin import jobs, routes, upstream

__all__ = ["jobs", "routes", "upstream"]
