"""Secrets at rest: only ciphertext is stored, and it opens with any listed key."""

import copy
import pickle
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core import serializers
from django.db import connection

from accounts.models import Account
from gemproxy.lib.secrets import (
    Sealed,
    SealedField,
    SecretUnreadable,
    fernet_key,
    seal,
    unseal,
)

PLAIN = "AIzaSyPlainTextOfASecretKey0123456789"


def test_what_is_sealed_comes_back(settings: Any) -> None:
    assert unseal(seal(PLAIN)) == PLAIN
    assert PLAIN not in seal(PLAIN)


def test_the_same_text_is_sealed_differently_each_time() -> None:
    assert seal(PLAIN) != seal(PLAIN)


def test_the_first_key_seals_and_all_open(settings: Any) -> None:
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    settings.ENCRYPTION_KEYS = [old]
    token = seal(PLAIN)
    settings.ENCRYPTION_KEYS = [new, old]
    assert unseal(token) == PLAIN
    fresh = seal(PLAIN)
    settings.ENCRYPTION_KEYS = [new]
    assert unseal(fresh) == PLAIN


@pytest.mark.parametrize("token", ["", "nonsense", "gAAAAAB" + "x" * 80, "ключ"])
def test_what_no_key_opens_is_unreadable_and_not_repeated(token: str) -> None:
    with pytest.raises(SecretUnreadable) as caught:
        unseal(token)
    assert str(caught.value) == "no encryption key opens this secret"


def test_a_lost_key_makes_a_secret_unreadable(settings: Any) -> None:
    token = seal(PLAIN)
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    with pytest.raises(SecretUnreadable):
        unseal(token)


def test_a_fernet_key_is_used_as_it_is() -> None:
    key = Fernet.generate_key().decode()
    assert fernet_key(key) == key.encode()


@pytest.mark.parametrize(
    "text", ["correct horse battery staple, twice", "пароль" * 8], ids=["ascii", "more"]
)
def test_a_long_passphrase_becomes_a_key(text: str) -> None:
    assert fernet_key(text) == fernet_key(text)
    assert Fernet(fernet_key(text))
    assert fernet_key(text) != fernet_key(text + "!")


@pytest.mark.parametrize("text", ["", "short", "x" * 31])
def test_a_short_key_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(ValueError, match="at least 32 characters") as caught:
        fernet_key(text)
    assert "xxx" not in str(caught.value)


@pytest.mark.parametrize("show", [repr, str, "{}".format, "{0!r}".format])
def test_a_sealed_value_does_not_show_itself(show: Any) -> None:
    sealed = Sealed.of(PLAIN)
    assert show(sealed) == "<sealed>"
    assert show(Sealed("")) == "<empty>"


def test_a_sealed_value_is_true_when_there_is_something_in_it() -> None:
    assert Sealed.of("x")
    assert not Sealed("")
    assert Sealed("").reveal() == ""


def test_sealed_values_compare_by_ciphertext() -> None:
    sealed = Sealed.of(PLAIN)
    assert sealed == Sealed(sealed.token)
    assert hash(sealed) == hash(Sealed(sealed.token))
    assert sealed != Sealed.of(PLAIN)
    assert sealed != sealed.token


@pytest.mark.parametrize(
    "way", [copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))]
)
def test_a_sealed_value_can_be_copied(way: Any) -> None:
    assert way(Sealed.of(PLAIN)).reveal() == PLAIN


def test_the_column_holds_ciphertext_only(db: None) -> None:
    account = Account.add(kind="gemini_api", secret=PLAIN)
    assert account is not None
    with connection.cursor() as cursor:
        cursor.execute("SELECT secret FROM accounts_account")
        (stored,) = cursor.fetchone()
    assert PLAIN not in stored
    assert unseal(stored) == PLAIN
    assert Account.objects.get().secret.reveal() == PLAIN


def test_saving_an_unchanged_row_keeps_its_ciphertext(db: None) -> None:
    Account.add(kind="gemini_api", secret=PLAIN)
    row = Account.objects.get()
    token = row.secret.token
    row.save()
    assert Account.objects.get().secret.token == token


@pytest.mark.parametrize("value", ["", None])
def test_nothing_stays_nothing(value: Any) -> None:
    stored = SealedField().get_prep_value(value)
    assert not stored
    assert SealedField().from_db_value(stored) in (None, Sealed(""))


def test_a_dump_holds_ciphertext_only(db: None) -> None:
    Account.add(kind="gemini_api", secret=PLAIN)
    assert PLAIN not in serializers.serialize("json", Account.objects.all())


def test_a_dump_can_be_loaded_into_another_database(db: None) -> None:
    # Once: `loaddata` encrypts the dumped ciphertext again; the secret is lost.
    Account.add(kind="gemini_api", secret=PLAIN)
    dump = serializers.serialize("json", Account.objects.all())
    Account.objects.all().delete()
    for row in serializers.deserialize("json", dump):
        row.save()
    assert Account.objects.get().secret.reveal() == PLAIN
