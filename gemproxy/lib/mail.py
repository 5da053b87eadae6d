"""EMAIL_URL, read into Django's e-mail settings."""

from dataclasses import dataclass, field
from urllib.parse import SplitResult, unquote, urlsplit

from gemproxy.lib.env import BadSetting

_BACKENDS = "django.core.mail.backends"
# scheme → port unless named, encrypted from the start, encrypted on request
_SCHEMES = {
    "smtp": (587, False, True),
    "smtps": (465, True, False),
    "smtp+plain": (25, False, False),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """What Django's EMAIL_ settings need; by default no mail goes anywhere."""

    backend: str = f"{_BACKENDS}.dummy.EmailBackend"
    host: str = "localhost"
    port: int = 25
    user: str = ""
    password: str = field(default="", repr=False)
    use_ssl: bool = False
    use_tls: bool = False


def read_mail(url: str) -> Mail:
    """Read an address of a mail server, which may be empty.

    ``smtp://user:password@host:587`` demands STARTTLS, ``smtps://`` is encrypted from
    the start, ``smtp+plain://`` never. ``console://`` prints the mails. User and
    password are percent-encoded. Raises BadSetting without the value, which is secret.
    """
    if not url:
        return Mail()
    try:
        return _read(urlsplit(url))
    except ValueError:
        raise BadSetting(
            "EMAIL_URL must be smtp://, smtps:// or smtp+plain:// with user:password@ "
            "(percent-encoded), a host and perhaps a port, or console://"
        ) from None


def _read(parts: SplitResult) -> Mail:
    if parts.scheme == "console":
        return Mail(backend=f"{_BACKENDS}.console.EmailBackend")
    if parts.scheme not in _SCHEMES or not parts.hostname:
        raise ValueError("unknown scheme, or no host")
    usual, use_ssl, use_tls = _SCHEMES[parts.scheme]
    return Mail(
        backend=f"{_BACKENDS}.smtp.EmailBackend",
        host=parts.hostname,
        port=parts.port or usual,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        use_ssl=use_ssl,
        use_tls=use_tls,
    )


def sender(given: str, user: str, public_url: str) -> str:
    """Return who mails come from: as given, else the mailbox's name, else a guess."""
    if given:
        return given
    if "@" in user:
        return user
    return f"gemproxy@{urlsplit(public_url).hostname or 'localhost'}"
