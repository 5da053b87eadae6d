"""Tool names that Gemini takes, and the way back to the client's own."""

import hashlib
import re
from collections.abc import Iterable

#: What Google enforces: a letter or underscore first, then these, 64 at most. The
#: documented colon is left out because the live endpoint refuses it.
_VALID = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
_FOREIGN = re.compile(r"[^A-Za-z0-9_.-]")
_LONGEST = 64
_DIGEST = 8


class ToolNames:
    """Gives every client name one upstream name, unique within the request.

    Names that are valid as they are must be claimed first, so that a changed name
    never takes the place of another tool's own.
    """

    def __init__(self, declared: Iterable[str] = ()) -> None:
        names = list(declared)
        self._upstream = {name: name for name in names if _VALID.fullmatch(name)}
        self._taken = set(self._upstream)
        for name in names:
            self.upstream(name)

    def upstream(self, name: str) -> str:
        """Return the name to send upstream; the same for the same name."""
        if name not in self._upstream:
            self._upstream[name] = self._free(name)
            self._taken.add(self._upstream[name])
        return self._upstream[name]

    @property
    def renamed(self) -> dict[str, str]:
        """Upstream name to client name, only where they differ."""
        return {up: own for own, up in self._upstream.items() if up != own}

    def _free(self, name: str) -> str:
        clean = _FOREIGN.sub("_", name)
        if not _VALID.match(clean):
            clean = f"_{clean}"
        if len(clean) <= _LONGEST and clean not in self._taken:
            return clean
        # The digest is of the client's name, so that the upstream name stays the
        # same from request to request and prompts can be cached.
        salt = 0
        while True:
            digest = hashlib.sha256(f"{salt}{name}".encode("utf-8", "replace"))
            short = clean[: _LONGEST - _DIGEST - 1]
            candidate = f"{short}_{digest.hexdigest()[:_DIGEST]}"
            if candidate not in self._taken:
                return candidate
            salt += 1
