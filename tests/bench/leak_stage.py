"""Where a search for leaks happens: a sandbox, a server, and who renews credentials."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.leak_verdict import Sample
from tests.bench.processes import Child, free_port

ROOT = Path(__file__).resolve().parent.parent.parent
#: The routes to the two kinds of account.
WEB, CLI = "leak-web", "leak-cli"
#: Variables that tell the server where and how often to write, and how much.
FILE, SECONDS, TRACE = "WATCH_FILE", "WATCH_SECONDS", "WATCH_TRACE"
_START_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Stage:
    """Where the run happens: a server, its callers' token, what it writes down."""

    url: str
    token: str
    samples: Path
    keeper: Child

    def read(self, begin: float) -> list[Sample]:
        """Return the samples so far; their times count from ``begin``."""
        lines = self.samples.read_text().splitlines()
        found = [Sample.read(json.loads(line), begin) for line in lines]
        return [each for each in found if each.at >= 0]


@contextmanager
def stage(folder: Path, *, accounts: int, every: float, trace: bool) -> Iterator[Stage]:
    """Start everything in a folder; ``accounts`` of each kind, a sample ``every`` s."""
    ports = {name: free_port() for name in ("sandbox", "web", "server")}
    environment = _environment(folder, ports, every, trace=trace)
    children: list[Child] = []

    def start(name: str, *words: str) -> Child:
        command = [sys.executable, *words]
        log = folder / f"{name}.log"
        child = Child(command, core=None, log=log, env=environment, cwd=ROOT)
        children.append(child)
        return child

    try:
        web = ("--web-port", str(ports["web"]), "--web-folder", str(folder))
        sandbox = ("sandbox", "--port", str(ports["sandbox"]), "--pace", "0.01", *web)
        start("sandbox", "manage.py", *sandbox).wait_for_port(
            ports["sandbox"], seconds=_START_SECONDS
        )
        _manage(environment, "migrate", "--verbosity", "0")
        where = (
            f"http://127.0.0.1:{ports['sandbox']}",
            f"http://127.0.0.1:{ports['web']}",
        )
        # It fills the pool, then renews one thing after the other.
        keeper = start("keeper", "-m", "tests.bench.leak_keeper", *where,
                       str(accounts))  # fmt: skip
        told = keeper.wait_for_text("token ", seconds=_START_SECONDS)
        serving = ("-m", "tests.bench.leak_server", str(ports["server"]))
        start("server", *serving).wait_for_port(ports["server"], seconds=_START_SECONDS)
        yield Stage(
            url=f"http://127.0.0.1:{ports['server']}",
            token=told.split("token ", 1)[1].split()[0],
            samples=Path(environment[FILE]),
            keeper=keeper,
        )
    finally:
        for child in reversed(children):
            child.stop(seconds=30)


def _environment(
    folder: Path, ports: dict[str, int], every: float, *, trace: bool
) -> dict[str, str]:
    sandbox = f"http://127.0.0.1:{ports['sandbox']}"
    values = {
        "VAR_DIR": str(folder / "var"),
        "CODE_ASSIST_BASE_URL": sandbox,
        "OAUTH_TOKEN_URL": f"{sandbox}/token",
        "GEMINI_WEB_CA_FILE": str(folder / "sandbox-ca.pem"),
        "LOG_LEVEL": "WARNING",
        # Renewals are the keeper's; nothing else shall change accounts.
        "QUEUE_MAX_WAIT_MS": "30000",
    }
    blank = ("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "ENCRYPTION_KEYS")
    own = {f"GEMPROXY_{name}": value for name, value in values.items()}
    return {
        **{k: v for k, v in os.environ.items() if k not in values},
        **{f"GEMPROXY_{name}": "" for name in blank},
        **own,
        "DJANGO_SETTINGS_MODULE": "gemproxy.settings",
        FILE: str(folder / "samples.jsonl"),
        SECONDS: str(every),
        **({TRACE: "1"} if trace else {}),
    }


def _manage(environment: dict[str, str], *words: str) -> None:
    command = [sys.executable, "manage.py", *words]
    subprocess.run(command, cwd=ROOT, env=environment, check=True)
