"""What a key does: answer well, refuse, be slow, or break in the middle."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from itertools import islice
from typing import Any

from proxy.sandbox.answers import Answer
from proxy.sandbox.keys import behaviour_in
from proxy.sandbox.refusals import Refusal, key_invalid, quota_exceeded

DEFAULT_RETRY_DELAY = "38.601s"
_REQUESTS = "generate_content_free_tier_requests"
_OVERLOADED = "The model is overloaded. Please try again later."

# Faults of the credential show on every endpoint, the others only on those that run
# a model: listing models works with an exhausted quota.
CREDENTIAL_FAULTS = frozenset({"invalid", "leaked", "billing"})
_SHAPING = ("stall", "cut", "cutclean", "malformed", "empty", "blocked", "safety")


_PARAMS: dict[str, type | tuple[type, ...]] = {
    "seconds": (int, float),
    "chunks": int,
    "limit": int,
    "retry_delay": str,
    "rpm": int,
    "rpd": int,
    "tpm": int,
}


class Break(Enum):
    """Ways in which a stream stops being one."""

    STALL = "silence until the client leaves"
    CUT = "the connection is aborted"


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

    def take(self, key: str, *, runs_model: bool) -> Behaviour:
        """The behaviour for one call, which is counted where it shows."""
        behaviour = self._find(key)
        if not runs_model and behaviour.name not in CREDENTIAL_FAULTS:
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
        raise Refusal(503, _OVERLOADED)
    make = _REFUSALS.get(behaviour.name)
    if make is not None:
        raise make(behaviour.params, model)


def whole(answer: Answer, behaviour: Behaviour) -> dict[str, Any] | Break:
    """The unary response, or the way in which it does not come."""
    if behaviour.name == "errormid":
        raise Refusal(503, _OVERLOADED)
    if behaviour.name == "stall":
        return Break.STALL
    _spoil(answer, behaviour.name)
    if behaviour.name == "empty":
        return answer.empty()
    return answer.blocked() if behaviour.name == "blocked" else answer.whole()


def stream(answer: Answer, behaviour: Behaviour) -> Iterator[dict[str, Any] | Break]:
    """The chunks of a stream, with the break or the error that ends it early."""
    name = behaviour.name
    if name in ("empty", "blocked"):
        yield whole(answer, behaviour)
        return
    _spoil(answer, name)
    if name not in ("stall", "cut", "cutclean", "errormid"):
        yield from answer.chunks()
        return
    # The last chunk holds the finish reason, so it must never get out.
    most = sum(1 for _ in answer.chunks()) - 1
    yield from islice(answer.chunks(), min(most, behaviour.params.get("chunks", 1)))
    if name == "stall":
        yield Break.STALL
    elif name == "cut":
        yield Break.CUT
    elif name == "errormid":
        yield Refusal(503, _OVERLOADED).body()


def _spoil(answer: Answer, name: str) -> None:
    for reply in answer.replies:
        if name == "malformed":
            reply.parts, reply.signature, reply.thought = [], "", ""
            reply.finish = "MALFORMED_FUNCTION_CALL"
            reply.extras = {"finishMessage": "Malformed function call: print(call("}
        elif name == "cutclean":
            reply.finish = ""
        elif name == "safety":
            _half(reply.parts)
            reply.finish, reply.signature = "SAFETY", ""
            rating = {
                "category": "HARM_CATEGORY_DANGEROUS_CONTENT",
                "probability": "HIGH",
                "blocked": True,
            }
            reply.extras = {"safetyRatings": [rating]}


def _half(parts: list[dict[str, Any]]) -> None:
    for index, part in enumerate(parts):
        if "text" in part:
            part["text"] = part["text"][: len(part["text"]) // 2]
            del parts[index + 1 :]


def _per_minute(params: Mapping[str, Any], model: str) -> Refusal:
    return quota_exceeded(
        metric=_REQUESTS,
        quota_id="GenerateRequestsPerMinutePerProjectPerModel-FreeTier",
        value=params.get("limit", 15),
        model=model,
        retry_delay=params.get("retry_delay", DEFAULT_RETRY_DELAY),
    )


def _per_day(params: Mapping[str, Any], model: str) -> Refusal:
    return quota_exceeded(
        metric=_REQUESTS,
        quota_id="GenerateRequestsPerDayPerProjectPerModel-FreeTier",
        value=params.get("limit", 250),
        model=model,
        retry_delay=params.get("retry_delay", "0s"),
    )


def _always(make: Callable[[], Refusal]) -> Callable[[Mapping[str, Any], str], Refusal]:
    return lambda params, model: make()


_REFUSALS: dict[str, Callable[[Mapping[str, Any], str], Refusal]] = {
    "perminute": _per_minute,
    "perday": _per_day,
    "overloaded": _always(lambda: Refusal(503, _OVERLOADED)),
    "internal": _always(
        lambda: Refusal(
            500,
            "An internal error has occurred. Please retry or report in"
            " https://developers.generativeai.google/guide/troubleshooting",
        )
    ),
    "invalid": _always(key_invalid),
    "leaked": _always(
        lambda: Refusal(
            403, "Your API key was reported as leaked. Please use another API key."
        )
    ),
    "billing": _always(
        lambda: Refusal(
            400,
            "User location is not supported for the API use.",
            status="FAILED_PRECONDITION",
        )
    ),
    "prepay": _always(
        lambda: Refusal(
            402,
            "Your prepayment credits are depleted. Please go to AI Studio at"
            " https://ai.studio/projects to manage your project and billing.",
        )
    ),
}
NAMES = frozenset(
    {*_REFUSALS, *_SHAPING, "ok", "errormid", "flaky", "html", "limited", "slow"}
)
