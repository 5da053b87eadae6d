"""Messages as a webhook and a mailbox take them."""

from collections.abc import Iterator
from typing import Any

import pytest

from gemproxy.lib.mail import read_mail
from proxy.alerts.channels import LONGEST_WEBHOOK, Line, NotTold, by_email, by_webhook
from tests.receivers import Mailbox, Webhook, mailbox, webhook
from tests.running import free_port

AT = "2026-11-20 12:00:00 UTC"


def line(text: str = "Egress direct has trouble.", **about: Any) -> Line:
    return Line("incident_opened", text, AT, about)


@pytest.fixture
def hook(settings: Any) -> Iterator[Webhook]:
    settings.PUBLIC_URL = "https://gw.example.org"
    with webhook() as taken:
        settings.ALERT_WEBHOOK_URL = taken.url
        yield taken


@pytest.fixture
def box(settings: Any) -> Iterator[Mailbox]:
    settings.PUBLIC_URL = "https://gw.example.org"
    settings.ALERT_EMAILS = ["olga@example.org", "omar@example.org"]
    settings.ALERT_FROM = "gw@example.org"
    with mailbox() as taken:
        use(settings, taken.url)
        yield taken


def use(settings: Any, url: str) -> None:
    mail = read_mail(url)
    settings.EMAIL_BACKEND, settings.EMAIL_TIMEOUT = mail.backend, 20
    settings.EMAIL_HOST, settings.EMAIL_PORT = mail.host, mail.port
    settings.EMAIL_USE_TLS, settings.EMAIL_USE_SSL = mail.use_tls, mail.use_ssl


def test_a_webhook_gets_text_for_chats_and_fields_for_programs(hook: Webhook) -> None:
    by_webhook([line(incident=7), line("Another thing.")])
    [body] = hook.bodies
    assert body["text"] == body["content"]
    assert body["text"].splitlines() == [
        "gemproxy gw.example.org: 2 alerts",
        "• Egress direct has trouble.",
        "• Another thing.",
    ]
    assert body["gateway"] == "https://gw.example.org"
    assert body["alerts"][0] == {
        "what": "incident_opened",
        "text": "Egress direct has trouble.",
        "at": AT,
        "incident": 7,
    }


def test_a_message_mentions_nobody(hook: Webhook) -> None:
    by_webhook([line("<!channel> @everyone <https://evil.example|here>")])
    [body] = hook.bodies
    assert "<" not in body["text"]
    assert body["allowed_mentions"] == {"parse": []}


def test_a_long_message_fits_into_discord_and_says_what_is_left_out(
    hook: Webhook,
) -> None:
    by_webhook([line("x" * 500)] * 10)
    [body] = hook.bodies
    assert len(body["content"]) < 2000 < 10 * 500
    assert len(body["content"]) <= LONGEST_WEBHOOK + 20
    assert body["content"].endswith("\n… and 7 more")
    assert len(body["alerts"]) == 10


def test_a_webhook_that_refuses_is_told_by_its_status(hook: Webhook) -> None:
    hook.statuses.append(404)
    with pytest.raises(NotTold, match=r"^answered 404$"):
        by_webhook([line()])


def test_a_webhook_that_is_away_is_told_without_its_address(settings: Any) -> None:
    settings.ALERT_WEBHOOK_URL = f"http://127.0.0.1:{free_port()}/hidden-word"
    with pytest.raises(NotTold, match="not reachable") as caught:
        by_webhook([line()])
    assert "hidden-word" not in str(caught.value)


def test_a_mail_goes_to_all_with_the_admins_address(box: Mailbox) -> None:
    by_email([line(), line("Another thing.")])
    [mail] = box.mails
    assert mail["subject"] == "[gemproxy] gemproxy gw.example.org: 2 alerts"
    assert mail["from"] == "gw@example.org"
    assert mail["to"] == "olga@example.org, omar@example.org"
    assert box.recipients == ["<olga@example.org>", "<omar@example.org>"]
    body = mail.get_payload(decode=True).decode()
    assert "Egress direct has trouble." in body
    assert "Another thing." in body
    assert "https://gw.example.org/admin/" in body


def test_the_subject_of_one_alert_is_the_alert(box: Mailbox) -> None:
    by_email([line("No account of the kind xAI key is usable any more. " + "x" * 200)])
    [mail] = box.mails
    subject = "".join(mail["subject"].splitlines())
    assert subject.startswith("[gemproxy] No account of the kind xAI key")
    assert len(subject) <= 90


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("550 no such user", "mail server refused all of ALERT_EMAILS"),
        ("421 too busy", "mail server"),
    ],
)
def test_a_mail_server_that_refuses_is_told(
    box: Mailbox, answer: str, said: str
) -> None:
    box.refuse = answer
    with pytest.raises(NotTold, match=said):
        by_email([line()])


def test_a_mail_server_that_is_away_is_told(settings: Any) -> None:
    settings.ALERT_EMAILS = ["olga@example.org"]
    use(settings, f"smtp+plain://127.0.0.1:{free_port()}")
    with pytest.raises(NotTold, match="ConnectionRefusedError"):
        by_email([line()])


def test_a_server_without_encryption_is_not_used_where_it_is_demanded(
    box: Mailbox, settings: Any
) -> None:
    use(settings, f"smtp://127.0.0.1:{box.port}")
    with pytest.raises(NotTold, match="mail not sent"):
        by_email([line()])
    assert box.mails == []
