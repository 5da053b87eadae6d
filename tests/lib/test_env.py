"""Settings as text become typed values, or a message that names the setting."""

from pathlib import Path

import pytest

from gemproxy.lib.env import BadSetting, Env, child_environment


def test_the_prefixed_name_wins_over_the_plain_one() -> None:
    env = Env({"PORT": "1", "GEMPROXY_PORT": "2"})
    assert env.integer("PORT", 3) == 2


def test_the_plain_name_counts_when_there_is_no_prefixed_one() -> None:
    assert Env({"PORT": "1"}).integer("PORT", 3) == 1


def test_an_alias_is_read_when_the_name_is_not_given() -> None:
    env = Env({"RENDER_EXTERNAL_URL": "https://r.example"})
    assert env.text("PUBLIC_URL", "", "HOST_URL", "RENDER_EXTERNAL_URL") == (
        "https://r.example"
    )


def test_the_name_wins_over_its_alias() -> None:
    env = Env({"PUBLIC_URL": "https://own", "GEMPROXY_HOST_URL": "https://alias"})
    assert env.text("PUBLIC_URL", "", "HOST_URL") == "https://own"


@pytest.mark.parametrize("value", ["", "   ", "\t"], ids=["empty", "blanks", "tab"])
def test_a_blank_value_counts_as_not_given(value: str) -> None:
    env = Env({"HOST": value, "ALIAS": "other"})
    assert env.text("HOST", "default") == "default"
    assert env.text("HOST", "default", "ALIAS") == "other"


def test_blanks_around_a_value_go() -> None:
    assert Env({"HOST": " 0.0.0.0\n"}).text("HOST") == "0.0.0.0"


def test_given_tells_whether_a_name_is_there_at_all() -> None:
    env = Env({"DEBUG": "", "GEMPROXY_PORT": "1"})
    assert env.given("DEBUG")
    assert env.given("PORT")
    assert not env.given("HOST")


def test_names_with_the_prefix_that_nothing_reads_are_reported() -> None:
    env = Env({"GEMPROXY_PROT": "1", "GEMPROXY_PORT": "1", "UNRELATED": "1"})
    env.integer("PORT", 1)
    assert env.unknown() == ["GEMPROXY_PROT"]


def test_an_alias_is_known_even_when_it_is_not_needed() -> None:
    env = Env({"GEMPROXY_PUBLIC_URL": "https://a", "GEMPROXY_HOST_URL": "https://b"})
    env.text("PUBLIC_URL", "", "HOST_URL")
    assert env.unknown() == []


def test_the_file_name_of_a_secret_is_known() -> None:
    env = Env({"GEMPROXY_SECRET_KEY_FILE": "", "GEMPROXY_SECRET_KEY": "s"})
    assert env.secret("SECRET_KEY") == "s"
    assert env.unknown() == []


