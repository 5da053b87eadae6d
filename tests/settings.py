"""Settings of the tests: a folder of their own, known keys, the database asked for."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

from dotenv import dotenv_values

_VAR = Path(tempfile.mkdtemp(prefix="gemproxy-tests-"))
_ROOT = Path(__file__).resolve().parent.parent


def redis_of_worker(url: str) -> str:
    """Return the address of a Redis database that no parallel worker shares.

    Django's cache empties its whole database when a test clears it.
    """
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    head, slash, number = url.rpartition("/")
    if not (number.isdecimal() and worker.isdecimal()):
        return url
    return f"{head}{slash}{max(0, int(number) - int(worker))}"


def _prepare_environment() -> None:
    """Shut out the developer's own settings, then say what the tests need."""
    for name in [name for name in os.environ if name.startswith("GEMPROXY_")]:
        del os.environ[name]
    os.environ |= dict.fromkeys(dotenv_values(_ROOT / ".env"), "")
    os.environ |= {
        "VAR_DIR": str(_VAR),
        "DATABASE_URL": os.environ.get("TEST_DATABASE_URL", ""),
        "REDIS_URL": redis_of_worker(os.environ.get("TEST_REDIS_URL", "")),
        "SECRET_KEY": "only-for-tests-" + "k" * 40,
        "ENCRYPTION_KEYS": "T0hmdlQ1bXd4M2JnQ3d2c0Vqd1pXbkZrYjJ0ZXN0LTE=",
        "TIME_ZONE": "UTC",
    }


def _clean_up(owner: int) -> None:
    # A forked child that ends must not take the folder along.
    if os.getpid() == owner:
        shutil.rmtree(_VAR, ignore_errors=True)


_prepare_environment()
atexit.register(_clean_up, os.getpid())

# Django reads settings as the names of one module; the environment above must be in
# place before these are worked out.
from gemproxy.settings import *  # noqa: E402, F403
from gemproxy.settings import DATABASES  # noqa: E402

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
for _alias, _config in DATABASES.items():
    # A file, not memory: other threads and processes must see the same rows.
    if str(_config["ENGINE"]).endswith("sqlite3"):
        _config["TEST"] = {"NAME": str(_VAR / f"test.{_alias}.sqlite3")}
