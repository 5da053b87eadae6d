"""What a model's name says."""

import pytest

from proxy.wire.model_names import LATEST, model_name


@pytest.mark.parametrize(
    ("name", "family", "version"),
    [
        ("gemini-2.5-flash", "gemini", (2, 5)),
        ("models/gemini-3-pro-preview", "gemini", (3, 0)),
        ("publishers/google/models/gemini-3.1-pro", "gemini", (3, 1)),
        (" Gemini-3.7-Flash ", "gemini", (3, 7)),
        ("gemini-10.12-pro", "gemini", (10, 12)),
        ("gemini-3", "gemini", (3, 0)),
        ("gemini-flash-latest", "gemini", LATEST),
        ("gemini-embedding-001", "gemini", LATEST),
        ("gemma-3-27b-it", "gemma", (3, 0)),
        ("gemma-4-31b", "gemma", (4, 0)),
        ("gemma-it", "gemma", (0, 0)),
        ("grok-4", "other", (0, 0)),
        ("", "other", (0, 0)),
    ],
)
def test_family_and_version(name, family, version):
    found = model_name(name)
    assert (found.family, found.version) == (family, version)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gemini-3-flash-preview", True),
        ("gemini-flash-latest", True),
        ("gemini-2.5-pro", False),
        ("gemma-4-31b", False),
        ("other", False),
    ],
)
def test_gemini_3_and_newer(name, expected):
    assert model_name(name).gemini3 is expected


def test_a_word_counts_only_as_a_whole_part_of_the_name():
    assert model_name("gemini-2.5-flash-lite").has("flash-lite")
    assert model_name("gemini-2.5-pro").has("pro")
    assert not model_name("gemini-2.5-prototype").has("pro")


def test_only_gemma_takes_no_system_instruction():
    assert not model_name("gemma-3-4b-it").takes_system
    assert model_name("gemini-3-pro").takes_system
    assert model_name("whatever").takes_system
