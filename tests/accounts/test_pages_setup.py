"""The one-time page that makes the first operator."""

from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from accounts.pages.forms import OperatorForm
from gemproxy.setup import close_setup, new_setup_link

GOOD = "staple battery 77"


@pytest.fixture
def link(db: None) -> Any:
    yield f"/setup/{new_setup_link()}/"
    close_setup()


def form(name: str = "root", first: str = GOOD, second: str = GOOD) -> dict[str, str]:
    return {"username": name, "password1": first, "password2": second}


def test_the_link_makes_an_operator_and_signs_in(client: Client, link: str) -> None:
    assert client.get(link).status_code == 200
    answer = client.post(link, form())
    user = User.objects.get()
    assert (user.username, user.is_staff, user.is_superuser) == ("root", True, True)
    assert user.check_password(GOOD)
    assert answer.headers["Location"] == "/"
    assert client.get("/admin/").status_code == 200


def test_the_link_works_once(client: Client, link: str) -> None:
    client.post(link, form())
    assert Client().get(link).status_code == 404
    assert Client().post(link, form("second")).status_code == 404
    User.objects.all().delete()
    assert Client().get(link).status_code == 404


@pytest.mark.parametrize("method", ["get", "post"])
def test_a_guessed_link_is_refused(client: Client, link: str, method: str) -> None:
    assert getattr(client, method)("/setup/guessed/", form()).status_code == 404
    assert not User.objects.exists()


def test_the_link_is_closed_while_there_is_an_operator(
    client: Client, link: str, operator: Any
) -> None:
    assert client.get(link).status_code == 404
    assert client.post(link, form()).status_code == 404
    assert User.objects.count() == 1


@pytest.mark.parametrize(
    "bad",
    [
        form(second="other words 12"),
        form(first="12345678", second="12345678"),
        form(""),
    ],
    ids=["unlike passwords", "weak password", "no name"],
)
def test_bad_values_make_nobody(client: Client, link: str, bad: dict[str, str]) -> None:
    answer = client.post(link, bad)
    assert answer.status_code == 200
    assert 'class="error"' in answer.text
    assert not User.objects.exists()
    assert client.get(link).status_code == 200


def test_the_page_is_kept_out_of_caches(client: Client, link: str) -> None:
    answer = client.get(link)
    assert answer.headers["Cache-Control"] == "no-store"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def test_without_a_form_token_nobody_is_made(link: str) -> None:
    answer = Client(enforce_csrf_checks=True).post(link, form())
    assert answer.status_code == 403
    assert not User.objects.exists()


def test_of_two_who_use_the_link_at_once_only_one_becomes_operator(
    client: Client, link: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = OperatorForm.save

    def save_after_the_other(self: OperatorForm) -> Any:
        # Elsewhere another transaction, not yet seen here, has used the link.
        assert close_setup()
        return save(self)

    monkeypatch.setattr(OperatorForm, "save", save_after_the_other)
    assert client.post(link, form()).status_code == 404
    assert not User.objects.exists()
