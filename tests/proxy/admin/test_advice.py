"""Advice for operators."""

import re
from pathlib import Path

import pytest

import proxy
from proxy import errors
from proxy.admin.advice import ACCOUNT_MEANINGS, ADVICE, account_advice, advice
from proxy.scheduling import pool


def faults(kind: type[errors.Fault]) -> list[type[errors.Fault]]:
    return [kind] + [each for child in kind.__subclasses__() for each in faults(child)]


def test_every_fault_that_is_not_the_callers_has_advice() -> None:
    ours = [fault for fault in faults(errors.Fault) if fault.blame != "caller"]
    assert len(ours) > 8
    assert {fault.code for fault in ours} <= ADVICE.keys()


def test_every_cause_that_takes_an_account_out_has_words() -> None:
    text = (Path(proxy.__file__).parent / "wire" / "google_errors.py").read_text()
    refusals = set(re.findall(r'AccountRefused\([^)]*?code="(\w+)"', text, re.DOTALL))
    assert refusals
    assert refusals | pool.ADVICE.keys() <= ACCOUNT_MEANINGS.keys()


@pytest.mark.parametrize("cause", ["", "never_heard_of"])
def test_an_unknown_cause_is_named_with_a_next_step(cause: str) -> None:
    for found in (advice(cause), account_advice(cause)):
        assert found.action
    assert advice("never_heard_of").meaning == "Never heard of"


def test_an_accounts_refusal_is_not_mistaken_for_a_callers() -> None:
    assert "token" in advice("permission_denied").meaning
    assert "project" in account_advice("permission_denied").meaning
