"""What is measured: the mock alone, the forwarder, the gateway, others."""

import base64
import os
import secrets
import string
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tests.bench.bodies import MODEL
from tests.bench.errors import BenchError
from tests.bench.native import Mock
from tests.bench.processes import Child, free_port, owners_of_port

ROOT = Path(__file__).resolve().parent.parent.parent
CHAT = "/v1/chat/completions"
GEMINI_FINAL = '"finishReason": "STOP"'
OPENAI_FINAL = "[DONE]"
START_SECONDS = 60
KEYS = 4
CLEAN = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV")


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """Where the load generator asks, and whose time is counted."""

    whole_url: str
    stream_url: str
    final: str
    processes: tuple[int, ...]
    headers: tuple[str, ...] = ()
    fresh: bool = True  # started for this round, so its memory can grow from new


Opening = Callable[[], AbstractContextManager[Door]]


@dataclass(frozen=True, slots=True)
class Place:
    """Where targets run: the core of the measured process, the mock, a directory."""

    core: int | None
    mock: Mock
    directory: Path


@contextmanager
def direct(place: Place) -> Iterator[Door]:
    """The mock itself: what the generator and the loopback cost."""
    models = f"{place.mock.url}/v1beta/models/{MODEL}"
    yield Door(
        whole_url=f"{models}:generateContent",
        stream_url=f"{models}:streamGenerateContent?alt=sse",
        final=GEMINI_FINAL,
        processes=(place.mock.child.pid,),
        fresh=False,
    )


@contextmanager
def _started(
    place: Place, name: str, argv: list[str], port: int, env: dict[str, str] | None
) -> Iterator[Child]:
    log = place.directory / f"{name}.log"
    child = Child(argv, core=place.core, log=log, env=env, cwd=ROOT)
    try:
        child.wait_for_port(port, seconds=START_SECONDS)
        yield child
        child.check_alive()
    finally:
        child.stop()


@contextmanager
def forwarder(place: Place) -> Iterator[Door]:
    """The baseline of `tests.bench.forwarder`, started for this round."""
    port = free_port()
    argv = [sys.executable, "-m", "tests.bench.forwarder", "--port", str(port)]
    argv += ["--upstream", place.mock.url]
    with _started(place, "forwarder", argv, port, None) as child:
        url = f"http://127.0.0.1:{port}{CHAT}"
        yield Door(
            whole_url=url,
            stream_url=url,
            final=GEMINI_FINAL,
            processes=(child.pid,),
        )


class Gateway:
    """The gateway of this checkout with a database of its own, made once."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._var = place.directory / "gateway"
        self._var.mkdir()
        self._env = gateway_environment(self._var, place.mock.url)
        self._manage("migrate", "--verbosity", "0")
        keys = "\n".join(new_key() for _ in range(KEYS)) + "\n"
        self._manage("import_accounts", "gemini_api", "-", given=keys)
        output = self._manage("create_token", "bench", "--create-user")
        self._token = output.strip().rpartition("\n")[2].strip()
        if not self._token.startswith("gp-"):
            raise BenchError(f"create_token printed no token:\n{output}")

    @contextmanager
    def open(self) -> Iterator[Door]:
        """Start the server alone for this round."""
        port = free_port()
        argv = [sys.executable, "manage.py", "serve", "--only", "server"]
        argv += ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
        with _started(self._place, "gateway", argv, port, self._env) as child:
            yield chat_door(
                f"http://127.0.0.1:{port}", self._token, (child.pid,), fresh=True
            )

    def _manage(self, *words: str, given: str = "") -> str:
        done = subprocess.run(
            [sys.executable, "manage.py", *words],
            input=given,
            capture_output=True,
            text=True,
            env=self._env,
            cwd=ROOT,
            timeout=120,
            check=False,
        )
        if done.returncode != 0:
            output = f"{done.stdout}\n{done.stderr}"[-3000:]
            raise BenchError(f"manage.py {words[0]} failed:\n{output}")
        return done.stdout


def chat_door(url: str, token: str, processes: tuple[int, ...], *, fresh: bool) -> Door:
    """Return the door of an OpenAI-compatible server."""
    return Door(
        whole_url=url.rstrip("/") + CHAT,
        stream_url=url.rstrip("/") + CHAT,
        final=OPENAI_FINAL,
        processes=processes,
        headers=(f"Authorization: Bearer {token}",) if token else (),
        fresh=fresh,
    )


@contextmanager
def running(url: str, token: str) -> Iterator[Door]:
    """A server that somebody else started; its process is found by its port."""
    port = urlsplit(url).port or 80
    yield chat_door(url, token, tuple(owners_of_port(port)), fresh=False)


def new_key() -> str:
    """Return an API key of the right form that opens nothing."""
    letters = string.ascii_letters + string.digits
    return "AIzaSy" + "".join(secrets.choice(letters) for _ in range(33))


def gateway_environment(var: Path, upstream: str) -> dict[str, str]:
    """Return settings that owe nothing to the operator's own.

    The prefixed names win over whatever a `.env` file of the checkout says, so that
    the benchmark can touch no real database and no real key.
    """
    settings = {
        "VAR_DIR": str(var),
        "DATABASE_URL": f"sqlite:///{var / 'bench.sqlite3'}",
        "REDIS_URL": "",
        "SECRET_KEY": secrets.token_urlsafe(48),
        "ENCRYPTION_KEYS": base64.urlsafe_b64encode(os.urandom(32)).decode(),
        "GEMINI_BASE_URL": upstream,
        "GEMINI_API_KEYS": "",
        "ALLOWED_HOSTS": "127.0.0.1",
        "LOG_LEVEL": "WARNING",
        "DEBUG": "false",
    }
    kept = {name: os.environ[name] for name in CLEAN if name in os.environ}
    return {**kept, **{f"GEMPROXY_{name}": text for name, text in settings.items()}}
