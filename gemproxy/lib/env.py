"""Typed readers of the environment: the only module that looks at it."""

import os
from collections.abc import Collection, Mapping
from pathlib import Path

from dotenv import dotenv_values

PREFIX = "GEMPROXY_"
TRUE = frozenset({"1", "true", "yes", "on"})
FALSE = frozenset({"0", "false", "no", "off", ""})


class BadSetting(ValueError):
    """A setting has a value that cannot be used."""


class Env:
    """Settings by name, each read as GEMPROXY_NAME or NAME (the prefixed wins).

    A secret may also be given as NAME_FILE, the path of a file that holds it.
    """

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values
        self._known: set[str] = set()

    @classmethod
    def load(cls, root: Path) -> "Env":
        """Read the process environment over ``root/.env``."""
        stored = {
            k: v for k, v in dotenv_values(root / ".env").items() if v is not None
        }
        return cls({**stored, **os.environ})

    def unknown(self) -> list[str]:
        """Return GEMPROXY_ names that no setting reads."""
        known = {PREFIX + name for name in self._known}
        return sorted(
            k for k in self._values if k.startswith(PREFIX) and k not in known
        )

    def given(self, name: str) -> bool:
        return self._raw(name) is not None

    def text(self, name: str, default: str = "", *aliases: str) -> str:
        """Return the first of ``name`` and its aliases that is not empty."""
        values = [self._raw(candidate) for candidate in (name, *aliases)]
        return next((v.strip() for v in values if v and v.strip()), default)

    def secret(self, name: str, default: str = "", *aliases: str) -> str:
        """Like ``text``; also reads the file that NAME_FILE names."""
        value = self.text(name, "", *aliases)
        path = self.text(f"{name}_FILE")
        if value or not path:
            return value or default
        try:
            return Path(path).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise BadSetting(f"{name}_FILE: {error.strerror}: {path}") from error
        except UnicodeDecodeError:
            raise BadSetting(f"{name}_FILE: no text is in {path}") from None

    def items(self, name: str, default: str = "") -> list[str]:
        """Split a comma or newline list."""
        return _split(self.text(name, default))

    def secret_items(self, name: str) -> list[str]:
        return _split(self.secret(name))

    def counts(self, name: str, default: str = "") -> dict[str, int]:
        """Split a list of ``key=number`` pairs, in its order; "none" is an empty one."""
        found: dict[str, int] = {}
        items = self.items(name, default)
        for item in [] if items == ["none"] else items:
            key, _, number = (part.strip() for part in item.partition("="))
            if not key or not (number.isascii() and number.isdigit()):
                raise BadSetting(f"{name}: {item!r} is not of the form name=number")
            if key in found:
                raise BadSetting(f"{name}: {key} is there twice")
            found[key] = int(number)
        return found

    def choice(self, name: str, default: str, choices: Collection[str]) -> str:
        """Return one of the choices, in whatever case it was written."""
        value = self.text(name, default)
        for choice in choices:
            if choice.casefold() == value.casefold():
                return choice
        raise BadSetting(f"{name} must be one of {', '.join(choices)}, not {value}")

    def integer(
        self, name: str, default: int, *, least: int = 0, most: int | None = None
    ) -> int:
        value = self.text(name)
        try:
            number = int(value) if value else default
        except ValueError as error:
            raise BadSetting(f"{name} must be a whole number, not {value!r}") from error
        if number < least:
            raise BadSetting(f"{name} must be at least {least}, not {number}")
        if most is not None and number > most:
            raise BadSetting(f"{name} must be at most {most}, not {number}")
        return number

    def seconds(self, name: str, default: float) -> float:
        value = self.text(name)
        try:
            number = float(value) if value else default
        except ValueError as error:
            raise BadSetting(f"{name} must be seconds, not {value!r}") from error
        if not 0 <= number < float("inf"):
            raise BadSetting(f"{name} must be finite and not negative")
        return number

    def flag(self, name: str, default: bool = False) -> bool:
        raw = self._raw(name)
        if raw is None:
            return default
        value = raw.strip().lower()
        if value in TRUE:
            return True
        if value in FALSE:
            return False
        raise BadSetting(f"{name} must be true or false, not {raw!r}")

    def _raw(self, name: str) -> str | None:
        self._known.add(name)
        prefixed = self._values.get(PREFIX + name)
        return self._values.get(name) if prefixed is None else prefixed


def child_environment(changes: Mapping[str, str]) -> dict[str, str]:
    """Return this process's environment with changes, for a child process."""
    return {**os.environ, **changes}


def hand_over(name: str, value: str) -> None:
    """Set a variable that a library of ours reads by itself."""
    os.environ[name] = value


def _split(text: str) -> list[str]:
    return [item.strip() for item in text.replace("\n", ",").split(",") if item.strip()]
