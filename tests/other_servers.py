"""The tests once more on other servers: ``python -m tests.other_servers``.

MariaDB gets the tests that touch a database, PostgreSQL with Redis all but those
marked slow. A server that does not answer is skipped with the reason; where CI is
set, that is a failure.
"""

import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parent.parent
PORTS = {"postgres": 5432, "mysql": 3306, "redis": 6379}
NOTHING_COLLECTED = 5
#: Most of these tests wait for a server.
WORKERS = "4"
# They start programs with databases of their own; once is enough.
ELSEWHERE = (
    "tests/test_demo.py",
    "tests/test_deployment_files.py",
    "tests/test_serve.py",
    "tests/test_serving.py",
    "tests/test_supervision.py",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run: what it is on and which tests it takes."""

    title: str
    environment: dict[str, str]
    select: str


def runs() -> list[Run]:
    """Return the runs, with addresses from TEST_*_URL."""
    return [
        Run(
            title="MariaDB and memory",
            environment={"TEST_DATABASE_URL": os.environ["TEST_MARIADB_URL"]},
            select="(django_db or mariadb) and not slow and not browser",
        ),
        Run(
            title="PostgreSQL and Redis",
            environment={
                "TEST_DATABASE_URL": os.environ["TEST_POSTGRES_URL"],
                "TEST_REDIS_URL": os.environ["TEST_REDIS_URL"],
            },
            select="not slow and not browser",
        ),
    ]


def missing(run: Run) -> list[str]:
    """Return the addresses of the run where nobody listens."""
    urls = (v for k, v in run.environment.items() if k.endswith("_URL"))
    return [where for where in map(address, urls) if not listens(*where)]


def address(url: str) -> tuple[str, int]:
    """Return host and port of a server's URL."""
    parts = urlsplit(url)
    default = PORTS.get(parts.scheme.removesuffix("ql"), PORTS.get(parts.scheme, 0))
    return parts.hostname or "127.0.0.1", parts.port or default


def listens(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=2).close()
    except OSError:
        return False
    return True


def in_ci() -> bool:
    return os.environ.get("CI", "").lower() in ("1", "true")


def execute(run: Run) -> int:
    """Run pytest on the servers of the run; return its exit code."""
    command = [sys.executable, "-m", "pytest", "-q", "-n", WORKERS, "-m", run.select]
    command += [f"--ignore={path}" for path in ELSEWHERE]
    # TEST_REDIS_URL moves the whole run to Redis, so that only one of them has it.
    clean = {**os.environ, "TEST_DATABASE_URL": "", "TEST_REDIS_URL": ""}
    environment = {**clean, **run.environment}
    done = subprocess.run(command, cwd=ROOT, env=environment, check=False)
    return 0 if done.returncode == NOTHING_COLLECTED else done.returncode


def main() -> int:
    for run in runs():
        print(f"== {run.title} ==", flush=True)
        absent = [f"{host}:{port}" for host, port in missing(run)]
        if absent:
            print(f"skipped: nothing listens on {', '.join(absent)}", flush=True)
            if in_ci():
                return 1
            continue
        code = execute(run)
        if code:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
