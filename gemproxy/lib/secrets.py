"""Secrets at rest: encryption, and a model field that holds only ciphertext."""

import base64
import functools
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.db import models

KEY_BYTES = 32
LEAST_PASSPHRASE = 32
#: Marks ciphertext in a dump, so that loading it does not encrypt it again.
DUMPED = "sealed:"


class SecretUnreadable(Exception):
    """None of the encryption keys opens this secret."""


def fernet_key(text: str) -> bytes:
    """Return a Fernet key: the text itself if it is one, else derived from it.

    Raises ValueError for text too short to be safe.
    """
    try:
        if len(base64.urlsafe_b64decode(text)) == KEY_BYTES:
            return text.encode()
    except ValueError:
        pass
    if len(text) < LEAST_PASSPHRASE:
        raise ValueError(
            f"an encryption key needs at least {LEAST_PASSPHRASE} characters"
        )
    derive = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=b"gemproxy")
    return base64.urlsafe_b64encode(derive.derive(text.encode()))


@functools.lru_cache(maxsize=8)
def _box(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(fernet_key(key)) for key in keys])


def seal(text: str) -> str:
    """Encrypt with the first key."""
    return _box(tuple(settings.ENCRYPTION_KEYS)).encrypt(text.encode()).decode()


def unseal(token: str) -> str:
    """Decrypt with whichever key fits; raise SecretUnreadable if none does."""
    try:
        return _box(tuple(settings.ENCRYPTION_KEYS)).decrypt(token.encode()).decode()
    except InvalidToken as error:
        raise SecretUnreadable("no encryption key opens this secret") from error


class Sealed:
    """An encrypted value. Its text comes out only by ``reveal``."""

    __slots__ = ("token",)

    def __init__(self, token: str) -> None:
        self.token = token

    @classmethod
    def of(cls, text: str) -> "Sealed":
        return cls(seal(text))

    def reveal(self) -> str:
        """Return the plain text; raise SecretUnreadable."""
        return unseal(self.token) if self.token else ""

    def __bool__(self) -> bool:
        return bool(self.token)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sealed) and other.token == self.token

    def __hash__(self) -> int:
        return hash(self.token)

    def __repr__(self) -> str:
        return "<sealed>" if self.token else "<empty>"

    __str__ = __repr__


class SealedField(models.TextField):
    """A text column that holds only ciphertext; its Python value is ``Sealed``.

    Plain text assigned to it is encrypted when the row is written.
    """

    def from_db_value(self, value: str | None, *_: Any) -> Sealed | None:
        return None if value is None else Sealed(value)

    def to_python(self, value: Any) -> Sealed | None:
        if value is None or isinstance(value, Sealed):
            return value
        if value.startswith(DUMPED):
            return Sealed(value.removeprefix(DUMPED))
        return Sealed.of(value) if value else Sealed("")

    def get_prep_value(self, value: Any) -> str | None:
        sealed = self.to_python(value)
        return None if sealed is None else sealed.token

    def value_to_string(self, obj: models.Model) -> str:
        token = self.get_prep_value(self.value_from_object(obj))
        return DUMPED + token if token else ""
