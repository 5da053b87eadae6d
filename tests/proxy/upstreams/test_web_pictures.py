"""Pictures are fetched with the account's cookies, so only from Google."""

import pytest

from proxy.errors import BadAnswer
from proxy.upstreams.web_pictures import check_host


@pytest.mark.parametrize(
    "url",
    [
        "https://lh3.googleusercontent.com/x",
        "https://work.fife.usercontent.google.com/x",
    ],
)
def test_googles_hosts_are_asked(url):
    check_host(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://lh3.googleusercontent.com/x",
        "https://evilgoogleusercontent.com/x",
        "https://lh3.googleusercontent.com.evil.example/x",
        "https://google.com@evil.example/x",
        "https://127.0.0.1/x",
        "file:///etc/passwd",
        "",
    ],
)
def test_nobody_else_is_asked(url):
    with pytest.raises(BadAnswer):
        check_host(url)
