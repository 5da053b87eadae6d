"""Rows about the gateway itself."""

from proxy.models.incidents import Incident
from proxy.models.routes import Route, Target

__all__ = ["Incident", "Route", "Target"]
