"""``manage.py sandbox``: what it starts, and where."""

import io

import pytest
from django.core.management import call_command

from proxy.management.commands import sandbox as command
from proxy.sandbox.app import Sandbox
from proxy.sandbox.keys import is_well_formed


@pytest.fixture
def started(monkeypatch):
    runs = []
    monkeypatch.setattr(
        command.uvicorn, "run", lambda app, **how: runs.append((app, how))
    )
    return runs


@pytest.mark.parametrize(
    ("options", "host", "port", "pace"),
    [
        ({}, "127.0.0.1", 8199, 0.0),
        ({"host": "127.0.0.9", "port": 18149, "pace": 0.5}, "127.0.0.9", 18149, 0.5),
    ],
    ids=["default", "chosen"],
)
def test_the_command_serves_a_sandbox(started, options, host, port, pace):
    out = io.StringIO()
    call_command(command.Command(), stdout=out, **options)
    ((app, how),) = started
    assert isinstance(app, Sandbox)
    assert app.state.pace == pace
    assert (how["host"], how["port"]) == (host, port)


def test_the_command_prints_an_address_and_a_usable_key(started):
    out = io.StringIO()
    call_command(command.Command(), stdout=out)
    words = out.getvalue().split()
    assert any("http://127.0.0.1:8199" in word for word in words)
    assert is_well_formed(words[-1])
