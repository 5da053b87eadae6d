"""A gateway and a sandbox of the lab's own, on free ports, with a folder of its own."""

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import uvicorn
from django.conf import settings
from django.db import connections

from accounts.models import Token, User
from gemproxy import migrating
from gemproxy.lib import clock
from gemproxy.serving import bound_socket, listen
from gemproxy.supervision import Child, Program
from proxy.faultlab.settings import BOUNDS
from proxy.faultlab.stand import Stand, StandBroken, eventually
from proxy.sandbox.app import create_sandbox
from proxy.sandbox.logins import CLIENT_ID, CLIENT_SECRET
from proxy.sandbox.web_proxy import web_sandbox

LOCAL = "127.0.0.1"
#: As the sandbox's web site calls its certificate.
CA_FILE = "sandbox-ca.pem"
_STOP_SECONDS = 10.0
_START_SECONDS = 60.0


def environment(folder: str) -> dict[str, str]:
    """Return the settings of the pair, for a process that shall hold them."""
    bounds = {name: str(value) for name, value in BOUNDS.items()}
    values = {
        **bounds,
        "VAR_DIR": folder,
        "WORKERS": "1",
        "LOG_LEVEL": "ERROR",
        "GEMINI_WEB_CA_FILE": str(Path(folder) / CA_FILE),
        "GEMINI_CLI_CLIENT_ID": CLIENT_ID,
        "GEMINI_CLI_CLIENT_SECRET": CLIENT_SECRET,
    }
    return _named(values)


@contextmanager
def own_pair() -> Iterator[Stand]:
    """Start both, in a process with the settings of ``environment``; yield the stand."""
    migrating.prepare(allowed=True, say=lambda line: None)
    _, token = Token.issue(user=User.objects.create_user("faultlab"), name="fault lab")
    connections.close_all()
    with (
        _sandbox() as sandbox_url,
        web_sandbox(Path(settings.VAR_DIR)) as web,
        _gateway({"OAUTH_TOKEN_URL": f"{sandbox_url}/token"}) as gateway_url,
        Stand(gateway_url, token, sandbox_url, web.proxy_url) as stand,
    ):
        yield stand


@contextmanager
def _sandbox() -> Iterator[str]:
    """Serve the sandbox from a thread; yield its address."""
    sock = bound_socket(LOCAL, 0)
    config = uvicorn.Config(
        create_sandbox(), log_level="critical", lifespan="off", ws="none"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([sock],), daemon=True)
    thread.start()
    try:
        yield f"http://{LOCAL}:{sock.getsockname()[1]}"
    finally:
        server.should_exit = server.force_exit = True
        thread.join(_STOP_SECONDS)
        sock.close()


@contextmanager
def _gateway(values: Mapping[str, str]) -> Iterator[str]:
    """Run a server process that cannot outlive this one; yield its address.

    ``values`` are settings that were not known when this process began.
    """
    sock = bound_socket(LOCAL, 0)
    listen(sock)
    reading, writing = os.pipe()
    descriptor = sock.fileno()
    program = Program(
        name="server",
        module="gemproxy.serving",
        arguments=("--fd", str(descriptor), "--server", settings.SERVER),
        descriptors=(descriptor,),
        environment=_named(values),
    )
    child = Child(program, clock.monotonic)
    url = f"http://{LOCAL}:{sock.getsockname()[1]}"
    try:
        child.start(reading)
        eventually(lambda: _is_up(child, url), "the gateway starts", _START_SECONDS)
        yield url
    finally:
        _stop(child)
        for end in (reading, writing):
            os.close(end)
        sock.close()


def _is_up(child: Child, url: str) -> bool:
    if child.fell() is not None:
        raise StandBroken("the gateway fell; see the messages above")
    try:
        # The URL is our own address.
        with urlopen(f"{url}/health", timeout=5) as response:  # noqa: S310
            return bool(response.status == 200)
    except (URLError, OSError):
        return False


def _stop(child: Child) -> None:
    if child.process is None:
        return
    child.terminate()
    try:
        eventually(
            lambda: child.process is None or child.process.poll() is not None,
            "the gateway stops",
            _STOP_SECONDS,
        )
    finally:
        child.kill()


def _named(values: Mapping[str, str]) -> dict[str, str]:
    return {f"GEMPROXY_{name}": value for name, value in values.items()}
