"""Deployment files: they parse, say true things, and their commands work as they are."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import get_commands

from gemproxy.serving import bound_socket, listen
from tests.running import eventually, free_port, get, started

ROOT = Path(__file__).resolve().parent.parent
DOCS = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
EXAMPLE = set(
    re.findall(r"^# ([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)
)


def read(name: str) -> str:
    return (ROOT / name).read_text()


def instructions() -> dict[str, list[str]]:
    """Return the Dockerfile's instructions by name, continued lines joined."""
    found: dict[str, list[str]] = {}
    text = re.sub(r"^#.*\n", "", read("Dockerfile"), flags=re.MULTILINE)
    for line in text.replace("\\\n", " ").splitlines():
        if line.strip():
            name, _, rest = line.partition(" ")
            found.setdefault(name, []).append(rest.strip())
    return found


def image_environment() -> dict[str, str]:
    words = shlex.split(" ".join(instructions()["ENV"]))
    return dict(word.split("=", 1) for word in words)


def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(read("compose.yaml"))
    return loaded


def render() -> dict[str, Any]:
    [service] = yaml.safe_load(read("render.yaml"))["services"]
    assert isinstance(service, dict)
    return service


def test_the_image_is_slim_and_does_not_run_as_root() -> None:
    found = instructions()
    assert found["FROM"] == ["python:3.11-slim"]
    assert found["USER"] == ["gemproxy"]
    assert found["VOLUME"] == ["/app/var"]
    assert list(found).index("USER") > list(found).index("RUN")


def test_the_image_listens_everywhere_on_8100_and_migrates() -> None:
    environment = image_environment()
    wanted = {"HOST": "0.0.0.0", "PORT": "8100", "MIGRATE": "true"}
    assert wanted.items() <= environment.items()
    assert instructions()["EXPOSE"] == ["8100"]


def test_what_must_not_be_in_the_image_is_left_out() -> None:
    ignored = read(".dockerignore").split()
    assert {".git", ".env", "var", ".venv", "tests"} <= set(ignored)


@pytest.fixture
def container(tmp_path: Path) -> tuple[dict[str, str], Path]:
    """The environment of a container, with a folder that stands for its volume."""
    port = free_port()
    environment = {
        **image_environment(),
        "PORT": str(port),
        "VAR_DIR": str(tmp_path / "var"),
        "DATABASE_URL": "",
        "REDIS_URL": "",
        "SECRET_KEY": "",
        "ENCRYPTION_KEYS": "",
        "JOB_WORKERS": "1",
    }
    return environment, tmp_path / "output"


def test_the_image_s_command_answers_and_its_health_check_agrees(
    container: tuple[dict[str, str], Path],
) -> None:
    environment, output = container
    [command] = instructions()["CMD"]
    words = json.loads(command)
    assert words[0] == "python"
    check = json.loads(instructions()["HEALTHCHECK"][0].partition("CMD ")[2])
    assert check[0] == "python"

    def healthy() -> bool:
        done = subprocess.run(
            [sys.executable, *check[1:]],
            env={**os.environ, "PORT": "1", "GEMPROXY_PORT": environment["PORT"]},
            capture_output=True,
            check=False,
        )
        return done.returncode == 0

    assert not healthy()
    with started(words[1:], output, environment):
        eventually(healthy, 60)
        assert get(f"http://127.0.0.1:{environment['PORT']}/health")[0] == 200


def test_the_default_compose_service_needs_no_profile() -> None:
    services = compose()["services"]
    plain = [name for name, service in services.items() if "profiles" not in service]
    assert plain == ["gateway"]


def test_the_profile_many_is_two_servers_jobs_and_what_they_need() -> None:
    services = compose()["services"]
    many = {n for n, service in services.items() if service.get("profiles") == ["many"]}
    wanted = {"server1", "server2", "jobs", "balancer", "postgres", "redis"}
    assert many == wanted
    assert {services[n]["command"][-1] for n in ("server1", "server2")} == {"server"}
    assert services["jobs"]["command"][-1] == "jobs"


def test_compose_services_are_reached_without_colliding() -> None:
    services = compose()["services"]
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert ports == ["${PORT:-8100}:8100", "${BALANCER_PORT:-8101}:80"]


def test_names_that_compose_refers_to_exist() -> None:
    loaded = compose()
    services = loaded["services"]
    for service in services.values():
        assert set(service.get("depends_on", [])) <= services.keys()
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            if source.startswith("."):
                assert (ROOT / source).is_file()
            else:
                assert source in loaded["volumes"]


def test_settings_in_compose_and_render_are_settings() -> None:
    services = compose()["services"].values()
    names = {name for s in services for name in s.get("environment", {})}
    ours = {n.removeprefix("GEMPROXY_") for n in names if n.startswith("GEMPROXY_")}
    assert ours <= EXAMPLE
    keys = {entry["key"] for entry in render()["envVars"]}
    assert keys - {"PYTHON_VERSION"} <= EXAMPLE


