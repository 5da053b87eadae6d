"""Which account a conversation was last answered by."""

from collections import OrderedDict

KEPT_SECONDS = 3600.0
MOST = 50_000


class Stickiness:
    """Remembers the account of each conversation for a while, the latest ones only."""

    def __init__(self, most: int = MOST, seconds: float = KEPT_SECONDS) -> None:
        self._most = most
        self._seconds = seconds
        self._known: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def get(self, key: str, now: float) -> int | None:
        """Return the account of a conversation; ``now`` in epoch seconds."""
        until, account_id = self._known.get(key, (0.0, 0))
        return account_id if until > now else None

    def keep(self, key: str, account_id: int, now: float) -> None:
        """Note who answered; an empty key is no conversation."""
        if not key:
            return
        self._known[key] = now + self._seconds, account_id
        self._known.move_to_end(key)
        while len(self._known) > self._most:
            self._known.popitem(last=False)
