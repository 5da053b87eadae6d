"""A conversation goes back to the account that answered it last."""

from proxy.scheduling.stickiness import KEPT_SECONDS, Stickiness


def test_the_last_account_of_a_conversation_is_remembered() -> None:
    known = Stickiness()
    known.keep("a", 1, 0.0)
    known.keep("a", 2, 1.0)
    assert known.get("a", 2.0) == 2
    assert known.get("b", 2.0) is None


def test_it_is_forgotten_after_a_while() -> None:
    known = Stickiness()
    known.keep("a", 1, 0.0)
    assert known.get("a", KEPT_SECONDS - 1) == 1
    assert known.get("a", KEPT_SECONDS) is None


def test_only_the_latest_conversations_are_kept() -> None:
    known = Stickiness(most=2)
    for number, key in enumerate(("a", "b", "a", "c")):
        known.keep(key, number, 0.0)
    assert [known.get(key, 1.0) for key in "abc"] == [2, None, 3]


def test_what_is_no_conversation_is_not_kept() -> None:
    known = Stickiness()
    known.keep("", 1, 0.0)
    assert known.get("", 0.0) is None