def test_no_deployment_file_holds_a_password() -> None:
    postgres = compose()["services"]["postgres"]["environment"]
    assert postgres["POSTGRES_PASSWORD"] == "${POSTGRES_PASSWORD:-}"
    by_key = {entry["key"]: entry for entry in render()["envVars"]}
    for key in ("ADMIN_PASSWORD", "GEMINI_API_KEYS", "DATABASE_URL"):
        assert by_key[key]["sync"] is False
    for key in ("SECRET_KEY", "ENCRYPTION_KEYS"):
        assert by_key[key]["generateValue"] is True


def test_the_blueprint_starts_with_what_render_gives(
    container: tuple[dict[str, str], Path],
) -> None:
    environment, output = container
    service = render()
    assert (service["plan"], service["runtime"]) == ("free", "python")
    program, flag, requirements = service["buildCommand"].split()[-3:]
    assert (program, flag) == ("install", "-r")
    assert (ROOT / requirements).is_file()
    words = service["startCommand"].split()
    given = {e["key"]: e["value"] for e in service["envVars"] if "value" in e}
    # What Render generates: 256 random bits, in base64.
    generated = "q3Jv+0kX/7hQ2m9cT1yB5nW8zR4eL6uP0aSdFgHjKl0="
    given |= {"SECRET_KEY": generated, "ENCRYPTION_KEYS": generated}
    given |= {"RENDER_EXTERNAL_URL": "https://gw.onrender.example"}
    with started(words[1:], output, {**environment, **given}) as running:
        url = f"http://127.0.0.1:{environment['PORT']}{service['healthCheckPath']}"
        eventually(lambda: get(url)[0] == 200, 60)
        assert "https://gw.onrender.example/setup/" in running.text()


@pytest.mark.parametrize("path", DOCS, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", path.read_text()):
        if target.endswith(".png") or "://" in target:
            continue
        assert (path.parent / target).exists(), target


@pytest.mark.parametrize("path", DOCS, ids=lambda p: str(p.relative_to(ROOT)))
def test_commands_named_in_pages_exist(path: Path) -> None:
    text = path.read_text()
    commands = set(re.findall(r"manage\.py ([a-z_]+)", text))
    assert commands <= get_commands().keys()
    targets = set(re.findall(r"^[a-z-]+(?=:)", read("Makefile"), re.MULTILINE))
    assert set(re.findall(r"(?:^|`)make ([a-z]+)", text, re.MULTILINE)) <= targets


def test_architecture_names_only_files_that_exist() -> None:
    text = read("docs/architecture.md")
    for name in re.findall(r"`((?:gemproxy|accounts|proxy)/[\w/.]+)`", text):
        assert (ROOT / name).exists(), name


@pytest.mark.parametrize(
    "target", ["demo", "serve", "test", "bench", "lint", "setup", "format", "help"]
)
def test_make_knows_its_targets(target: str) -> None:
    make = shutil.which("make") or "make"
    done = subprocess.run(
        [make, "-n", target], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_make_alone_lists_the_targets() -> None:
    done = subprocess.run(
        ["make"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    listed = set(re.findall(r"^make (\w+)", done.stdout, re.MULTILINE))
    assert {"demo", "serve", "test", "bench", "lint", "format", "setup"} == listed


def test_the_script_of_ci_is_sound_and_ends_with_the_tests() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    subprocess.run(["bash", "-n", str(script)], check=True)
    assert script.read_text().splitlines()[-1] == "make test"


@pytest.mark.skipif(not shutil.which("nginx"), reason="no nginx is installed")
def test_nginx_passes_streams_on_as_they_come(tmp_path: Path) -> None:
    front = free_port()
    with bound_socket("127.0.0.1", 0) as sock:
        listen(sock)
        config = read("docs/nginx.conf").replace("listen 80;", f"listen {front};")
        backend = f"127.0.0.1:{sock.getsockname()[1]}"
        config = config.replace("server1:8100", backend).replace(
            "server2:8100", backend
        )
        _write_nginx(tmp_path, config)
        arguments = ["-m", "gemproxy.serving", "--fd", str(sock.fileno())]
        arguments += ["--application", "tests.served_stub:application"]
        arguments += ["--runtime", "tests.served_stub:runtime"]
        environment = {"VAR_DIR": str(tmp_path), "STUB_CHUNKS": "300"}
        nginx = subprocess.Popen(
            ["nginx", "-p", str(tmp_path), "-c", "main.conf"], stderr=subprocess.DEVNULL
        )
        try:
            with started(arguments, tmp_path / "out", environment, (sock.fileno(),)):
                url = f"http://127.0.0.1:{front}"
                eventually(lambda: get(f"{url}/health")[0] == 200)
                connection = HTTPConnection("127.0.0.1", front, timeout=20)
                connection.request("GET", "/slow")
                assert connection.getresponse().read(5) == b"tick\n", "not held back"
                connection.close()
        finally:
            nginx.terminate()
            nginx.wait(10)


def _write_nginx(folder: Path, config: str) -> None:
    (folder / "site.conf").write_text(config)
    (folder / "logs").mkdir()
    paths = "".join(
        f"{name}_temp_path {folder}/{name};"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "main.conf").write_text(
        f"daemon off; pid {folder}/nginx.pid; error_log stderr;\nevents {{}}\n"
        f"http {{ access_log off; {paths} include {folder}/site.conf; }}\n"
    )
