"""The supervisor restarts what falls, stops all it started and leaves no orphan."""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gemproxy.supervision import Child, Program, how_it_ended, pause_after
from tests.running import Started, alive, descendants, eventually, started


class Notes:
    """What the stub programs wrote: a word, a process and a time on each line."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def lines(self, word: str) -> list[tuple[int, float]]:
        if not self.path.exists():
            return []
        split = (line.split() for line in self.path.read_text().splitlines())
        return [(int(pid), float(at)) for name, pid, at in split if name == word]

    def wait(self, word: str, count: int = 1) -> list[tuple[int, float]]:
        eventually(lambda: len(self.lines(word)) >= count)
        return self.lines(word)


@pytest.fixture
def notes(tmp_path: Path) -> Notes:
    return Notes(tmp_path / "notes")


@pytest.fixture
def supervise(
    tmp_path: Path, notes: Notes
) -> Iterator[Callable[..., contextlib.AbstractContextManager[Started]]]:
    def start(
        *modes: str, grace: float = 10, extra: float = 1
    ) -> contextlib.AbstractContextManager[Started]:
        arguments = ["-m", "tests.stub_supervisor", str(grace), str(extra)]
        return started([*arguments, str(notes.path), *modes], tmp_path / "output")

    return start


@pytest.mark.parametrize(
    ("crashes", "seconds"),
    [(0, 1), (1, 1), (2, 2), (3, 4), (4, 8), (5, 16), (6, 30), (100_000, 30)],
)
def test_pauses_double_up_to_half_a_minute(crashes: int, seconds: float) -> None:
    assert pause_after(crashes) == seconds


@pytest.mark.parametrize(
    ("code", "words"),
    [(0, "exit code 0"), (7, "exit code 7"), (-9, "SIGKILL"), (-200, "signal 200")],
)
def test_an_end_is_told_in_words(code: int, words: str) -> None:
    assert how_it_ended(code) == words


def test_a_program_that_ran_long_starts_its_pauses_anew(notes: Notes) -> None:
    now = [100.0]
    arguments = ("crash", str(notes.path))
    program = Program(name="x", module="tests.stub_program", arguments=arguments)
    child = Child(program, lambda: now[0])
    reading, writing = os.pipe()
    for expected in (1, 2, 4):
        child.start(reading)
        assert eventually(child.fell) == 3
        assert child.due - now[0] == expected
    child.start(reading)
    now[0] += 61
    assert eventually(child.fell) == 3
    assert child.due - now[0] == 1
    os.close(reading)
    os.close(writing)


def test_a_fallen_program_is_started_again_later_each_time(
    supervise: Callable[..., contextlib.AbstractContextManager[Started]], notes: Notes
) -> None:
    with supervise("crash", "sleep") as running:
        first, second, third = (at for _, at in notes.wait("crash", 3)[:3])
        assert second - first >= 1
        assert third - second >= 2
        assert len(notes.lines("sleep")) == 1, "the healthy one was left alone"
        assert "crash ended (exit code 3)" in running.text()


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, signal.SIGINT], ids=lambda n: n.name
)
def test_a_stop_signal_ends_all_programs_and_the_supervisor_with_code_0(
    supervise: Callable[..., contextlib.AbstractContextManager[Started]],
    notes: Notes,
    number: signal.Signals,
) -> None:
    with supervise("sleep", "sleep") as running:
        pids = {pid for pid, _ in notes.wait("sleep", 2)}
        running.send(number)
        assert running.wait() == 0
        assert not alive(pids)


def test_what_ignores_the_signal_is_killed_when_the_time_is_over(
    supervise: Callable[..., contextlib.AbstractContextManager[Started]], notes: Notes
) -> None:
    with supervise("family", "sleep", grace=0.5, extra=0.5) as running:
        notes.wait("grandchild")
        notes.wait("sleep")
        below = descendants(running.pid)
        began = time.monotonic()
        running.send(signal.SIGTERM)
        assert running.wait() == 1
        assert time.monotonic() - began >= 1
        assert not alive(below)
        assert "Killing what did not stop in time: family" in running.text()


def test_a_second_ctrl_c_kills_at_once(
    supervise: Callable[..., contextlib.AbstractContextManager[Started]], notes: Notes
) -> None:
    with supervise("stubborn", grace=60) as running:
        pids = {pid for pid, _ in notes.wait("stubborn")}
        running.send(signal.SIGINT)
        time.sleep(0.5)
        assert alive(pids) == pids, "the first one is polite"
        running.send(signal.SIGINT)
        assert running.wait(3) == 1
        assert not alive(pids)


def test_a_second_sigterm_does_not_cut_the_grace_short(
    supervise: Callable[..., contextlib.AbstractContextManager[Started]], notes: Notes
) -> None:
    with supervise("stubborn", grace=60) as running:
        pids = {pid for pid, _ in notes.wait("stubborn")}
        running.send(signal.SIGTERM)
        time.sleep(0.3)
        running.send(signal.SIGTERM)
        time.sleep(0.7)
        assert running.process.poll() is None
        assert alive(pids) == pids


def test_a_closed_terminal_does_not_end_it(
    supervise: Callable[..., contextlib.AbstractContextManager[Started]], notes: Notes
) -> None:
    with supervise("sleep") as running:
        pids = {pid for pid, _ in notes.wait("sleep")}
        running.send(signal.SIGHUP)
        time.sleep(0.5)
        assert running.process.poll() is None
        assert alive(pids) == pids


def test_kill_9_of_the_supervisor_leaves_no_process_of_the_tree(
    supervise: Callable[..., contextlib.AbstractContextManager[Started]], notes: Notes
) -> None:
    with supervise("family", "sleep", "stubborn") as running:
        for word in ("grandchild", "child", "head", "sleep", "stubborn"):
            notes.wait(word)
        below = descendants(running.pid)
        assert len(below) == 5
        running.send(signal.SIGKILL)
        eventually(lambda: not alive(below), 5)


def test_kill_9_of_a_program_takes_its_own_children_and_it_is_started_again(
    supervise: Callable[..., contextlib.AbstractContextManager[Started]], notes: Notes
) -> None:
    with supervise("family"):
        [(grandchild, _)] = notes.wait("grandchild")
        [(child, _)] = notes.wait("child")
        [(head, _)] = notes.wait("head")
        os.kill(head, signal.SIGKILL)
        eventually(lambda: not alive({head, child, grandchild}), 2)
        assert len(notes.wait("grandchild", 2)) == 2


def test_a_forked_worker_dies_with_the_process_that_forked_it(
    supervise: Callable[..., contextlib.AbstractContextManager[Started]], notes: Notes
) -> None:
    with supervise("family"):
        [(grandchild, _)] = notes.wait("grandchild")
        [(child, _)] = notes.wait("child")
        [(head, _)] = notes.wait("head")
        os.kill(child, signal.SIGKILL)
        eventually(lambda: not alive({grandchild}), 2)
        assert alive({head}) == {head}
