"""What a key does: answer well, refuse, be slow, or break in the middle."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from proxy.sandbox.faults import CREDENTIAL_FAULTS, REFUSALS, overloaded
from proxy.sandbox.keys import behaviour_in
from proxy.sandbox.xai_faults import KEY_BLOCKED, XAI_NAMES

_SHAPING = (
    "stall",
    "cut",
    "cutclean",
    "malformed",
    "empty",
    "blocked",
    "safety",
    "recitation",
    "maxtokens",
    "oneline",
    "duplicate",
    "nousage",
    "errormid",
    "erroronly",
)
_SENDING = ("slow", "split", "drip", "headstall", "html", "bare", "emptybody")
#: What the Gemini API may be told to do; the same keys are told what xAI's does.
GEMINI_NAMES = frozenset({*REFUSALS, *_SHAPING, *_SENDING, "ok", "flaky", "limited"})
NAMES = GEMINI_NAMES | XAI_NAMES
_OF_CREDENTIALS = CREDENTIAL_FAULTS | {KEY_BLOCKED}

_PARAMS: dict[str, type | tuple[type, ...]] = {
    "seconds": (int, float),
    "chunks": int,
    "limit": int,
    "retry_delay": str,
    "status": int,
    "model": str,
    "rpm": int,
    "rpd": int,
    "tpm": int,
}


@dataclass
class Behaviour:
    """What a key does, its parameters, and for how many more calls."""

    name: str = "ok"
    params: dict[str, Any] = field(default_factory=dict)
    times: int | None = None
    calls: int = 0

    def seconds(self, default: float) -> float:
        """The parameter ``seconds``."""
        return float(self.params.get("seconds", default))


class Behaviours:
    """Which key does what: as told, else as its text says, else well."""

    def __init__(self, seeds: Iterable[Mapping[str, Any]] = ()) -> None:
        self._seeds = [dict(seed) for seed in seeds]
        self._told: dict[str, Behaviour] = {}
        self._own: dict[str, Behaviour] = {}
        self.reset()

    def reset(self) -> None:
        """Forget everything but the seeds."""
        self._told.clear()
        self._own.clear()
        for seed in self._seeds:
            self.tell(seed)

    def tell(self, wish: Mapping[str, Any]) -> Behaviour:
        """Set a key's behaviour from ``{"key", "behaviour", "times", …}``.

        Raises ``ValueError`` for a wish that cannot be followed.
        """
        params = dict(wish)
        key, name = params.pop("key", None), params.pop("behaviour", "ok")
        times = params.pop("times", None)
        if not isinstance(key, str) or not key:
            raise ValueError("key is missing")
        if name not in NAMES:
            raise ValueError(f"unknown behaviour {name!r}")
        if times is not None and (type(times) is not int or times < 0):
            raise ValueError("times must be a whole number")
        _check_params(params)
        self._told[key] = Behaviour(name, params, times)
        return self._told[key]

    def forget(self, key: str) -> bool:
        """Let the key do what its text says again; whether anything was told."""
        return self._told.pop(key, None) is not None

    def take(self, key: str, model: str, *, runs_model: bool) -> Behaviour:
        """The behaviour for one call, which is counted where it shows."""
        behaviour = self._find(key)
        if not runs_model and behaviour.name not in _OF_CREDENTIALS:
            return Behaviour()
        if behaviour.params.get("model", model) != model:
            return Behaviour()
        if behaviour.times == 0:
            return Behaviour()
        if behaviour.times is not None:
            behaviour.times -= 1
        behaviour.calls += 1
        return behaviour

    def _find(self, key: str) -> Behaviour:
        if key in self._told:
            return self._told[key]
        if key not in self._own:
            name = behaviour_in(key) or "ok"
            self._own[key] = Behaviour(name if name in NAMES else "ok")
        return self._own[key]


def _check_params(params: Mapping[str, Any]) -> None:
    for name, value in params.items():
        shape = _PARAMS.get(name)
        if shape is None:
            raise ValueError(f"unknown parameter {name!r}")
        if isinstance(value, bool) or not isinstance(value, shape):
            raise ValueError(f"{name} has the wrong type")


def refuse(behaviour: Behaviour, model: str) -> None:
    """Raise the ``Refusal`` that a behaviour stands for, if it is one."""
    if behaviour.name == "flaky" and behaviour.calls % 2 == 0:
        raise overloaded()
    make = REFUSALS.get(behaviour.name)
    if make is not None:
        raise make(behaviour.params, model)
