"""API keys of the sandbox: their form, and the behaviour a key's text asks for."""

import re

_FORM = re.compile(r"AIzaSy[A-Za-z0-9_-]{33}")
_ENCODED = re.compile(r"(?:AIzaSy|xai-)(Sandbox-([a-z]+)-\d{6})x*")
_LENGTH = 39


def sandbox_key(behaviour: str = "ok", n: int = 1) -> str:
    """A well-formed key of 39 characters that shows ``behaviour``; ``n`` numbers it.

    Raises ``ValueError`` when the name or number does not fit into a key.
    """
    key = f"AIzaSySandbox-{behaviour}-{n:06d}".ljust(_LENGTH, "x")
    if len(key) != _LENGTH or not _ENCODED.fullmatch(key):
        raise ValueError(f"no key can be made for {behaviour!r}, {n}")
    return key


def is_well_formed(key: str) -> bool:
    """Whether ``key`` looks like a real key of Google."""
    return _FORM.fullmatch(key) is not None


def behaviour_in(key: str) -> str | None:
    """The behaviour which the key's own text names, if it names one."""
    match = _ENCODED.fullmatch(key)
    return match[2] if match else None


def label(key: str) -> str:
    """A name for the key that is safe to show.

    Keys made by ``sandbox_key`` are called like ``Sandbox-ok-000001``, others are
    shortened to their ends.
    """
    match = _ENCODED.fullmatch(key)
    if match:
        return match[1]
    if not key:
        return ""
    return f"{key[:6]}…{key[-4:]}" if len(key) > 16 else "…"
