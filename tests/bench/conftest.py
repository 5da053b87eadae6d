"""The benchmark's programs, built once, and a mock upstream for each test."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.bench.bodies import MODEL, WHOLE_MARK, chat_body
from tests.bench.native import Mock, Task, build, run_load
from tests.bench.targets import GEMINI_FINAL

RunLoad = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return build(tmp_path_factory.mktemp("bench-build"))


@pytest.fixture
def mock(programs: dict[str, Path], tmp_path: Path) -> Iterator[Mock]:
    with Mock(programs["mock"], tmp_path / "mock.log", core=None) as running:
        yield running


@pytest.fixture
def load(programs: dict[str, Path], tmp_path: Path) -> RunLoad:
    """Run the generator; what a test does not say has a usual value."""
    body = tmp_path / "body.json"
    body.write_bytes(chat_body(stream=False))

    def run(mode: str, url: str, **changes: Any) -> dict[str, Any]:
        usual: dict[str, Any] = {
            "mode": mode,
            "url": url,
            "body": body,
            "expect": WHOLE_MARK,
            "chunks": 0 if mode == "json" else 50,
            "final": GEMINI_FINAL,
            "grace": 5,
        }
        return run_load(programs["load"], Task(**{**usual, **changes}))

    return run


@pytest.fixture
def whole_url(mock: Mock) -> str:
    return f"{mock.url}/v1beta/models/{MODEL}:generateContent"


@pytest.fixture
def stream_url(mock: Mock) -> str:
    return f"{mock.url}/v1beta/models/{MODEL}:streamGenerateContent?alt=sse"
