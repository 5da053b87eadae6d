"""The first operator: from the environment, or by a one-time set-up link."""

import hashlib
import hmac
import os
import secrets
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.password_validation import validate_password

LINK_FILE = "setup_link"
# Every start prints a fresh link; those printed shortly before stay good.
KEPT_LINKS = 5


def operators() -> Any:
    """Return the query set of people who may administer the gateway now."""
    return get_user_model().objects.filter(is_superuser=True, is_active=True)


def operator_exists() -> bool:
    """Return whether there ever was an operator: a deactivated one counts, so that
    deactivating somebody never opens the set-up page to strangers."""
    return bool(get_user_model().objects.filter(is_superuser=True).exists())


def create_operator(username: str, password: str) -> Any:
    """Create a superuser and return it.

    Raises ValidationError for a weak password or a name that cannot be one.
    """
    model = get_user_model()
    user = model(username=username, is_staff=True, is_superuser=True)
    user.clean_fields(exclude=["password"])
    user.validate_unique()
    validate_password(password, user)
    user.set_password(password)
    user.save()
    close_setup()
    return user


def operator_from_environment() -> Any | None:
    """Create the operator that ADMIN_USER and ADMIN_PASSWORD name, if none exists.

    Returns the new user. An existing person's password is never changed. Raises
    ValidationError for values that cannot be used.
    """
    if not (settings.ADMIN_USER and settings.ADMIN_PASSWORD) or operator_exists():
        return None
    return create_operator(settings.ADMIN_USER, settings.ADMIN_PASSWORD)


def new_setup_link() -> str:
    """Return the token of a new set-up link; only its hash is kept, in VAR_DIR."""
    token = secrets.token_urlsafe(32)
    _write([*_hashes(), _hash(token)][-KEPT_LINKS:])
    return token


def redeem_is_valid(token: str) -> bool:
    """Return whether the link is good: printed, not used, and no operator yet."""
    wanted = _hash(token)
    known = [hmac.compare_digest(wanted, one) for one in _hashes()]
    return any(known) and not operator_exists()


def close_setup() -> bool:
    """Make every set-up link void; return whether there was one, for one caller."""
    try:
        _path().unlink()
    except FileNotFoundError:
        return False
    return True


def _path() -> Path:
    return Path(settings.VAR_DIR) / LINK_FILE


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _hashes() -> list[str]:
    try:
        return _path().read_text(encoding="ascii").split()
    except FileNotFoundError:
        return []


def _write(hashes: list[str]) -> None:
    path = _path()
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write("\n".join(hashes) + "\n")
