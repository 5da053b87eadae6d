"""Deterministic embeddings: similar texts get similar vectors."""

import hashlib
import re
from typing import Any

import numpy as np

FULL_SIZE = 3072
_WORD = re.compile(r"\w+")
_WORD_WEIGHT = 1.0
_FRAGMENT_WEIGHT = 0.35
_TASK_WEIGHT = 0.1
_GROUND_WEIGHT = 0.15
_SPREAD = 64


def embed(text: str, task: str = "", size: int = FULL_SIZE) -> list[float]:
    """A vector of ``size`` numbers.

    Only the full vector has length one: shorter ones are its beginning, and Google
    leaves it to the caller to normalise them.
    """
    vector = _GROUND_WEIGHT * _ground(text)
    for feature, weight in _features(text, task):
        places, signs = _direction(feature)
        np.add.at(vector, places, weight * signs)
    vector /= np.linalg.norm(vector)
    return [round(float(number), 9) for number in vector[:size]]


def content_text(content: dict[str, Any]) -> str:
    """All text of a parsed content."""
    return "\n".join(part.get("text", "") for part in content.get("parts", ()))


def _features(text: str, task: str) -> list[tuple[str, float]]:
    words = _WORD.findall(text.lower())
    features = [(f"word {word}", _WORD_WEIGHT) for word in words]
    features += [
        (f"fragment {word[start : start + 3]}", _FRAGMENT_WEIGHT)
        for word in words
        for start in range(max(1, len(word) - 2))
    ]
    if task:
        features.append((f"task {task}", _TASK_WEIGHT))
    return features


def _direction(feature: str) -> tuple[np.ndarray, np.ndarray]:
    """Where a feature points: some of the dimensions, up or down, length one."""
    noise = hashlib.shake_256(feature.encode()).digest(2 * _SPREAD)
    numbers = np.frombuffer(noise, "<u2").astype(int)
    signs = np.where(numbers & 1, 1.0, -1.0) / _SPREAD**0.5
    return (numbers >> 1) % FULL_SIZE, signs


def _ground(text: str) -> np.ndarray:
    """A dense direction of the text, so that no beginning of a vector is empty."""
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
    dense = np.random.default_rng(seed).standard_normal(FULL_SIZE)
    return dense / np.linalg.norm(dense)