def test_a_secret_is_read_from_the_file_that_is_named(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("hush\n")
    assert Env({"SECRET_KEY_FILE": str(path)}).secret("SECRET_KEY", "no") == "hush"


def test_a_secret_given_directly_wins_over_its_file(tmp_path: Path) -> None:
    env = Env({"SECRET_KEY": "direct", "SECRET_KEY_FILE": str(tmp_path / "none")})
    assert env.secret("SECRET_KEY") == "direct"


def test_a_missing_secret_file_is_named(tmp_path: Path) -> None:
    env = Env({"SECRET_KEY_FILE": str(tmp_path / "gone")})
    with pytest.raises(BadSetting, match="SECRET_KEY_FILE: No such file"):
        env.secret("SECRET_KEY")


def test_a_secret_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    # Once: a UnicodeDecodeError that names no setting comes out instead.
    path = tmp_path / "secret"
    path.write_bytes(b"\xff\xfe\x00binary")
    with pytest.raises(BadSetting, match="SECRET_KEY_FILE"):
        Env({"SECRET_KEY_FILE": str(path)}).secret("SECRET_KEY")


@pytest.mark.parametrize("text", ["a,b", "a\nb", " a , b ,", "a,,\n\nb"])
def test_lists_are_split_at_commas_and_lines(text: str) -> None:
    assert Env({"KEYS": text}).items("KEYS") == ["a", "b"]
    assert Env({"KEYS": text}).secret_items("KEYS") == ["a", "b"]


def test_a_list_that_is_not_given_is_empty_or_the_default() -> None:
    assert Env({}).items("KEYS") == []
    assert Env({}).items("KEYS", "x,y") == ["x", "y"]


def test_secret_lists_may_come_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text("one\ntwo\n")
    assert Env({"KEYS_FILE": str(path)}).secret_items("KEYS") == ["one", "two"]


@pytest.mark.parametrize("text", ["eight", "8.5", "0x10"])
def test_what_is_no_whole_number_is_refused_by_name(text: str) -> None:
    with pytest.raises(BadSetting, match="PORT must be a whole number"):
        Env({"PORT": text}).integer("PORT", 1)


def test_a_number_below_its_least_is_refused() -> None:
    with pytest.raises(BadSetting, match="PORT must be at least 1, not 0"):
        Env({"PORT": "0"}).integer("PORT", 8100, least=1)
    with pytest.raises(BadSetting, match="at least 0"):
        Env({"HOPS": "-1"}).integer("HOPS", 0)


@pytest.mark.parametrize(("text", "seconds"), [("1.5", 1.5), ("0", 0.0), ("", 7.0)])
def test_seconds_may_have_fractions(text: str, seconds: float) -> None:
    assert Env({"WAIT": text}).seconds("WAIT", 7) == seconds


@pytest.mark.parametrize("text", ["-1", "soon"])
def test_what_is_no_span_of_time_is_refused(text: str) -> None:
    with pytest.raises(BadSetting, match="WAIT must"):
        Env({"WAIT": text}).seconds("WAIT", 1)


@pytest.mark.parametrize("text", ["nan", "inf", "-inf"])
def test_seconds_that_no_clock_reaches_are_refused(text: str) -> None:
    with pytest.raises(BadSetting, match="WAIT must"):
        Env({"WAIT": text}).seconds("WAIT", 1)


@pytest.mark.parametrize("text", ["1", "true", "Yes", " ON "])
def test_words_for_true(text: str) -> None:
    assert Env({"DEBUG": text}).flag("DEBUG") is True


@pytest.mark.parametrize("text", ["0", "False", "no", "off", ""])
def test_words_for_false(text: str) -> None:
    assert Env({"DEBUG": text}).flag("DEBUG", True) is False


def test_a_flag_that_is_not_given_has_its_default() -> None:
    assert Env({}).flag("DEBUG", True) is True


def test_a_flag_that_is_neither_is_refused() -> None:
    with pytest.raises(BadSetting, match="DEBUG must be true or false, not 'maybe'"):
        Env({"DEBUG": "maybe"}).flag("DEBUG")


def test_the_environment_wins_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("COLOUR=red\nSHAPE=round\nBARE\n")
    monkeypatch.setenv("COLOUR", "blue")
    env = Env.load(tmp_path)
    assert (env.text("COLOUR"), env.text("SHAPE")) == ("blue", "round")
    assert not env.given("BARE")


def test_a_child_gets_this_environment_with_changes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KEPT", "1")
    monkeypatch.setenv("CHANGED", "1")
    child = child_environment({"CHANGED": "2", "NEW": "3"})
    assert (child["KEPT"], child["CHANGED"], child["NEW"]) == ("1", "2", "3")


def test_pairs_of_names_and_numbers_keep_their_order() -> None:
    env = Env({"X": "b*=20,\n a = 0"})
    assert list(env.counts("X").items()) == [("b*", 20), ("a", 0)]
    assert Env({}).counts("X", "a=1, b=2") == {"a": 1, "b": 2}
    assert Env({"X": "none"}).counts("X", "a=1") == {}


@pytest.mark.parametrize(
    "text", ["a", "a=", "=1", "a=-1", "a=one", "a=1.5", "a=1, a=2", "none, a=1"]
)
def test_pairs_that_are_none_are_refused_with_the_setting(text: str) -> None:
    with pytest.raises(BadSetting, match="X: "):
        Env({"X": text}).counts("X")
