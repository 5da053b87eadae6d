"""Calls to the operator's own addresses: bounded, and silent about the address."""

import logging
import socket

import httpx
import pytest

from gemproxy.lib import errands
from tests.receivers import webhook
from tests.running import free_port


def test_json_is_posted_and_the_status_comes_back() -> None:
    with webhook() as taken:
        answer = errands.post_json(taken.url, {"text": "Grüße"})
    assert (answer.status, answer.is_good) == (200, True)
    assert answer.seconds >= 0
    assert taken.bodies == [{"text": "Grüße"}]
    assert taken.paths == ["/hooks/hidden-word?token=hidden-word"]


@pytest.mark.parametrize("status", [302, 404, 429, 500])
def test_other_statuses_are_no_good_and_redirects_are_not_followed(status: int) -> None:
    with webhook() as taken:
        taken.statuses.append(status)
        answer = errands.get(taken.url)
    assert (answer.status, answer.is_good) == (status, False)
    assert len(taken.paths) == 1


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://127.0.0.1:{port}/hidden-word", "not reachable (ConnectError)"),
        ("ftp://127.0.0.1/hidden-word", "not a usable address"),
        ("http://[hidden-word", "not reachable (ConnectError)"),
        ("http://host:port/hidden-word", "not a usable address"),
    ],
)
def test_why_nobody_answered_is_said_without_the_address(url: str, said: str) -> None:
    with pytest.raises(errands.ErrandFailed) as caught:
        errands.get(url.format(port=free_port()))
    assert str(caught.value) == said
    assert caught.value.__suppress_context__


def test_a_server_that_says_nothing_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(errands, "PATIENCE", httpx.Timeout(0.2))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(errands.ErrandFailed, match="no answer in time"):
            errands.get(f"http://127.0.0.1:{port}/")


def test_no_log_has_the_address(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with webhook() as taken:
        errands.post_json(taken.url, {})
    assert "hidden-word" not in caplog.text
