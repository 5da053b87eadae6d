"""Rows about the gateway itself."""

from proxy.models.routes import Route, Target

__all__ = ["Route", "Target"]
