"""The first operator comes from the environment or by a link that works once."""

import stat
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError

from gemproxy import setup

User = get_user_model()
GOOD_PASSWORD = "river-otter-42-lamp"


@pytest.fixture(autouse=True)
def own_folder(settings: Any, tmp_path: Path) -> Path:
    settings.VAR_DIR = tmp_path / "var"
    settings.ADMIN_USER = settings.ADMIN_PASSWORD = ""
    return tmp_path / "var"


@pytest.mark.django_db
def test_a_new_link_is_good_and_another_is_not() -> None:
    token = setup.new_setup_link()
    assert setup.redeem_is_valid(token)
    assert not setup.redeem_is_valid(token[:-1])
    assert not setup.redeem_is_valid("")


@pytest.mark.django_db
def test_without_any_link_nothing_is_good() -> None:
    assert not setup.redeem_is_valid("")
    assert not setup.redeem_is_valid("guess")


def test_only_a_hash_of_the_link_is_kept_for_its_owner_alone(own_folder: Path) -> None:
    token = setup.new_setup_link()
    path = own_folder / "setup_link"
    assert token not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.django_db
def test_links_of_earlier_starts_stay_good_up_to_five() -> None:
    tokens = [setup.new_setup_link() for _ in range(6)]
    assert [setup.redeem_is_valid(token) for token in tokens] == [False] + [True] * 5


@pytest.mark.django_db
def test_a_closed_set_up_voids_every_link() -> None:
    tokens = [setup.new_setup_link() for _ in range(2)]
    setup.close_setup()
    assert not any(map(setup.redeem_is_valid, tokens))
    setup.close_setup()


@pytest.mark.django_db
@pytest.mark.parametrize("active", [True, False], ids=["active", "deactivated"])
def test_no_link_is_good_once_there_is_an_operator(active: bool) -> None:
    token = setup.new_setup_link()
    User.objects.create_superuser("root", password=GOOD_PASSWORD, is_active=active)
    assert not setup.redeem_is_valid(token)


@pytest.mark.django_db
def test_a_user_who_is_no_superuser_is_no_operator() -> None:
    User.objects.create_user("staff", password=GOOD_PASSWORD, is_staff=True)
    assert not setup.operator_exists()
    assert setup.redeem_is_valid(setup.new_setup_link())


@pytest.mark.django_db
def test_the_environment_names_the_first_operator(settings: Any) -> None:
    settings.ADMIN_USER, settings.ADMIN_PASSWORD = "olga", GOOD_PASSWORD
    token = setup.new_setup_link()
    user = setup.operator_from_environment()
    assert user.is_superuser
    assert user.is_staff
    assert User.objects.get(username="olga").check_password(GOOD_PASSWORD)
    assert not setup.redeem_is_valid(token)


@pytest.mark.django_db
def test_the_environment_never_changes_a_password(settings: Any) -> None:
    User.objects.create_superuser("olga", password="the-first-one-7")
    settings.ADMIN_USER, settings.ADMIN_PASSWORD = "olga", GOOD_PASSWORD
    assert setup.operator_from_environment() is None
    assert User.objects.get(username="olga").check_password("the-first-one-7")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("user", "password"), [("", GOOD_PASSWORD), ("olga", ""), ("", "")]
)
def test_half_of_the_two_settings_makes_nobody(
    settings: Any, user: str, password: str
) -> None:
    settings.ADMIN_USER, settings.ADMIN_PASSWORD = user, password
    assert setup.operator_from_environment() is None
    assert not User.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("user", "password"),
    [
        ("olga", "password"),
        ("olga", "12345678"),
        ("olga-the-great", "olga-the-great"),
        ("with blank", GOOD_PASSWORD),
    ],
    ids=["common", "digits", "same as the name", "no user name"],
)
def test_weak_passwords_and_odd_names_are_refused(
    settings: Any, user: str, password: str
) -> None:
    settings.ADMIN_USER, settings.ADMIN_PASSWORD = user, password
    with pytest.raises(ValidationError):
        setup.operator_from_environment()
    assert not User.objects.exists()


@pytest.mark.django_db
def test_a_taken_name_is_not_made_an_operator(settings: Any) -> None:
    User.objects.create_user("olga", password="her-own-password-9")
    settings.ADMIN_USER, settings.ADMIN_PASSWORD = "olga", GOOD_PASSWORD
    with pytest.raises(ValidationError):
        setup.operator_from_environment()
    assert not User.objects.get().is_superuser
