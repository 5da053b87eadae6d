"""Admin pages of the gateway: upstream accounts, routes, usage, jobs, the front page."""

from proxy.admin import incidents, jobs, routes, upstream, usage

__all__ = ["incidents", "jobs", "routes", "upstream", "usage"]
