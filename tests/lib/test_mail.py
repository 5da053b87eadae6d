"""EMAIL_URL and what it stands for."""

import pytest

from gemproxy.lib.env import BadSetting
from gemproxy.lib.mail import Mail, read_mail, sender


@pytest.mark.parametrize(
    ("url", "port", "use_ssl", "use_tls"),
    [
        ("smtp://mail.example.org", 587, False, True),
        ("smtp://mail.example.org:2525", 2525, False, True),
        ("smtps://mail.example.org", 465, True, False),
        ("smtp+plain://mail.example.org", 25, False, False),
    ],
)
def test_the_scheme_says_how_it_is_encrypted(
    url: str, port: int, use_ssl: bool, use_tls: bool
) -> None:
    mail = read_mail(url)
    assert mail.backend.endswith("smtp.EmailBackend")
    assert (mail.host, mail.port) == ("mail.example.org", port)
    assert (mail.use_ssl, mail.use_tls) == (use_ssl, use_tls)


def test_user_and_password_are_percent_encoded_and_not_printed() -> None:
    mail = read_mail("smtp://olga%40example.org:p%3Aq%2F%40@mail.example.org")
    assert (mail.user, mail.password) == ("olga@example.org", "p:q/@")
    assert "p:q" not in repr(mail)


def test_without_an_address_no_mail_goes_anywhere() -> None:
    assert read_mail("") == Mail()
    assert Mail().backend.endswith("dummy.EmailBackend")


def test_mails_may_be_printed() -> None:
    assert read_mail("console://").backend.endswith("console.EmailBackend")


@pytest.mark.parametrize(
    "url",
    [
        "mail.example.org",
        "http://u:hidden-word@mail.example.org",
        "smtp://u:hidden-word@",
        "smtp://u:hidden-word@host:port",
        "smtp://u:hidden-word@[host",
    ],
)
def test_what_is_no_mail_server_is_refused_without_the_value(url: str) -> None:
    with pytest.raises(BadSetting, match="EMAIL_URL must be") as caught:
        read_mail(url)
    assert "hidden-word" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "user", "url", "found"),
    [
        ("gw@example.org", "u@x.org", "https://gw.org", "gw@example.org"),
        ("", "u@x.org", "https://gw.org", "u@x.org"),
        ("", "apikey", "https://gw.org", "gemproxy@gw.org"),
        ("", "", "", "gemproxy@localhost"),
    ],
)
def test_who_mails_are_from(given: str, user: str, url: str, found: str) -> None:
    assert sender(given, user, url) == found
