"""Settings of a cluster that works on the databases of a running test."""

import os

from tests.settings import *  # noqa: F403
from tests.settings import DATABASES, IS_SQLITE, Q_CLUSTER

if IS_SQLITE:
    DATABASES["default"]["NAME"] = os.environ["CLUSTERS_DATABASE"].removeprefix(
        "sqlite:///"
    )
    DATABASES["jobs"]["NAME"] = os.environ["CLUSTERS_JOBS"]
else:
    DATABASES["default"]["NAME"] = os.environ["CLUSTERS_JOBS"]
Q_CLUSTER["workers"] = 2
# The guard looks for what is due whenever 30 seconds of its cycles are over: at once.
Q_CLUSTER["guard_cycle"] = 30
