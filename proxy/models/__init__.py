"""Rows about the gateway itself."""

from proxy.models.alerts import Alert
from proxy.models.health import HealthSummary
from proxy.models.incidents import Incident
from proxy.models.jobs import JobRun
from proxy.models.routes import Route, Target

__all__ = ["Alert", "HealthSummary", "Incident", "JobRun", "Route", "Target"]
