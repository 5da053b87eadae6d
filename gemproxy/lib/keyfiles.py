"""Key files, made on first use with mode 0600."""

import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from cryptography.fernet import Fernet

from gemproxy.lib.env import BadSetting


def new_secret() -> str:
    """Return a fresh secret of 48 random bytes."""
    return secrets.token_urlsafe(48)


def new_encryption_key() -> str:
    """Return a fresh encryption key in Fernet's form."""
    return Fernet.generate_key().decode()


def private_folder(path: Path) -> Path:
    """Return the folder, made for nobody else to read if it is not there.

    Raises BadSetting if it cannot be made.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise BadSetting(f"The folder {path} cannot be made: {reason}") from error
    return path


def stored_secret(path: Path, make: Callable[[], str] = new_secret) -> str:
    """Return the secret in ``path``, made with mode 0600 if it is not there.

    Two processes that start together agree: the file is linked into place whole.
    """
    if not path.exists():
        private_folder(path.parent)
        draft = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(make() + "\n")
        try:
            with suppress(FileExistsError):
                os.link(draft, path)
        finally:
            draft.unlink()
    return path.read_text(encoding="utf-8").strip()
