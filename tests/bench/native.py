"""The C programs of the benchmark: built on the spot, run, and read."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.errors import BenchError
from tests.bench.processes import Child, start_settings

HERE = Path(__file__).resolve().parent
BUILD = HERE / "build"
FLAGS = ("-std=c11", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", "-Werror")
PROGRAMS = {
    "load": ("load.c", "load_options.c", "load_body.c", "load_report.c", "response.c"),
    "mock": ("mock.c", "mock_answers.c"),
}
SAMPLE_SECONDS = 0.5


def build(directory: Path = BUILD) -> dict[str, Path]:
    """Compile what is missing or older than its sources; return the programs.

    Raises BenchError without a C compiler or with its messages.
    """
    directory.mkdir(parents=True, exist_ok=True)
    return {name: _built(name, directory) for name in PROGRAMS}


def _built(name: str, directory: Path) -> Path:
    program = directory / name
    sources = [HERE / source for source in PROGRAMS[name]]
    newest = max(f.stat().st_mtime for f in [*sources, *HERE.glob("*.h")])
    if program.exists() and program.stat().st_mtime >= newest:
        return program
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None:
        raise BenchError("no C compiler: install one, or name it in CC")
    # Another run may be building the same file: only a finished one is moved there.
    fresh = directory / f"{name}.{os.getpid()}"
    done = subprocess.run(
        [compiler, *FLAGS, "-o", fresh, *sources],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise BenchError(f"{name} does not compile:\n{done.stderr}")
    fresh.replace(program)
    return program


class Mock:
    """A running mock upstream. Leave the ``with`` block to stop it."""

    def __init__(
        self, program: Path, log: Path, *, core: int | None, port: int = 0
    ) -> None:
        self.child = Child([program, "--port", str(port)], core=core, log=log)
        try:
            line = self.child.wait_for_text("listening ", seconds=5)
        except BenchError:
            self.child.stop()
            raise
        self.port = int(line.split()[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def pace(self, *, chunks: int, interval_us: int, cut_after: int = 0) -> None:
        """Set what streams do that begin from now on."""
        self._get(
            f"pace?chunks={chunks}&interval_us={interval_us}&cut_after={cut_after}"
        )

    def stats(self) -> dict[str, int]:
        return self._get("stats")

    def _get(self, path: str) -> dict[str, int]:
        return get_json(f"{self.url}/bench/{path}")

    def __enter__(self) -> "Mock":
        return self

    def __exit__(self, *_exc: object) -> None:
        self.child.stop()


def get_json(url: str) -> Any:
    """Fetch a loopback URL; raise BenchError if it does not answer 200 with JSON."""
    from urllib.error import URLError
    from urllib.request import urlopen

    try:
        with urlopen(url, timeout=5) as answer:
            return json.load(answer)
    except (URLError, ValueError) as error:
        raise BenchError(f"{url}: {error}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One run of the load generator."""

    mode: str
    url: str
    body: Path
    headers: Sequence[str] = ()
    connections: int = 1
    seconds: float = 0
    requests: int = 0
    rounds: int = 0
    grace: float = 30
    spread_ms: float = 0
    expect: str = ""
    chunks: int = 0
    final: str = ""

    def words(self) -> list[str]:
        named = {
            "url": self.url,
            "body": self.body,
            "connections": self.connections,
            "seconds": self.seconds,
            "requests": self.requests,
            "rounds": self.rounds,
            "grace": self.grace,
            "spread-ms": self.spread_ms,
            "expect": self.expect,
            "chunks": self.chunks,
            "final": self.final,
        }
        words = [self.mode]
        for name, value in named.items():
            words += [f"--{name}", str(value)]
        for header in self.headers:
            words += ["--header", header]
        return words


def run_load(
    program: Path,
    task: Task,
    *,
    core: int | None = None,
    sample: Callable[[], None] | None = None,
) -> dict[str, Any]:
    """Run the load generator to its end and return its figures.

    ``sample`` is called every half second meanwhile. Raises BenchError if the
    generator itself fails; failed requests are figures.
    """
    limit = time.monotonic() + task.seconds + task.grace + task.spread_ms / 1e3 + 30
    process = subprocess.Popen(
        [program, *task.words()],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **start_settings(core),
    )
    try:
        while True:
            try:
                output, complaint = process.communicate(timeout=SAMPLE_SECONDS)
                break
            except subprocess.TimeoutExpired:
                if time.monotonic() > limit:
                    raise BenchError("the load generator did not end") from None
            if sample is not None:
                sample()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    if process.returncode != 0:
        raise BenchError(f"the load generator failed: {complaint.strip()}")
    return json.loads(output)
