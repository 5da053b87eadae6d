"""Processes under measurement: their time, memory, ports and end."""

import os
import socket
import sys
import time

import pytest

from tests.bench import processes
from tests.bench.errors import BenchError
from tests.bench.processes import Child

SPIN = "import time\nend = time.process_time() + 0.3\nwhile time.process_time() < end: pass\n"
SLEEP = "import time; time.sleep(60)"
FAMILY = (
    "import subprocess, sys\n"
    f"child = subprocess.Popen([sys.executable, '-c', {SLEEP!r}])\n"
    "print('child', child.pid, flush=True)\n"
    "child.wait()\n"
)


@pytest.fixture
def child(tmp_path):
    started = []

    def start(code: str, *, core: int | None = None) -> Child:
        words = [sys.executable, "-c", code]
        log = tmp_path / f"{len(started)}.log"
        started.append(Child(words, core=core, log=log))
        return started[-1]

    yield start
    for one in started:
        one.stop(seconds=2)


def test_cpu_time_is_that_of_the_process(child) -> None:
    one = child(SPIN + "print('spun', flush=True)\n" + SLEEP)
    one.wait_for_text("spun", seconds=10)
    spent = processes.cpu_spent({}, processes.cpu_times([one.pid]))
    assert 0.3 <= spent < 1.5
    before = processes.cpu_times([one.pid])
    time.sleep(0.2)
    assert processes.cpu_spent(before, processes.cpu_times([one.pid])) < 0.05


def test_children_of_a_process_are_counted(child) -> None:
    one = child(FAMILY)
    inner = int(one.wait_for_text("child", seconds=10).split()[1])
    assert processes.tree([one.pid]) == sorted([one.pid, inner])
    assert processes.cpu_times([one.pid]).keys() == {one.pid, inner}


def test_a_process_that_ended_spoils_the_figure() -> None:
    with pytest.raises(BenchError, match="ended during"):
        processes.cpu_spent({1: 5, 2: 5}, {1: 9})


def test_a_process_that_began_is_counted_whole() -> None:
    assert processes.cpu_spent({1: 10**9}, {1: 3 * 10**9, 2: 10**9}) == 3


def test_memory_is_read_and_a_missing_process_has_none() -> None:
    assert processes.pss_bytes([os.getpid()]) > 5e6
    assert processes.pss_bytes([2**22 + 1]) == 0


def test_the_holder_of_a_port_is_found() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert processes.owners_of_port(port) == [os.getpid()]
    assert processes.owners_of_port(port) == []


def test_stopping_ends_the_whole_group(child) -> None:
    one = child(FAMILY)
    inner = int(one.wait_for_text("child", seconds=10).split()[1])
    one.stop()
    deadline = time.monotonic() + 5
    while inner in processes.tree([inner]) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert processes.tree([inner]) == []


def test_a_program_that_ignores_the_request_to_end_is_killed(child) -> None:
    one = child(
        "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('deaf', flush=True)\n" + SLEEP
    )
    one.wait_for_text("deaf", seconds=10)
    one.stop(seconds=0.2)
    with pytest.raises(BenchError, match="ended with -9"):
        one.check_alive()


def test_a_program_that_fails_at_once_shows_its_output(child) -> None:
    one = child("raise SystemExit('no database')")
    with pytest.raises(BenchError, match="no database"):
        one.wait_for_port(processes.free_port(), seconds=10)


def test_a_program_that_never_listens_is_given_up(child) -> None:
    one = child(SLEEP)
    with pytest.raises(BenchError, match="does not listen"):
        one.wait_for_port(processes.free_port(), seconds=0.3)


def test_a_process_is_pinned_to_its_core(child) -> None:
    core = max(os.sched_getaffinity(0))
    one = child(
        "import os; print('on', *os.sched_getaffinity(0), flush=True)\n" + SLEEP,
        core=core,
    )
    assert one.wait_for_text("on", seconds=10).split() == ["on", str(core)]


def test_without_a_second_core_nothing_is_pinned(monkeypatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {3})
    assert processes.cores() == (None, None)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {5, 2, 7})
    assert processes.cores() == (2, 5)
